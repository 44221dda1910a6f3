"""The gate promotes what is no worse, rejects what is, and says when it cannot tell."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sentiment.errors import DataError
from sentiment.settings import GateMode, GatePolicy
from sentiment.training.decision import Check
from sentiment.training.evidence import Evidence, ModelEvidence
from sentiment.training.gate import Decision, Outcome, decide

RNG = np.random.default_rng(7)
POLICY = GatePolicy()
LABELS = ("negative", "positive")


def model(
    truth: np.ndarray, wrong: np.ndarray, *, sure: float = 0.9, labels: int = 2, **costs: object
) -> ModelEvidence:
    """Return a model that is wrong on some rows and as sure as told on all."""
    answers = np.where(wrong, (truth + 1) % labels, truth)
    probabilities = np.full((len(truth), labels), (1 - sure) / (labels - 1))
    probabilities[np.arange(len(truth)), answers] = sure
    given = {
        "version": "1",
        "failures": np.zeros(0, bool),
        "megabytes": 2.0,
        "milliseconds": np.ones(20),
        "train_rows": 4 * len(truth),
    }
    return ModelEvidence(probabilities=probabilities, **{**given, **costs})  # type: ignore[arg-type]


def case(truth: np.ndarray, challenger: ModelEvidence, champion: ModelEvidence | None, **more: object) -> Evidence:
    """Return evidence about a snapshot without faults."""
    labels = more.pop("labels", LABELS)
    given = {
        "known": np.ones(len(truth), bool),
        "train_labels": dict.fromkeys(labels, 2 * len(truth)),  # type: ignore[call-overload]
    }
    return Evidence(
        "reviews@v2",
        labels,
        truth,
        replace(challenger, version=None),
        champion,
        **{**given, **more},  # type: ignore[arg-type]
    )


def evidence(
    n: int, *, champion_errors: float | None, challenger_errors: float, common: float = 0.04, **more: object
) -> Evidence:
    """Make two models that share `common` errors and have the others each on rows of their own."""
    truth = RNG.integers(0, 2, n)
    shared = RNG.random(n) < common
    challenger = model(truth, shared | (RNG.random(n) < challenger_errors - common))
    champion = None
    if champion_errors is not None:
        champion = model(truth, shared | (RNG.random(n) < champion_errors - common))
    return case(truth, challenger, champion, **more)


def check(decision: Decision, name: str) -> Check:
    return next(item for item in decision.checks if item.name == name)


def outcome(decision: Decision, name: str) -> Outcome:
    return check(decision, name).outcome


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
    negated = np.arange(n) < 400
    truth = RNG.integers(0, 2, n)
    champion = model(truth, RNG.random(n) < np.where(negated, 0.05, 0.20))
    challenger = model(truth, RNG.random(n) < np.where(negated, 0.40, 0.05))
    decision = decide(case(truth, challenger, champion, slices={"with negation": negated}), POLICY)
    assert outcome(decision, "non_inferiority") is Outcome.promote
    assert outcome(decision, "slice with negation") is Outcome.reject
    assert decision.outcome is Outcome.reject


def test_a_small_slice_is_not_judged() -> None:
    few = np.arange(2_000) < POLICY.min_slice_rows - 1
    decision = decide(evidence(2_000, champion_errors=0.1, challenger_errors=0.1, slices={"few": few}), POLICY)
    assert "slice few" not in {item.name for item in decision.checks}
    assert decision.slices["few"]["rows"] == POLICY.min_slice_rows - 1


def test_a_rare_label_that_is_given_up_is_seen_in_macro_f1_where_there_are_more_than_two() -> None:
    names = ("negative", "neutral", "positive")
    truth = RNG.choice(3, 4_000, p=[0.48, 0.04, 0.48])
    wrong = RNG.random(4_000) < 0.1
    champion = model(truth, wrong, labels=3)
    given_up = model(truth, np.where(truth == 1, True, wrong & (RNG.random(4_000) < 0.6)), labels=3)
    lax = GatePolicy(slice_margin=1)
    decision = decide(case(truth, given_up, champion, labels=names), lax)
    assert outcome(decision, "non_inferiority") is Outcome.promote
    assert outcome(decision, "macro_f1") is Outcome.reject
    assert outcome(decide(case(truth, champion, champion, labels=names), lax), "macro_f1") is Outcome.promote


def test_a_challenger_that_is_sure_of_its_errors_is_rejected_for_log_loss_and_calibration() -> None:
    truth = RNG.integers(0, 2, 3_000)
    wrong = RNG.random(3_000) < 0.15
    champion, challenger = model(truth, wrong, sure=0.85), model(truth, wrong, sure=0.999)
    decision = decide(case(truth, challenger, champion), POLICY)
    assert outcome(decision, "log_loss") is Outcome.reject
    assert outcome(decision, "calibration") is Outcome.reject
    assert outcome(decision, "non_inferiority") is Outcome.promote
    absolute = decide(case(truth, challenger, challenger), GatePolicy(max_calibration_error=0.1))
    assert [item.name for item in absolute.checks if item.outcome is not Outcome.promote] == ["calibration"]
    assert decide(case(truth, challenger, challenger), POLICY).outcome is Outcome.promote


@pytest.mark.parametrize("flipped", [1.0, 0.8])
def test_a_delivery_with_labels_turned_round_is_refused_though_the_challenger_shines_on_it(flipped: float) -> None:
    """The challenger that learned the wrong labels is right on most held-out rows, and the champion is not."""
    n = 4_000
    new = np.arange(n) >= 2_000
    truth = RNG.integers(0, 2, n)  # as delivered
    turned = new & (RNG.random(n) < flipped)
    champion = model(truth, turned ^ (RNG.random(n) < 0.1))
    challenger = model(truth, RNG.random(n) < np.where(new, 0.3, 0.105))
    found = case(truth, challenger, champion, known=~new, deliveries={"abc": new})
    decision = decide(found, POLICY)
    assert outcome(decision, "non_inferiority") is Outcome.promote, "without the guard it would have won"
    assert outcome(decision, "new_labels") is Outcome.reject
    assert "turned round" in decision.reason


def test_one_poisoned_delivery_among_honest_ones_is_found() -> None:
    n = 4_000
    part = np.repeat([0, 1, 2, 3], 1_000)
    truth = RNG.integers(0, 2, n)
    champion = model(truth, (RNG.random(n) < 0.1) ^ (part == 2))
    deliveries = {name: part == number for number, name in enumerate("abcd")}
    decision = decide(case(truth, champion, champion, known=part == 0, deliveries=deliveries), POLICY)
    assert outcome(decision, "new_labels") is Outcome.reject
    assert "delivery c" in decision.reason


def test_noise_that_hides_a_loss_on_what_was_known_is_not_promoted() -> None:
    n = 8_000
    new = np.arange(n) >= 4_000
    truth = RNG.integers(0, 2, n)
    champion = model(truth, RNG.random(n) < np.where(new, 0.48, 0.10))
    challenger = model(truth, RNG.random(n) < np.where(new, 0.42, 0.14))
    decision = decide(case(truth, challenger, champion, known=~new), POLICY)
    assert outcome(decision, "non_inferiority") is Outcome.promote
    assert outcome(decision, "known_before") is Outcome.reject


@pytest.mark.parametrize(
    ("known_rows", "champion_new", "challenger_new", "expected", "said"),
    [
        (1_500, 0.35, 0.04, Outcome.promote, "Keeps what was known"),
        (1_500, 0.36, 0.35, Outcome.inconclusive, "has not learned them"),
        (60, 0.35, 0.04, Outcome.inconclusive, "not proved that what was known is kept"),
        (60, 0.04, 0.04, Outcome.promote, "Keeps what was known"),
    ],
)
def test_new_reviews_that_are_harder_must_be_learned_and_what_was_known_be_kept(
    known_rows: int, champion_new: float, challenger_new: float, expected: Outcome, said: str
) -> None:
    """A share of 0.35 that nobody learns is what labels turned at random look like."""
    n = known_rows + 1_000
    at = np.arange(n)
    known = at < known_rows
    truth = RNG.integers(0, 2, n)
    champion = model(truth, np.where(known, at % 20 == 0, (at * 7) % 1_000 < 1_000 * champion_new))
    challenger = model(truth, np.where(known, at % 20 == 1, (at * 7) % 1_000 < 1_000 * challenger_new))
    decision = decide(case(truth, challenger, champion, known=known), GatePolicy(calibration_margin=1))
    assert outcome(decision, "non_inferiority") is Outcome.promote
    assert outcome(decision, "known_before") is expected
    assert said in check(decision, "known_before").reason
    assert decision.outcome is expected


def test_another_domain_that_is_learned_without_forgetting_is_promoted() -> None:
    n = 1_000
    new = np.arange(n) >= 500
    truth = RNG.integers(0, 2, n)
    shared = RNG.random(n) < 0.06
    champion = model(truth, shared | (new & (RNG.random(n) < 0.25)))
    decision = decide(case(truth, model(truth, shared), champion, known=~new, deliveries={"kitchen": new}), POLICY)
    assert decision.outcome is Outcome.promote
    assert check(decision, "known_before").numbers["harder"] == 1


def test_behaviour_that_gets_worse_rejects_and_one_bad_word_does_not() -> None:
    truth = RNG.integers(0, 2, 2_000)
    wrong = RNG.random(2_000) < 0.1
    kinds, groups = np.repeat(["negation", "names"], 60), np.arange(120) // 3
    good = np.zeros(120, bool)

    def judged(failures: np.ndarray) -> Decision:
        found = case(
            truth,
            model(truth, wrong, failures=failures),
            model(truth, wrong, failures=good),
            kinds=kinds,
            groups=groups,
        )
        return decide(found, POLICY)

    many = (kinds == "negation") & (groups % 2 == 0)
    decision = judged(many)
    assert [item.name for item in decision.checks if item.outcome is Outcome.reject] == ["behaviour negation"]
    assert judged(groups == 4).outcome is Outcome.promote


@pytest.mark.parametrize(
    ("costs", "name"),
    [
        ({"megabytes": 201.0}, "model_size"),
        ({"megabytes": 40.0}, "model_size"),
        ({"milliseconds": np.full(20, 2.5)}, "latency"),
        ({"train_rows": 100}, "training_size"),
    ],
)
def test_a_budget_that_is_broken_rejects(costs: dict[str, object], name: str) -> None:
    truth = RNG.integers(0, 2, 2_000)
    wrong = RNG.random(2_000) < 0.1
    decision = decide(case(truth, model(truth, wrong, **costs), model(truth, wrong)), POLICY)
    assert [item.name for item in decision.checks if item.outcome is not Outcome.promote] == [name]


def test_a_small_model_may_grow_and_one_slow_answer_is_no_slow_model() -> None:
    truth = RNG.integers(0, 2, 2_000)
    wrong = RNG.random(2_000) < 0.1
    times = np.where(np.arange(20) == 0, 50.0, 1.0)
    challenger = model(truth, wrong, megabytes=9.0, milliseconds=times)
    assert decide(case(truth, challenger, model(truth, wrong)), POLICY).outcome is Outcome.promote


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"age_days": 91.0}, "snapshot_age"),
        ({"leaked": 20}, "leakage"),
        ({"train_labels": {"negative": 8_000, "positive": 20}}, "label_balance"),
        ({"train_labels": {"negative": 8_000}}, "label_balance"),
    ],
)
def test_data_that_is_not_fit_rejects_a_first_model_too(fault: dict[str, object], name: str) -> None:
    truth = RNG.integers(0, 2, 2_000)
    wrong = RNG.random(2_000) < 0.1
    for champion in (model(truth, wrong), None):
        decision = decide(case(truth, model(truth, wrong), champion, **fault), POLICY)
        assert [item.name for item in decision.checks if item.outcome is not Outcome.promote] == [name]


def test_few_reviews_say_little_about_the_balance_of_labels() -> None:
    truth = np.zeros(20, np.intp)
    truth[0] = 1
    found = case(truth, model(truth, np.zeros(20, bool)), None)
    assert outcome(decide(found, POLICY), "label_balance") is Outcome.promote


@pytest.mark.parametrize(
    ("n", "errors", "expected"),
    [
        (2_000, 0.10, Outcome.promote),
        (2_000, 0.49, Outcome.reject),
        (0, 0.05, Outcome.reject),
    ],
)
def test_a_first_model_must_beat_guessing(n: int, errors: float, expected: Outcome) -> None:
    found = evidence(n, champion_errors=None, challenger_errors=errors)
    assert decide(found, POLICY).outcome is expected


def test_a_first_model_right_on_too_few_rows_is_inconclusive() -> None:
    truth = np.array([0, 1] * 6)
    found = case(truth, model(truth, np.arange(12) == 0), None)
    assert decide(found, GatePolicy(min_accuracy_gain=0.35)).outcome is Outcome.inconclusive


def test_without_held_out_rows_nothing_is_proved() -> None:
    truth = np.zeros(0, np.intp)
    found = case(truth, model(truth, truth == 1), model(truth, truth == 1))
    assert outcome(decide(found, POLICY), "non_inferiority") is Outcome.inconclusive


@pytest.mark.parametrize(
    ("mode", "errors", "expected", "permits"),
    [
        (GateMode.enforce, 0.08, Outcome.promote, True),
        (GateMode.enforce, 0.40, Outcome.reject, False),
        (GateMode.dry_run, 0.08, Outcome.promote, False),
        (GateMode.dry_run, 0.40, Outcome.reject, False),
        (GateMode.off, 0.40, Outcome.promote, True),
    ],
)
def test_the_mode_decides_what_a_decision_permits(
    mode: GateMode, errors: float, expected: Outcome, permits: bool
) -> None:
    found = evidence(2_000, champion_errors=0.10, challenger_errors=errors)
    decision = decide(found, GatePolicy(mode=mode))
    assert (decision.outcome, decision.permits, decision.mode) == (expected, permits, mode)
    assert ("Dry run" in decision.reason) == (mode is GateMode.dry_run)
    assert ("nothing was compared" in decision.reason) == (mode is GateMode.off)


def test_a_decision_survives_being_written_and_read() -> None:
    decision = decide(evidence(500, champion_errors=0.1, challenger_errors=0.1), GatePolicy(margin=0.03))
    back = Decision.from_dict(json.loads(json.dumps(decision.to_dict())))
    assert back == decision
    assert back.policy["margin"] == 0.03


def test_a_decision_of_an_earlier_version_is_read() -> None:
    first = {"name": "first_model", "outcome": "promote", "numbers": {"accuracy": 0.9}, "reason": "First model."}
    old = {"outcome": "promote", "champion": None, "snapshot": "reviews@v1", "checks": [first], "slices": {},
           "reason": "First model."}  # fmt: skip
    decision = Decision.from_dict(old)
    assert (decision.permits, decision.mode, decision.reason) == (True, GateMode.enforce, "First model.")


def test_evidence_that_was_kept_gives_the_same_decision() -> None:
    n = 1_001
    new = np.arange(n) > 700
    found = evidence(
        n, champion_errors=0.1, challenger_errors=0.12, known=~new, slices={"label positive": new, "": ~new},
        deliveries={"abc": new}, age_days=3.5, leaked=1,
    )  # fmt: skip
    content = found.to_bytes()
    assert decide(Evidence.from_bytes(content, where="here"), POLICY) == decide(found, POLICY)
    first = evidence(10, champion_errors=None, challenger_errors=0.1)
    assert decide(Evidence.from_bytes(first.to_bytes(), where="here"), POLICY) == decide(first, POLICY)
    for damaged in (content[:100], b"", content[: len(content) // 2]):
        with pytest.raises(DataError, match=r"evidence.npz is no readable evidence"):
            Evidence.from_bytes(damaged, where="reports/gate/v3/evidence.npz")


def test_a_challenger_that_is_wrong_everywhere_is_rejected() -> None:
    truth = RNG.integers(0, 2, 60)
    decision = decide(case(truth, model(truth, truth >= 0), model(truth, truth < 0)), POLICY)
    assert outcome(decision, "non_inferiority") is Outcome.reject
    assert check(decision, "non_inferiority").numbers["low"] == -1
