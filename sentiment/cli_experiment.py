"""``sentiment experiment``: the classical studies, cross-validated and compared in MLflow."""

from __future__ import annotations

from typing import Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings


def experiment(
    study: Annotated[
        str, typer.Argument(help="baseline, features or regularization.", metavar="STUDY", show_default=False)
    ],
    snapshot: Annotated[
        str | None, typer.Option(help="Snapshot, such as reviews@v12; the latest if not given.")
    ] = None,
    newest: Annotated[
        int | None, typer.Option(min=100, help="Only the newest so many training reviews; all if not given.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Trials at a time; one a core if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")] = False,
) -> None:
    """Compare features and classifiers by cross-validation on the training split, as nested MLflow runs.

    Held-out reviews are not looked at. Interrupted, the same command goes on where it was.
    """
    from joblib import cpu_count

    from sentiment.registry import Registry
    from sentiment.training.comparison import COLUMNS, behind_best
    from sentiment.training.experiment import experiment as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    registry = Registry(settings)
    with out.step(f"Study {study}") as notes:
        found = stage(
            settings,
            registry=registry,
            study=study,
            snapshot=snapshot,
            newest=newest,
            jobs=jobs or cpu_count(),
            announce=out.say,
        )
        notes.append(f"best: {found.results[0].trial}")
    best = found.results[0]
    out.table(
        f"{found.study} on {found.rows:,} reviews of {found.snapshot}; ± is one standard error",
        ["trial", *COLUMNS.values(), "behind", "CPU s"],
        [
            (
                result.trial,
                *(f"{result.metrics[name]:.4f}" if name in result.metrics else "" for name in COLUMNS),
                "" if result is best else "{:.4f} ± {:.4f}".format(*behind_best(result, best)),
                f"{result.seconds:.1f}",
            )
            for result in found.results
        ],
    )
    out.result(found.to_dict(), f"Table and pictures: MLflow run {found.run_id}")
