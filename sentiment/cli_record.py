"""What happened, and what a person decides: ``ledger``, ``history``, ``why``, ``approve``, ``reject``, ``rollback``."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

if TYPE_CHECKING:
    from sentiment.history import Reign
    from sentiment.why import Why

_FILES_SHOWN = 10
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

app = typer.Typer(
    no_args_is_help=True,
    help="The append-only record of everything that happened to models and data.",
    epilog="Example:\n\n$ sentiment ledger verify",
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
Version = Annotated[str, typer.Argument(help="Model version.")]


@app.callback()
def ledger() -> None:
    """Keep ``verify`` a command of its own."""


@app.command(epilog="Examples:\n\n$ sentiment ledger verify\n\n$ sentiment ledger verify --head 9f86d081884c7d65...")
def verify(
    head: Annotated[
        str | None, typer.Option(help="Hash of an entry seen earlier, which must still be there.", metavar="HASH")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look whether any entry of the ledger was changed, removed, put in or moved; ends with status 4 if so.

    Each entry carries the hash of the one before. The hash of the newest is printed: kept somewhere else and given
    with --head, it also tells that nothing was cut off at the end.
    """
    from sentiment.errors import IntegrityError
    from sentiment.ledger import Ledger
    from sentiment.storage import Storage

    out = Reporter(as_json=as_json)
    with out.step("Verifying the ledger") as notes:
        found = Ledger(Storage(load_settings())).verify(head=head)
        notes.append(f"{found.entries:,} entries")
    if found.problem:
        if as_json:
            out.result(found.to_dict())
        raise IntegrityError(
            f"The ledger is not what was written. {found.problem}",
            fix="Find out who may write to tables/ledger, and compare with a backup. Do not promote until it is clear.",
        )
    out.result(found.to_dict(), f"All {found.entries:,} entries are as they were written.", f"Head: {found.head}")


