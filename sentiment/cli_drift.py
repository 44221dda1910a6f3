"""``sentiment drift``: the champion's live traffic, or any two sides, compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentiment.console import Reporter
from sentiment.errors import SettingsError, storage_errors
from sentiment.settings import Settings, load_settings

if TYPE_CHECKING:
    from sentiment.drift.archive import DriftCheck
    from sentiment.drift.sides import Side
    from sentiment.drift.verdict import JudgedSignal
    from sentiment.registry import Registry

SAID_NO = 10

_DOES = {"retrain": "Retrain the model.", "ask_for_labels": "Have some of the current texts labelled."}
_SIDE = "a file, a snapshot (reviews@v12, reviews@v12:held-out) or a window (2026-11-01..2026-11-08)"


def drift(
    reference: Annotated[str | None, typer.Option(help=f"What to compare with: {_SIDE}.")] = None,
    current: Annotated[str | None, typer.Option(help="What to check: likewise.")] = None,
    start: Annotated[datetime | None, typer.Option(help="Start of the window of live traffic (UTC).")] = None,
    end: Annotated[datetime | None, typer.Option(help="End of the window (UTC); now if not given.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Column that holds the text; found by its name if not given.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column that holds the label or rating; found by its name if not given.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Where to write the HTML report.")] = None,
    no_champion: Annotated[
        bool, typer.Option("--no-champion", help="Compare texts and labels only, whatever the champion says of them.")
    ] = False,
    fail: Annotated[bool, typer.Option("--fail-on-drift", help="End with status 10 when drifted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")] = False,
) -> None:
    """Check the live traffic for drift, or compare any two files, snapshots or windows.

    The verdict is stable, watch, drifted or insufficient_data, each with its reasons. Without sides, live traffic is
    compared with held-out rows of the champion's snapshot, and the report is kept. Two files need no platform: nothing
    is written but what --report names.
    """
    if (reference is None) != (current is None):
        raise SettingsError("--reference and --current go together.", fix="Give both sides, or neither.")
    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Checking for drift") as notes:
        if reference is None or current is None:
            if no_champion or text or label:
                raise SettingsError(
                    "--no-champion, --text and --label are for two sides of your own.",
                    fix="Give --reference and --current.",
                )
            found = _traffic(settings, start=start, end=end, report=report)
        elif start or end:
            raise SettingsError(
                "--start and --end are for live traffic against the champion's data.",
                fix="Write a window as a side: --current 2026-11-01..2026-11-08.",
            )
        else:
            from sentiment.drift.sides import parse_side

            sides = [parse_side(side, text_column=text, label_column=label) for side in (reference, current)]
            found = _two_sides(settings, *sides, report=report, with_champion=not no_champion)
        notes.append(found.verdict.state)
    out.result(found.to_dict(), *_lines(found))
    out.table(
        "Signals",
        ["signal", "distance", "counts from", "p", "reference", "current", "counts"],
        [_row(signal, settings) for signal in found.verdict.signals],
    )
    if fail and found.verdict.state == "drifted":
        raise typer.Exit(SAID_NO)


def _traffic(settings: Settings, *, start: datetime | None, end: datetime | None, report: Path | None) -> DriftCheck:
    from sentiment.drift.run import check_drift
    from sentiment.registry import Registry
    from sentiment.storage import Storage

    found = check_drift(settings, registry=Registry(settings), start=_utc(start), end=_utc(end) or datetime.now(UTC))
    storage = Storage(settings)
    if report is None or found.report is None:
        return replace(found, report=storage.uri(str(found.report)))
    return _written(found, storage.read(found.report), report)


def _two_sides(
    settings: Settings, reference: Side, current: Side, *, report: Path | None, with_champion: bool
) -> DriftCheck:
    from sentiment.drift.comparison import compare_sides
    from sentiment.drift.sides import FileSide
    from sentiment.storage import Storage

    has_file = isinstance(reference, FileSide) or isinstance(current, FileSide)
    registry = _registry(settings) if with_champion else None
    compared = compare_sides(settings, reference=reference, current=current, registry=registry)
    if report is not None:
        return _written(compared.check, compared.page().encode("utf-8", errors="replace"), report)
    if has_file:
        return compared.check
    storage = Storage(settings)
    found = compared.publish(storage)
    return replace(found, report=storage.uri(str(found.report)))


def _registry(settings: Settings) -> Registry | None:
    """Return where the champion is; None where there is no platform, which is not begun for a comparison."""
    from sentiment.registry import Registry

    begun = settings.registry.tracking_uri or (settings.local_dir / "mlflow" / "mlflow.db").is_file()
    return Registry(settings) if begun else None


def _written(check: DriftCheck, page: bytes, report: Path) -> DriftCheck:
    with storage_errors(str(report)):
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_bytes(page)
    return replace(check, report=str(report.resolve()))


def _lines(found: DriftCheck) -> list[str]:
    verdict = found.verdict
    return [
        f"Verdict: {verdict.state}",
        *(f"  {reason}" for reason in verdict.reasons),
        *(f"Do: {_DOES[action]}" for action in verdict.actions),
        *(f"It would find: {shift}" for shift in verdict.detectable),
        f"Report: {found.report or 'not written; --report FILE writes it'}",
    ]


def _row(signal: JudgedSignal, settings: Settings) -> tuple[str, ...]:
    from sentiment.drift.significance import smallest_distance
    from sentiment.drift.verdict import TITLES, show, show_p

    threshold = smallest_distance(signal.name, settings.drift) if signal.threshold is None else signal.threshold
    return (
        TITLES.get(signal.name, signal.name),
        f"{signal.distance:.3f}",
        f"{threshold:.3f}",
        show_p(signal.adjusted_p),
        show(signal, signal.reference),
        show(signal, signal.current),
        "yes" if signal.counts else "no",
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
