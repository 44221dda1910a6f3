"""What a dashboard is made of, as Grafana's JSON model has it: rows of panels that ask Prometheus.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 39
WIDTH = 24
RUNBOOKS = "docs/runbooks"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLOURS = {
    "track": {"stable": "blue", "canary": "orange", "blue": "blue", "green": "green"},
    "label": {"positive": "green", "neutral": "purple", "negative": "red"},
    "outcome": {"ok": "green", "refused": "yellow", "failed": "red"},
}
"""The same thing has the same colour everywhere."""

GOOD, WARN, BAD = "green", "yellow", "red"


@dataclass(frozen=True)
class Query:
    """A question to Prometheus, and how its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes
    ----------
    unit : str
        Grafana's id of the unit.
    steps : sequence of (float, str)
        Colours from a value on; below the first it is good.
    alerts : sequence of str
        Alerts that are about what is shown: the panel links to their runbooks.
    words : mapping of str to (str, str)
        Text and colour for values that are states.
    text : {"auto", "name"}
        What a stat shows: its value, or what the series is called.
    """

    title: str
    description: str
    queries: Sequence[Query]
    kind: Literal["timeseries", "stat", "bargauge", "state-timeline"] = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 8
    steps: Sequence[tuple[float, str]] = ()
    alerts: Sequence[str] = ()
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    text: Literal["auto", "name"] = "auto"
    stacked: bool = False
    most: float | None = None
    decimals: int | None = None

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return it as Grafana has it, at a place."""
        known = [f"Alert {alert}: {RUNBOOKS}/{alert}.md" for alert in self.alerts]
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": "\n\n".join([self.description, *known]),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "datasource": SOURCE,
            "links": [
                {"title": f"Runbook {alert}", "url": f"{RUNBOOKS}/{alert}.md", "targetBlank": True}
                for alert in self.alerts
            ],
            "targets": [self._target(place, query) for place, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": self._options(),
        }

    def _target(self, place: int, query: Query) -> dict[str, Any]:
        moment = self.kind in ("stat", "bargauge")
        return {
            "refId": chr(ord("A") + place),
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "instant": moment,
            "range": not moment,
        }

    def _defaults(self) -> dict[str, Any]:
        steps = [{"color": GOOD if self.steps else "blue", "value": None}]
        steps += [{"color": colour, "value": value} for value, colour in self.steps]
        found: dict[str, Any] = {
            "unit": self.unit,
            "min": 0,
            "thresholds": {"mode": "absolute", "steps": steps},
            "color": {"mode": "palette-classic" if self.kind == "timeseries" else "thresholds"},
        }
        if self.most is not None:
            found["max"] = self.most
        if self.decimals is not None:
            found["decimals"] = self.decimals
        if self.words:
            options = {
                value: {"text": text, "color": colour, "index": place}
                for place, (value, (text, colour)) in enumerate(self.words.items())
            }
            found["mappings"] = [{"type": "value", "options": options}]
        if self.kind == "timeseries":
            found["custom"] = {
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 30 if self.stacked else 5,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "dashed" if self.steps else "off"},
            }
        return found

    def _overrides(self) -> list[dict[str, Any]]:
        """Give what is known by name its colour, where the legend ends with such a name."""
        ends = {label for label in COLOURS for query in self.queries if query.legend.endswith(f"{{{{{label}}}}}")}
        known = {name: colour for label in sorted(ends) for name, colour in COLOURS[label].items()}
        return [
            {
                "matcher": {"id": "byRegexp", "options": f"/{name}$/"},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
            }
            for name, colour in known.items()
        ]

    def _options(self) -> dict[str, Any]:
        if self.kind == "timeseries":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        if self.kind == "state-timeline":
            return {"mergeValues": True, "showValue": "never", "legend": {"displayMode": "list", "placement": "bottom"}}
        shown = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        if self.kind == "bargauge":
            return {"orientation": "horizontal", "displayMode": "basic", "reduceOptions": shown}
        return {"colorMode": "value", "graphMode": "none", "textMode": self.text, "reduceOptions": shown}


@dataclass(frozen=True)
class Row:
    """Panels under a heading, side by side as far as they fit."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard; `variables` are label and metric whose values can be chosen, by name."""

    uid: str
    title: str
    description: str
    variables: Mapping[str, tuple[str, str]]
    rows: Sequence[Row]
    since: str = "now-6h"

    def json(self) -> dict[str, Any]:
        """Return it as Grafana has it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["sentiment"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "utc",
            "refresh": "1m",
            "time": {"from": self.since, "to": "now"},
            "timepicker": {},
            "links": [{"type": "dashboards", "title": "Sentiment", "tags": ["sentiment"], "keepTime": True}],
            "annotations": {"list": [_releases()]},
            "templating": {"list": [_sources(), *(_variable(name, *of) for name, of in self.variables.items())]},
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[dict[str, Any]]:
        number = y = 0
        for row in self.rows:
            number += 1
            yield {
                "id": number,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
            }
            x, y, tallest = 0, y + 1, 0
            for panel in row.panels:
                if x + panel.width > WIDTH:
                    x, y, tallest = 0, y + tallest, 0
                number += 1
                yield panel.json(number, x, y)
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest


def _sources() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "refresh": 1,
        "regex": "",
    }


def _variable(name: str, label: str, metric: str) -> dict[str, Any]:
    """Return a choice of values; all of them at first, and none where the metric has no such label."""
    query = f"label_values({metric}, {label})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "current": {"text": "All", "value": "$__all"},
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "hide": 0,
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }


def _releases() -> dict[str, Any]:
    """Mark when a version was deployed or rolled back, where the state is scraped too."""
    return {
        "name": "Releases",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": 'changes(sentiment_event_timestamp_seconds{event=~"deployed|rolled_back"}[2m]) > 0',
        "step": "60s",
        "titleFormat": "{{event}}",
    }
