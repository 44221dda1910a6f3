"""``sentiment data``: the snapshots of the reviews, and what changed between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

if TYPE_CHECKING:
    from sentiment.storage import Storage

app = typer.Typer(
    no_args_is_help=True,
    help="Snapshots of the reviews: log, show, diff, profile.",
    epilog="Examples:\n\n$ sentiment data log\n\n$ sentiment data diff v11 v12",
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
SnapshotName = Annotated[str, typer.Argument(help="Snapshot, such as reviews@v12, v12 or 12.")]


@app.command()
def log(as_json: Json = False) -> None:
    """List the snapshots, newest first."""
    from sentiment.reviews.versions import snapshot_log
    from sentiment.storage import Storage

    out, storage = Reporter(as_json=as_json), Storage(load_settings())
    commits = snapshot_log(storage)
    out.table(
        "Snapshots",
        ["snapshot", "time (UTC)", "rows added", "by", "from", "contract"],
        [
            (
                entry.snapshot,
                entry.committed_at.removesuffix("+00:00").replace("T", " "),
                "same reviews" if entry.same_reviews else f"{entry.rows_added:+,}",
                entry.made_by,
                entry.made_from,
                "" if entry.contract is None else f"v{entry.contract}",
            )
            for entry in commits
        ],
    )
    if as_json:
        out.result([entry.to_dict() for entry in commits])


@app.command()
def show(
    snapshot: Annotated[str | None, typer.Argument(help="Snapshot; the latest if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a snapshot holds: rows, labels, splits, sources, digest."""
    from sentiment.reviews.versions import summarise
    from sentiment.storage import Storage

    out, storage = Reporter(as_json=as_json), Storage(load_settings())
    found = summarise(storage, _version(storage, snapshot))
    out.panel(
        found.snapshot,
        {
            "Rows": f"{found.rows:,}",
            "Labels": _counted(found.labels),
            "Splits": _counted(found.splits),
            "Sources": _counted(found.sources),
            "Digest": found.digest,
        },
    )
    if as_json:
        out.result(found.to_dict())


@app.command()
def diff(old: SnapshotName, new: SnapshotName, as_json: Json = False) -> None:
    """Tell what changed from one snapshot to another: rows, labels, sources, words."""
    from sentiment.reviews.table import parse_snapshot
    from sentiment.reviews.versions import compare
    from sentiment.storage import Storage

    out, storage = Reporter(as_json=as_json), Storage(load_settings())
    found = compare(storage, parse_snapshot(old), parse_snapshot(new))
    out.panel(
        f"{found.old} to {found.new}",
        {
            "Rows": f"{found.rows:+,}" + (" (the same reviews)" if found.same_reviews else ""),
            "Labels": _counted(found.labels, sign="+"),
            "Splits": _counted(found.splits, sign="+"),
            "Sources": _counted(found.sources, sign="+"),
            "Words of the new": ", ".join(found.words) or "none stand out",
        },
    )
    if as_json:
        out.result(found.to_dict())


@app.command()
def profile(
    snapshot: Annotated[str | None, typer.Argument(help="Snapshot; the latest if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Write an HTML report: class balance, lengths, scripts, look-alikes, most telling words."""
    from sentiment.reviews.profile import profile_snapshot
    from sentiment.reviews.profile_page import write_profile
    from sentiment.storage import Storage

    out, storage = Reporter(as_json=as_json), Storage(load_settings())
    with out.step("Looking through the reviews"):
        found = profile_snapshot(storage, _version(storage, snapshot))
        path = storage.uri(write_profile(storage, found))
    out.result({**found.to_dict(), "report": path}, f"Report: {path}")


def _version(storage: Storage, snapshot: str | None) -> int:
    """Return the version of a snapshot by name, or the latest."""
    from sentiment.errors import DataError
    from sentiment.reviews.table import latest_snapshot, parse_snapshot

    if snapshot:
        return parse_snapshot(snapshot)
    latest = latest_snapshot(storage)
    if latest is None:
        raise DataError("There are no reviews yet.", fix="Ingest some: `sentiment ingest FILE`.")
    return latest.version


def _counted(counts: Mapping[str, int], *, sign: str = "") -> str:
    return ", ".join(f"{name} {count:{sign},}" for name, count in counts.items()) or "none"
