"""Alerts reach real receivers, say what is the matter, come once, and fail nothing when they cannot be sent."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sentiment.drift.archive import DriftCheck
from sentiment.drift.verdict import DriftVerdict
from sentiment.errors import DataError
from sentiment.settings import load_settings
from sentiment.storage import Storage
from tests.receivers import Mailbox, Webhook, listening

TOPIC = "arn:aws:sns:eu-central-1:123456789012:drift"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHECK = DriftCheck(
    id="20261120T120000-v3-0123abcd",
    verdict=DriftVerdict(
        state="drifted",
        reasons=("Scores moved: {{ 7 * 6 }} <b>far</b> & wide.", "Unknown words moved."),
        signals=(),
        reference_rows=900,
        current_rows=400,
        actions=("retrain",),
    ),
    report="reports/drift/20261120T120000-v3-0123abcd/report.html",
    start=NOON - timedelta(days=7),
    end=NOON,
    champion="3",
    snapshot="reviews@v1",
)
LINK = "https://airflow.example/sentiment/checks/20261120T120000-v3-0123abcd"


@dataclass
class World:
    mail: Mailbox
    webhook: Webhook
    root: Path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Airflow connections to a mail server and a webhook, and settings that use them."""
    mail, webhook = Mailbox(), Webhook()
    smtp = {
        "conn_type": "smtp", "host": "127.0.0.1", "port": mail.port,
        "extra": {"disable_tls": True, "disable_ssl": True, "from_email": "sentiment@example.com", "retry_limit": 1},
    }  # fmt: skip
    hook = {"conn_type": "http", "host": f"http://127.0.0.1:{webhook.port}/services", "password": "T0/B0/hush"}
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(smtp))
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(hook))
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(tmp_path / "var"))
    monkeypatch.setenv("SENTIMENT_ALERTS__EMAIL_TO", '["ann@example.com", "bob@example.com"]')
    monkeypatch.setenv("SENTIMENT_ALERTS__SMTP_CONN_ID", "mail")
    monkeypatch.setenv("SENTIMENT_ALERTS__WEBHOOK_CONN_ID", "chat")
    monkeypatch.setenv("SENTIMENT_ALERTS__BASE_URL", "https://airflow.example/")
    with listening(mail), listening(webhook):
        yield World(mail, webhook, tmp_path / "var")


def tell(check: DriftCheck) -> dict[str, Any]:
    from sentiment_alerts import tell_check

    told: dict[str, Any] = tell_check(check.to_dict())
    return told


def at(moment: datetime, **verdict: Any) -> DriftCheck:
    return replace(CHECK, end=moment, start=moment - timedelta(days=7), verdict=replace(CHECK.verdict, **verdict))


def test_mail_and_webhook_carry_verdict_reasons_action_and_link(world: World) -> None:
    assert tell(CHECK) == {"told": ["email", "webhook"], "not_told": {}}
    ((recipients, message),) = world.mail.received
    assert recipients == ["ann@example.com", "bob@example.com"]
    assert (message["subject"], message["from"]) == (
        "Drift: the champion is asked what it did not learn",
        "sentiment@example.com",
    )
    html = message.get_body(("html",))
    assert html is not None
    said = html.get_content()
    assert "{{ 7 * 6 }} &lt;b&gt;far&lt;/b&gt; &amp; wide." in said, (
        "what came from data is neither a template nor HTML"
    )
    assert "The champion is being retrained." in said
    assert f'href="{LINK}"' in said
    ((path, body),) = world.webhook.received
    assert path == "/services/T0/B0/hush"
    assert "{{ 7 * 6 }} &lt;b&gt;far&lt;/b&gt; &amp; wide.\nUnknown words moved." in body["text"]
    assert body["text"].endswith(LINK)


