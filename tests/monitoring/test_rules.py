"""Each alert fires when it should and only then, by Prometheus's own tool; each has a runbook."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from promtool import firing, promtool

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "helm" / "sentiment" / "files" / "rules"
RUNBOOKS = PROJECT / "docs" / "runbooks"
DAYS = 24 * 60


def rules(*names: str) -> dict[str, Any]:
    read = [yaml.safe_load((FOLDER / f"{name}.yaml").read_text()) for name in names or ("service", "pipeline")]
    return {"groups": [group for document in read for group in document["groups"]]}


PLACES = {
    rule["alert"]: name
    for name in ("service", "pipeline")
    for group in rules(name)["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
ALERTS = {rule["alert"]: rule for group in rules()["groups"] for rule in group["rules"] if "alert" in rule}

API = 'job="sentiment",instance="a"'
STATE = 'job="sentiment-state",instance="b"'
DAG = 'job="airflow",instance="c",dag_id="sentiment_ingest"'


@dataclass(frozen=True)
class Case:
    """Series with which an alert fires, and those with which it does not, after so many minutes."""

    wrong: dict[str, str]
    right: dict[str, str]
    minutes: int = 90
    every: int = 1


def info(version: str = "1", instance: str = "a", times: int = 200) -> dict[str, str]:
    about = f'job="sentiment",instance="{instance}",track="stable",model_version="{version}",bento="{version}"'
    return {f"sentiment_model_info{{{about}}}": f"1x{times}"}


def requests(failed: str, ok: str = "0+1000x10000") -> dict[str, str]:
    about = f'{API},track="stable",endpoint="/predict"'
    return {
        f'sentiment_requests_total{{{about},outcome="ok"}}': ok,
        f'sentiment_requests_total{{{about},outcome="failed"}}': failed,
    }


def seconds(fast: int, slow: int) -> dict[str, str]:
    about = f'{API},track="stable",endpoint="/predict"'
    return {
        f'sentiment_request_seconds_bucket{{{about},le="{le}"}}': f"0+{count}x200"
        for le, count in (("0.25", fast), ("1", fast + slow), ("+Inf", fast + slow))
    }


def predictions(positive: str, negative: str, unsure: str = "0x300") -> dict[str, str]:
    return {
        **info(times=3000),
        f'sentiment_predictions_total{{{API},track="stable",label="positive",model_version="1"}}': positive,
        f'sentiment_predictions_total{{{API},track="stable",label="negative",model_version="1"}}': negative,
        f'sentiment_abstentions_total{{{API},track="stable",model_version="1"}}': unsure,
    }


def logs(*, dropped: str = "0x200", age: str = "2x200", kind: str = "prediction") -> dict[str, str]:
    return {
        f"sentiment_{kind}_log_dropped_total{{{API}}}": dropped,
        f'sentiment_{kind}_log_age_seconds{{{API},track="stable"}}': age,
    }


def state(**values: str) -> dict[str, str]:
    """What `sentiment metrics` says; times are seconds since 1970, at which the test begins."""
    return {f"sentiment_{name}{{{STATE}}}": value for name, value in values.items()}


def rows(outcome: str, number: int) -> dict[str, str]:
    return {f'sentiment_day_rows{{{STATE},outcome="{outcome}"}}': f"{number}x200"}


def waiting(place: str, since: str) -> dict[str, str]:
    return {f'sentiment_waiting_since_timestamp_seconds{{{STATE},place="{place}"}}': since}


EVEN = predictions("0+50x300", "0+50x300")
FRESH = {"state_timestamp_seconds": "0+60x400"}

CASES = {
    "SentimentDown": Case({}, info(), minutes=10),
    "SentimentUnreachable": Case({f"up{{{API}}}": "0x60"}, {f"up{{{API}}}": "1x60"}, minutes=30),
    "SentimentErrors": Case(requests("0+15x200"), requests("0+5x200")),
    "SentimentErrorBudgetFast": Case(requests("0+20x200"), requests("0+5x200")),
    "SentimentErrorBudgetFast, six hours": Case(requests("0+8x100"), requests("0+5x100"), minutes=8 * 60, every=5),
    "SentimentErrorBudgetFast, over again": Case(requests("0+40x60 2400x60"), requests("0+40x30 1200x90"), minutes=62),
    "SentimentErrorBudgetSlow": Case(
        requests("0+10x200", ok="0+5000x200"), requests("0+4x200", ok="0+5000x200"), minutes=4 * DAYS, every=30
    ),
    "SentimentSlow": Case(seconds(980, 20), seconds(995, 5)),
    "SentimentNoPredictions": Case(predictions("0+9x6 54x50", "0+9x6 54x50"), EVEN, minutes=150, every=5),
    "SentimentNoPredictions, since the start": Case(info(), EVEN, minutes=90, every=5),
    "SentimentNoPredictions, not yet": Case(info(), info(), minutes=50, every=5),
    "SentimentOneLabel": Case(predictions("0+99x50", "0+1x50"), predictions("0+97x50", "0+3x50"), every=5),
    "SentimentOneLabel, few": Case(predictions("0+99x50", "0x50"), predictions("0+9x50", "0x50"), every=5),
    "SentimentMixShift": Case(
        predictions("0+50x120 6000+95x40", "0+50x120 6000+5x40"),
        predictions("0+50x120 6000+60x40", "0+50x120 6000+40x40"),
        minutes=1290,
        every=10,
    ),
    "SentimentUnsure": Case(
        predictions("0+50x160", "0+50x160", "0+5x120 600+40x40"),
        predictions("0+50x160", "0+50x160", "0+5x120 600+15x40"),
        minutes=1290,
        every=10,
    ),
    "SentimentAnswersLost": Case(logs(dropped="0x80 0+5x40"), logs()),
    "SentimentAnswersLost, feedback": Case(logs(dropped="0x80 0+5x40", kind="feedback"), logs(kind="feedback")),
    "SentimentLogStuck": Case(logs(age="0+60x200"), logs(age="500x200")),
    "SentimentLogStuck, feedback": Case(logs(age="0+60x200", kind="feedback"), logs(kind="feedback")),
    "SentimentVersionsDiffer": Case({**info("1"), **info("2", "b")}, {**info("1"), **info("1", "b")}),
    "SentimentStateUnread": Case(state(state_timestamp_seconds="0x200"), state(**FRESH)),
    "SentimentStateUnread, a part": Case(
        {**state(**FRESH), f'sentiment_state_up{{{STATE},part="drift"}}': "0x200"},
        {**state(**FRESH), f'sentiment_state_up{{{STATE},part="drift"}}': "1x200"},
    ),
    "SentimentStateUnread, nothing": Case({}, state(**FRESH)),
    "SentimentDrift": Case(
        {f'sentiment_drift_verdict{{{STATE},state="drifted"}}': "1x200"},
        {
            f'sentiment_drift_verdict{{{STATE},state="drifted"}}': "0x200",
            f'sentiment_drift_verdict{{{STATE},state="watch"}}': "1x200",
        },
    ),
    "SentimentDriftUnchecked": Case(
        state(drift_checked_timestamp_seconds="0x90"), state(drift_checked_timestamp_seconds="90000x90"),
        minutes=3 * DAYS, every=60,
    ),
    "SentimentModelOld": Case(
        state(champion_trained_timestamp_seconds="0x120"), state(champion_trained_timestamp_seconds="864000x120"),
        minutes=92 * DAYS, every=DAYS,
    ),
    "SentimentNotDeployed": Case(
        {f'sentiment_champion_info{{{STATE},model_version="2",snapshot="reviews@v2"}}': "1x200", **info("1")},
        {f'sentiment_champion_info{{{STATE},model_version="2",snapshot="reviews@v2"}}': "1x200", **info("2")},
        minutes=150,
    ),
    "SentimentIngestLag": Case(waiting("inbox", "0x300"), waiting("inbox", "6000x300"), minutes=200),
    "SentimentIngestLag, rejected": Case(
        waiting("predictions", "0x300"), waiting("rejected", "0x300"), minutes=200
    ),
    "SentimentRowsRefused": Case(
        {**rows("accepted", 700), **rows("unknown_label", 300)},
        {**rows("accepted", 900), **rows("unknown_label", 100), **rows("duplicate", 5000), **rows("neutral_rating", 9)},
    ),
    "SentimentRowsRefused, few": Case(
        {**rows("accepted", 60), **rows("bad_encoding", 60)}, {**rows("accepted", 6), **rows("bad_encoding", 60)}
    ),
    "SentimentDagFailed": Case(
        {f"airflow_dagrun_failed_count{{{DAG}}}": "3x40 4x60"}, {f"airflow_dagrun_failed_count{{{DAG}}}": "4x90"},
        minutes=62,
    ),
    "SentimentDagFailed, for the first time": Case(
        {f"airflow_dagrun_failed_count{{{DAG}}}": "_x60 1x60"},
        {f'airflow_dagrun_failed_count{{{DAG.replace("sentiment_", "other_")}}}': "_x60 1x60"},
        minutes=70,
    ),
    "SentimentDagLate": Case(
        {f'airflow_dagrun_schedule_delay{{{DAG},quantile="0.99"}}': "1200x60"},
        {f'airflow_dagrun_schedule_delay{{{DAG},quantile="0.99"}}': "600x60"},
        minutes=30,
    ),
    "SentimentSchedulerDown": Case(
        {'airflow_scheduler_heartbeat{job="airflow"}': "0+12x20 240x80"},
        {'airflow_scheduler_heartbeat{job="airflow"}': "0+12x100"},
        minutes=60,
    ),
}  # fmt: skip


def test_every_alert_is_tried() -> None:
    assert {name.partition(",")[0] for name in CASES} == ALERTS.keys()


@pytest.mark.parametrize("name", CASES)
def test_it_fires_when_something_is_wrong_and_not_otherwise(name: str, tmp_path: Path) -> None:
    case, alert = CASES[name], name.partition(",")[0]

    def fires(series: dict[str, str]) -> bool:
        found = firing(tmp_path, rules(PLACES[alert]), series, minutes=case.minutes, every=case.every)
        return alert in {one["alertname"] for one in found}

    assert fires(case.wrong) == ("not yet" not in name)
    assert not fires(case.right)


def test_everything_in_order_alerts_nobody(tmp_path: Path) -> None:
    series = {
        **EVEN, **requests("0+0x200"), **seconds(1000, 0), **logs(), **logs(kind="feedback"),
        **state(**FRESH, drift_checked_timestamp_seconds="0x200", champion_trained_timestamp_seconds="0x200"),
        **rows("accepted", 1000), **waiting("inbox", "0+60x200"), f"up{{{API}}}": "1x200",
        f'sentiment_champion_info{{{STATE},model_version="1"}}': "1x200",
        f'sentiment_state_up{{{STATE},part="data"}}': "1x200",
        'airflow_scheduler_heartbeat{job="airflow"}': "0+12x200",
    }  # fmt: skip
    assert firing(tmp_path, rules(), series, minutes=180) == []


def test_one_wrong_track_is_named(tmp_path: Path) -> None:
    series = {
        name.replace("stable", track).replace('instance="a"', f'instance="{track}"'): values
        for track, failed in (("stable", "0x200"), ("canary", "0+50x200"))
        for name, values in requests(failed).items()
    }
    found = firing(tmp_path, rules("service"), series | info(), minutes=60)
    assert [one["track"] for one in found if one["alertname"] == "SentimentErrors"] == ["canary"]


@pytest.mark.parametrize("name", ["service", "pipeline"])
def test_prometheus_takes_the_rules(name: str) -> None:
    subprocess.run([promtool(), "check", "rules", str(FOLDER / f"{name}.yaml")], check=True, capture_output=True)


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_says_what_is_wrong_how_bad_it_is_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].endswith(".")
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md"
    page = (RUNBOOKS / f"{alert}.md").read_text()
    assert page.startswith(f"# {alert}\n")
    assert rule["labels"]["severity"] in page.splitlines()[2]
    headings = re.findall(r"^## (.*)", page, re.MULTILINE)
    assert headings == ["What it means", "Look here first", "What to do", "When to escalate"]


def test_every_runbook_is_of_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == ALERTS.keys()


def test_every_alert_is_in_the_overview() -> None:
    page = (PROJECT / "docs" / "monitoring.md").read_text()
    found = dict(re.findall(r"^\| \[(Sentiment\w+)\]\(runbooks/\1\.md\) \| (\w+) \|", page, re.MULTILINE))
    assert found == {alert: rule["labels"]["severity"] for alert, rule in ALERTS.items()}


def test_numbers_that_can_be_set_are_the_defaults_of_the_chart() -> None:
    text = "".join((FOLDER / f"{name}.yaml").read_text() for name in ("service", "pipeline"))
    values = yaml.safe_load((PROJECT / "helm" / "sentiment" / "values.yaml").read_text())["monitoring"]
    numbers = {name: value for name, value in values.items() if isinstance(value, int | float) and value is not False}
    written = {(name, float(number)) for number, name in re.findall(r"([0-9.]+) # (\w+)$", text, re.MULTILINE)}
    assert written == {(name, float(value)) for name, value in numbers.items()}
