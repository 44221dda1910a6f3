"""What holds for every text, seed and share."""

import json
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sentiment.labels import LABELS, LabelScheme
from sentiment.reviews.contract import apply_contract
from sentiment.reviews.identity import letters_and_digits, normalise, review_id_of, split_of
from sentiment.reviews.moments import parse_moments
from sentiment.reviews.sample import DOMAINS, generate
from sentiment.reviews.sources import read_batches
from sentiment.settings import DataSettings

TEXTS = st.text(max_size=60)
LABELS_GIVEN = st.sampled_from(["pos", "neg", "1", "0", "neutral", "3", "", None])
BLANKS = st.text(alphabet=" \t\n\u00a0", min_size=1, max_size=3)


@given(TEXTS)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.lists(st.text(alphabet="abcxyzäöéß!?", min_size=1, max_size=8), min_size=1), st.data())
def test_the_id_does_not_depend_on_case_or_white_space(words: list[str], data: st.DataObject) -> None:
    spaced = "".join(word.upper() + data.draw(BLANKS) for word in words)
    ids = review_id_of(" ".join(words)), review_id_of(spaced)
    assert ids[0] == ids[1]
    assert len(ids[0]) == 32


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="<>"), max_size=60), st.data())
def test_punctuation_case_gaps_and_line_breaks_never_move_a_text_to_the_other_split(
    text: str, data: st.DataObject
) -> None:
    gaps = st.sampled_from(["", " ", "\n", "...", " - ", "'", "\u2019", "!?", "<br />", "<BR>", "\u00a0", "*", "_"])
    case = st.sampled_from([str.upper, str.lower, str.title, str.casefold, str])
    changed = "".join(data.draw(case)(letter) + data.draw(gaps) for letter in text)
    assert letters_and_digits(changed) == letters_and_digits(text)
    if letters_and_digits(text):
        for share in (0.2, 0.5):
            assert split_of(changed, share) == split_of(text, share)


@given(TEXTS)
def test_what_is_one_review_is_on_one_side(text: str) -> None:
    assert split_of(normalise(text), 0.5) == split_of(text, 0.5)


def test_texts_without_letters_are_split_too() -> None:
    sides = [split_of(":" * n + ")", 0.5) for n in range(1, 40)]
    assert set(sides) == {"train", "test"}
    assert split_of(" :)<br />", 0.5) == split_of(":)", 0.5)


@given(TEXTS, st.floats(0, 1), st.floats(0, 1))
def test_a_test_row_stays_one_when_the_test_share_grows(text: str, share: float, other: float) -> None:
    small, large = sorted((share, other))
    if split_of(text, small) == "test":
        assert split_of(text, large) == "test"
    assert split_of(text, 0) == "train"
    assert split_of(text, 1) == "test"


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_the_test_share_is_kept(share: float) -> None:
    sides = [split_of(f"review {n}", share) for n in range(10_000)]
    assert abs(sides.count("test") / 10_000 - share) < 0.02


@given(st.sampled_from(DOMAINS), st.integers(), st.integers(0, 30), st.floats(0, 1))
def test_a_seed_gives_the_same_reviews_and_a_longer_run_begins_with_them(
    domain: str, seed: int, rows: int, share: float
) -> None:
    first = list(generate(domain, rows, seed=seed, positive_share=share))
    again = generate(domain, rows + 5, seed=seed, positive_share=share)
    assert list(islice(again, rows)) == first
    assert len(list(again)) == 5


@examples(deadline=None, max_examples=50)
@given(st.lists(st.tuples(TEXTS, LABELS_GIVEN), max_size=15), st.sampled_from(LabelScheme))
def test_every_row_is_accepted_refused_or_a_duplicate_and_no_two_accepted_share_a_text_and_label(
    rows: list[tuple[str, str | None]], scheme: LabelScheme
) -> None:
    frame = pd.DataFrame(rows, columns=["text", "label"], dtype=object)
    frame = frame.assign(rating=None, source="test", row_number=range(1, len(frame) + 1))
    checked = apply_contract(frame, DataSettings(scheme=scheme))
    assert len(checked.accepted) + len(checked.refused) == len(rows)
    assert sum(checked.reasons.values()) + checked.duplicates == len(checked.refused)
    assert set(checked.accepted["label"].dropna()) <= set(LABELS[scheme])
    labelled = checked.accepted.dropna(subset=["label"])
    assert labelled["review_id"].is_unique
    assert not checked.accepted.duplicated(["review_id", "label"]).any()


@examples(deadline=None, max_examples=30)
@given(st.lists(st.tuples(TEXTS, LABELS_GIVEN), min_size=1, max_size=12), st.integers(1, 12))
def test_the_contract_does_not_depend_on_the_size_of_the_batches(rows: list[tuple[str, str | None]], size: int) -> None:
    frame = pd.DataFrame(rows, columns=["text", "label"], dtype=object)
    frame = frame.assign(rating=None, source="test", row_number=range(1, len(frame) + 1))
    whole = apply_contract(frame, DataSettings())
    known: dict[str, str | None] = {}
    accepted: list[int] = []
    for start in range(0, len(frame), size):
        part = apply_contract(frame.iloc[start : start + size], DataSettings(), known=known)
        known.update(zip(part.accepted["review_id"], part.accepted["label"], strict=True))
        accepted += part.accepted["row_number"].tolist()
    assert accepted == whole.accepted["row_number"].tolist()


@examples(deadline=None, max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=40).filter(str.strip), min_size=1, max_size=8), st.integers(1, 5))
def test_what_is_written_as_json_lines_is_read_back_in_bounded_batches(texts: list[str], size: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        batches = list(read_batches(path, batch_rows=size))
    assert all(len(batch) <= size for batch in batches)
    rows = pd.concat(batches)
    assert rows["text"].tolist() == texts
    assert rows["row_number"].tolist() == list(range(1, len(texts) + 1))


FORMS = ["%Y-%m-%d %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%b %d, %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y"]


@given(st.lists(st.integers(0, 7 * 10**9), min_size=1), st.sampled_from(FORMS))
def test_a_moment_written_in_any_form_is_read_back(seconds: list[int], form: str) -> None:
    moments = [datetime.fromtimestamp(moment, UTC) for moment in seconds]
    written = pd.Series([moment.strftime(form) for moment in moments], dtype=object)
    assert parse_moments(written).tolist() == moments


@given(st.integers(10**8, 4 * 10**9), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_unix_time_is_read_in_any_unit(seconds: int, unit: int) -> None:
    [moment] = parse_moments(pd.Series([str(seconds * unit)], dtype=object))
    assert abs(moment.timestamp() - seconds) < 1e-3


@given(st.lists(st.none() | TEXTS))
def test_no_text_stops_the_reading_of_moments(written: list[str | None]) -> None:
    assert len(parse_moments(pd.Series(written, dtype=object))) == len(written)
