"""The sides of a comparison: what is written is read back, and a sample is fair, repeatable and bounded."""

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from sentiment.drift.sampling import Row, digest, sample
from sentiment.drift.sides import FileSide, SnapshotSide, WindowSide, parse_side
from sentiment.errors import DataError

moments = st.integers(0, 7_000_000_000_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
snapshots = st.builds(SnapshotSide, st.integers(0, 10**18 - 1), held_out=st.booleans())
windows = st.builds(
    lambda start, length: WindowSide(start, start + length),
    moments,
    st.timedeltas(timedelta(microseconds=1), timedelta(days=400)),
)
words = st.text(max_size=4)
row = st.builds(Row, words, label=st.none() | words, source=st.none() | words, answer=st.none())
rows = st.lists(st.tuples(words, row), max_size=60)


@given(snapshots | windows)
def test_what_a_side_says_of_itself_is_read_back_as_the_same_side(side: SnapshotSide | WindowSide) -> None:
    assert parse_side(str(side)) == side


@given(st.text(max_size=40))
def test_any_text_is_a_side_or_a_clear_refusal(text: str) -> None:
    try:
        side = parse_side(text)
    except DataError as error:
        fix = error.fix
    else:
        fix = "not needed"
        assert isinstance(side, FileSide | SnapshotSide | WindowSide)
    assert fix


@given(moments, moments.map(lambda moment: moment.replace(tzinfo=None)))
def test_a_window_without_a_timezone_or_the_wrong_way_round_is_refused(aware: datetime, naive: datetime) -> None:
    for start, end in ((aware, aware), (aware, aware - timedelta(seconds=1)), (naive, aware), (aware, naive)):
        with pytest.raises(DataError) as refused:
            WindowSide(start, end)
        assert refused.value.fix


@given(rows, st.integers(1, 70), st.text(max_size=3))
def test_a_sample_is_part_of_the_rows_in_the_size_asked_for_and_always_the_same(
    rows: list[tuple[str, Row]], most: int, salt: str
) -> None:
    kept = sample(iter(rows), most=most, salt=salt)
    assert (len(kept.rows), kept.of) == (min(most, len(rows)), len(rows))
    assert not Counter(kept.rows) - Counter(row for _, row in rows)
    assert sample(rows, most=most, salt=salt) == kept
    assert sample(rows, most=len(rows), salt=salt).rows[:most] == kept.rows, "a larger sample has a smaller one in it"


@given(st.randoms(use_true_random=False), st.integers(1, 50))
def test_the_order_of_the_rows_does_not_matter_where_each_has_an_identity(random: Random, most: int) -> None:
    rows = [(str(i), Row(f"text {i}")) for i in range(50)]
    mixed = list(rows)
    random.shuffle(mixed)
    assert sample(mixed, most=most) == sample(rows, most=most)
    assert digest(sample(mixed, most=most)) == digest(sample(rows, most=most))


def test_every_row_is_as_likely_as_any_other() -> None:
    """Over 2,000 samples of 10 of 100 rows, by the exact binomial bounds at one false alarm in a thousand tests."""
    rows = [(str(i), Row("the same text" if i % 2 else f"text {i}", source=str(i))) for i in range(100)]
    counts = Counter(row.source for salt in range(2_000) for row in sample(rows, most=10, salt=str(salt)).rows)
    low, high = binom.ppf([0.5e-5, 1 - 0.5e-5], 2_000, 0.1)
    assert len(counts) == 100
    assert all(low <= count <= high for count in counts.values())
    copies = sum(counts[str(i)] for i in range(1, 100, 2))
    assert 9_600 < copies < 10_400, "a text that repeats is taken by its share"


def test_a_sample_of_many_rows_holds_no_more_than_it_keeps() -> None:
    def rows(count: int) -> Iterator[tuple[str, Row]]:
        return ((str(i), Row(f"{i} " * 200)) for i in range(count))

    peaks = []
    for count in (2_000, 40_000):
        tracemalloc.start()
        sample(rows(count), most=500)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0], peaks


@given(rows, rows)
def test_rows_that_differ_have_another_name(one: list[tuple[str, Row]], other: list[tuple[str, Row]]) -> None:
    first, second = sample(one, most=9), sample(other, most=9)
    assert (digest(first) == digest(second)) == (first == second)
