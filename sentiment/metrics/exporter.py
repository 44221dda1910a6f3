"""The metrics of the platform's state, read part by part and served from memory.

A part that cannot be read is left out and said to be down; the others are shown. Whoever scrapes gets what was read
last and never waits for the storage.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from prometheus_client import CollectorRegistry, generate_latest, start_http_server, write_to_textfile
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sentiment.errors import SentimentError, ServiceError, StorageError, storage_errors
from sentiment.metrics.data import data_metrics, waiting_metrics
from sentiment.metrics.drift import drift_metrics
from sentiment.metrics.families import gauge, gauges
from sentiment.metrics.models import model_metrics
from sentiment.settings import Settings
from sentiment.storage import Storage

log = logging.getLogger(__name__)

Part: TypeAlias = Callable[[Settings, Storage, datetime], Iterator[GaugeMetricFamily]]

PARTS: Mapping[str, Part] = MappingProxyType(
    {"models": model_metrics, "data": data_metrics, "waiting": waiting_metrics, "drift": drift_metrics}
)


class StateMetrics(Collector):
    """The metrics as they were read last.

    Parameters
    ----------
    settings : Settings
        The storage root whose state is told.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._families: tuple[GaugeMetricFamily, ...] = ()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what was read last; prometheus-client asks for it."""
        yield from self._families

    def refresh(self, now: datetime) -> None:
        """Read everything again."""
        found: list[GaugeMetricFamily] = []
        up: dict[str, float] = {}
        seconds: dict[str, float] = {}
        for name, part in PARTS.items():
            started = time.monotonic()
            try:
                found += list(part(self._settings, Storage(self._settings), now))
                up[name] = 1
            except Exception as error:  # whatever it is, the other parts can still be told
                unknown = not isinstance(error, SentimentError)
                log.warning("metrics: %s cannot be read: %s", name, error, exc_info=unknown)
                up[name] = 0
            seconds[name] = time.monotonic() - started
        found.append(gauges("state_up", "Whether each part of the state could be read.", "part", up))
        found.append(gauges("state_read_seconds", "How long that took.", "part", seconds))
        found.append(gauge("state_timestamp_seconds", "When the state was read.", now))
        self._families = tuple(found)

    def text(self) -> str:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self._registry).decode()

    def write(self, path: Path) -> None:
        """Write them to a file at once, as the textfile collector of the node exporter wants them.

        Raises
        ------
        StorageError
            It cannot be written, or its name does not end in ``.prom``: the node exporter would not read it.
        """
        if path.suffix != ".prom":
            raise StorageError(f"{path} would not be read.", fix="Name it with .prom at the end.")
        with storage_errors(str(path)):
            write_to_textfile(str(path), self._registry)

    def serve(self, host: str, port: int) -> int:
        """Answer every GET with the metrics, from a thread of its own; return the port, a free one for 0.

        Raises
        ------
        ServiceError
            The port is taken.
        """
        try:
            server, _ = start_http_server(port, addr=host, registry=self._registry)
        except OSError as error:
            raise ServiceError(
                f"Cannot listen on {host}:{port}: {error.strerror}.", fix="Name another port with --port."
            ) from error
        return int(server.server_port)
