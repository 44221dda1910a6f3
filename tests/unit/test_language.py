"""A language is named where it is certain, and only there."""

from pathlib import Path

import pandas as pd
import pytest

from sentiment.errors import SettingsError
from sentiment.reviews.language import UNKNOWN, languages_of, require_known


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The battery lasts two days and the sound is far better than I had expected.", "en"),
        ("Excelente producto, llegó a tiempo y funciona muy bien en toda la casa.", "es"),
        ("Der Film war viel zu lang, aber die Musik hat mir sehr gut gefallen.", "de"),
        ("Un film magnifique, les acteurs sont formidables et la fin est très belle.", "fr"),
        ("Отличный фильм. Смотрели всей семьёй. Всем советую посмотреть.", "ru"),
        ("这部电影非常好看。演员的表演也很出色。我很喜欢。", "zh"),
        ("この映画はとても面白かったです。音楽も素晴らしい。", "ja"),
    ],
)
def test_a_language_is_told_from_one_sentence(text: str, language: str) -> None:
    assert languages_of([text]) == [language]


@pytest.mark.parametrize(
    "text", ["", "ok", "Merci!", "Sehr gut", "★★★★★★★★★★★★★★", "😀" * 20, "12345 67890 12345 67890", "\ud800 \ud800"]
)
def test_what_says_too_little_is_unknown(text: str) -> None:
    assert languages_of([text]) == [UNKNOWN]


def test_english_reviews_are_never_taken_for_another_language(real_data: Path) -> None:
    reviews = pd.read_parquet(real_data / "imdb_train.parquet")["review"].sample(500, random_state=0)
    assert set(languages_of(reviews)) == {"en"}


def test_foreign_sentences_among_english_ones_are_found(real_data: Path) -> None:
    sentences = pd.read_parquet(real_data / "sentence_polarity.parquet")["review"]
    found = pd.Series(languages_of(sentences)).value_counts()
    assert set(found.index) == {"en", "es", "pt", "fr", UNKNOWN}
    assert found["en"] > 0.9 * len(sentences)
    assert 40 <= found["es"] + found["pt"] + found["fr"] <= 70  # all of them are: read one by one


def test_a_code_that_is_no_language_is_refused_with_those_that_are() -> None:
    require_known(["en", "de"])
    with pytest.raises(SettingsError, match="xx, zz is no language") as caught:
        require_known(["en", "zz", "xx"])
    assert "de" in caught.value.fix
