"""Our signals as metrics and tests of Evidently, so that its report shows them beside its own.

Evidently (0.7) pairs a ``Metric``, which is data, with a ``MetricCalculation``, which computes it, and binds
``MetricTest``s to the result. The signals were measured and judged before; the calculation hands them over.
Importing this module imports Evidently, which takes seconds: do it where the report is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evidently.core.metric_types import (
    MetricTest,
    MetricTestResult,
    SingleValue,
    SingleValueCalculation,
    SingleValueMetric,
    TestStatus,
)
from evidently.legacy.renderers.html_widgets import CounterData, WidgetSize, counter

from sentiment.drift.verdict import TITLES, JudgedSignal, show_p


class SignalDistance(SingleValueMetric):  # type: ignore[misc]
    """The distance of one of our signals, 0 (the same) to 1 (nothing in common)."""

    signal: str
    title: str
    distance: float
    threshold: float | None


class SignalDistanceCalculation(SingleValueCalculation[SignalDistance]):  # type: ignore[misc]
    """Hands over a distance that was measured before."""

    def calculate(self, context: Any, current_data: Any, reference_data: Any) -> SingleValue:
        """Return the distance, shown with its threshold."""
        metric = self.metric
        label = "distance" if metric.threshold is None else f"distance; {metric.threshold:.3f} counts"
        found = self.result(metric.distance)
        figure = CounterData(label=label, value=f"{metric.distance:.3f}")
        found.widget = [counter(title=metric.title, size=WidgetSize.HALF, counters=[figure])]
        return found

    def display_name(self) -> str:
        """Return what people call the signal."""
        return f"Signal: {self.metric.title}"


class SignalTest(MetricTest):  # type: ignore[misc]
    """Fails where the signal counts in the platform's verdict: it is more than chance, and far enough."""

    counts: bool
    adjusted_p: float

    def to_test(self) -> Any:
        """Return the test as Evidently calls it."""
        return self._judge

    def _judge(self, context: Any, metric: Any, value: Any) -> MetricTestResult:
        threshold = metric.metric.threshold
        needed = "" if threshold is None else f", {threshold:.3f} and more counts if it is more than chance"
        return MetricTestResult(
            id="signal",
            name=f"{value.display_name} {'counts' if self.counts else 'does not count'}",
            description=f"distance {value.value:.3f}{needed} (p {show_p(self.adjusted_p)}).",
            status=TestStatus.FAIL if self.counts else TestStatus.SUCCESS,
            metric_config=metric.to_metric_config(),
            test_config=self.dict(),
        )


def signal_metrics(signals: Sequence[JudgedSignal]) -> list[SignalDistance]:
    """Return one metric of Evidently, with its test, for each of our signals."""
    return [
        SignalDistance(
            signal=signal.name,
            title=TITLES.get(signal.name, signal.name),
            distance=signal.distance,
            threshold=signal.threshold,
            tests=[SignalTest(counts=signal.counts, adjusted_p=signal.adjusted_p)],
        )
        for signal in signals
    ]
