"""Each step of the cleaning chain, what it needs from outside, and what it says when that is missing."""

import re
import socket
from pathlib import Path

import numpy as np
import pytest

from sentiment.cleaning import Cleaning
from sentiment.errors import SettingsError
from sentiment.features import normal
from sentiment.features.chain import Chain, Forms, LearningForms, cleaner
from sentiment.features.clean import clean, words
from sentiment.features.normal import learning_forms, lemmatizer, stemmer, wordnet_folder
from sentiment.features.stop_words import NEGATIONS, STOP_WORDS
from sentiment.packaging import _needed_modules

PROJECT = Path(__file__).resolve().parents[2]


def wordnet_or_skip() -> None:
    try:
        wordnet_folder()
    except SettingsError as missing:
        pytest.skip(str(missing))


def tokens(text: str, **choices: str) -> str:
    cleaning = Cleaning(**choices)  # type: ignore[arg-type]
    return " ".join(words(cleaner(cleaning, learning_forms(cleaning))(text)))


def test_the_default_is_the_plain_cleaning_itself() -> None:
    assert Chain().clean is clean


@pytest.mark.parametrize(
    ("text", "choices", "expected"),
    [
        ("Good<BR>Film", {"html": "keep"}, "good br film"),
        ("Good<BR>Film", {"html": "keep", "case": "keep"}, "Good BR Film"),
        ("Good<BR>Film", {"case": "keep"}, "Good Film"),
        ("&lt;b&gt;G&eacute;nial&lt;/b&gt; &#65;", {"html": "full"}, "génial a"),
        ("a<!-- no -->b<script>c</script>d<STYLE x>e</Style >f", {"html": "full"}, "a b d f"),
        ("cut <!-- off", {"html": "full"}, "cut"),
        ("at http://x.org/a?b=(c). Or www.x.de/?q!", {"urls": "mark"}, "at url ) . or url !"),
        ("imdb.com/title/1 and amazon.co.uk.com, not etc.but", {"urls": "drop"}, "and , not etc . but"),
        ("jo.do+x@mail.example.org wrote", {"urls": "mark"}, "email wrote"),
        ("jo@mail.example.org wrote", {"urls": "drop"}, "wrote"),
        ("[email] wrote", {"urls": "mark"}, "email wrote"),
        ("10/10, 1,000.50 or -3 in 1999!", {"numbers": "mark"}, "0 , 0 or 0 in 0 !"),
        ("٣ stars, 2nd of the 1990s, mp3", {"numbers": "drop"}, "stars , 2nd of the 1990s , mp3"),
        ("It's not THE best, isn't it?", {"stop_words": "drop"}, "not best , isn't ?"),
        ("The film", {"stop_words": "drop", "case": "keep"}, "film"),
        ("loving the movies", {"normal_form": "stem"}, "love the movi"),
        ("Loving", {"normal_form": "stem", "case": "keep"}, "love"),
        ("naïve cafés 映画 l2s", {"normal_form": "stem"}, "naïv café 映画 l2s"),
        ("not a good film. good", {"negation": "mark"}, "not a_neg good_neg film_neg . good"),
        ("I don\u2019t like it; fun", {"negation": "mark"}, "i don't like_neg it_neg ; fun"),
        ("no, NEVER good! good", {"negation": "mark"}, "no , never_neg good_neg ! good"),
        ("nothing else", {"negation": "mark", "case": "keep"}, "nothing else_neg"),
        ("knot nowhereland n't", {"negation": "mark"}, "knot nowhereland n't"),
        ("won't be loving it", {"negation": "mark", "normal_form": "stem", "stop_words": "drop"}, "won't love_neg"),
        ("wow! what? yes.", {"punctuation": "drop"}, "wow what yes"),
        ("not it! good", {"punctuation": "drop", "negation": "mark"}, "not it_neg good"),
    ],
)
def test_each_step_does_what_it_says(text: str, choices: dict[str, str], expected: str) -> None:
    assert tokens(text, **choices) == expected


def test_the_stop_list_holds_no_negation_in_any_of_its_spellings() -> None:
    assert not STOP_WORDS & NEGATIONS
    assert not STOP_WORDS & {"t", "don", "doesn", "isn", "won", "can", "but", "very", "too"}
    assert all(word == word.lower() and words(word) == [word] for word in STOP_WORDS | NEGATIONS)


@pytest.mark.parametrize("stuff", ["😀👍🏽", "👨\u200d👩\u200d👧", "🇫🇷", "(•‿•)", "5️⃣"])
def test_emoji_are_left_alone(stuff: str) -> None:
    every = Cleaning(html="full", urls="drop", stop_words="drop", normal_form="stem", negation="mark")
    assert stuff in cleaner(every, learning_forms(every))(f"the film {stuff} was not good!")


