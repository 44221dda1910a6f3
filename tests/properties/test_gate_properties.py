"""The gate's tests keep the error rates that they state."""

import numpy as np
import pytest
from scipy import stats

from sentiment.settings import GatePolicy
from sentiment.training.evidence import Evidence, ModelEvidence
from sentiment.training.gate import Outcome, decide
from sentiment.training.measures import Measures
from sentiment.training.paired import Pairs, compare, holm, p_worse_by_group

ALPHA = 0.05


def proved_share(rows: int, *, gained: float, lost: float, margin: float) -> float:
    """Return the exact probability that "no worse by the margin" is proved, over all counts that can occur."""
    most = [int(stats.binom.isf(1e-7, rows, max(share, 1e-9))) + 1 for share in (gained, lost)]
    found = 0.0
    for won in range(most[0] + 1):
        chance = stats.binom.pmf(won, rows, gained) if gained else float(won == 0)
        counts = np.arange(min(most[1], rows - won) + 1)
        shares = chance * stats.binom.pmf(counts, rows - won, lost / (1 - gained))
        passes = [Pairs(rows, won, count).p_not_worse(margin) <= ALPHA for count in counts.tolist()]
        found += float(shares[passes].sum())
    return found


@pytest.mark.parametrize("rows", [100, 300, 1_000, 3_000])
@pytest.mark.parametrize("margin", [0.01, 0.02, 0.05])
@pytest.mark.parametrize("gained", [0.0, 0.005, 0.02])
def test_a_challenger_worse_by_the_margin_is_proved_no_worse_at_the_stated_rate(
    rows: int, margin: float, gained: float
) -> None:
    """Up to a quarter more where fewer than ten rows tell the models apart: counts are whole numbers."""
    assert proved_share(rows, gained=gained, lost=gained + margin, margin=margin) <= 1.25 * ALPHA


@pytest.mark.parametrize(("rows", "discordant"), [(1_000, 0.02), (4_000, 0.05)])
def test_an_equal_challenger_is_proved_no_worse_at_the_rate_of_the_power_formula(rows: int, discordant: float) -> None:
    margin = 0.01
    power = stats.norm.cdf(margin * np.sqrt(rows / discordant) - stats.norm.ppf(1 - ALPHA))
    share = proved_share(rows, gained=discordant / 2, lost=discordant / 2, margin=margin)
    assert share == pytest.approx(power, abs=0.06)


def test_as_many_rows_as_are_said_to_be_needed_are_enough_four_times_in_five() -> None:
    seen = Pairs(rows=200, gained=6, lost=6)
    needed = seen.rows_needed(0.02, ALPHA)
    assert proved_share(needed, gained=0.03, lost=0.03, margin=0.02) == pytest.approx(0.8, abs=0.07)


@pytest.mark.parametrize(("rows", "gained", "lost"), [(500, 9, 4), (40, 0, 0), (60, 60, 0), (60, 1, 59), (300, 0, 3)])
def test_interval_and_test_are_two_sides_of_one_thing(rows: int, gained: int, lost: int) -> None:
    pair = Pairs(rows, gained, lost)
    low = pair.low(ALPHA)
    assert -1 < low <= pair.difference
    assert pair.p_not_worse(-low) == pytest.approx(ALPHA, abs=1e-6)
    assert pair.p_not_worse(0.01) + pair.p_worse(0.01) == pytest.approx(1)


def test_mcnemar_is_exact() -> None:
    assert Pairs(100, 7, 2).p_better() == pytest.approx(stats.binomtest(7, 9, alternative="greater").pvalue)
    assert Pairs(100, 0, 0).p_better() == 1.0


def test_the_metrics_that_are_compared_are_those_that_are_reported_however_rows_are_grouped() -> None:
    rng = np.random.default_rng(3)
    for rows in (40, 3_456):
        truth = rng.integers(0, 3, rows)
        ours, theirs = rng.dirichlet(np.ones(3), rows), rng.dirichlet(np.ones(3), rows)
        found = compare(truth, challenger=ours, champion=theirs)
        for answers, side in ((ours, "challenger"), (theirs, "champion")):
            reported = Measures(truth, answers, ["a", "b", "c"]).of(np.ones((1, rows)))
            for name, comparison in found.items():
                assert getattr(comparison, side) == pytest.approx(reported[name][0])
        again = compare(truth, challenger=ours, champion=theirs)
        assert all(np.array_equal(found[name].gains, again[name].gains) for name in found)


def test_grouped_rows_spread_like_rows() -> None:
    rng = np.random.default_rng(4)
    rows = 20_000
    truth = rng.integers(0, 2, rows)
    ours, theirs = (rng.dirichlet(np.ones(2), rows) for _ in range(2))
    each = -np.log(ours[np.arange(rows), truth]) + np.log(theirs[np.arange(rows), truth])
    gains = compare(truth, challenger=ours, champion=theirs)["log_loss"].gains
    assert gains.std() == pytest.approx(each.std() / np.sqrt(rows), rel=0.12)