def history(
    at: Annotated[
        str | None,
        typer.Option(help="Who was champion on this date, or at this moment (UTC).", metavar="DATE"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what happened, oldest first; or who was champion on a date, and why.

    A date is the whole day in UTC, 2026-03-14T09:30 is a moment.
    """
    from sentiment.history import champions_at, reigns
    from sentiment.ledger import Ledger
    from sentiment.storage import Storage

    out = Reporter(as_json=as_json)
    entries = Ledger(Storage(load_settings())).entries()
    if at is not None:
        found = champions_at(entries, at)
        lines = [line for reign in found for line in _reign_lines(reign)]
        out.result([reign.to_dict() for reign in found], *(lines or [f"There was no champion at {at}."]))
        return
    rows = [
        (e.sequence, f"{e.time:%Y-%m-%d %H:%M:%S}", e.event, e.model_version or "", e.actor, e.reason) for e in entries
    ]
    out.table("Ledger", ["no.", "time (UTC)", "event", "version", "who", "reason"], rows)
    champions = reigns(entries)
    last = [f"Champion: version {reign.version} since {reign.since:%Y-%m-%d %H:%M} UTC." for reign in champions[-1:]]
    data = {"entries": [e.to_dict() for e in entries], "champions": [reign.to_dict() for reign in champions]}
    out.result(data, *(last or ["There has been no champion yet."]))


def why(
    asked: Annotated[
        str, typer.Argument(help="Request id of an answer, a model version, `champion`, or a day: 2026-11-14.")
    ],
    as_json: Json = False,
) -> None:
    """Tell where an answer of the API, or a model version, comes from.

    The version, its decision and who approved it, the training run, the snapshot, the files, and the drift that
    caused the training. Of a day, in UTC: why it retrained, or why not.
    """
    from sentiment.why import why as stage

    out = Reporter(as_json=as_json)
    if _DAY.fullmatch(asked.strip()):
        _tell_day(asked.strip(), out)
        return
    found = stage(load_settings(), asked)
    if as_json:
        out.result(found.to_dict())
        return
    out.panel(f"Why {found.asked}", _facts(found))
    rows = [(f"{e.time:%Y-%m-%d %H:%M:%S}", e.event, e.actor, e.reason) for e in found.entries]
    out.table(f"What the ledger says of version {found.version}", ["time (UTC)", "event", "who", "reason"], rows)


def approve(
    version: Version,
    reason: Annotated[str, typer.Option(help="Why; goes to the ledger.")] = "",
    as_json: Json = False,
) -> None:
    """Let a judged version become champion, where gate.approval wants a person's word. Then: promote.

    Counts for this decision against this champion. What the gate rejected cannot be approved.
    """
    from sentiment.registry import Registry
    from sentiment.storage import Storage
    from sentiment.training.approval import approve as stage
    from sentiment.training.promotion import read_decision

    out, settings = Reporter(as_json=as_json), load_settings()
    registry = Registry(settings)
    model = registry.version(version)
    decision = read_decision(Storage(settings), model.version)
    stage(settings, registry=registry, version=model, decision=decision, reason=reason)
    data = {"version": model.version, "approved": True, "reason": reason}
    out.result(data, f"Approved version {model.version}.", f"Next: sentiment promote {model.version}")


def reject(
    version: Version,
    reason: Annotated[str, typer.Option(help="Why; goes to the ledger.")],
    as_json: Json = False,
) -> None:
    """Bar a version from becoming champion, by promotion or by rollback, until somebody approves it."""
    from sentiment.registry import Registry
    from sentiment.storage import Storage
    from sentiment.training.approval import reject as stage
    from sentiment.training.promotion import read_decision

    out, settings = Reporter(as_json=as_json), load_settings()
    model = Registry(settings).version(version)
    stage(settings, version=model, decision=read_decision(Storage(settings), model.version), reason=reason)
    data = {"version": model.version, "approved": False, "reason": reason}
    out.result(data, f"Rejected version {model.version}: {reason}")


def rollback(
    to: Annotated[str | None, typer.Option(help="Version to go back to; the champion before if not given.")] = None,
    reason: Annotated[str, typer.Option(help="Why; goes to the ledger.")] = "",
    as_json: Json = False,
) -> None:
    """Make an earlier version the champion again and serve it: alias and release together.

    Any version that was champion once and that nobody rejected can come back, if its files are those that were
    registered. Without --to, each call goes one champion further back; one that was interrupted is finished first.
    """
    from sentiment.deployment.rollback import rollback as stage
    from sentiment.registry import Registry

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Rolling back"):
        found = stage(settings, registry=Registry(settings), to=to, reason=reason)
    data = {**found.release.to_dict(), "left": found.left, "changed": found.changed, "said": found.said}
    out.result(data, found.said, f"Serving {found.release}.")


def _tell_day(asked: str, out: Reporter) -> None:
    from sentiment.drift.aftermath import answer
    from sentiment.errors import SettingsError
    from sentiment.why import why_on

    try:
        day = date.fromisoformat(asked)
    except ValueError as error:
        raise SettingsError(f"{asked} is not a day: {error}.", fix="Write it like 2026-11-14.") from error
    found = why_on(load_settings(), day)
    out.result(found.to_dict(), *answer(found))
    checks = [(f"{c.time:%H:%M:%S}" if c.time else "", c.word, c.id, "".join(c.reasons[:1])) for c in found.checks]
    if checks:
        out.table("Drift checks", ["time (UTC)", "verdict", "check", "why"], checks)


def _reign_lines(reign: Reign) -> list[str]:
    until = f"to {reign.until:%Y-%m-%d %H:%M}" if reign.until else "until now"
    lines = [f"Version {reign.version} was champion from {reign.since:%Y-%m-%d %H:%M} {until} (UTC)."]
    lines.append(f"  Made champion by {reign.began.actor}. {reign.why}")
    if reign.began.snapshot:
        lines.append(f"  Learned from {reign.began.snapshot}, run {reign.began.run_id}.")
    return lines


def _facts(found: Why) -> dict[str, str]:
    answer, decided, approved = found.answer, found.last("decided"), found.last("approved")
    promoted, trained = found.last("promoted"), found.last("trained")
    facts = {}
    if answer:
        facts["Answer"] = f"{answer.label}, score {answer.score:.3f} (0 negative, 1 positive), at {answer.predicted_at}"
        facts["Text"] = answer.told[:500]
    facts["Version"] = found.version + (f", model card {found.card}" if found.card else "")
    facts["Decision"] = f"{decided.reason} ({decided.time:%Y-%m-%d %H:%M} UTC)" if decided else "not recorded"
    said = f"{approved.actor}, {approved.time:%Y-%m-%d %H:%M} UTC: {approved.reason}" if approved else ""
    facts["Approved by"] = said or "nobody had to"
    facts["Promoted"] = f"{promoted.time:%Y-%m-%d %H:%M} UTC by {promoted.actor}" if promoted else "never"
    facts["Training"] = f"run {found.run_id}" + (f", {trained.reason}" if trained else "")
    facts["Because of"] = found.cause
    if drift := found.drift:
        reasons = "".join(f"\n· {reason}" for reason in drift.reasons)
        facts["Because of"] += f": {drift.state or 'its report has been removed'}{reasons}"
    facts["Snapshot"] = found.snapshot
    shown = [f"{file.name}: {file.rows:,} reviews, {file.by} {file.at}" for file in found.files[:_FILES_SHOWN]]
    if more := len(found.files) - len(shown):
        shown.append(f"and {more:,} more")
    facts["Files"] = "\n".join(shown) or "not known"
    return facts
