"""The command line: every stage without Airflow.

Results go to standard output (``--json`` for scripts), everything else to standard error. The exit status is 0 when
the command did its work, 10 when a drift check, the gate or the watch of a canary said no (11: it is too early to
say), and otherwise that of the error (see `sentiment.errors`): 2 settings or usage, 3 data, 4 model, 5 service,
6 storage, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentiment.cli_canary import app as canary
from sentiment.cli_config import app as config
from sentiment.cli_data import app as data_commands
from sentiment.cli_deploy import deploy, try_it
from sentiment.cli_doctor import doctor
from sentiment.cli_drift import SAID_NO, drift
from sentiment.cli_experiment import experiment
from sentiment.cli_gate import backtest
from sentiment.cli_image import image
from sentiment.cli_keys import app as keys
from sentiment.cli_metrics import metrics
from sentiment.cli_models import card, evaluate, explain
from sentiment.cli_predict import predict, score
from sentiment.cli_quarantine import app as quarantine
from sentiment.cli_record import app as ledger
from sentiment.cli_record import approve, history, reject, rollback, why
from sentiment.cli_ship import ship
from sentiment.cli_tune import tune
from sentiment.console import Reporter
from sentiment.errors import SentimentError, storage_errors
from sentiment.settings import Settings, load_settings, refuse_unknown_sections
from sentiment.storage import Storage

if TYPE_CHECKING:
    from sentiment.registry import Registry
    from sentiment.reviews.ingest import IngestResult
    from sentiment.training.approval import Standing
    from sentiment.training.cause import Cause
    from sentiment.training.gate import Decision

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
app.add_typer(ledger, name="ledger")
app.add_typer(keys, name="keys")
app.add_typer(config, name="config")
app.add_typer(canary, name="canary")


def _examples(*lines: str) -> str:
    return "\n\n".join(["Examples:" if len(lines) > 1 else "Example:", *(f"$ {line}" for line in lines)])


Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
Text = Annotated[str | None, typer.Option(help="Column that holds the text; found by its name if not given.")]
Label = Annotated[
    str | None, typer.Option(help="Column that holds the label or rating; found by its name if not given.")
]
Time = Annotated[str | None, typer.Option(help="Column that says when it was written; found by its name if not given.")]


@app.command(
    epilog=_examples(
        "sentiment ingest reviews.csv june.jsonl.gz",
        "sentiment ingest sales.xlsx --text comment --label stars --time sold --source shop",
    )
)
def ingest(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files, label folders, https:// or s3:// addresses; the inbox if none.")
    ] = None,
    text: Text = None,
    label: Label = None,
    time: Time = None,
    source: Annotated[str | None, typer.Option(help="Name of where the reviews come from.")] = None,
    as_json: Json = False,
) -> None:
    """Take reviews in: check them against the contract, quarantine the refused, version the accepted.

    Reads csv, tsv and jsonl (also .gz or .zst), parquet, xlsx and folders of txt. The same file twice adds nothing.
    Ratings become labels by data.scheme, or as data.rating_labels says; words of your own by data.label_words.
    """
    from sentiment.reviews.ingest import ingest as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Taking in reviews") as notes:
        result = stage(settings, paths=files or (), text=text, label=label, time=time, source=source)
        notes.append(_taken_in(result))
    out.result(result.to_dict(), *_ingest_lines(result))


app.command(epilog=_examples("sentiment doctor", "sentiment doctor --bundle for-support.zip"))(doctor)

app.command(
    epilog=_examples(
        "sentiment drift --start 2026-06-01 --end 2026-06-08",
        "sentiment drift --reference may.csv --current june.csv --report june.html --fail-on-drift",
        "sentiment drift --reference reviews@v12:held-out --current 2026-06-01..2026-06-08",
    )
)(drift)


@app.command(epilog=_examples("sentiment train", "sentiment train --snapshot reviews@v12"))
def train(
    snapshot: Annotated[
        str | None, typer.Option(help="Snapshot, such as reviews@v12; the latest if not given.")
    ] = None,
    because: Annotated[
        str | None, typer.Option(help="Why, for `sentiment why`; the champion's drift check if it found drift.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a candidate on a snapshot and log it to MLflow. It replaces nothing: see `promote`.

    The same snapshot and settings are trained once; asked again, the run there is is named.
    """
    from sentiment.training.evaluation_page import main_metrics
    from sentiment.training.train import train as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    registry = _registry(settings)
    with out.step("Training") as notes:
        candidate = stage(settings, registry=registry, snapshot=snapshot, cause=_cause(settings, registry, because))
        notes.append(f"accuracy {candidate.metrics['accuracy']:.1%} on {candidate.test_rows:,} held-out reviews")
    out.panel(f"On {candidate.test_rows:,} held-out reviews, with 95% intervals", main_metrics(candidate.metrics))
    out.result(
        candidate.to_dict(),
        f"Candidate: run {candidate.run_id}, learned from {candidate.snapshot}",
        f"Next: sentiment promote {candidate.run_id}",
    )


