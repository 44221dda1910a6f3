"""The tests behind a canary's verdict: exact, monotone, and wrong no more often than they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.canary import CASES, Traffic, rollout
from sentiment.deployment.canary.proportions import Count, p_larger, p_over

totals = st.integers(1, 400)
shares = st.floats(0, 1)


@settings(deadline=None)
@given(totals, shares, totals, shares)
def test_without_an_allowance_it_is_fishers_exact_test(n: int, share: float, m: int, other: float) -> None:
    ours, theirs = Count(round(n * share), n), Count(round(m * other), m)
    table = [[ours.hits, n - ours.hits], [theirs.hits, m - theirs.hits]]
    exact = stats.fisher_exact(table, alternative="greater").pvalue
    assert p_larger(ours, than=theirs) == pytest.approx(exact, rel=1e-6, abs=1e-11)


@settings(deadline=None)
@given(totals, totals, st.floats(0, 0.5), st.data())
def test_more_hits_are_more_suspicious_and_a_larger_allowance_less(
    n: int, m: int, allowed: float, data: st.DataObject
) -> None:
    hits, theirs = data.draw(st.integers(0, n - 1)), Count(data.draw(st.integers(0, m)), m)
    p = p_larger(Count(hits, n), than=theirs, allowed=allowed)
    assert p_larger(Count(hits + 1, n), than=theirs, allowed=allowed) <= p + 1e-9
    assert p_larger(Count(hits, n), than=theirs, allowed=allowed + 0.1) >= p - 1e-9
    assert 0 <= p <= 1


@pytest.mark.parametrize(
    ("share", "n", "m", "allowed"), [(0.002, 300, 900, 0.01), (0.6, 80, 80, 0.1), (0.01, 50, 5000, 0.02)]
)
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_a_share_that_is_larger_by_just_what_is_allowed_is_found_larger_no_more_often_than_alpha(
    share: float, n: int, m: int, allowed: float, alpha: float
) -> None:
    """Counted out over every outcome, not drawn."""
    found = 0.0
    for theirs in range(m + 1):
        chance = float(stats.binom.pmf(theirs, m, share))
        if chance < 1e-9:
            continue
        low, high = 0, n + 1  # the fewest hits that are too many
        while low < high:
            middle = (low + high) // 2
            too_many = middle <= n and p_larger(Count(middle, n), than=Count(theirs, m), allowed=allowed) <= alpha
            low, high = (low, middle) if too_many or middle > n else (middle + 1, high)
        found += chance * float(stats.binom.sf(low - 1, n, share + allowed))
    assert found <= alpha


def test_a_limit_is_exceeded_as_the_binomial_distribution_says() -> None:
    for hits in range(1, 21):
        assert p_over(Count(hits, 20), 0.25) == pytest.approx(stats.binom.sf(hits - 1, 20, 0.25))
    assert p_over(Count(0, 20), 0.25) == 1.0


def ends(name: str, *, rollouts: int, traffic: Traffic | None = None) -> list[str]:
    return [rollout(CASES[name], seed=seed, traffic=traffic)[0].state for seed in range(rollouts)]


def test_a_good_canary_passes_its_rollout() -> None:
    """The budget is 5%; `python -m benchmarks.canary` has the figures of many more."""
    assert ends("the same, mirrored: 10% disagree", rollouts=5).count("fail") <= 1


@pytest.mark.parametrize("name", ["errors: 20%", "ten times as slow", "labels: always one"])
def test_a_bad_one_never_does(name: str) -> None:
    assert ends(name, rollouts=5) == ["fail"] * 5


def test_what_is_mirrored_shows_labels_that_are_exchanged_where_their_mix_cannot() -> None:
    assert ends("mirrored: labels exchanged, 50:50 traffic", rollouts=5) == ["fail"] * 5


def test_batches_of_like_texts_are_no_proof() -> None:
    """Judged as if they were independent, texts that come 64 at a time would fail good canaries."""
    traffic = Traffic(requests_per_second=20, texts=64, likeness=0.1)
    assert ends("the same", rollouts=2, traffic=traffic) == ["pass"] * 2


def test_shares_of_nothing_say_nothing() -> None:
    assert p_larger(Count(0, 0), than=Count(3, 10)) == 1.0
    assert p_larger(Count(3, 10), than=Count(0, 0)) == 1.0
    assert np.isfinite(p_larger(Count(1e-9, 1e-6), than=Count(0, 1e-6)))
