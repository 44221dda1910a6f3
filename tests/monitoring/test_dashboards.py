"""The dashboards are what their sources say, have the form that Grafana wants, and ask for what there is."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from promtool import promtool
from queries import ADDED, asked, grouped, known

from monitoring.dashboards import FOLDER, documents

PROJECT = Path(__file__).resolve().parents[2]
RULES = sorted((PROJECT / "helm" / "sentiment" / "files" / "rules").glob("*.yaml"))
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
KINDS = {"timeseries", "stat", "bargauge", "state-timeline", "row"}
UNITS = {"short", "s", "reqps", "percentunit", "dtdurations"}
VARIABLE = re.compile(r"\$\{?(\w+)")


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Every query there is, by where it stands."""
    found = {}
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            found |= {f"rule {rule.get('alert') or rule['record']}": rule["expr"] for rule in group["rules"]}
    for name, board in BOARDS.items():
        found |= {f"{name} annotation {one['name']}": one["expr"] for one in board["annotations"]["list"]}
        for panel in panels(board):
            found |= {f"{name} panel {panel['id']}{one['refId']}": one["expr"] for one in panel["targets"]}
    for path in sorted((PROJECT / "docs").rglob("*.md")):
        blocks = re.findall(r"```promql\n(.*?)```", path.read_text(), re.DOTALL)
        text = "\n".join(re.sub(r"\n +/", " /", block) for block in blocks)
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        found |= {f"{path.stem} line {number}": line for number, line in enumerate(lines)}
    return found


EXPRESSIONS = expressions()


def test_the_files_are_what_their_sources_say() -> None:
    """After a change: ``python -m monitoring.dashboards``."""
    assert {path: path.read_text() for path in FOLDER.iterdir()} == documents()


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_query_asks_for_what_there_is(where: str) -> None:
    series, named = known(), list(asked(EXPRESSIONS[where]))
    assert (
        named
        or where.startswith("rule SentimentUnreachable")
        or "up{" in EXPRESSIONS[where]
        or "__name__" in EXPRESSIONS[where]
    )
    for name, labels in named:
        assert name in series, f"{name} does not exist"
        assert labels <= series[name] | ADDED, f"{name} has no label {labels - series[name] - ADDED}"
    if named:
        assert grouped(EXPRESSIONS[where]) <= ADDED.union(*(series[name] for name, _ in named))


def test_a_query_for_what_there_is_not_is_seen() -> None:
    assert dict(asked('sum by (dag) (rate(sentiment_request_total{endpont="/predict"}[5m]))')) == {
        "sentiment_request_total": {"endpont"}
    }
    assert "sentiment_request_total" not in known()
    assert "endpont" not in known()["sentiment_requests_total"]
    assert known()["airflow_dagrun_failed_count"] == {"dag_id"}
    assert known()["sentiment_request_seconds_bucket"] == {"endpoint"}


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_has_the_form_that_grafana_wants(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == name
    assert len(name) <= 40
    assert board["title"]
    assert board["description"]
    assert board["tags"] == ["sentiment"]
    assert board["schemaVersion"] >= 36
    assert "id" not in board  # Grafana gives it; with one, it would overwrite another dashboard
    assert re.fullmatch(r"now-\d+[hd]", board["time"]["from"])
    assert [one["name"] for one in board["templating"]["list"]][:1] == ["datasource"]
    for one in board["templating"]["list"][1:]:
        assert (one["type"], one["refresh"], one["allValue"]) == ("query", 2, ".*")
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", one["definition"]).groups()  # type: ignore[union-attr]
        assert label in known()[metric] | ADDED
        assert one["query"]["query"] == one["definition"]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_places_and_numbers_of_their_own(name: str) -> None:
    every = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    assert len({(panel["title"], panel["description"]) for panel in panels(BOARDS[name])}) == len(panels(BOARDS[name]))
    for panel in every:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in itertools.combinations([panel["gridPos"] for panel in every], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_explains_itself_and_asks_the_chosen_prometheus(name: str) -> None:
    defined = {one["name"] for one in BOARDS[name]["templating"]["list"]} | {"__rate_interval"}
    alerts = {path.stem for path in (PROJECT / "docs" / "runbooks").glob("*.md")}
    used = set()
    for panel in panels(BOARDS[name]):
        assert panel["type"] in KINDS
        assert panel["description"].partition("\n")[0].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        steps = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]]
        assert steps == sorted(steps)
        assert [target["refId"] for target in panel["targets"]] == list("ABCDE")[: len(panel["targets"])]
        assert len({target["legendFormat"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            used |= set(VARIABLE.findall(target["expr"])) | {"datasource"}
        for link in panel["links"]:
            assert Path(link["url"]).stem in alerts
            assert link["url"] in panel["description"]
    assert used - {"__rate_interval"} == defined - {"__rate_interval"}


def test_every_alert_has_a_panel() -> None:
    linked = {Path(link["url"]).stem for board in BOARDS.values() for panel in panels(board) for link in panel["links"]}
    assert linked == {path.stem for path in (PROJECT / "docs" / "runbooks").glob("*.md")}


def test_the_configuration_in_the_docs_is_one(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "monitoring.md").read_text()
    [config] = re.findall(r"```yaml\n# prometheus.yml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "helm").symlink_to(PROJECT / "helm")
    (tmp_path / "prometheus.yml").write_text(config)
    ended = subprocess.run(
        [promtool(), "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert {one["job_name"] for one in yaml.safe_load(config)["scrape_configs"]} == {
        job for path in RULES for job in re.findall(r'job="([\w-]+)"', path.read_text())
    }