app.command(
    epilog=_examples(
        "sentiment evaluate --data may.csv",
        "sentiment evaluate --data imdb.parquet --text review --label sentiment --version 3 --report may.html",
    )
)(evaluate)
app.command(epilog=_examples('sentiment explain "Not bad at all, I loved it."', "sentiment explain --top 30"))(explain)
app.command(
    epilog=_examples(
        'sentiment predict "Not bad at all, I loved it."',
        "cat texts.txt | sentiment predict --json",
        "sentiment predict --input reviews.csv --output out.csv --column review",
        "sentiment predict --input reviews.parquet --output out.parquet --url http://127.0.0.1:3000 --key-file key.txt",
    )
)(predict)
app.command(
    epilog=_examples(
        "sentiment score reviews/ --output scores/",
        "sentiment score s3://bucket/june --output s3://bucket/scores/june --column body --keep id --version 3",
        "sentiment score reviews@v12 --output scores/v12 --keep label",
    )
)(score)
app.command(epilog=_examples("sentiment backtest --policy new.toml", "sentiment backtest --policy new.toml --json"))(
    backtest
)
app.command(epilog=_examples("sentiment card", "sentiment card 3 --output card.html"))(card)
app.command(epilog=_examples("sentiment experiment features --newest 5000", "sentiment experiment regularization"))(
    experiment
)
app.command(epilog=_examples("sentiment tune", "sentiment tune --model linear_svc --model sgd --train"))(tune)


