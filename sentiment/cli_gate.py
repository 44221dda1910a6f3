"""``sentiment backtest``: what another policy of the gate would have decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

if TYPE_CHECKING:
    from sentiment.training.backtest import Replay

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]


def backtest(
    policy: Annotated[Path, typer.Option(readable=False, help="TOML file with a section [gate].")],
    as_json: Json = False,
) -> None:
    """Replay the recorded decisions under another policy: which would change, and what that costs in accuracy.

    What the file does not name stays as it is set now. Nothing is written. Each challenger is compared with the
    champion that it was compared with.
    """
    from sentiment.training.backtest import backtest as stage
    from sentiment.training.backtest import read_policy

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Replaying") as notes:
        found = stage(settings, read_policy(policy, settings.gate))
        changed = [replay for replay in found.replays if replay.changed]
        notes.append(f"{len(found.replays)} decisions, {len(changed)} would be others")
    out.table(
        f"Decisions under {policy.name}",
        ["version", "against", "was", "would be", "reason"],
        [(item.version, item.champion or "none", item.before, item.after, item.reason) for item in found.replays],
    )
    lines = [_change(replay) for replay in changed]
    lines += [f"Version {version} has no recorded evidence." for version in found.without_evidence]
    out.result(found.to_dict(), *lines)


def _change(replay: Replay) -> str:
    said = f"Version {replay.version} would {'' if replay.promoted_after else 'not '}be promoted"
    if replay.cost is None or replay.low is None or replay.high is None:
        return f"{said}."
    cost, low, high = (f"{value * 100:+.1f}" for value in (replay.cost, replay.low, replay.high))
    return f"{said}; that loses {cost} points of accuracy on the held-out reviews ({low} to {high})."
