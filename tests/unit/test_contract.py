"""The data contract: what becomes a review and why the rest does not."""

from typing import Any

import pandas as pd
import pytest

from sentiment.errors import SettingsError
from sentiment.labels import LabelScheme
from sentiment.reviews.contract import Checked, apply_contract, rating_numbers, rating_scale
from sentiment.reviews.identity import review_id_of
from sentiment.settings import DataSettings, load_settings

NOW = pd.Timestamp.now("UTC")


def rows(*given: dict[str, Any]) -> pd.DataFrame:
    blank = {"text": "fine", "label": None, "rating": None, "source": "test"}
    return pd.DataFrame(
        [{**blank, **row, "row_number": number} for number, row in enumerate(given, start=1)], dtype=object
    )


def check(*given: dict[str, Any], known: dict[str, str | None] | None = None, **data: Any) -> Checked:
    return apply_contract(rows(*given), DataSettings(**data), known=known)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": ""}, "empty_text"),
        ({"text": None}, "empty_text"),
        ({"text": " \n\t\u00a0"}, "empty_text"),
        ({"text": "<br /><BR>"}, "empty_text"),
        ({"text": "x" * 201}, "too_long"),
        ({"text": "caf\ufffd"}, "bad_encoding"),
        ({"text": "nul\x00nul"}, "bad_encoding"),
        ({"label": "meh"}, "unknown_label"),
        ({"label": "neutral"}, "unknown_label"),
        ({"rating": "11"}, "unknown_label"),
        ({"rating": "many"}, "unknown_label"),
        ({"rating": "3"}, "neutral_rating"),
        ({"malformed": True}, "malformed_row"),
        ({"written_at": NOW + pd.Timedelta(hours=25)}, "future_timestamp"),
        ({"written_at": pd.Timestamp("9999-12-31", tz="UTC")}, "future_timestamp"),
        ({"text": "Una película oscura, precisa y casi siempre conmovedora."}, "wrong_language"),
    ],
)
def test_a_row_is_refused_with_its_reason(row: dict[str, Any], reason: str) -> None:
    blank = {"malformed": False}
    checked = check({**blank, **row}, {**blank, "text": "kept"}, max_characters=200, languages=("en", "de"))
    assert checked.refused["reason"].tolist() == [reason]
    assert checked.refused["row_number"].tolist() == [1]
    assert checked.accepted["text"].tolist() == ["kept"]


def test_a_row_that_breaks_several_rules_is_counted_once() -> None:
    checked = check({"text": "\ufffd" * 300, "label": "meh"}, max_characters=200)
    assert checked.refused["reason"].tolist() == ["bad_encoding"]


@pytest.mark.parametrize(
    ("scheme", "row", "label"),
    [
        ("binary", {"label": "pos"}, "positive"),
        ("binary", {"label": "0"}, "negative"),
        ("binary", {"label": "Negative", "rating": "5"}, "negative"),
        ("binary", {"rating": "4.0 out of 5 stars"}, "positive"),
        ("binary", {"rating": "2", "stars": 5}, "negative"),
        ("binary", {"rating": "4", "stars": 10}, "negative"),
        ("ternary", {"rating": "3"}, "neutral"),
        ("ternary", {"label": "neutral"}, "neutral"),
        ("five_star", {"rating": "3"}, "3"),
        ("five_star", {"label": "5"}, "5"),
        ("binary", {}, None),
    ],
)
def test_a_label_or_a_rating_becomes_a_label_of_the_scheme(scheme: str, row: dict[str, Any], label: str | None) -> None:
    checked = check(row, scheme=LabelScheme(scheme))
    assert checked.refused.empty
    assert [None if pd.isna(found) else found for found in checked.accepted["label"]] == [label]


def test_the_same_text_and_label_is_a_duplicate_and_another_label_a_conflict() -> None:
    checked = check(
        {"text": "So good", "label": "pos"},
        {"text": "so  GOOD", "label": "1"},
        {"text": "so<br />good", "label": "neg"},
        {"text": "So good"},
    )
    assert checked.accepted["row_number"].tolist() == [1]
    assert checked.duplicates == 2
    assert checked.refused[["reason", "row_number", "label"]].astype(object).to_numpy().tolist() == [
        ["duplicate", 2, "1"],
        ["conflicting_label", 3, "neg"],
        ["duplicate", 4, None],
    ]
    assert checked.reasons == {"conflicting_label": 1}


def test_reviews_that_exist_count_as_rows_before_the_first() -> None:
    known = {review_id_of("a"): "positive", review_id_of("b"): None}
    checked = check(
        {"text": "A", "label": "pos"},
        {"text": "a", "label": "neg"},
        {"text": "b", "label": "neg"},
        {"text": "b"},
        known=known,
    )
    assert checked.accepted["row_number"].tolist() == [3]
    assert checked.duplicates == 2
    assert checked.reasons == {"conflicting_label": 1}
    assert checked.refused["row_number"].tolist() == [1, 2, 4]
    assert known[review_id_of("b")] is None