def test_macro_f1_is_proved_no_worse_at_the_stated_rate() -> None:
    """At a loss of exactly the margin: the true loss is measured on a million rows."""
    rng = np.random.default_rng(5)
    labels, shares = 5, np.array([0.35, 0.1, 0.05, 0.15, 0.35])

    def answers(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        truth = rng.choice(labels, rows, p=shares)
        champion = np.where(rng.random(rows) < 0.15, (truth + 1) % labels, truth)
        challenger = np.where(rng.random(rows) < 0.05, (truth + rng.integers(1, labels, rows)) % labels, champion)
        return truth, challenger, champion

    def gain(truth: np.ndarray, challenger: np.ndarray, champion: np.ndarray) -> object:
        one_hot = np.eye(labels)
        return compare(truth, challenger=one_hot[challenger], champion=one_hot[champion])["macro_f1"]

    large = gain(*answers(1_000_000))
    margin = large.champion - large.challenger  # type: ignore[attr-defined]
    trials = 200
    proved = np.mean([gain(*answers(1_500)).p_not_worse(margin) <= ALPHA for _ in range(trials)])  # type: ignore[attr-defined]
    assert proved <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / trials)


def test_no_error_rate_is_too_small_for_the_resamples_and_equal_models_are_surely_no_worse() -> None:
    rng = np.random.default_rng(9)
    truth, ours = rng.integers(0, 3, 3_000), rng.dirichlet(np.ones(3), 3_000)
    found = compare(truth, challenger=np.eye(3)[truth], champion=ours)["macro_f1"]
    assert found.p_not_worse(0.02) < 1e-9
    assert found.p_worse(0.02) > 0.99
    same = compare(truth, challenger=ours, champion=ours)["macro_f1"]
    assert (same.p_not_worse(0.02), same.p_better(), same.p_worse(0.02)) == (0.0, 1.0, 1.0)


def test_holm_is_never_below_the_p_value_and_never_above_bonferroni() -> None:
    rng = np.random.default_rng(6)
    for count in (0, 1, 7):
        p_values = rng.random(count) ** 3
        adjusted = holm(p_values)
        assert ((adjusted >= p_values) & (adjusted <= np.minimum(1, p_values * count) + 1e-12)).all()
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_cases_that_fail_together_count_as_one_piece_of_evidence() -> None:
    rng = np.random.default_rng(7)
    groups, trials, margin = np.repeat(np.arange(20), 5), 3_000, 0.1
    refused = np.mean(
        [
            p_worse_by_group(np.repeat((rng.random(20) < margin).astype(float), 5), groups, margin) <= ALPHA
            for _ in range(trials)
        ]
    )
    assert refused <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / trials)
    assert p_worse_by_group(np.repeat(np.arange(20) % 2 == 0, 5).astype(float), groups, margin) <= ALPHA


def trial(rng: np.random.Generator, rows: int, *, lost: float, discordant: float) -> Evidence:
    """Return evidence about a challenger that loses a share of accuracy, everywhere alike."""
    truth, u = rng.integers(0, 2, rows), rng.random(rows)
    both = u < 0.08
    champion = both | ((u > 0.08) & (u < 0.08 + (discordant - lost) / 2))
    challenger = both | (u > 1 - (discordant + lost) / 2)
    models = []
    for wrong in (challenger, champion):
        sure = rng.uniform(0.8, 1.0, rows)
        chosen = np.where(wrong, 1 - truth, truth)
        probabilities = np.stack([np.where(chosen == 0, sure, 1 - sure), np.where(chosen == 1, sure, 1 - sure)], axis=1)
        models.append(ModelEvidence("1", probabilities, np.zeros(0, bool), 1.0, np.ones(5), rows))
    part = rng.integers(0, 4, rows)
    return Evidence(
        "reviews@v2", ("negative", "positive"), truth, *models, known=part > 0, deliveries={"abc": part == 0},
        slices={f"source {name}": part == name for name in range(4)}, train_labels={"negative": 500, "positive": 500},
    )  # fmt: skip


def test_the_whole_gate_keeps_its_error_rates() -> None:
    """A challenger worse by the margin slips through no more often than alpha; an equal one passes as power has it."""
    rng, trials, rows, discordant, margin = np.random.default_rng(8), 200, 4_000, 0.05, 0.01
    policy = GatePolicy(margin=margin)

    def promoted(lost: float) -> float:
        outcomes = [decide(trial(rng, rows, lost=lost, discordant=discordant), policy).outcome for _ in range(trials)]
        return float(np.mean([outcome is Outcome.promote for outcome in outcomes]))

    power = stats.norm.cdf(margin * np.sqrt(rows / discordant) - stats.norm.ppf(1 - ALPHA))
    assert promoted(margin) <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / trials)
    assert promoted(0.0) >= power - 3 * np.sqrt(power * (1 - power) / trials) - 0.02
