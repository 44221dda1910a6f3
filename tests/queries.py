"""What queries to Prometheus ask for, and what there is to be asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[1]
ADDED = {"job", "instance", "namespace", "service", "track", "pod", "le"}
"""Labels that whoever scrapes adds, or that histograms have."""

_ROW = re.compile(r"^\| `(sentiment_\w+)` \| (?:(\w+) \| )?((?:`\w+`(?:, )?)*) ?\| ", re.MULTILINE)
_NAME = r"\b(?:sentiment|airflow)[_:][a-z0-9_:]*[a-z0-9]\b"
_SERIES = re.compile(rf"({_NAME})(?:\{{([^}}]*)\}})?")
_GROUP = re.compile(r"\b(?:by|on|group_left) ?\(([^)]*)\)")


@lru_cache(maxsize=1)
def known() -> dict[str, set[str]]:
    """Return the labels of every series that there is, by name.

    Those of the API and of the state are the documented ones, which tests compare with what is really shown.
    """
    return {**_documented("metrics.md"), **_documented("monitoring.md"), **_of_airflow(), **_recorded()}


def asked(expr: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the series that a query names, with the labels that it matches."""
    plain = _GROUP.sub("", expr)
    for name, matchers in _SERIES.findall(plain):
        yield name, set(re.findall(r"(\w+) ?(?:=|!=|=~|!~)", matchers))


def grouped(expr: str) -> set[str]:
    """Return the labels that a query groups or joins by."""
    return {label.strip() for labels in _GROUP.findall(expr) for label in labels.split(",") if label.strip()}


def _documented(page: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, kind, labels in _ROW.findall((PROJECT / "docs" / page).read_text().split("## Earlier names")[0]):
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {name + part: set(re.findall(r"\w+", labels)) for part in parts}
    return found


def _of_airflow() -> dict[str, set[str]]:
    """Return what the StatsD exporter shows of the metrics that the installed Airflow knows."""
    [package] = find_spec("airflow").submodule_search_locations or []  # type: ignore[union-attr]
    registry = Path(package, "_shared", "observability", "metrics", "metrics_template.yaml")
    mappings = yaml.safe_load((PROJECT / "monitoring" / "airflow-statsd.yaml").read_text())["mappings"]
    found: dict[str, set[str]] = {}
    for metric in yaml.safe_load(registry.read_text())["metrics"]:
        names = {metric["name"], metric["legacy_name"]} - {"-"}
        for name in {"airflow." + re.sub(r"\{\w+\}", "x", each) for each in names}:
            mapping = next((one for one in mappings if re.fullmatch(_pattern(one["match"]), name)), None)
            shown = mapping["name"] if mapping else re.sub(r"\W", "_", name)
            labels = set(mapping.get("labels", {})) if mapping else set()
            found[shown] = found.get(shown, set()) | labels
            if metric["type"] == "timer":
                found[shown] |= {"quantile"}
                found |= {f"{shown}_sum": labels, f"{shown}_count": labels}
    return found


def _pattern(match: str) -> str:
    return r"[^.]+".join(map(re.escape, match.split("*")))


def _recorded() -> dict[str, set[str]]:
    rules = (yaml.safe_load(path.read_text()) for path in (PROJECT / "helm/sentiment/files/rules").glob("*.yaml"))
    every = (rule for document in rules for group in document["groups"] for rule in group["rules"])
    return {
        rule["record"]: {"label"} if "label_share" in rule["record"] else set() for rule in every if "record" in rule
    }
