"""The command line: every stage without Airflow.

Results go to standard output (``--json`` for scripts), everything else to standard error. The exit status is 0 when
the command did its work, 10 when a drift check or the gate said no, and otherwise that of the error (see
`sentiment.errors`): 2 settings or usage, 3 data, 4 model, 5 service, 6 storage, 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentiment.cli_data import app as data_commands
from sentiment.cli_quarantine import app as quarantine
from sentiment.console import Reporter
from sentiment.errors import SentimentError, SettingsError
from sentiment.settings import Settings, load_settings

if TYPE_CHECKING:
    from sentiment.registry import Registry
    from sentiment.training.gate import Decision

SAID_NO = 10

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Keeps a sentiment model right: ingest, drift, retrain, gate, deploy, roll back.\n\n"
    "Start with [bold]sentiment demo[/bold], or with your own file: "
    "[bold]sentiment run --data reviews.csv[/bold].",
)

app.add_typer(quarantine, name="quarantine")
app.add_typer(data_commands, name="data")

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
Text = Annotated[str | None, typer.Option(help="Column that holds the text; found by its name if not given.")]
Label = Annotated[str | None, typer.Option(help="Column that holds the label; found by its name if not given.")]


@app.command()
def ingest(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files, label folders, https:// or s3:// addresses; the inbox if none.")
    ] = None,
    text: Text = None,
    label: Label = None,
    source: Annotated[str | None, typer.Option(help="Name of where the reviews come from.")] = None,
    as_json: Json = False,
) -> None:
    """Take reviews in: check them against the contract, quarantine the refused, version the accepted.

    Reads csv, tsv and jsonl (also .gz or .zst), parquet, xlsx and folders of txt. The same file twice adds nothing.
    """
    from sentiment.reviews.ingest import ingest as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Taking in reviews") as notes:
        result = stage(settings, paths=files or (), text=text, label=label, source=source)
        notes.append(f"{result.accepted:,} accepted")
    out.result(result.to_dict(), *_ingest_lines(result))


@app.command()
def drift(
    reference: Annotated[
        Path | None, typer.Option(help="File to compare with, instead of the champion's data.")
    ] = None,
    current: Annotated[Path | None, typer.Option(help="File to check, instead of the live traffic.")] = None,
    start: Annotated[datetime | None, typer.Option(help="Start of the window of live traffic (UTC).")] = None,
    end: Annotated[datetime | None, typer.Option(help="End of the window (UTC); now if not given.")] = None,
    text: Text = None,
    label: Label = None,
    fail: Annotated[bool, typer.Option("--fail-on-drift", help="End with status 10 when drifted.")] = False,
    as_json: Json = False,
) -> None:
    """Check the live traffic, or any two files, for drift; writes an HTML report."""
    from sentiment.drift.files import compare_files
    from sentiment.drift.run import check_drift

    if (reference is None) != (current is None):
        raise SettingsError("--reference and --current go together.", fix="Give both files, or neither.")
    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Checking for drift") as notes:
        if reference is not None and current is not None:
            found = compare_files(
                settings, registry=_registry(settings), reference=reference, current=current, text=text, label=label
            )
        else:
            found = check_drift(
                settings, registry=_registry(settings), start=_utc(start), end=_utc(end) or datetime.now(UTC)
            )
        notes.append(found.verdict.state)
    report = f"{settings.storage.root}/{found.report}"
    out.result(
        found.to_dict(),
        f"Verdict: {found.verdict.state}",
        *(f"  {reason}" for reason in found.verdict.reasons),
        f"Report: {report}",
    )
    if fail and found.verdict.state == "drifted":
        raise typer.Exit(SAID_NO)


@app.command()
def train(
    snapshot: Annotated[
        str | None, typer.Option(help="Snapshot, such as reviews@v12; the latest if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a candidate on a snapshot and log it to MLflow. It replaces nothing: see `promote`."""
    from sentiment.training.train import train as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Training") as notes:
        candidate = stage(settings, registry=_registry(settings), snapshot=snapshot)
        notes.append(f"accuracy {candidate.metrics['accuracy']:.1%} on {candidate.test_rows:,} held-out reviews")
    out.result(
        candidate.to_dict(),
        f"Candidate: run {candidate.run_id}, learned from {candidate.snapshot}",
        f"Next: sentiment promote {candidate.run_id}",
    )


