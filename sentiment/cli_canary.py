"""``sentiment canary``: whether a new version may get more traffic, without Airflow."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

if TYPE_CHECKING:
    from sentiment.deployment.canary import CanaryVerdict

EXIT = {"pass": 0, "fail": 10, "wait": 11}
"""Status for each verdict."""

app = typer.Typer(
    no_args_is_help=True,
    help="Watch a new version beside the one that it shall replace.",
    epilog="Example:\n\n$ sentiment canary look --stable 3 --canary 4 --minutes 15",
    add_completion=False,
)


@app.callback()
def _group() -> None:
    """Keep `look` a command of its own, though it is the only one."""


@app.command(
    epilog="Examples:\n\n$ sentiment canary look --stable 3 --canary 4 --since 2026-06-01T12:00:00Z --record\n\n"
    "$ sentiment canary look --stable 3 --canary 4 --wait --json | jq .state"
)
def look(
    stable: Annotated[str, typer.Option(help="Model version that serves.")],
    canary: Annotated[str, typer.Option(help="Model version that shall replace it.")],
    since: Annotated[
        datetime | None,
        typer.Option(help="When this step began, UTC.", formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S"]),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="It began so long ago, if --since is not given.")] = 0.0,
    weight: Annotated[
        int, typer.Option(min=1, max=99, help="Percent of the traffic that it gets; for the record.")
    ] = 5,
    wait: Annotated[
        bool, typer.Option("--wait", help="Look again, as canary.look_seconds says, until decided.")
    ] = False,
    record: Annotated[bool, typer.Option("--record", help="Write a verdict that decides to the ledger.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")] = False,
) -> None:
    """Judge one step of a rollout, whoever does it: ask Prometheus about both versions and mirror requests to them.

    The status is 0 if the next step may begin, 10 if the canary must go, 11 if it is too early to say. Every series
    must have a label `track` that is stable or canary.
    """
    from sentiment.deployment.canary import look as stage
    from sentiment.deployment.canary import record as write_down

    out, settings, now = Reporter(as_json=as_json), load_settings(), datetime.now(UTC)
    began = since.replace(tzinfo=UTC) if since else now - timedelta(minutes=minutes)
    look_now = partial(stage, settings, stable=stable, canary=canary, weight=weight, since=began)
    with out.step(f"Looking at version {canary} beside {stable}") as notes:
        verdict = look_now(now=now)
        while wait and verdict.state == "wait":
            time.sleep(settings.canary.look_seconds)
            verdict = look_now(now=datetime.now(UTC))
        notes.append(verdict.state)
    if record:
        write_down(settings, verdict, stable=stable, canary=canary, weight=weight, since=began)
    _show(out, verdict)
    raise typer.Exit(EXIT[verdict.state])


def _show(out: Reporter, verdict: CanaryVerdict) -> None:
    stable, canary = verdict.evidence["stable"] or {}, verdict.evidence["canary"] or {}
    out.table(
        "Evidence", ["", "stable", "canary"], [(name, _cell(stable[name]), _cell(canary[name])) for name in stable]
    )
    p_values = verdict.evidence["p_values"]
    rows = [
        (one.state, one.signal, one.said, f"{p_values.get(one.signal, ''):.2g}" if one.signal in p_values else "")
        for one in verdict.reasons
    ]
    out.table("Reasons", ["", "signal", "what was seen", "p"], rows)
    out.result(verdict.to_dict(), f"{verdict.state}: {verdict.said}")


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)
