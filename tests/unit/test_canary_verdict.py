"""What a look at a canary comes to, whatever was seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentiment.deployment.canary.evidence import Evidence, Histogram, Mirrored, Track
from sentiment.deployment.canary.verdict import CanaryVerdict, judge, level
from sentiment.settings import CanarySettings

POLICY = CanarySettings()
INF = float("inf")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, INF)
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, INF)
SHARES = (0.0, 0.1, 0.2, 0.5, 1.0, INF)


def track(**changed: object) -> Track:
    """One that answered 1,000 texts as it should."""
    usual = Track(
        requests={("/predict", "ok"): 998.0, ("/predict", "failed"): 2.0},
        seconds={"/predict": Histogram(BOUNDS, (500, 400, 90, 10, 0, 0, 0))},
        labels={"positive": 600.0, "negative": 398.0},
        versions=frozenset({"1"}),
        confidence=Histogram(CONFIDENCES, (0, 50, 100, 200, 300, 348, 0)),
        unknown=Histogram(SHARES, (300, 500, 150, 48, 0, 0)),
        batches=Histogram((1, 64, INF), (0, 0, 0)),
        abstained=100.0,
    )
    return replace(usual, **changed)


def evidence(
    *, minutes: float = 10, mirrored: Mirrored | None = None, problem: str = "", **changed: object
) -> Evidence:
    canary = track(**{"versions": frozenset({"2"}), **changed})
    return Evidence("1", "2", 25, minutes, track(), canary, problem, mirrored)


def failed(verdict: CanaryVerdict) -> list[str]:
    return [reason.signal for reason in verdict.reasons if reason.state == "fail"]


def test_one_that_does_as_stable_does_passes_when_its_time_is_over() -> None:
    assert judge(evidence(), POLICY).state == "pass"
    early = judge(evidence(minutes=9), POLICY)
    assert (early.state, early.reasons[0].signal) == ("wait", "time")


BAD = {
    "errors": {"requests": {("/predict", "ok"): 940.0, ("/predict", "failed"): 60.0}},
    "refusals": {"requests": {("/predict", "ok"): 880.0, ("/predict", "refused"): 118.0, ("/predict", "failed"): 2.0}},
    "latency": {"seconds": {"/predict": Histogram(BOUNDS, (500, 200, 100, 50, 50, 100, 0))}},
    "label_mix": {"labels": {"positive": 850.0, "negative": 148.0}},
    "confidence": {"confidence": Histogram(CONFIDENCES, (0, 300, 300, 200, 100, 98, 0))},
    "abstention": {"abstained": 400.0},
    "restarts": {"restarts": 1},
    "version": {"versions": frozenset({"2", "7"})},
}


@pytest.mark.parametrize("signal", BAD)
def test_each_way_of_being_worse_fails_for_that_reason(signal: str) -> None:
    verdict = judge(evidence(**BAD[signal]), POLICY)
    assert (verdict.state, failed(verdict)) == ("fail", [signal])
    assert verdict.said == verdict.reasons[0].said


def test_what_is_grossly_wrong_fails_before_the_time_and_the_traffic_are_there() -> None:
    requests = {("/predict", "ok"): 20.0, ("/predict", "failed"): 10.0}
    assert failed(judge(evidence(minutes=0.5, requests=requests), POLICY)) == ["errors"]
    assert judge(evidence(minutes=9, requests=BAD["errors"]["requests"]), POLICY).state == "fail"
    slightly = {("/predict", "ok"): 965.0, ("/predict", "failed"): 35.0}
    assert judge(evidence(minutes=9, requests=slightly), POLICY).state == "wait"
    assert failed(judge(evidence(minutes=10, requests=slightly), POLICY)) == ["errors"]


def test_a_model_that_learned_from_the_traffic_may_be_surer_of_it_within_bounds() -> None:
    surer = {"confidence": Histogram(CONFIDENCES, (0, 0, 50, 100, 200, 648, 0)), "abstained": 20.0}
    assert judge(evidence(**surer), POLICY).state == "pass"
    always = {"confidence": Histogram(CONFIDENCES, (0, 0, 0, 0, 10, 988, 0))}
    assert failed(judge(evidence(**always), POLICY)) == ["confidence"]


def test_a_little_slower_where_all_is_fast_is_not_slow() -> None:
    policy = POLICY.model_copy(update={"always_fast_seconds": 0.1})
    times = {"/predict": Histogram(BOUNDS, (0, 0, 0, 500, 500, 0, 0))}
    assert judge(evidence(seconds=times), policy).state == "pass"
    assert failed(judge(evidence(seconds=times), POLICY)) == ["latency"]


def test_too_little_traffic_waits_and_then_is_what_the_policy_says() -> None:
    labels = {"positive": 60.0, "negative": 40.0}
    few = {"requests": {("/predict", "ok"): 100.0}, "labels": labels, "abstained": 10.0}
    waits = judge(evidence(minutes=59, **few), POLICY)
    assert (waits.state, waits.said) == ("wait", "100 of 500 requests to canary.")
    assert failed(judge(evidence(minutes=60, **few), POLICY)) == ["traffic"]
    lenient = POLICY.model_copy(update={"on_patience": "pass"})
    assert judge(evidence(minutes=60, **few), lenient).state == "pass"
    assert judge(evidence(minutes=60, requests={}, labels={}), lenient).state == "fail"


def test_texts_in_few_batches_are_few() -> None:
    batches = {"batches": Histogram((1, 64, INF), (0, 16, 0)), "labels": {"positive": 600.0, "negative": 424.0}}
    verdict = judge(evidence(**batches), POLICY)
    assert (verdict.state, verdict.reasons[0].signal) == ("wait", "traffic")
    assert "count as 140 of 250" in verdict.said


def test_without_prometheus_it_waits_and_then_fails() -> None:
    away = Evidence("1", "2", 25, 30, None, None, problem="Prometheus did not answer")
    assert judge(away, POLICY).state == "wait"
    lenient = POLICY.model_copy(update={"on_patience": "pass"})
    assert failed(judge(replace(away, minutes=60), lenient)) == ["prometheus"]


OTHER = {"unknown": Histogram(SHARES, (0, 100, 200, 698, 0, 0)), **BAD["label_mix"]}
"""Other texts, and with them another mix of labels."""


def test_what_other_traffic_may_have_done_is_not_blamed_on_the_canary() -> None:
    verdict = judge(evidence(**OTHER), POLICY)
    assert (verdict.state, verdict.reasons[0].signal) == ("wait", "traffic")
    assert "unknown words" in verdict.said
    assert failed(judge(evidence(minutes=60, **OTHER), POLICY)) == ["traffic"]


def test_mirrored_texts_decide_where_the_traffic_differs() -> None:
    alike = Mirrored(sent=100, compared=100, disagreed=8, versions=("2",))
    assert judge(evidence(mirrored=alike, **OTHER), POLICY).state == "pass"
    assert failed(judge(evidence(mirrored=replace(alike, disagreed=60), **OTHER), POLICY)) == ["disagreement"]


def test_errors_are_blamed_on_it_whatever_the_traffic() -> None:
    assert failed(judge(evidence(**{**OTHER, **BAD["errors"]}), POLICY)) == ["errors"]


def test_the_probes_of_its_manifest_allow_no_difference() -> None:
    mirrored = Mirrored(sent=100, compared=100, probes=8, wrong_probes=1, versions=("2",))
    verdict = judge(evidence(minutes=0.1, mirrored=mirrored), POLICY)
    assert failed(verdict) == ["probes"]


def test_mirrored_requests_that_fail_count_beside_those_that_prometheus_never_sees() -> None:
    """A server behind a broken proxy counts no error: it was never asked."""
    mirrored = Mirrored(sent=100, compared=80, canary_failed=20)
    assert failed(judge(evidence(mirrored=mirrored), POLICY)) == ["mirrored_errors"]


def test_feedback_that_contradicts_fails() -> None:
    stable = track(feedback={"agrees": 90.0, "differs": 10.0})
    canary = track(versions=frozenset({"2"}), feedback={"agrees": 20.0, "differs": 30.0})
    assert failed(judge(Evidence("1", "2", 25, 10, stable, canary), POLICY)) == ["feedback"]


def test_the_chance_of_a_false_alarm_is_spent_once() -> None:
    looks = POLICY.patience_minutes * 60 / POLICY.look_seconds
    spent = len(POLICY.steps) * (level(POLICY, last=True) + looks * level(POLICY, last=False))
    assert spent == pytest.approx(POLICY.false_alarm)
