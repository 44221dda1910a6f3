"""``sentiment quarantine``: what was refused or is held, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

_SHOWN = ("row_number", "reason", "label", "written", "text", "contract")
_LONGEST = 200

app = typer.Typer(
    no_args_is_help=True,
    help="Refused rows and held batches: list, show, replay, release, drop.",
    epilog="Examples:\n\n$ sentiment quarantine list\n\n$ sentiment quarantine release c0d0aa579f9a",
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
BatchName = Annotated[str, typer.Argument(help="Batch, as `list` names it.")]
Reason = Annotated[str, typer.Option(help="Why; goes to the ledger.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the held batches, and the refused rows by batch and reason."""
    from sentiment.reviews.held import held_batches
    from sentiment.reviews.quarantine import list_refused
    from sentiment.storage import Storage

    out, storage = Reporter(as_json=as_json), Storage(load_settings())
    held, refused = held_batches(storage), list_refused(storage)
    out.table(
        "Held whole",
        ["batch", "file", "rows", "why"],
        [(batch.key, batch.name, f"{batch.counts['rows']:,}", "; ".join(batch.reasons)) for batch in held],
    )
    out.table(
        "Refused rows",
        ["batch", "file", "rows", "reasons"],
        [(part.batch, part.source_file, f"{part.rows:,}", _counted(part.reasons)) for part in refused],
    )
    if as_json:
        out.result({"held": [batch.to_dict() for batch in held], "refused": [part.to_dict() for part in refused]})


@app.command()
def show(
    batch: BatchName,
    rows: Annotated[int, typer.Option(min=1, help="Most rows to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show why a batch is held, or the first of its refused rows with their reasons."""
    from sentiment.reviews.held import find
    from sentiment.reviews.quarantine import show_refused
    from sentiment.storage import Storage

    out, storage = Reporter(as_json=as_json), Storage(load_settings())
    if held := find(storage, batch):
        counts = held.counts
        facts = {"File": held.name, "Held since": held.held_at, "Why": "; ".join(held.reasons)}
        facts |= {"Labels": _counted(counts["labels"]), "Refused": _counted(counts["refused"])}
        out.panel(f"Batch {held.key}", facts)
        if as_json:
            out.result(held.to_dict())
        return
    found = show_refused(storage, batch, newest=rows)
    out.table(
        f"Refused rows of {batch}",
        ["row", "reason", "label", "written", "text", "contract"],
        [tuple(_cell(row[name]) for name in _SHOWN) for row in found],
    )
    if as_json:
        out.result(found)


@app.command()
def replay(
    batch: Annotated[str | None, typer.Argument(help="Batch, as `list` names it; all of them if not given.")] = None,
    label: Annotated[str | None, typer.Option(help="Only rows with this label; settles a disagreement.")] = None,
    as_json: Json = False,
) -> None:
    """Move refused rows through the contract again, after a rule or a setting was corrected.

    Feedback that is held for review is taken in only when its batch is named.
    """
    from sentiment.reviews.quarantine import replay as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Replaying"):
        result = stage(settings, batch=batch, label=label)
    out.result(
        result.to_dict(),
        f"Accepted {result.accepted:,}, {result.duplicates:,} are there already, "
        f"{sum(result.refused.values()):,} stay refused; now {result.snapshot or 'no snapshot'}.",
    )


@app.command()
def release(batch: BatchName, reason: Reason = "", as_json: Json = False) -> None:
    """Take a held batch in, whatever the policy says of it."""
    from sentiment.reviews.quarantine import release as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step(f"Releasing {batch}"):
        loaded = stage(settings, batch=batch, reason=reason)
    data = {"batch": loaded.batch_id, "accepted": loaded.accepted, "duplicates": loaded.duplicates}
    said = f"Accepted {loaded.accepted:,}; {loaded.duplicates:,} were there already; "
    out.result({**data, "refused": dict(loaded.refused)}, said + f"refused {sum(loaded.refused.values()):,}.")


@app.command()
def drop(batch: BatchName, reason: Reason = "", as_json: Json = False) -> None:
    """Remove a held batch, or the refused rows of a batch, for good."""
    from sentiment.reviews.quarantine import drop as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step(f"Dropping {batch}"):
        rows = stage(settings, batch=batch, reason=reason)
    out.result({"batch": batch, "rows": rows}, f"Dropped {rows:,} rows.")


def _cell(value: object) -> str:
    return "" if value is None else str(value)[:_LONGEST]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