def test_the_refused_row_keeps_its_label_or_rating_as_delivered() -> None:
    checked = check({"label": " Meh ", "text": "a"}, {"rating": "3.0", "text": "b"})
    assert checked.refused["label"].tolist() == [" Meh ", "3.0"]


def test_ratings_are_numbers_however_they_are_written() -> None:
    given = pd.Series(["4", "4.0 out of 5 stars", "8/10", "3,5", "none", None, 2.0], dtype=object)
    assert rating_numbers(given).fillna(-1).tolist() == [4, 4, 8, 3.5, -1, -1, 2]


@pytest.mark.parametrize(
    ("numbers", "scale"),
    [([1, 5, 4], 5), ([1, 9, 10], 10), ([5] * 200 + [6], 5), ([5] * 50 + [100], 5), ([], 5)],
)
def test_the_scale_is_ten_only_if_more_than_a_slip_says_so(numbers: list[float], scale: int) -> None:
    assert rating_scale([pd.Series(numbers[:1], dtype=float), pd.Series(numbers[1:], dtype=float)]) == scale


def test_what_was_written_by_tomorrow_is_accepted_with_its_moment() -> None:
    moments = [NOW - pd.Timedelta(days=900), NOW + pd.Timedelta(hours=23), pd.NaT]
    checked = check(*({"text": str(n), "written_at": moment} for n, moment in enumerate(moments)))
    assert checked.accepted["written_at"].tolist()[:2] == moments[:2]
    assert checked.accepted["written_at"].isna().tolist() == [False, False, True]


def test_how_far_ahead_a_clock_may_be_is_a_setting() -> None:
    row = {"written_at": NOW + pd.Timedelta(hours=2), "written": "in two hours"}
    assert check(row, max_ahead_hours=3).refused.empty
    assert check(row, max_ahead_hours=1).refused["written"].tolist() == ["in two hours"]


@pytest.mark.parametrize("text", ["Merci!", "Sehr gut", "Echo Dot", "Die Musik hat mir sehr gut gefallen, danke."])
def test_a_text_passes_if_its_language_is_wanted_or_not_certain(text: str) -> None:
    assert check({"text": text}, languages=("en", "de")).refused.empty


def test_a_language_that_cannot_be_told_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(SettingsError, match="tlh is no language"):
        check({"text": "nuqneH"}, languages=("tlh",))


@pytest.mark.parametrize(
    ("ratings", "row", "label"),
    [
        ({1: "negative", 2: "negative", 3: "positive"}, {"rating": "3"}, "positive"),
        ({1: "negative", 5: "positive"}, {"rating": "2"}, None),
        ({1: "negative", 2: "negative", 3: "positive"}, {"rating": "2.5"}, "positive"),
        ({1: "negative", 2: "negative", 3: "positive"}, {"rating": "5", "stars": 10}, "positive"),
        ({1: "negative", 2: "negative", 3: "positive"}, {"rating": "4", "stars": 10}, "negative"),
        ({7: "negative", 8: "positive"}, {"rating": "7", "stars": 10}, "negative"),
        ({7: "negative", 8: "positive"}, {"rating": "4"}, "positive"),
        ({7: "negative", 8: "positive"}, {"rating": "3.5"}, "negative"),
    ],
)
def test_ratings_mean_what_is_set(ratings: dict[int, str], row: dict[str, Any], label: str | None) -> None:
    checked = check({"stars": 5, **row}, rating_labels=ratings)
    assert checked.accepted["label"].tolist() == ([label] if label else [])
    assert checked.refused["reason"].tolist() == ([] if label else ["neutral_rating"])


def test_labels_of_your_own_mean_what_is_set() -> None:
    checked = check(
        {"label": " Gut ", "text": "a"}, {"label": "2.0", "text": "b"}, label_words={"gut": "positive", "2": "negative"}
    )
    assert checked.accepted["label"].tolist() == ["positive", "negative"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"rating_labels": {"1": "awful"}}, "rating_labels has 'awful', but the labels of the scheme binary"),
        ({"rating_labels": {"11": "positive"}}, "less than or equal to 10"),
        ({"rating_labels": {"good": "positive"}}, "valid integer"),
        ({"label_words": {"gut": "fine"}}, "label_words has 'fine'"),
        ({"scheme": "five_star", "label_words": {"gut": "positive"}}, "are 1, 2, 3, 4, 5"),
    ],
)
def test_a_meaning_that_the_scheme_does_not_have_is_named(data: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(data=data)
