"""``metrics``: the platform's state for Prometheus."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

SECONDS = 60.0


def metrics(
    textfile: Annotated[
        Path | None, typer.Option(help="Write them to this file, *.prom, for the node exporter.", metavar="PATH")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Serve them on this port until stopped; 0 takes a free one.", min=0, max=65535)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve them on; 0.0.0.0 is everywhere.")] = "127.0.0.1",
    every: Annotated[float, typer.Option(help="Seconds between two readings of the state.", min=1)] = SECONDS,
) -> None:
    """Tell Prometheus the state of the platform: champion, data, drift, what waits. Only reads.

    Written to standard output, unless --textfile or --port says otherwise. Everything is read from the ledger and the
    tables: nothing has to be pushed, and a restart forgets nothing.
    """
    from sentiment.metrics.exporter import StateMetrics

    found = StateMetrics(load_settings())
    found.refresh(datetime.now(UTC))
    if textfile is not None:
        found.write(textfile)
    if port is not None:
        bound = found.serve(host, port)
        Reporter().say(f"Metrics at http://{host}:{bound}/metrics, read every {every:g} s. Ctrl-C stops.")
        while True:
            time.sleep(every)
            found.refresh(datetime.now(UTC))
            if textfile is not None:
                found.write(textfile)
    if textfile is None:
        typer.echo(found.text(), nl=False)
