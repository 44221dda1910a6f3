"""The alerts fire when they should and only then, by Prometheus's own tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

GOLDEN = Path(__file__).parent / "golden"
STABLE = 'namespace="default",service="sentiment",track="stable"'
CANARY = 'namespace="default",service="sentiment-canary",track="canary"'


@pytest.fixture
def promtool() -> str:
    """Prometheus's tool."""
    found = shutil.which("promtool")
    if not found:
        pytest.skip("promtool is not here: install Debian's prometheus")
    return found


def rules(case: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((GOLDEN / f"{case}.yaml").read_text())
    return next(dict(one["spec"]) for one in documents if one and one["kind"] == "PrometheusRule")


def fired(promtool: str, folder: Path, case: str, series: dict[str, str], *, minutes: int) -> set[tuple[str, str]]:
    """Return the alerts, each with its track, that fire after so many minutes of such series."""
    (folder / "rules.json").write_text(json.dumps(rules(case)))
    given = [{"series": name, "values": values} for name, values in series.items()]
    asked = [{"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{minutes}m", "exp_samples": []}]
    test = {"interval": "1m", "input_series": given, "promql_expr_test": asked}
    (folder / "test.json").write_text(json.dumps({"rule_files": ["rules.json"], "tests": [test]}))
    ended = subprocess.run([promtool, "test", "rules", "test.json"], cwd=folder, capture_output=True, text=True)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0 or "got:" in said, said
    got = re.findall(r"\{([^}]*)\}", said.partition("got:")[2])
    found = [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in got]
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


def test_the_rules_can_be_read(promtool: str, tmp_path: Path) -> None:
    for case in ("production", "canary_alb", "blue_green"):
        (tmp_path / "rules.json").write_text(json.dumps(rules(case)))
        subprocess.run([promtool, "check", "rules", "rules.json"], cwd=tmp_path, check=True, capture_output=True)


def test_quiet_traffic_alerts_nobody(promtool: str, tmp_path: Path) -> None:
    assert fired(promtool, tmp_path, "canary_alb", {**traffic(STABLE), **traffic(CANARY)}, minutes=90) == set()


@pytest.mark.parametrize(
    ("wrong", "alert"),
    [
        ({"failed": 10}, "SentimentErrors"),
        ({"seconds": "2.5"}, "SentimentSlow"),
        ({"positive": 100}, "SentimentOneLabel"),
    ],
)
def test_a_bad_canary_is_told_apart_from_a_good_stable_version(
    wrong: dict[str, Any], alert: str, promtool: str, tmp_path: Path
) -> None:
    series = {**traffic(STABLE), **traffic(CANARY, **wrong)}
    assert fired(promtool, tmp_path, "canary_alb", series, minutes=90) == {(alert, "canary")}


def test_lost_answers_and_a_silent_service_are_told(promtool: str, tmp_path: Path) -> None:
    lost = {f"sentiment_feedback_log_dropped_total{{{STABLE}}}": "0x80 0+5x40"}
    assert fired(promtool, tmp_path, "canary_alb", traffic(STABLE) | lost, minutes=90) == {("SentimentAnswersLost", "")}
    assert fired(promtool, tmp_path, "canary_alb", {}, minutes=10) == {("SentimentDown", "")}


def test_two_models_at_once_are_told_where_versions_roll(promtool: str, tmp_path: Path) -> None:
    here = 'namespace="default",service="sentiment",track="stable"'
    two = {f'sentiment_model_info{{{here},model_version="{n}",bento="{n}"}}': "1x120" for n in (1, 2)}
    assert ("SentimentVersionsDiffer", "") in fired(promtool, tmp_path, "production", two, minutes=60)
