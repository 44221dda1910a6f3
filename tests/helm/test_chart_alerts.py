"""The alerts fire when they should and only then, by Prometheus's own tool."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from promtool import firing, promtool

GOLDEN = Path(__file__).parent / "golden"
STABLE = 'namespace="default",service="sentiment",track="stable"'
CANARY = 'namespace="default",service="sentiment-canary",track="canary"'


def rules(case: str, name: str = "sentiment") -> dict[str, Any]:
    documents = yaml.safe_load_all((GOLDEN / f"{case}.yaml").read_text())
    found = (one for one in documents if one and one["kind"] == "PrometheusRule")
    return next(dict(one["spec"]) for one in found if one["metadata"]["name"] == name)


def fired(folder: Path, case: str, series: dict[str, str], *, minutes: int) -> set[tuple[str, str]]:
    """Return the alerts, each with its track, that fire after so many minutes of such series."""
    found = firing(folder, rules(case), series, minutes=minutes)
    return {(one["alertname"], one.get("track", "")) for one in found}


def traffic(place: str, *, failed: int = 0, positive: int = 50, seconds: str = "0.005") -> dict[str, str]:
    """Two hundred requests a minute to a track."""
    buckets = {le: "0+200x120" if float(le) >= float(seconds) else "0x120" for le in ("0.005", "0.5", "2.5", "10")}
    return {
        f'sentiment_model_info{{{place},model_version="1",bento="a"}}': "1x120",
        f'sentiment_requests_total{{{place},endpoint="/predict",outcome="ok"}}': f"0+{200 - failed}x120",
        f'sentiment_requests_total{{{place},endpoint="/predict",outcome="failed"}}': f"0+{failed}x120",
        f'sentiment_predictions_total{{{place},label="positive",model_version="1"}}': f"0+{2 * positive}x120",
        f'sentiment_predictions_total{{{place},label="negative",model_version="1"}}': f"0+{200 - 2 * positive}x120",
        f"sentiment_prediction_log_dropped_total{{{place}}}": "0x120",
        **{
            f'sentiment_request_seconds_bucket{{{place},endpoint="/predict",le="{le}"}}': values
            for le, values in {**buckets, "+Inf": "0+200x120"}.items()
        },
    }


def test_the_rules_can_be_read(tmp_path: Path) -> None:
    places = [(case, "sentiment") for case in ("production", "canary_alb", "blue_green", "observed")]
    for case, name in [*places, ("observed", "sentiment-pipeline")]:
        (tmp_path / "rules.json").write_text(json.dumps(rules(case, name)))
        subprocess.run([promtool(), "check", "rules", "rules.json"], cwd=tmp_path, check=True, capture_output=True)


def test_quiet_traffic_alerts_nobody(tmp_path: Path) -> None:
    assert fired(tmp_path, "canary_alb", {**traffic(STABLE), **traffic(CANARY)}, minutes=90) == set()


@pytest.mark.parametrize(
    ("wrong", "alert"),
    [
        ({"failed": 10}, "SentimentErrors"),
        ({"seconds": "2.5"}, "SentimentSlow"),
        ({"positive": 100}, "SentimentOneLabel"),
    ],
)
def test_a_bad_canary_is_told_apart_from_a_good_stable_version(
    wrong: dict[str, Any], alert: str, tmp_path: Path
) -> None:
    series = {**traffic(STABLE), **traffic(CANARY, **wrong)}
    budget = ["SentimentErrorBudgetFast", "SentimentErrorBudgetSlow"] if alert == "SentimentErrors" else []
    expected = {(alert, "canary"), *((name, "") for name in budget)}  # the budget is that of all tracks together
    assert fired(tmp_path, "canary_alb", series, minutes=90) == expected


def test_lost_answers_and_a_silent_service_are_told(tmp_path: Path) -> None:
    lost = {f"sentiment_feedback_log_dropped_total{{{STABLE}}}": "0x80 0+5x40"}
    assert fired(tmp_path, "canary_alb", traffic(STABLE) | lost, minutes=90) == {("SentimentAnswersLost", "")}
    assert fired(tmp_path, "canary_alb", {}, minutes=10) == {("SentimentDown", "")}


def test_two_models_at_once_on_one_track_are_told(tmp_path: Path) -> None:
    here = 'namespace="default",service="sentiment",track="stable"'
    two = {f'sentiment_model_info{{{here},model_version="{n}",bento="{n}"}}': "1x120" for n in (1, 2)}
    assert ("SentimentVersionsDiffer", "stable") in fired(tmp_path, "production", two, minutes=60)


def test_another_release_in_the_namespace_alerts_nobody_here(tmp_path: Path) -> None:
    other = {
        name.replace('service="', 'service="other-'): values for name, values in traffic(CANARY, failed=50).items()
    }
    assert fired(tmp_path, "canary_alb", {**traffic(STABLE), **other}, minutes=30) == set()


def test_numbers_links_and_series_are_those_of_the_values(tmp_path: Path) -> None:
    series = traffic(STABLE, failed=8)  # 4%: less than this release allows, more than others do
    assert ("SentimentErrors", "") not in {(name, "") for name, _ in fired(tmp_path, "observed", series, minutes=30)}
    assert ("SentimentErrors", "stable") in fired(tmp_path, "production", series, minutes=30)
    text = json.dumps([rules("observed"), rules("observed", "sentiment-pipeline")])
    assert "https://docs.example.com/sentiment/runbooks/SentimentDrift.md" in text
    assert "docs/runbooks" not in text
    assert "job=" not in text.replace("by (job,", "").replace("on (job,", "")
    old = {'sentiment_champion_trained_timestamp_seconds{namespace="airflow"}': "0x60"}
    found = firing(tmp_path, rules("observed", "sentiment-pipeline"), old, minutes=32 * 1440, every=1440)
    assert "SentimentModelOld" in {one["alertname"] for one in found}
