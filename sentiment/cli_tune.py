"""``sentiment tune``: search better settings of training, and train with them if asked."""

from __future__ import annotations

from typing import Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings


def tune(
    snapshot: Annotated[
        str | None, typer.Option(help="Snapshot, such as reviews@v12; the latest if not given.")
    ] = None,
    newest: Annotated[
        int | None, typer.Option(min=100, help="Only the newest so many training reviews; tune.rows if not given.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Also try this model (may be repeated); tune.models if not given.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Paths at a time; one a core if not given.")] = None,
    train: Annotated[bool, typer.Option("--train", help="Then train a candidate with what was chosen.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")] = False,
) -> None:
    """Search better settings of training by cross-validation on the training split, as nested MLflow runs.

    Held-out reviews are not looked at, and nothing is changed: lines for sentiment.toml are printed. Interrupted, the
    same command goes on where it was.
    """
    from joblib import cpu_count

    from sentiment.registry import Registry
    from sentiment.training.comparison import COLUMNS, behind_best
    from sentiment.training.train import train as learn
    from sentiment.training.tune import tune as stage
    from sentiment.training.tune import tuned

    out = Reporter(as_json=as_json)
    settings = load_settings(**({"tune": {"models": model}} if model else {}))
    registry = Registry(settings)
    with out.step("Searching") as notes:
        found = stage(
            settings,
            registry=registry,
            snapshot=snapshot,
            newest=newest,
            jobs=jobs or cpu_count(),
            announce=out.say,
        )
        notes.append(found.reason)
    best = found.results[0]
    out.table(
        f"{len(found.results)} trials on {found.rows:,} reviews of {found.snapshot}; ± is one standard error",
        ["trial", *COLUMNS.values(), "behind", "CPU s"],
        [
            (
                result.trial,
                *(f"{result.metrics[name]:.4f}" if name in result.metrics else "" for name in COLUMNS),
                "" if result is best else "{:.4f} ± {:.4f}".format(*behind_best(result, best, found.metric)),
                f"{result.seconds:.1f}",
            )
            for result in found.results
        ],
    )
    said = [found.reason, f"Table and picture: MLflow run {found.run_id}"]
    if found.better:
        said += ["To keep this, in sentiment.toml:", "", *found.lines_to_keep(), ""]
    data = found.to_dict()
    if train:
        with out.step("Training") as notes:
            chosen = tuned(settings, found.training)
            candidate = learn(chosen, registry=registry, snapshot=found.snapshot, searched=found.run_id)
            notes.append(f"accuracy {candidate.metrics['accuracy']:.1%} on {candidate.test_rows:,} held-out reviews")
        data["candidate"] = candidate.to_dict()
        said += [f"Candidate: run {candidate.run_id}", f"Next: sentiment promote {candidate.run_id}"]
    out.result(data, *said)
