"""How one reading becomes a metric."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily


def gauge(name: str, text: str, value: float | datetime) -> GaugeMetricFamily:
    """Return a gauge without labels; a moment becomes seconds since 1970."""
    return GaugeMetricFamily(f"sentiment_{name}", text, value=_number(value))


def gauges(name: str, text: str, label: str, values: Mapping[str, float | datetime]) -> GaugeMetricFamily:
    """Return a gauge with one label, whose values are a set that does not grow."""
    family = GaugeMetricFamily(f"sentiment_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], _number(value))
    return family


def info(name: str, text: str, **facts: str | None) -> GaugeMetricFamily:
    """Return a gauge that is 1 and says things in its labels."""
    family = GaugeMetricFamily(f"sentiment_{name}_info", text, labels=list(facts))
    family.add_metric([fact or "" for fact in facts.values()], 1)
    return family


def _number(value: float | datetime) -> float:
    return value.timestamp() if isinstance(value, datetime) else float(value)
