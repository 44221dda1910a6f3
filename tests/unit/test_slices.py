"""Which reviews are in which slice."""

import numpy as np
import pytest

from sentiment.training.slices import LONG_WORDS, MOST_VALUES, SHORT_WORDS, Traits


def _traits(texts: list[str], **columns: list[object]) -> Traits:
    given = {"labels": ["positive"] * len(texts), "sources": [None] * len(texts)} | columns
    return Traits.of(texts, **given)  # type: ignore[arg-type]


def test_every_review_is_in_one_slice_of_each_kind() -> None:
    lengths = [1, SHORT_WORDS - 1, SHORT_WORDS, LONG_WORDS - 1, LONG_WORDS, 1_000]
    found = _traits(["word " * length for length in lengths]).slices()
    names = [next(name for name in found if name.startswith(kind)) for kind in ("short", "medium", "long")]
    assert [found[name].tolist() for name in names] == [
        [True, True, False, False, False, False],
        [False, False, True, True, False, False],
        [False, False, False, False, True, True],
    ]
    assert found["without negation"].all()
    assert "with negation" not in found, "no slice is empty"


@pytest.mark.parametrize("text", ["It is not good", "I can't", "I can\u2019t", "NEVER again", "without doubt", "don't"])
def test_a_negation_is_noticed(text: str) -> None:
    assert "with negation" in _traits([text]).slices()


@pytest.mark.parametrize("text", ["notable", "know nowhere", "an't", "want to", "n't", "It was good"])
def test_what_only_looks_like_one_is_not(text: str) -> None:
    expected = "with negation" if text == "an't" else "without negation"
    assert list(_traits([text]).slices())[-1] == expected


def test_sources_and_ratings_are_slices_where_there_are_any() -> None:
    found = _traits(["a"] * 4, sources=["shop", None, float("nan"), "film"], ratings=["9", "10", None, "9"]).slices()
    assert found["source shop"].tolist() == [True, False, False, False]
    assert found["rating 9"].tolist() == [True, False, False, True]
    assert [name for name in found if name.startswith("rating")] == ["rating 9", "rating 10"]


def test_a_column_of_free_text_does_not_make_a_slice_of_every_row() -> None:
    found = _traits(["a"] * 500, sources=[f"{i}" for i in range(500)]).slices()
    assert sum(name.startswith("source") for name in found) == MOST_VALUES


def test_parts_join_to_the_whole() -> None:
    texts = ["not bad", "fine", "word " * 30, "good " * 300]
    whole = _traits(texts).slices()
    joined = Traits.joined([_traits(texts[:1]), _traits(texts[1:])]).slices()
    assert whole.keys() == joined.keys()
    assert all(np.array_equal(whole[name], joined[name]) for name in whole)


def test_the_newest_fifth_is_a_slice_of_whole_moments_where_moments_are_known() -> None:
    def newest(*days: int | None) -> list[bool] | None:
        moments = np.array(
            [np.datetime64("NaT") if day is None else np.datetime64(f"2026-05-{day:02}") for day in days]
        )
        found = Traits.of(
            ["a"] * len(days), labels=["positive"] * len(days), sources=[None] * len(days), moments=moments
        ).slices()
        return found["newest reviews"].tolist() if "newest reviews" in found else None

    assert newest(5, 1, 2, 3, 4, 6, 7, 8, 9, 10) == [False] * 8 + [True] * 2
    assert newest(1, 1, 1, 1, 2, 2, 2, 2, 2, 2) == [False] * 4 + [True] * 6, "a delivery is not cut in two"
    assert newest(1, 1, 1, 1, 1, 1, 1, 1, 1, 2) == [False] * 9 + [True]
    assert newest(3, 3, 3) is None, "all are equally new"
    assert newest(None, None) is None
    assert newest(None, 1, 2, 3, 4, 5) == [False] * 5 + [True]