@pytest.mark.parametrize(
    ("word", "expected"),
    [("was", "be"), ("has", "have"), ("films", "film"), ("geese", "goose"), ("boring", "boring"), ("zzz", "zzz")],
)
def test_lemmas_are_those_of_the_dictionary(word: str, expected: str) -> None:
    wordnet_or_skip()
    assert lemmatizer()(word) == expected


def test_lemmas_replace_words_but_never_a_negation() -> None:
    wordnet_or_skip()
    assert tokens("The films were not Loved; nothing was", normal_form="lemma") == "the film be not loved ; nothing be"


def test_lemmas_without_wordnet_say_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    with pytest.raises(SettingsError, match=r"apt-get install wordnet-base.*WNSEARCHDIR"):
        learning_forms(Cleaning(normal_form="lemma"))
    (tmp_path / "index.noun").touch()  # half a dictionary is none
    with pytest.raises(SettingsError, match=str(tmp_path)):
        learning_forms(Cleaning(normal_form="lemma"))
    monkeypatch.delenv("WNSEARCHDIR")
    monkeypatch.setattr(normal, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setattr("nltk.data.path", [])
    with pytest.raises(SettingsError, match="apt-get install wordnet-base"):
        learning_forms(Cleaning(normal_form="lemma"))


def test_the_folder_that_is_named_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wordnet_or_skip()
    folder = wordnet_folder()
    (tmp_path / "dict").symlink_to(folder)
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path / "dict"))
    assert wordnet_folder() == folder
    assert lemmatizer()("films") == "film"


@pytest.mark.parametrize("form", ["none", "stem", "lemma"])
def test_nothing_is_downloaded(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk
    import nltk.downloader

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something wants the network")

    monkeypatch.setattr(nltk, "download", refuse)
    monkeypatch.setattr(nltk.downloader.Downloader, "download", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    normal._wordnet.cache_clear()
    if form == "lemma":
        wordnet_or_skip()
    assert tokens("The good films", normal_form=form, stop_words="drop").startswith("good film")


def test_a_word_is_looked_up_once() -> None:
    asked: list[str] = []

    def ask(word: str) -> str:
        asked.append(word)
        return word.upper()

    chain = cleaner(Cleaning(normal_form="stem"), LearningForms(ask))
    assert chain("a b a") == "A B A"
    assert chain("b a c") == "B A C"
    assert asked == ["a", "b", "c"]


def test_a_table_of_words_comes_back_and_is_bounded_by_the_vocabulary() -> None:
    table = Forms({"films": "film", "the": "", "same": "same", "rare": "rar", "dogs": "dog", "été": "et"})
    assert Forms.from_array(table.to_array()) == {k: v for k, v in table.items() if k != v}
    kept = Forms.from_array(table.to_array(["not film_neg", "et", "rare"]))
    assert kept == {"films": "film", "the": "", "été": "et", "rare": "rar"}
    assert Forms.from_array(np.empty(0, np.uint8)) == {}
    assert kept["unknown"] == "unknown"


@pytest.mark.parametrize("data", [b"one\n", b"a b c\n", b"\xff \xff\n"])
def test_bytes_that_are_no_table_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011, of Python itself
        Chain.checked(Cleaning(normal_form="stem"), np.frombuffer(data, np.uint8))


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="urls is 'maybe', not one of keep, mark, drop"):
        Cleaning(urls="maybe")  # type: ignore[arg-type]


def test_the_served_code_knows_no_nltk() -> None:
    """Not even behind an import inside a function: a Bento never needs it, whatever the cleaning."""
    served = _needed_modules(PROJECT)
    assert "sentiment/features/chain.py" in served
    assert "sentiment/features/normal.py" not in served
    assert [name for name in served if re.search(r"^\s*(import|from) nltk", (PROJECT / name).read_text(), re.M)] == []


@pytest.mark.parametrize(
    "part",
    [
        "www.",
        "<a",
        "<!--",
        "<script>",
        "</script  ",
        "a.",
        "1.",
        "-1",
        "n't ",
        "not ",
        "a@",
        "a.b@",
        "a-b.",
        "&lt;",
        "n",
    ],
)
def test_a_megabyte_of_anything_is_cleaned(part: str) -> None:
    """A pattern that is quadratic in the text would need hours, and meet the time limit of every test."""
    every = Cleaning("full", "keep", "mark", "mark", "drop", "stem", "mark", "drop")
    cleaned = cleaner(every, learning_forms(every))(part * (1_000_000 // len(part)) + " . end")
    assert cleaned.endswith("end") != (part in ("<!--", "<script>"))  # which hide what follows


def test_stems_are_nltks() -> None:
    from nltk.stem.snowball import SnowballStemmer

    theirs, ours = SnowballStemmer("english"), stemmer()
    assert all(ours(word) == theirs.stem(word) for word in ("loving", "generously", "skies", "cafés"))
