"""The gate promotes what is no worse, rejects what is, and says when it cannot tell."""

import numpy as np
import pytest

from sentiment.settings import GatePolicy
from sentiment.training.gate import Decision, Evidence, Outcome, decide

RNG = np.random.default_rng(7)
POLICY = GatePolicy()


def answers(truth: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return the truth with the rows in `wrong` turned round."""
    return np.where(wrong, np.where(truth == "positive", "negative", "positive"), truth)


def evidence(
    n: int,
    *,
    champion_errors: float | None,
    challenger_errors: float,
    common: float = 0.04,
    **slices: np.ndarray,
) -> Evidence:
    """Make two models that share `common` errors and have the others each on rows of their own."""
    truth = RNG.choice(["negative", "positive"], n)
    shared = RNG.random(n) < common
    challenger = shared | (RNG.random(n) < challenger_errors - common)
    champion = None
    if champion_errors is not None:
        champion = answers(truth, shared | (RNG.random(n) < champion_errors - common))
    return Evidence(
        snapshot="reviews@v2",
        labels=truth,
        challenger=answers(truth, challenger),
        champion=champion,
        champion_version=None if champion_errors is None else "1",
        slices=slices,
    )


def check(decision: Decision, name: str) -> Outcome:
    return next(item.outcome for item in decision.checks if item.name == name)


def test_a_clearly_better_challenger_is_promoted_and_called_better() -> None:
    decision = decide(evidence(2_000, champion_errors=0.30, challenger_errors=0.06), POLICY)
    assert decision.outcome is Outcome.promote
    assert "Better" in decision.reason


def test_a_clearly_worse_challenger_is_rejected_with_the_loss_in_points() -> None:
    decision = decide(evidence(2_000, champion_errors=0.06, challenger_errors=0.30), POLICY)
    assert decision.outcome is Outcome.reject
    assert "-2" in decision.reason


def test_an_equal_challenger_on_few_rows_is_inconclusive_and_says_how_many_more_are_needed() -> None:
    decision = decide(evidence(150, champion_errors=0.10, challenger_errors=0.10), GatePolicy(margin=0.002))
    assert decision.outcome is Outcome.inconclusive
    assert "more labelled reviews" in decision.reason


def test_a_slice_that_suffers_rejects_a_challenger_that_is_better_overall() -> None:
    n = 3_000
    negated = np.zeros(n, dtype=bool)
    negated[:400] = True
    truth = RNG.choice(["negative", "positive"], n)
    champion_wrong = RNG.random(n) < np.where(negated, 0.05, 0.20)
    challenger_wrong = RNG.random(n) < np.where(negated, 0.40, 0.05)
    decision = decide(
        Evidence(
            "reviews@v2",
            truth,
            answers(truth, challenger_wrong),
            answers(truth, champion_wrong),
            "1",
            {"with negation": negated},
        ),
        POLICY,
    )
    assert check(decision, "non_inferiority") is Outcome.promote
    assert check(decision, "slice with negation") is Outcome.reject
    assert decision.outcome is Outcome.reject


def test_a_small_slice_is_not_judged() -> None:
    few = np.zeros(2_000, dtype=bool)
    few[: POLICY.min_slice_rows - 1] = True
    decision = decide(evidence(2_000, champion_errors=0.1, challenger_errors=0.1, few=few), POLICY)
    assert "slice few" not in {item.name for item in decision.checks}
    assert decision.slices["few"]["rows"] == POLICY.min_slice_rows - 1


@pytest.mark.parametrize(
    ("n", "errors", "outcome"),
    [
        (2_000, 0.10, Outcome.promote),
        (2_000, 0.49, Outcome.reject),
        (0, 0.05, Outcome.reject),
    ],
)
def test_a_first_model_must_beat_guessing(n: int, errors: float, outcome: Outcome) -> None:
    found = evidence(n, champion_errors=None, challenger_errors=errors)
    assert decide(found, POLICY).outcome is outcome


def test_a_first_model_right_on_too_few_rows_is_inconclusive() -> None:
    truth = np.array(["negative", "positive"] * 6)
    found = Evidence("reviews@v1", truth, answers(truth, np.arange(12) == 0), None, None, {})
    assert decide(found, GatePolicy(min_accuracy_gain=0.35)).outcome is Outcome.inconclusive


def test_a_decision_survives_being_written_and_read() -> None:
    decision = decide(evidence(500, champion_errors=0.1, challenger_errors=0.1), POLICY)
    assert Decision.from_dict(decision.to_dict()) == decision


def test_error_rates_are_the_stated_ones() -> None:
    """A challenger worse by the margin slips through in at most alpha of the trials; an equal one mostly passes."""
    trials, n = 600, 4_000
    policy = GatePolicy(margin=0.02)

    def promoted(challenger_errors: float) -> float:
        return float(
            np.mean(
                [
                    decide(evidence(n, champion_errors=0.10, challenger_errors=challenger_errors), policy).outcome
                    is Outcome.promote
                    for _ in range(trials)
                ]
            )
        )

    slack = 3 * np.sqrt(0.05 * 0.95 / trials)
    assert promoted(0.10 + policy.margin / (1 - 0.04)) <= 0.05 + slack
    assert promoted(0.10) >= 0.8