@app.command()
def promote(
    model: Annotated[str | None, typer.Argument(help="Run id or version; the newest candidate if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Let the gate judge a candidate and make it champion if it is provably no worse."""
    from sentiment.training.promotion import judge
    from sentiment.training.promotion import promote as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    registry = _registry(settings)
    with out.step("Judging") as notes:
        version, decision = judge(settings, registry=registry, challenger=_challenger(registry, model))
        notes.append(decision.outcome)
    if decision.outcome == "promote":
        stage(settings, registry=registry, version=version.version)
    _show_decision(out, version.version, decision)
    if decision.outcome != "promote":
        raise typer.Exit(SAID_NO)


@app.command()
def package(
    version: Annotated[str | None, typer.Argument(help="Model version; the champion if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Build the Bento of a model version, after proving that it answers as the trained model does."""
    from sentiment.packaging import package as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Packaging") as notes:
        bento = stage(settings, _registry(settings), version=version)
        notes.append(bento.tag)
    out.result(bento.to_dict(), f"Bento: {bento.tag}", f"Files: {bento.path}")


@app.command()
def deploy(
    version: Annotated[str | None, typer.Argument(help="Model version; the champion if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Serve a model version on this machine; traffic moves once it is ready. `sentiment down` stops it."""
    from sentiment.deployment.release import deploy as stage
    from sentiment.packaging import package as pack

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Deploying") as notes:
        release = stage(settings, pack(settings, _registry(settings), version=version))
        notes.append(f"version {release.model_version} at {release.url}")
    out.result(release.to_dict(), *_try_it(release.url))


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="Version to go back to; the champion before if not given.")] = None,
    reason: Annotated[str, typer.Option(help="Why; goes to the ledger.")] = "",
    as_json: Json = False,
) -> None:
    """Make an earlier version the champion again and serve it: alias and release together."""
    from sentiment.deployment.rollback import rollback as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Rolling back") as notes:
        release = stage(settings, registry=_registry(settings), to=to, reason=reason)
        notes.append(f"version {release.model_version} is champion and served")
    out.result(release.to_dict(), f"Serving version {release.model_version} at {release.url}")


@app.command()
def run(
    data: Annotated[Path, typer.Option(help="File or label folder with labelled reviews.")],
    text: Text = None,
    label: Label = None,
    as_json: Json = False,
) -> None:
    """From a file of yours to a served model: ingest, train, gate, register, promote, package, deploy."""
    from sentiment.deployment.release import deploy as ship
    from sentiment.packaging import package as pack
    from sentiment.reviews.ingest import ingest as take_in
    from sentiment.training.promotion import judge
    from sentiment.training.promotion import promote as make_champion
    from sentiment.training.train import train as learn

    out, settings = Reporter(as_json=as_json), load_settings()
    registry = _registry(settings)
    with out.step(f"Taking in {data.name}") as notes:
        taken = take_in(settings, paths=[data], text=text, label=label)
        notes.append(f"{taken.accepted:,} accepted, {sum(taken.refused.values()):,} refused, {taken.snapshot}")
    with out.step("Training") as notes:
        candidate = learn(settings, registry=registry)
        notes.append(f"accuracy {candidate.metrics['accuracy']:.1%} on {candidate.test_rows:,} held-out reviews")
    with out.step("Judging") as notes:
        version, decision = judge(settings, registry=registry, challenger=candidate)
        notes.append(f"{decision.outcome}: {decision.reason}")
    if decision.outcome != "promote":
        _show_decision(out, version.version, decision)
        raise typer.Exit(SAID_NO)
    make_champion(settings, registry=registry, version=version.version)
    with out.step("Packaging") as notes:
        bento = pack(settings, registry)
        notes.append(bento.tag)
    with out.step("Deploying") as notes:
        release = ship(settings, bento)
        notes.append(f"version {release.model_version} at {release.url}")
    summary = {
        "ingest": taken.to_dict(),
        "candidate": candidate.to_dict(),
        "decision": decision.to_dict(),
        "release": release.to_dict(),
    }
    out.result(summary, *_try_it(release.url), "Stop serving: sentiment down")


@app.command()
def status(as_json: Json = False) -> None:
    """Tell what is: champion, release, data, last drift check, what happened last."""
    from sentiment.status import platform_status

    out, settings = Reporter(as_json=as_json), load_settings()
    found = platform_status(settings, _registry(settings))
    out.panel("Sentiment", found.facts())
    out.table("Versions", ["version", "aliases", "decision", "accuracy", "snapshot"], found.version_rows())
    out.table("Ledger, newest first", ["time (UTC)", "event", "version", "reason"], found.ledger_rows())
    if as_json:
        out.result(found.to_dict())


@app.command()
def up() -> None:
    """Start MLflow, Airflow and the API on this machine, until Ctrl-C."""
    from sentiment.platform import running

    out, settings = Reporter(), load_settings()
    with ExitStack() as stack:
        with out.step("Starting MLflow, Airflow and the API") as notes:
            platform = stack.enter_context(running(settings, announce=out.say))
            notes.append("all healthy")
        out.panel("Running", platform.facts())
        out.say("Ctrl-C stops everything.")
        platform.wait()


@app.command()
def down(as_json: Json = False) -> None:
    """Stop what `up`, `deploy` or `run` left running on this storage root."""
    from sentiment.platform import stop

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Stopping"):
        stopped = stop(settings)
    out.result({"stopped": stopped}, "Stopped: " + (", ".join(stopped) or "nothing was running"))


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything after the summary.")] = False,
) -> None:
    """Watch a model being trained, served, going stale, noticed, retrained, gated and redeployed."""
    from sentiment.demo import run_demo

    run_demo(load_settings(), Reporter(), once=once)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end with a status that means something."""
    from sentiment.supervisor import Terminated, raise_on_termination

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    raise_on_termination()
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="sentiment")
    except SentimentError as error:
        Reporter().error(error)
        sys.exit(error.exit_code)
    except Terminated as signal:
        Reporter().say(f"Ended by {signal}.")
        sys.exit(signal.exit_code)


def _registry(settings: Settings) -> Registry:
    from sentiment.registry import Registry

    return Registry(settings)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _challenger(registry: Registry, model: str | None) -> Any:
    if model is None:
        return registry.newest_candidate()
    return registry.version(model) if model.removeprefix("v").isdigit() else registry.candidate(model)


def _ingest_lines(result: Any) -> list[str]:
    lines = [f"Accepted {result.accepted:,} reviews from {result.files} files; now {result.snapshot or 'no snapshot'}."]
    if result.duplicates:
        lines.append(f"Left out {result.duplicates:,} that were there already.")
    if result.refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in result.refused.items())
        lines.append(f"Quarantined {sum(result.refused.values()):,}: {reasons}.")
    if result.redacted:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in result.redacted.items())
        lines.append(f"Replaced personal data: {kinds}.")
    if result.predictions:
        lines.append(f"Took in {result.predictions:,} predictions.")
    return lines


def _show_decision(out: Reporter, version: str, decision: Decision) -> None:
    out.result(
        {"version": version, **decision.to_dict()},
        f"Version {version}: {decision.outcome}. {decision.reason}",
    )
    out.table(
        "Checks",
        ["check", "outcome", "reason"],
        [(check.name, check.outcome, check.reason) for check in decision.checks],
    )


def _try_it(url: str) -> list[str]:
    return [
        f"Serving at {url}. Try:",
        f"  curl -s {url}/predict -H 'content-type: application/json' "
        """-d '{"text": "Not bad at all, I loved it."}'""",
    ]


if __name__ == "__main__":
    main()
