"""What the last drift check of the traffic found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily

from sentiment.drift.records import REPORTS, STATES, CheckRecord, parse_check, time_in
from sentiment.metrics.families import gauge, gauges
from sentiment.settings import Settings
from sentiment.storage import Storage

_FILE = "/verdict.json"


def drift_metrics(settings: Settings, storage: Storage, now: datetime) -> Iterator[GaugeMetricFamily]:
    """Yield what the last drift check of the traffic found; nothing before the first one."""
    check = newest_check(storage)
    if check is None or check.end is None:
        return
    states = {state: float(state == check.state) for state in STATES}
    yield gauges("drift_verdict", "1 for the verdict of the last drift check, 0 for the others.", "state", states)
    yield gauge("drift_checked_timestamp_seconds", "The end of the window that it looked at.", check.end)
    sides = {"reference": check.reference_rows or 0, "current": check.current_rows or 0}
    yield gauges("drift_rows", "Rows that were compared.", "side", sides)
    distances = {signal.name: signal.distance for signal in check.signals}
    yield gauges("drift_distance", "How far each signal is from the reference, 0 to 1.", "signal", distances)
    limits = {signal.name: signal.threshold for signal in check.signals if signal.threshold is not None}
    yield gauges("drift_threshold", "The distance from which a signal counts.", "signal", limits)
    found = {"live": check.live_accuracy, "estimated": check.estimated_accuracy, "reference": check.reference_accuracy}
    shares = {kind: share.value for kind, share in found.items() if share is not None}
    text = "The champion's accuracy: on newly labelled rows, as estimated without labels, on the reference."
    yield gauges("accuracy", text, "kind", shares)


def newest_check(storage: Storage) -> CheckRecord | None:
    """Return the last check of the traffic; those of two files that somebody compared have no time and do not count."""
    paths = (path for path in storage.list(REPORTS) if path.endswith(_FILE))
    ids = (path.removesuffix(_FILE).rpartition("/")[2] for path in paths)
    newest = max((check_id for check_id in ids if time_in(check_id)), default=None)
    return None if newest is None else parse_check(newest, storage.read_json(f"{REPORTS}/{newest}{_FILE}"))
