"""The drift verdict: what is noticed, what is let pass, and what to do about it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from sentiment.drift.accuracy import estimate_accuracy, measure_accuracy, sure_loss
from sentiment.drift.check import judge_drift, judge_samples
from sentiment.drift.sample import Sample, measure
from sentiment.drift.scoring import scored
from sentiment.drift.signals import Signal
from sentiment.drift.significance import judge_signals
from sentiment.drift.verdict import Confirmation, DriftVerdict
from sentiment.drift.words import crossed_unknown_share
from sentiment.labels import LabelScheme
from sentiment.reviews.sample import generate
from sentiment.settings import DriftPolicy, TrainingSettings
from sentiment.training.model import build_pipeline, compile_scorer

POLICY = DriftPolicy()


def sample(rng: np.random.Generator, rows: int, *, shift: float = 0.0) -> Sample:
    """Texts with scores as of a model; `shift` moves the scores, and with them the labels."""
    scores = np.clip(rng.beta(0.6, 0.6, rows) + shift, 0, 1)
    texts = ["word " * length for length in rng.poisson(40, rows)]
    labels = np.where(scores > 0.5, "positive", "negative").tolist()
    return measure(texts, scores=scores, predictions=labels, unknown_share=rng.beta(1, 20, rows))


def judge(*, reference: Sample, current: Sample, policy: DriftPolicy = POLICY, **more: Any) -> DriftVerdict:
    return judge_samples(reference=reference, current=current, policy=policy, **more)


def judge_states(*signals: Signal, **more: Any) -> DriftVerdict:
    """Judge signals of samples that are large enough; nothing else is known unless `more` says so."""
    evidence = {"live_accuracy": None, "reference_accuracy": None, "reference_rows": 900, "current_rows": 900}
    return judge_drift(signals=signals, **{**evidence, "policy": POLICY, **more})


def moved(name: str = "scores", *, distance: float = 0.5, p_value: float = 0.0) -> Signal:
    return Signal(name, p_value, distance, 0.2, 0.7, name)


def judge_accuracy(*, live: tuple[int, int], reference: tuple[int, int] = (1840, 2000)) -> DriftVerdict:
    return judge_drift(
        signals=[],
        live_accuracy=measure_accuracy(correct=live[0], rows=live[1]),
        reference_accuracy=measure_accuracy(correct=reference[0], rows=reference[1]),
        reference_rows=reference[1],
        current_rows=0,
        policy=POLICY,
    )


# -- distributions -----------------------------------------------------------------------------------------


def test_a_shift_of_the_scores_is_drift_and_the_reason_carries_its_numbers() -> None:
    rng = np.random.default_rng(1)
    verdict = judge(reference=sample(rng, 2000), current=sample(rng, 400, shift=0.25))
    assert verdict.state == "drifted"
    assert {signal.name for signal in verdict.signals if signal.counts} == {"scores", "prediction_mix"}
    assert any(reason.startswith("Scores moved: the mean score") for reason in verdict.reasons)


def test_samples_of_the_same_texts_raise_at_most_a_few_false_alarms_in_100_checks() -> None:
    rng = np.random.default_rng(2)
    policy = DriftPolicy(false_alarm_days=20, min_distance=0.0, min_text_distance=0.0, min_word_distance=0.0)
    alarms = sum(
        judge(reference=sample(rng, 400), current=sample(rng, 300), policy=policy).state != "stable" for _ in range(100)
    )
    assert alarms <= 12  # 99.5% point of Binomial(100, 0.05)


def test_the_signals_see_a_real_but_moderate_shift_nearly_always() -> None:
    rng = np.random.default_rng(3)
    seen = sum(
        judge(reference=sample(rng, 1000), current=sample(rng, 500, shift=0.15)).state == "drifted" for _ in range(50)
    )
    assert seen >= 48


def test_a_trifling_shift_in_very_many_rows_is_significant_but_no_drift() -> None:
    rng = np.random.default_rng(4)
    reference = measure(["a"] * 50_000, scores=rng.beta(2, 2, 50_000))
    current = measure(["a"] * 50_000, scores=np.clip(rng.beta(2, 2, 50_000) + 0.02, 0, 1))
    verdict = judge(reference=reference, current=current)
    assert verdict.signals[0].adjusted_p < 1e-6
    assert verdict.state == "stable"


def test_longer_texts_alone_are_only_watched() -> None:
    rng = np.random.default_rng(5)
    scores = rng.beta(0.6, 0.6, 600)
    reference = measure(["word " * n for n in 1 + rng.poisson(20, 600)], scores=scores)
    current = measure(["word " * n for n in 1 + rng.poisson(80, 600)], scores=scores)
    verdict = judge(reference=reference, current=current)
    assert verdict.state == "watch"
    assert not verdict.retrain
    assert verdict.reasons[0].startswith("Length in ")


def test_too_few_current_rows_are_insufficient_and_the_reason_says_how_many_are_needed() -> None:
    rng = np.random.default_rng(6)
    verdict = judge(reference=sample(rng, 500), current=sample(rng, 99, shift=0.5))
    assert verdict.state == "insufficient_data"
    assert verdict.reasons == ("Too few current rows to compare distributions: 99 rows, need 100.",)
    assert not any(signal.counts for signal in verdict.signals)


def test_too_small_a_reference_is_insufficient_too() -> None:
    rng = np.random.default_rng(7)
    verdict = judge(reference=sample(rng, 40), current=sample(rng, 500, shift=0.5))
    assert verdict.state == "insufficient_data"
    assert "reference rows" in verdict.reasons[0]


# -- live accuracy -----------------------------------------------------------------------------------------


def test_a_certain_loss_of_live_accuracy_is_drift_without_any_prediction() -> None:
    verdict = judge_accuracy(live=(140, 200))
    assert verdict.state == "drifted"
    assert verdict.reasons[0].startswith("The champion is wrong more often: live accuracy is 70.0% on 200")
    assert "5.0 points are allowed" in verdict.reasons[0]


def test_a_loss_that_may_be_within_what_is_allowed_is_watched() -> None:
    verdict = judge_accuracy(live=(1280, 1500))
    assert verdict.state == "watch"
    assert "not certain" in verdict.reasons[0]


def test_an_accuracy_that_holds_is_stable_and_says_what_was_not_compared() -> None:
    verdict = judge_accuracy(live=(183, 200))
    assert verdict.state == "stable"
    assert verdict.reasons[0].startswith("The champion holds")
    assert verdict.reasons[1].startswith("Too few current rows")


def test_too_few_labelled_rows_are_no_evidence() -> None:
    assert judge_accuracy(live=(0, POLICY.min_labelled - 1)).state == "insufficient_data"


def test_the_accuracy_rule_seldom_fires_while_the_loss_is_the_allowed_one() -> None:
    rng = np.random.default_rng(8)
    reference, live = rng.binomial(2000, 0.92, 1000), rng.binomial(300, 0.87, 1000)
    losses = [
        sure_loss(
            live=measure_accuracy(correct=int(a), rows=300),
            reference=measure_accuracy(correct=int(b), rows=2000),
            alpha=0.05,
        )
        for a, b in zip(live, reference, strict=True)
    ]
    assert np.mean(np.array(losses) > 0.05) <= 0.065


def test_wilson_interval_is_the_published_one_and_refuses_nonsense() -> None:
    found = measure_accuracy(correct=81, rows=263)  # Newcombe 1998, table I
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    assert measure_accuracy(correct=0, rows=10).low == 0.0
    with pytest.raises(ValueError, match="no accuracy"):
        measure_accuracy(correct=1, rows=0)


# -- odd input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts", [["the and of it"] * 300, ["?!"] * 300, [""] * 300, ["\U0001f600 \U0001f600"] * 300, ["x" * 100_000] * 300]
)
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_the_same_odd_texts_with_one_answer_and_one_score_are_stable(texts: list[str], score: float) -> None:
    reference, current = (
        measure(
            side,
            scores=[score] * len(side),
            predictions=["positive"] * len(side),
            unknown_share=[0.0] * len(side),
            confidence=[score] * len(side),
            labels=["positive"] * len(side),
        )
        for side in (texts, texts[:150])
    )
    held_out = measure_accuracy(correct=300, rows=300)
    verdict = judge(reference=reference, current=current, reference_accuracy=held_out)
    assert verdict.state == "stable"
    assert verdict.actions == ()


def test_an_empty_window_is_insufficient_and_no_drift() -> None:
    rng = np.random.default_rng(20)
    nothing = measure([], scores=[], predictions=[], unknown_share=[], confidence=[])
    verdict = judge(reference=sample(rng, 300), current=nothing)
    assert (verdict.state, verdict.actions) == ("insufficient_data", ())


# -- without labels ----------------------------------------------------------------------------------------


def test_doubtful_answers_are_watched_and_labels_asked_for() -> None:
    held_out = measure_accuracy(correct=1840, rows=2000)
    verdict = judge_states(
        reference_accuracy=held_out,
        estimated_accuracy=estimate_accuracy(
            reference=held_out, reference_confidence=np.full(2000, 0.92), confidence=np.full(900, 0.75)
        ),
    )
    assert (verdict.state, verdict.actions) == ("watch", ("ask_for_labels",))
    assert verdict.reasons[0].startswith(
        "The champion is less sure of its answers: by an estimate without labels 75.0%"
    )


def test_labels_silence_the_estimate() -> None:
    doubtful = measure_accuracy(correct=600, rows=900)
    held_out, live = measure_accuracy(correct=1840, rows=2000), measure_accuracy(correct=92, rows=100)
    verdict = judge_states(reference_accuracy=held_out, live_accuracy=live, estimated_accuracy=doubtful)
    assert (verdict.state, verdict.actions) == ("stable", ())


def test_the_estimate_follows_the_fall_of_confidence_and_its_interval_the_rows() -> None:
    held_out = measure_accuracy(correct=900, rows=1000)
    sure, unsure = np.full(500, 0.9), np.full(500, 0.7)
    same = estimate_accuracy(reference=held_out, reference_confidence=sure, confidence=sure)
    lower = estimate_accuracy(reference=held_out, reference_confidence=sure, confidence=unsure)
    assert (same.value, lower.value) == (pytest.approx(0.9), pytest.approx(0.7))
    assert lower.low < 0.7 < lower.high
    few = estimate_accuracy(reference=held_out, reference_confidence=sure, confidence=np.array([0.5, 0.9] * 5))
    assert few.high - few.low > lower.high - lower.low
    with pytest.raises(ValueError, match="no answers"):
        estimate_accuracy(reference=held_out, reference_confidence=sure, confidence=[])


# -- what to do --------------------------------------------------------------------------------------------


def test_drift_asks_for_labels_first_and_for_retraining_once_there_are_some() -> None:
    assert judge_states(moved()).actions == ("ask_for_labels",)
    held_out = measure_accuracy(correct=1840, rows=2000)
    few, enough = (measure_accuracy(correct=rows, rows=rows) for rows in (POLICY.min_labelled - 1, POLICY.min_labelled))
    for live, actions in ((few, ("ask_for_labels",)), (enough, ("retrain",))):
        verdict = judge_states(moved(), live_accuracy=live, reference_accuracy=held_out)
        assert (verdict.state, verdict.actions, verdict.retrain) == ("drifted", actions, actions == ("retrain",))


def test_labels_that_are_like_the_traffic_speak_for_it_and_others_do_not() -> None:
    held_out, live = measure_accuracy(correct=1840, rows=2000), measure_accuracy(correct=462, rows=500)
    known: dict[str, Any] = {"live_accuracy": live, "reference_accuracy": held_out}
    holds = judge_states(moved(), **known, labels_are_of_the_traffic=True)
    assert (holds.state, holds.actions) == ("watch", ())
    assert holds.reasons[0].endswith("The champion holds on labelled rows that are like these.")
    strangers = judge_states(moved(), **known, labels_are_of_the_traffic=False)
    assert (strangers.state, strangers.actions) == ("drifted", ("ask_for_labels",)), "they teach nothing about it"
    few = {**known, "live_accuracy": measure_accuracy(correct=55, rows=60)}
    assert judge_states(moved(), **few, labels_are_of_the_traffic=True).state == "drifted", "a loss is not excluded"
    lost = {**known, "live_accuracy": measure_accuracy(correct=350, rows=500)}
    for alike in (True, False, None):
        verdict = judge_states(moved(), **lost, labels_are_of_the_traffic=alike)
        assert (verdict.state, verdict.actions) == ("drifted", ("retrain",))


def test_whether_labels_are_like_the_traffic_is_told_by_the_signals_that_decide() -> None:
    films, kitchen = (
        [measure([review.text for review in generate(domain, 300, seed=seed)]) for seed in (21, 22)]
        for domain in ("film", "kitchen")
    )
    held_out, live = measure_accuracy(correct=1840, rows=2000), measure_accuracy(correct=277, rows=300)
    for labelled, state in ((kitchen[1], "watch"), (films[1], "drifted")):
        verdict = judge(
            reference=films[0],
            current=kitchen[0],
            labelled=labelled,
            live_accuracy=live,
            reference_accuracy=held_out,
        )
        assert verdict.state == state


def test_nothing_is_asked_for_when_nothing_moved_or_only_what_does_not_decide() -> None:
    assert judge_states(moved(distance=0.0, p_value=1.0)).actions == ()
    assert judge_states(moved("characters")).actions == ()


def test_the_calibrated_level_is_for_signals_that_decide_and_others_keep_the_budget_by_themselves() -> None:
    strict = 1 / POLICY.false_alarm_days
    for name, p_value, counts in (
        ("scores", 0.03, True),
        ("scores", 0.05, False),
        ("characters", 0.03, False),
        ("characters", strict / 2, True),
    ):
        (judged,) = judge_signals([moved(name, p_value=p_value)], policy=POLICY, level=0.04)
        assert judged.counts == counts, (name, p_value)


def test_the_policy_says_which_signals_decide() -> None:
    policy = DriftPolicy(decisive=("characters",))
    assert judge_states(moved("characters"), policy=policy).state == "drifted"
    assert judge_states(moved("scores"), policy=policy).state == "watch"


def test_drift_is_watched_until_enough_of_the_last_checks_found_it() -> None:
    policy = DriftPolicy(confirm_checks=2, confirm_of=3)
    alone = judge_states(moved(), policy=policy, earlier=("stable", "stable", "drifted"))
    assert (alone.state, alone.alone, alone.actions) == ("watch", "drifted", ())
    assert alone.confirmation == Confirmation(found=1, needed=2, checks=3)
    assert alone.reasons[0] == "Drift is not confirmed yet: 1 of the last 3 checks found it, 2 must."
    assert judge_states(moved(), policy=policy, earlier=("stable", "drifted")).state == "drifted"
    calm = judge_states(moved(p_value=1.0), policy=policy, earlier=("drifted", "drifted"))
    assert (calm.state, calm.alone) == ("stable", "stable"), "what has passed is not held against today"


def test_a_confirmation_that_can_never_come_is_refused() -> None:
    with pytest.raises(ValidationError, match="confirm_checks is 3, more than the 2 checks of confirm_of"):
        DriftPolicy(confirm_checks=3, confirm_of=2)


# -- words -------------------------------------------------------------------------------------------------


def test_cross_fitting_makes_unknown_words_comparable_without_a_model() -> None:
    texts = [review.text for review in generate("film", 800, seed=5)]
    kitchen = [review.text for review in generate("kitchen", 400, seed=5)]
    same = crossed_unknown_share(reference=texts[:400], current=texts[400:])
    other = crossed_unknown_share(reference=texts[:400], current=kitchen)
    assert abs(same[0].mean() - same[1].mean()) < 0.01
    assert other[1].mean() > other[0].mean() + 0.1


# -- real text ---------------------------------------------------------------------------------------------


def test_sentences_about_films_drift_from_long_reviews_and_halves_of_the_reviews_do_not(
    real_data: Path,
) -> None:
    reviews = pd.read_parquet(real_data / "imdb_dev.parquet").sample(4500, random_state=1)["review"].tolist()
    sentences = pd.read_parquet(real_data / "sentence_polarity.parquet").sample(1000, random_state=1)
    labels = ["negative", "positive"]
    learned = pd.read_parquet(real_data / "imdb_train.parquet").sample(1500, random_state=1)
    pipeline = build_pipeline(TrainingSettings(max_ngram=1), LabelScheme.binary)
    pipeline.fit(learned["review"].tolist(), [labels[word == "pos"] for word in learned["sentiment"]])
    scorer = compile_scorer(pipeline)
    reference, half = scored(reviews[:1500], scorer), scored(reviews[1500:], scorer)
    assert judge(reference=reference, current=half).state == "stable"
    assert judge(reference=reference, current=scored(sentences["review"].tolist(), scorer)).state == "drifted"


def test_an_unnamed_signal_is_judged_as_a_description_of_the_texts() -> None:
    assert judge_states(moved("emoji")).state == "watch"