def test_sns_gets_it_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        address = "http://{}:{}".format(*moto.get_host_and_port())
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "eu-central-1"}
        sns, sqs = (boto3.client(name, endpoint_url=address, **keys) for name in ("sns", "sqs"))
        assert sns.create_topic(Name="drift")["TopicArn"] == TOPIC
        queue = sqs.create_queue(QueueName="drift")["QueueUrl"]
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint="arn:aws:sqs:eu-central-1:123456789012:drift")
        aws = {"conn_type": "aws", "login": "x", "password": "y", "extra": {"endpoint_url": address}}
        monkeypatch.setenv("AIRFLOW_CONN_CLOUD", json.dumps(aws))
        monkeypatch.setenv("SENTIMENT_ALERTS__SNS_TOPIC_ARN", TOPIC)
        monkeypatch.setenv("SENTIMENT_ALERTS__SNS_CONN_ID", "cloud")
        assert tell(CHECK)["told"] == ["email", "webhook", "sns"]
        (received,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    finally:
        moto.stop()
    body = json.loads(received["Body"])
    assert body["Subject"] == "Drift: the champion is asked what it did not learn"
    assert body["Message"].startswith("Scores moved: {{ 7 * 6 }}")
    assert body["Message"].endswith(LINK)


def test_a_retry_and_the_next_23_checks_of_a_day_tell_nothing_new(world: World) -> None:
    hours = [NOON.replace(hour=0) + timedelta(hours=hour) for hour in range(24)]
    assert [len(tell(at(hour))["told"]) for hour in (hours[0], *hours)] == [2] + [0] * 24
    assert tell(at(NOON + timedelta(days=1)))["told"] == ["email", "webhook"], "the next day it is told again"
    assert len(world.webhook.received) == 2
    assert tell(at(NOON))["told"] == [], "what is older than what was told is no news"


def test_a_change_of_state_is_told_at_once_also_when_it_comes_back(world: World) -> None:
    minute = timedelta(minutes=1)
    assert tell(at(NOON))["told"]
    assert not tell(at(NOON + minute, state="stable", actions=()))["told"], "nobody wants to hear of that"
    assert tell(at(NOON + 2 * minute))["told"], "it is back"
    assert tell(at(NOON + 3 * minute, state="watch", actions=("ask_for_labels",)))["told"]
    assert "Please have some of these texts labelled." in world.webhook.received[-1][1]["text"]


def test_what_was_not_reached_is_tried_again_and_only_that(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.webhook.answers = [404, 200]
    assert tell(CHECK) == {"told": ["email"], "not_told": {"webhook": "_WebhookError"}}
    assert "hush" not in caplog.text
    assert tell(CHECK) == {"told": ["webhook"], "not_told": {}}
    assert (len(world.mail.received), len(world.webhook.received)) == (1, 2)


def test_a_webhook_that_is_busy_is_asked_again_but_not_for_ever(world: World) -> None:
    world.webhook.answers = [503, 429, 200]
    assert tell(CHECK)["told"] == ["email", "webhook"]
    assert len(world.webhook.received) == 3
    world.webhook.answers = [500]
    assert tell(at(NOON + timedelta(days=1)))["not_told"] == {"webhook": "_AgainError"}
    assert len(world.webhook.received) == 6


def test_receivers_that_are_not_there_fail_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps({"conn_type": "http", "host": "http://127.0.0.1:1/T0/hush"}))
    monkeypatch.setenv("SENTIMENT_ALERTS__SMTP_CONN_ID", "no_such_connection")
    monkeypatch.setenv("SENTIMENT_ALERTS__ATTEMPTS", "1")
    assert set(tell(CHECK)["not_told"]) == {"email", "webhook"}
    assert "hush" not in caplog.text


def test_without_a_channel_nothing_is_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_ALERTS__EMAIL_TO", "[]")
    monkeypatch.setenv("SENTIMENT_ALERTS__WEBHOOK_CONN_ID", "")
    assert tell(CHECK) == {"told": [], "not_told": {}}
    assert (world.mail.received, world.webhook.received) == ([], [])


@pytest.mark.parametrize(
    ("failures", "dag_id", "expected"),
    [
        ("drift", "sentiment_drift", 1),
        ("drift", "sentiment_ingest", 0),
        ("all", "sentiment_ingest", 1),
        ("none", "sentiment_drift", 0),
    ],
)
def test_a_failed_task_is_told_once_a_day_for_the_same_error(
    world: World, monkeypatch: pytest.MonkeyPatch, failures: str, dag_id: str, expected: int
) -> None:
    from sentiment_alerts import FailureNotifier

    monkeypatch.setenv("SENTIMENT_ALERTS__FAILURES", failures)
    task = SimpleNamespace(dag_id=dag_id, task_id="check", run_id="manual__2026-11-20T12:00:00+00:00")
    for _ in range(2):
        FailureNotifier()({"ti": task, "exception": DataError("No rows in <a>.", fix="Look.")})
    assert len(world.webhook.received) == expected
    if expected:
        text = world.webhook.received[0][1]["text"]
        assert text.startswith(f"{dag_id}: check failed\nNo rows in &lt;a&gt;. Look.")
        assert f"https://airflow.example/dags/{dag_id}/runs/manual__2026-11-20T12%3A00%3A00%2B00%3A00" in text
        FailureNotifier()({"ti": task, "exception": DataError("Something else.")})
        assert len(world.webhook.received) == 2


def test_a_run_leads_to_the_report_of_the_check_that_triggered_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from sentiment_links import DriftReportLink

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example")

    def link(returned: Any, *extras: dict[str, Any] | None) -> str:
        run = SimpleNamespace(consumed_asset_events=[SimpleNamespace(extra=extra) for extra in extras])
        task = SimpleNamespace(
            task_id="train", get_template_context=lambda: {"dag_run": run}, xcom_pull=lambda task_ids: returned
        )
        return DriftReportLink().get_link(None, ti_key=task)

    assert link({"run_id": "r"}, {"rows": 3}, {"check": "old"}, {"check": CHECK.id}) == LINK
    assert link(CHECK.to_dict(), {"rows": 3}, None) == LINK
    assert link({"run_id": "r"}) == link(None) == ""


def test_a_failure_of_the_storage_is_told_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentiment_alerts import FailureNotifier

    world.root.parent.joinpath("file").touch()
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(world.root.parent / "file" / "var"))
    task = SimpleNamespace(dag_id="sentiment_drift", task_id="check", run_id="one")
    FailureNotifier()({"ti": task, "exception": DataError("The disk is gone.")})
    assert len(world.webhook.received) == len(world.mail.received) == 1


def test_no_secret_is_in_the_settings(world: World) -> None:
    assert "hush" not in load_settings().model_dump_json()
    tell(CHECK)
    kept = [Storage(load_settings()).read(path) for path in Storage(load_settings()).list("")]
    assert kept
    assert not any(b"hush" in content for content in kept)
