"""The comparison of a study's trials for people: a table in Markdown, and pictures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment.training.crossval import TrialResult
from sentiment.training.studies import Study, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "log_loss": "log loss",
    "expected_calibration_error": "calibration error",
}
_INK, _BAR, _BEST = "#1b1f24", "#9db7d8", "#2f5f9e"


def behind_best(result: TrialResult, best: TrialResult, metric: str = "macro_f1") -> tuple[float, float]:
    """Return how far a trial is behind the best, fold by fold: mean difference and its standard error."""
    differences = np.subtract(best.folds[metric], result.folds[metric])
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def markdown(study: Study[Any], results: Sequence[TrialResult], *, verdict: str = "") -> str:
    """Return the table, best first; ± is one standard error over the folds."""
    best, metric = results[0], COLUMNS[study.metric]
    lines = [
        f"# {study.name}\n\n{study.question}\n",
        *([f"{verdict}\n"] if verdict else []),
        f"Best by {metric}: **{best.trial}**. ± is one standard error over {len(best.folds[study.metric])} folds.\n",
        "| trial | " + " | ".join(COLUMNS.values()) + f" | behind the best ({metric}) | CPU s a fit |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for result in results:
        cells = [_with_error(result, name) for name in COLUMNS]
        behind, error = behind_best(result, best, study.metric)
        gap = "" if result is best else f"{behind:.4f} ± {error:.4f}"
        lines.append(f"| {result.trial} | {' | '.join(cells)} | {gap} | {result.seconds:.1f} |")
    return "\n".join(lines) + "\n"


def draw_comparison(study: Study[Any], results: Sequence[TrialResult]) -> Figure:
    """Draw the study's metric of each trial as a bar with its standard error, best on top."""
    from matplotlib.figure import Figure

    values = [result.metrics[study.metric] for result in results]
    errors = [result.errors[study.metric] for result in results]
    figure = Figure(figsize=(8, 1.4 + 0.36 * len(results)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(results))[::-1]
    axes.barh(places, values, xerr=errors, color=[_BEST] + [_BAR] * (len(results) - 1), ecolor=_INK, capsize=3)
    axes.set_yticks(places, [result.trial for result in results])
    axes.set_xlim(max(0.0, min(values) - 0.05), min(1.0, max(values) + 0.03))
    for place, value, error in zip(places, values, errors, strict=True):
        axes.annotate(f"{value:.3f}", (value + error, place), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_xlabel(f"{COLUMNS[study.metric]}, cross-validated (the axis does not begin at 0)")
    axes.set_title(study.question, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_grid(study: Study[Trial], results: Sequence[TrialResult]) -> Figure:
    """Draw macro F1 over the first axis of the grid, one line for each value of the second."""
    from matplotlib.figure import Figure

    assert study.axes is not None
    across, lines = study.axes
    by_name = {result.trial: result for result in results}
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for value, marker in zip(dict.fromkeys(trial.parameters[lines] for trial in study.trials), "os^v", strict=False):
        trials = [trial for trial in study.trials if trial.parameters[lines] == value]
        axes.errorbar(
            [trial.parameters[across] for trial in trials],
            [by_name[trial.name].metrics["macro_f1"] for trial in trials],
            yerr=[by_name[trial.name].errors["macro_f1"] for trial in trials],
            marker=marker, capsize=3, label=f"{lines}={value}",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel("macro F1, cross-validated")
    axes.set_title(study.question, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def _with_error(result: TrialResult, name: str) -> str:
    if name not in result.metrics:
        return ""
    return f"{result.metrics[name]:.4f} ± {result.errors[name]:.4f}"
