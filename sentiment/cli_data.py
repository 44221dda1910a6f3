"""``sentiment data``: the snapshots of the reviews, and what changed between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

if TYPE_CHECKING:
    from sentiment.reviews.versions import SnapshotDiff
    from sentiment.storage import Storage

app = typer.Typer(
    no_args_is_help=True,
    help="Snapshots of the reviews: log, show, diff, profile.",
    epilog="Examples:\n\n$ sentiment data log\n\n$ sentiment data diff v11 v12",
    add_completion=False,
)

_MOST_CHANGES = 20

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
            "Contract": _counted({f"version {name}:": count for name, count in found.contracts.items()}),
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
    words = ", ".join(found.words) or "none stand out"
    rows = f"{found.before.rows:,} to {found.after.rows:,} ({found.rows:+,})"
    same = "the same reviews, labels and splits" if found.same_reviews else "not the same reviews"
    out.panel(f"{found.old} to {found.new}", {"Rows": rows, "Digests": same, "Words of the new": words})
    if not found.same_reviews:
        out.table("What changed", ["", "", found.old, found.new, "change"], _changes(found))
    if as_json:
        out.result(found.to_dict())


@app.command()
def profile(
    snapshot: Annotated[str | None, typer.Argument(help="Snapshot; the latest if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Write an HTML report: class balance, lengths, languages, near copies, telling words, what was refused."""
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


def _changes(found: SnapshotDiff) -> Iterator[tuple[str, ...]]:
    """Yield a row for each label, split and source that has more or fewer reviews; the largest changes first."""
    for kind in ("labels", "splits", "sources"):
        before, after = getattr(found.before, kind), getattr(found.after, kind)
        changed = sorted(getattr(found, kind).items(), key=lambda item: (-abs(item[1]), item[0]))
        for place, (name, change) in enumerate(changed[:_MOST_CHANGES]):
            counts = (f"{side.get(name, 0):,}" for side in (before, after))
            yield ("" if place else kind.removesuffix("s"), name, *counts, f"{change:+,}")
        if rest := changed[_MOST_CHANGES:]:
            yield ("", f"{len(rest):,} others", "", "", f"{sum(change for _, change in rest):+,}")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
