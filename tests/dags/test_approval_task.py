"""The question to a person in Airflow: asked only if the policy wants it, answered into the ledger, safe if not."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sentiment.labels import LabelScheme
from sentiment.ledger import Ledger
from sentiment.registry import Registry
from sentiment.reviews.sample import generate
from sentiment.settings import load_settings
from sentiment.storage import Storage
from sentiment.training.gate import Check, Decision, Outcome
from sentiment.training.model import TRUSTED_TYPES, compile_scorer, fit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FOLDER = Path(__file__).resolve().parents[2] / "dags"
CHECK = "20261120T063000-v1-0123abcd"
JUDGED = {"version": "1", "outcome": "inconclusive", "reason": "Not proved."}


@pytest.fixture
def dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The retrain DAG on a root with one version, about which the gate could not be sure."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(tmp_path / "var"))
    settings = load_settings()
    registry, storage = Registry(settings), Storage(settings)
    reviews = list(generate("film", 200, seed=1))
    pipeline = fit(
        [r.text for r in reviews], [r.label for r in reviews], settings=settings.training, scheme=LabelScheme.binary
    )
    candidate = registry.log_candidate(
        key="one",
        pipeline=pipeline,
        scorer=compile_scorer(pipeline),
        trusted_types=TRUSTED_TYPES,
        params={},
        metrics={"accuracy": 0.9},
        tags={
            "sentiment.snapshot": "reviews@v1", "sentiment.labels": '["negative", "positive"]',
            "sentiment.train_rows": "160", "sentiment.test_rows": "40",
        },
    )  # fmt: skip
    cause = {"what": "drift", "check": CHECK, "reasons": []}
    Ledger(storage).append("trained", run_id=candidate.run_id, snapshot="reviews@v1", detail={"cause": cause})
    registered = registry.register(candidate, decision="inconclusive")
    Ledger(storage).append("registered", model_version=registered.version, run_id=candidate.run_id)
    decision = Decision(
        Outcome.inconclusive, None, "reviews@v1",
        (Check("first_model", Outcome.inconclusive, {}, "Not proved."),),
        {"all": {"rows": 40, "challenger": 0.9}},
    )  # fmt: skip
    storage.write("reports/gate/v1/decision.json", json.dumps(decision.to_dict()).encode())
    return DagBag(dag_folder=str(FOLDER)).dags["sentiment_retrain"]


def asked(dag: Any, monkeypatch: pytest.MonkeyPatch, *, promote: bool = True) -> tuple[Any, dict[str, Any]]:
    """Execute the task that asks; return what it returned, or how it waits, and what the form was given."""
    from airflow.sdk.exceptions import TaskAwaitingInput

    form: dict[str, Any] = {}
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **given: form.update(given)
    )
    task = dag.get_task("ask").prepare_for_execution()
    task.judged = JUDGED
    context = {"params": {"promote": promote}, "task_instance": SimpleNamespace(id="1")}
    try:
        return task.execute(context), form
    except TaskAwaitingInput as waits:
        return waits, form


@pytest.fixture
def promote(dag: Any) -> Callable[..., Any]:
    """Call the task that promotes, with the answer of a person."""

    def call(option: str, person: str | None, reason: str = "", *, hour: int = 9) -> Any:
        from airflow.sdk.exceptions import AirflowSkipException

        answer = {
            "chosen_options": [option],
            "params_input": {"reason": reason},
            "responded_at": datetime(2026, 11, 21, hour, tzinfo=UTC),
            "responded_by_user": person and {"id": "7", "name": person},
        }
        events = SimpleNamespace(extra={})
        task = dag.get_task("promote")
        try:
            return task.python_callable(
                JUDGED, answer, params={"promote": True}, dag_run=SimpleNamespace(run_id="run-1"),
                outlet_events={task.outlets[0]: events},
            )  # fmt: skip
        except AirflowSkipException as skipped:
            return skipped

    return call


def words() -> list[tuple[str, str, str]]:
    entries = Ledger(Storage(load_settings())).entries()
    return [(e.event, e.actor, e.reason) for e in entries if e.event in ("approved", "rejected", "promoted")]


@pytest.mark.parametrize(("policy", "promote"), [("never", True), ("when_inconclusive", False)])
def test_nobody_is_asked_whose_word_is_not_wanted(
    dag: Any, monkeypatch: pytest.MonkeyPatch, policy: str, promote: bool
) -> None:
    monkeypatch.setenv("SENTIMENT_GATE__APPROVAL", policy)
    assert asked(dag, monkeypatch, promote=promote) == ({}, {})


def test_the_form_has_decision_metrics_and_links_and_waits_as_long_as_set(
    dag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_GATE__APPROVAL", "when_inconclusive")
    monkeypatch.setenv("SENTIMENT_GATE__APPROVAL_HOURS", "5")
    waits, form = asked(dag, monkeypatch)
    assert waits.timeout == timedelta(hours=5)
    assert form["defaults"] == ["Reject"], "no answer leaves the champion"
    assert form["subject"] == "Version 1 is judged inconclusive: promote it?"
    assert list(form["params"]) == ["reason"]
    for fact in (
        "Not proved.",
        "| all | 40 |",
        "/sentiment-why/?q=1",
        "/sentiment-why/cards/1",
        f"/sentiment/checks/{CHECK}",
    ):
        assert fact in form["body"], fact


def test_a_yes_makes_it_champion_in_the_name_of_who_said_it(
    promote: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_GATE__APPROVAL", "when_inconclusive")
    for _ in range(2):
        assert promote("Approve", "Ada", "read the card") == "1"
    assert Registry(load_settings()).champion().version == "1"
    assert words() == [("approved", "Ada", "read the card"), ("promoted", words()[1][1], "Not proved.")]


def test_who_is_asked_again_in_the_same_run_may_think_again(
    promote: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_GATE__APPROVAL", "always")
    assert "Ada" in str(promote("Reject", "Ada", "not sure"))
    assert promote("Approve", "Ada", "sure", hour=10) == "1"
    assert [word[0] for word in words()] == ["rejected", "approved", "promoted"]
    assert promote("Reject", None, hour=11) == "1", "nobody's silence takes back what was approved elsewhere"


@pytest.mark.parametrize("run_type", ["scheduled", "manual"])
def test_the_cause_of_a_training_is_what_triggered_the_run(dag: Any, run_type: str) -> None:
    from sentiment_catalog import DRIFT_DETECTED, cause_of

    run = SimpleNamespace(run_type=run_type)
    assert str(cause_of(run, {})) == {"scheduled": "schedule", "manual": "by hand"}[run_type]
    events = {DRIFT_DETECTED: [SimpleNamespace(extra={"check": CHECK, "reasons": ["Scores moved."]})]}
    assert cause_of(run, events).to_dict() == {"what": "drift", "check": CHECK, "reasons": ["Scores moved."]}


@pytest.mark.parametrize(
    ("person", "reason", "word"),
    [
        ("Ada", "wrong shop", ("rejected", "Ada", "wrong shop")),
        ("Ada", "", ("rejected", "Ada", "no reason given")),
        (None, "", ("rejected", "nobody", "No answer within 72 hours.")),
    ],
)
def test_a_no_and_silence_leave_the_champion(
    promote: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    person: str | None,
    reason: str,
    word: tuple[str, str, str],
) -> None:
    monkeypatch.setenv("SENTIMENT_GATE__APPROVAL", "when_inconclusive")
    for _ in range(2):
        assert "The champion stays" in str(promote("Reject", person, reason))
    assert words() == [word]
    assert Registry(load_settings()).champion_or_none() is None
