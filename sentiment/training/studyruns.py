"""Studies in MLflow: a parent run for each, a run below it for each trial, the comparison as files of the parent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from sentiment.registry import Registry
from sentiment.training.comparison import draw_comparison, draw_grid, markdown
from sentiment.training.crossval import TrialResult
from sentiment.training.studies import OneTrial, Study

STUDY, TRIAL, KEY = "sentiment.study", "sentiment.trial", "sentiment.study_key"
_PARENT, _NAME, _RESULT = "mlflow.parentRunId", "mlflow.runName", "sentiment.result"
_SHOWN = ("accuracy", "macro_f1", "auc", "log_loss", "expected_calibration_error")


class StudyRuns:
    """The runs of studies in the experiment ``<registry.experiment>-studies``."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def begin(self, study: Study[Any], *, key: str, snapshot: str) -> str:
        """Return the parent run of a study; made if there is none with this key."""
        with self._registry.client("begin a study") as client:
            experiment = self._registry.experiment_id("-studies")
            found = client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
            tags = {STUDY: study.name, KEY: key, "sentiment.snapshot": snapshot, "mlflow.note.content": study.question}
            run = client.create_run(experiment, tags={**tags, _NAME: f"{study.name} on {snapshot}"})
            return str(run.info.run_id)

    def results(self, parent: str) -> dict[str, TrialResult]:
        """Return what was found of the trials that are complete, by name."""
        with self._registry.client("read the trials") as client:
            experiment = client.get_run(parent).info.experiment_id
            where = f"tags.`{_PARENT}` = '{parent}' and attributes.status = 'FINISHED'"
            found = client.search_runs([experiment], where, max_results=1_000, order_by=["attributes.start_time DESC"])
        return {run.data.tags[TRIAL]: TrialResult(**json.loads(run.data.tags[_RESULT])) for run in found}

    def log_result(self, parent: str, trial: OneTrial, result: TrialResult) -> None:
        """Log a trial as a run below its study; it counts once it is complete."""
        from mlflow.entities import Metric, Param

        with self._registry.client("log a trial") as client:
            experiment = client.get_run(parent).info.experiment_id
            tags = {_PARENT: parent, _NAME: trial.name, TRIAL: trial.name}
            run = client.create_run(experiment, tags=tags)
            now = run.info.start_time
            metrics = {
                **result.metrics,
                **{f"{name}_standard_error": value for name, value in result.errors.items()},
                "fit_cpu_seconds": result.seconds,
            }
            client.log_batch(
                run.info.run_id,
                metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
                params=[Param(name, str(value)) for name, value in trial.said.items()],
            )
            client.set_tag(run.info.run_id, _RESULT, json.dumps(result.to_dict()))
            client.set_terminated(run.info.run_id)

    def conclude(
        self, parent: str, study: Study[Any], results: Sequence[TrialResult], *, verdict: str = "", chosen: str = ""
    ) -> None:
        """Log the comparison of all trials with the parent run, and end it.

        `verdict` is said above the table; `chosen` is the trial that it names, the best if not given.
        """
        with self._registry.client("log a comparison") as client:
            client.log_text(parent, markdown(study, results, verdict=verdict), "comparison.md")
            client.log_text(parent, _csv(results), "comparison.csv")
            client.log_figure(parent, draw_comparison(study, results), "comparison.png")
            if study.axes is not None:
                client.log_figure(parent, draw_grid(study, results), "grid.png")
            best = results[0]
            for name in _SHOWN:
                if name in best.metrics:
                    client.log_metric(parent, f"best_{name}", best.metrics[name])
            client.set_tag(parent, "sentiment.best", best.trial)
            client.set_tag(parent, "sentiment.chosen", chosen or best.trial)
            client.set_terminated(parent)


def _csv(results: Sequence[TrialResult]) -> str:
    names = list(results[0].metrics)
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["trial", *(column for name in names for column in (name, f"{name}_standard_error")), "fit_seconds"])
    for result in results:
        cells = [value for name in names for value in (result.metrics.get(name), result.errors.get(name))]
        table.writerow([result.trial, *cells, result.seconds])
    return file.getvalue()