@app.command(epilog=_examples("sentiment promote", "sentiment promote 3"))
def promote(
    model: Annotated[str | None, typer.Argument(help="Run id or version; the newest candidate if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Let the gate judge a candidate and make it champion if it is provably no worse.

    Both models answer the same held-out reviews. The decision and its reasons are kept; a no ends with status 10.
    """
    from sentiment.training.promotion import judge, standing_of
    from sentiment.training.promotion import promote as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    registry = _registry(settings)
    with out.step("Judging") as notes:
        version, decision = judge(settings, registry=registry, challenger=_challenger(registry, model))
        notes.append(decision.outcome)
    now = standing_of(settings, version, decision)
    if now.allowed:
        stage(settings, registry=registry, version=version.version)
    _show_decision(out, version.version, decision, now)
    if not now.allowed:
        raise typer.Exit(SAID_NO)


@app.command(epilog=_examples("sentiment package", "sentiment package 3"))
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


app.command(epilog=_examples("sentiment image", "sentiment image 3 --json"))(image)
app.command(epilog=_examples("sentiment ship", "sentiment ship 3 --json | jq .values"))(ship)
app.command(epilog=_examples("sentiment deploy", "sentiment deploy 3", "sentiment deploy --dry-run"))(deploy)
app.command(epilog=_examples('sentiment rollback --reason "angry about kettles"', "sentiment rollback --to 2"))(
    rollback
)
app.command(epilog=_examples("sentiment approve 3", 'sentiment approve 3 --reason "read the card"'))(approve)
app.command(epilog=_examples('sentiment reject 3 --reason "learned from the wrong shop"'))(reject)
app.command(epilog=_examples("sentiment history", "sentiment history --at 2026-03-14 --json"))(history)
app.command(epilog=_examples("sentiment why 3", "sentiment why 5f0c8d2e9b7a4c31a6de20f1c4b7e893 --json"))(why)


@app.command(
    epilog=_examples(
        "sentiment run --data reviews.csv", "sentiment run --data imdb.parquet --text review --label sentiment"
    )
)
def run(
    data: Annotated[Path, typer.Option(readable=False, help="File or label folder with labelled reviews.")],
    text: Text = None,
    label: Label = None,
    as_json: Json = False,
) -> None:
    """From a file of yours to a served model: ingest, train, gate, register, promote, package, deploy.

    On this machine, the model keeps serving in the background; `sentiment down` stops it. If the gate says no, the
    champion goes on serving and the status is 10.
    """
    from sentiment.deployment.release import deploy as make_live
    from sentiment.packaging import package as pack
    from sentiment.reviews.ingest import ingest as take_in
    from sentiment.training.promotion import judge, standing_of
    from sentiment.training.promotion import promote as make_champion
    from sentiment.training.train import train as learn

    out, settings = Reporter(as_json=as_json), load_settings()
    registry = _registry(settings)
    with out.step(f"Taking in {data.name}") as notes:
        taken = take_in(settings, paths=[data], text=text, label=label)
        notes.append(f"{_taken_in(taken)}, {taken.snapshot}")
    with out.step("Training") as notes:
        candidate = learn(settings, registry=registry)
        notes.append(f"accuracy {candidate.metrics['accuracy']:.1%} on {candidate.test_rows:,} held-out reviews")
    with out.step("Judging") as notes:
        version, decision = judge(settings, registry=registry, challenger=candidate)
        notes.append(f"{decision.outcome}: {decision.reason}")
    now = standing_of(settings, version, decision)
    if not now.allowed:
        _show_decision(out, version.version, decision, now)
        raise typer.Exit(SAID_NO)
    make_champion(settings, registry=registry, version=version.version)
    with out.step("Packaging") as notes:
        bento = pack(settings, registry)
        notes.append(bento.tag)
    with out.step("Deploying") as notes:
        release = make_live(settings, bento, say=out.say)
        notes.append(str(release))
    summary = {
        "ingest": taken.to_dict(),
        "candidate": candidate.to_dict(),
        "decision": decision.to_dict(),
        "release": release.to_dict(),
    }
    out.result(summary, *try_it(release), "Stop serving: sentiment down")


@app.command(epilog=_examples("sentiment status", "sentiment status --json | jq .champion.version"))
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


app.command(
    epilog=_examples(
        "sentiment metrics",
        "sentiment metrics --port 9108",
        "sentiment metrics --textfile /var/lib/node_exporter/textfile/sentiment.prom",
    )
)(metrics)


@app.command(epilog=_examples("sentiment maintain --dry-run", "sentiment maintain --json | jq .bytes"))
def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Merge small files and remove what nothing needs any more: old versions, originals, reports, Bentos.

    Every snapshot that a registered model names stays readable; if MLflow does not answer, nothing is removed. How
    long the rest is kept is set in [retention].
    """
    from sentiment.maintenance import maintain as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Looking what can go" if dry_run else "Tidying up"):
        result = stage(settings, now=datetime.now(UTC), dry_run=dry_run, say=out.say)
    rows = [(where, f"{part.files:,}", f"{part.bytes:,}") for where, part in result.freed.items()]
    if rows:
        out.table("Would be removed" if dry_run else "Removed", ["where", "files", "bytes"], rows)
    total = result.total
    out.result(
        result.to_dict(),
        f"{'Would free' if dry_run else 'Freed'} {total.bytes:,} bytes in {total.files:,} files; "
        f"{sum(result.compacted.values()):,} small files merged, {result.predictions:,} predictions too old.",
        f"Kept for registered models: {', '.join(result.kept) or 'no snapshot, there is no model'}.",
    )


@app.command(epilog=_examples("sentiment up", "SENTIMENT_PLATFORM__AIRFLOW_PORT=9090 sentiment up"))
def up() -> None:
    """Start MLflow, Airflow and the API on this machine, until Ctrl-C.

    Ports that are taken are replaced by free ones. Drop files into the inbox under the storage root and trigger
    the DAGs in Airflow; a version that was served before is served again.
    """
    from sentiment.platform import running

    out, settings = Reporter(), load_settings()
    with ExitStack() as stack:
        with out.step("Starting MLflow, Airflow and the API") as notes:
            platform = stack.enter_context(running(settings, announce=out.say))
            notes.append("all healthy")
        out.panel("Running", platform.facts())
        out.say("Ctrl-C stops everything.")
        platform.wait()


@app.command(epilog=_examples("sentiment down"))
def down(as_json: Json = False) -> None:
    """Stop what `up`, `demo`, `deploy` or `run` left running on this storage root. Data and models stay."""
    from sentiment.platform import stop

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Stopping"):
        stopped = stop(settings)
    out.result({"stopped": stopped}, "Stopped: " + (", ".join(stopped) or "nothing was running"))


@app.command(epilog=_examples("sentiment demo", "sentiment demo --once"))
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything after the summary.")] = False,
) -> None:
    """Watch a model being trained, served, going stale, noticed, retrained, gated and redeployed.

    Takes a few minutes; everything keeps running afterwards, until Ctrl-C. Data of yours is left alone.
    """
    from sentiment.demo import run_demo

    run_demo(load_settings(), Reporter(), once=once)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end with a status that means something."""
    from sentiment.supervisor import Terminated, raise_on_termination

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    raise_on_termination()
    try:
        refuse_unknown_sections(os.environ)
        try:
            app(args=list(arguments) if arguments is not None else None, prog_name="sentiment")
        except OSError as error:
            if error.filename is None:  # not about a file: a defect
                raise
            with storage_errors(str(error.filename)):
                raise
    except SentimentError as error:
        Reporter().error(error)
        sys.exit(error.exit_code)
    except Terminated as signal:
        Reporter().say(f"Ended by {signal}.")
        sys.exit(signal.exit_code)


def _registry(settings: Settings) -> Registry:
    from sentiment.registry import Registry

    return Registry(settings)


def _challenger(registry: Registry, model: str | None) -> Any:
    if model is None:
        return registry.newest_candidate()
    return registry.version(model) if model.removeprefix("v").isdigit() else registry.candidate(model)


def _taken_in(result: IngestResult) -> str:
    if result.skipped and not result.files:
        return "nothing new, the same content was taken in before"
    return f"{result.accepted:,} accepted, {sum(result.refused.values()):,} refused"


def _ingest_lines(result: IngestResult) -> list[str]:
    lines = [f"Accepted {result.accepted:,} reviews from {result.files} files; now {result.snapshot or 'no snapshot'}."]
    if result.skipped:
        lines.append(f"Left out {result.skipped} files whose content was taken in before.")
    if result.duplicates:
        lines.append(f"Left out {result.duplicates:,} that were there already (in the quarantine as duplicate).")
    if result.refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in result.refused.items())
        lines.append(f"Quarantined {sum(result.refused.values()):,}: {reasons}.")
    if result.redacted:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in result.redacted.items())
        lines.append(f"Replaced personal data: {kinds}.")
    if result.predictions:
        lines.append(f"Took in {result.predictions:,} predictions.")
    if any(result.feedback.values()):
        lines.append("Feedback: " + ", ".join(f"{name} {count:,}" for name, count in result.feedback.items()) + ".")
    return lines


def _cause(settings: Settings, registry: Registry, because: str | None) -> Cause:
    """Return why a model is trained: as said, or the newest drift check of the champion if it found drift."""
    from sentiment.drift.archive import newest_check
    from sentiment.training.cause import Cause

    if because:
        return Cause(because)
    champion = registry.champion_or_none()
    check = newest_check(Storage(settings), champion.version) if champion else None
    return Cause.of_drift(check.id, check.verdict.reasons) if check and check.verdict.state == "drifted" else Cause()


def _show_decision(out: Reporter, version: str, decision: Decision, now: Standing) -> None:
    lines = [f"Version {version}: {decision.outcome}. {decision.reason}"]
    if now.waiting:
        lines.append(f"It waits for a person: sentiment approve {version}, or sentiment reject {version} --reason WHY.")
    elif now.word:
        lines.append(now.reason)
    out.result({"version": version, **decision.to_dict(), "waiting": now.waiting, "standing": now.reason}, *lines)
    out.table(
        "Checks",
        ["check", "outcome", "reason"],
        [(check.name, check.outcome, check.reason) for check in decision.checks],
    )


if __name__ == "__main__":
    main()
