"""The words of an explanation are found where they stand in the text as it was sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.cleaning import Cleaning
from sentiment.features.chain import Forms, cleaner
from sentiment.features.clean import clean, words
from sentiment.serving.spans import spans


def shown(text: str, word: str, *, cleaning: Cleaning | None = None, forms: dict[str, str] | None = None) -> list[str]:
    places = spans(text, cleaner(cleaning or Cleaning(), Forms(forms or {})), 3)
    return [text[begin:end] for begin, end in places(word)]


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [
        ("Not BAD, not bad!", "not bad", ["Not BAD", "not bad"]),
        ("It isn\u2019t bad", "isn't", ["isn\u2019t"]),
        ("bad<br />bad", "bad bad", ["bad<br />bad"]),
        ("the <b>bad</b> end", "bad", ["bad"]),
        ("\u0130stanbul is bad", "bad", ["bad"]),
        ("\U0001f600 bad \U0001f600", "bad", ["bad"]),
        ("good", "bad", []),
        ("", "bad", []),
    ],
)
def test_a_word_is_found_as_it_was_written(text: str, word: str, found: list[str]) -> None:
    assert shown(text, word) == found


def test_stems_negations_and_addresses() -> None:
    chosen = Cleaning(normal_form="stem", negation="mark", urls="mark", stop_words="drop")
    forms = {"the": "", "films": "film", "liked": "like"}
    text = "See www.example.org/liked, the films I never liked. Liked others"
    assert shown(text, "film", cleaning=chosen, forms=forms) == ["films"]
    assert shown(text, "like_neg", cleaning=chosen, forms=forms) == ["liked"]
    assert shown(text, "like", cleaning=chosen, forms=forms) == ["Liked"]
    assert shown(text, "url", cleaning=chosen, forms=forms) == []


@given(st.text(max_size=80))
def test_whatever_the_text_every_counted_word_of_plain_ones_has_its_places(text: str) -> None:
    places = spans(text, clean, 1)
    for word in words(clean(text)):
        for begin, end in places(word):
            assert 0 <= begin < end <= len(text)
            assert word in words(clean(text[begin:end]))
    if "<" not in text:
        assert all(places(word) for word in words(clean(text)))
