"""Run a study: every trial cross-validated on the training split of a snapshot, as nested MLflow runs.

A study is one parent run; each trial is a run below it, which is left out when it is there already, so that a study
that was interrupted goes on. At the end the parent gets the comparison as a table and as pictures.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sentiment.errors import NotEnoughDataError
from sentiment.registry import Registry
from sentiment.reviews.table import latest_snapshot, parse_snapshot, read_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.crossval import Rows, TrialResult, count_rows, cross_validate
from sentiment.training.rowcache import shared_rows
from sentiment.training.studies import Study, Trial, study_named
from sentiment.training.studyruns import StudyRuns

log = logging.getLogger(__name__)

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """A study that has begun.

    Attributes
    ----------
    run_id : str
        Its parent run.
    snapshot : str
        What it learns from, ``reviews@v12``.
    trials : list of str
        Names of its trials.
    """

    study: str
    snapshot: str
    newest: int | None
    run_id: str
    trials: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """What a study found, best first by macro F1."""

    study: str
    snapshot: str
    rows: int
    run_id: str
    results: list[TrialResult]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return asdict(self)


def plan(
    settings: Settings, *, registry: Registry, study: str, snapshot: str | None = None, newest: int | None = None
) -> Plan:
    """Begin a study on a snapshot, or find the one that has begun with the same settings.

    Parameters
    ----------
    study : str
        One of `sentiment.training.studies.STUDIES`.
    snapshot : str, optional
        The latest if not given.
    newest : int, optional
        Only the newest so many training reviews.

    Raises
    ------
    SettingsError
        There is no such study.
    NotEnoughDataError
        There are no reviews.
    """
    chosen = study_named(study)
    name = f"reviews@v{parse_snapshot(snapshot)}" if snapshot else _latest(settings)
    key = _key(settings, chosen, name, newest)
    run_id = StudyRuns(registry).begin(chosen, key=key, snapshot=name)
    return Plan(study, name, newest, run_id, [trial.name for trial in chosen.trials])


def try_one(settings: Settings, plan: Plan, trial: str, *, registry: Registry) -> TrialResult:
    """Cross-validate one trial of a study and log it, unless that is done already."""
    chosen = study_named(plan.study)
    runs = StudyRuns(registry)
    if found := runs.result(plan.run_id, trial):
        return found
    result = cross_validate(_rows(settings, plan, chosen), chosen.trial(trial), seed=settings.training.seed)
    runs.log_result(plan.run_id, chosen.trial(trial), result)
    return result


def conclude(plan: Plan, *, registry: Registry) -> Comparison:
    """Log the comparison of all trials of a study, table and pictures, and end it.

    Raises
    ------
    NotEnoughDataError
        A trial has not been run.
    """
    chosen = study_named(plan.study)
    runs = StudyRuns(registry)
    results = [runs.result(plan.run_id, trial.name) for trial in chosen.trials]
    missing = [trial.name for trial, result in zip(chosen.trials, results, strict=True) if result is None]
    if missing:
        raise NotEnoughDataError(
            f"The study {plan.study} has no result of {', '.join(missing)}.", fix="Run the study again: it goes on."
        )
    there = sorted(filter(None, results), key=lambda result: (-result.metrics["macro_f1"], result.trial))
    runs.conclude(plan.run_id, chosen, there)
    return Comparison(plan.study, plan.snapshot, there[0].rows, plan.run_id, there)


def experiment(
    settings: Settings,
    *,
    registry: Registry,
    study: str,
    snapshot: str | None = None,
    newest: int | None = None,
    jobs: int = 1,
    announce: Announce = log.info,
) -> Comparison:
    """Run a whole study on this machine, `jobs` trials at a time.

    The results do not depend on `jobs`. Interrupted, it goes on where it was when it is called again.
    """
    begun = plan(settings, registry=registry, study=study, snapshot=snapshot, newest=newest)
    chosen, runs = study_named(study), StudyRuns(registry)
    waiting = [trial for trial in chosen.trials if runs.result(begun.run_id, trial.name) is None]
    done = len(chosen.trials) - len(waiting)
    if waiting:
        rows = _rows(settings, begun, chosen)
        announce(f"{rows.counts.shape[0]:,} reviews, {rows.counts.shape[1]:,} n-grams, {len(waiting)} trials")
        for trial, result in _in_parallel(rows, waiting, seed=settings.training.seed, jobs=jobs):
            runs.log_result(begun.run_id, trial, result)
            done += 1
            announce(f"{done} of {len(chosen.trials)}: {trial.name}: accuracy {result.metrics['accuracy']:.1%}")
    return conclude(begun, registry=registry)


def _in_parallel(rows: Rows, trials: Sequence[Trial], *, seed: int, jobs: int) -> Iterator[tuple[Trial, TrialResult]]:
    from joblib import Parallel, delayed

    by_name = {trial.name: trial for trial in trials}
    results = Parallel(n_jobs=min(jobs, len(trials)), return_as="generator_unordered")(
        delayed(cross_validate)(rows, trial, seed=seed) for trial in trials
    )
    for result in results:
        yield by_name[result.trial], result


def _rows(settings: Settings, plan: Plan, study: Study) -> Rows:
    def count() -> Rows:
        version = parse_snapshot(plan.snapshot)
        reviews = read_snapshot(Storage(settings), version, split="train", newest=plan.newest)
        texts, labels, ids = (reviews[name].tolist() for name in ("text", "label", "review_id"))
        return count_rows(texts, labels, ids, study)

    parts = [plan.snapshot, plan.newest, settings.data.scheme.value, study.longest, study.columns]
    return shared_rows(settings, hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32], count)


def _latest(settings: Settings) -> str:
    found = latest_snapshot(Storage(settings))
    if found is None:
        raise NotEnoughDataError("There are no reviews to learn from.", fix="Ingest some: `sentiment ingest FILE`.")
    return str(found)


def _key(settings: Settings, study: Study, snapshot: str, newest: int | None) -> str:
    parts = {
        "study": study.name,
        "trials": [trial.to_dict() for trial in study.trials],
        "features": [study.longest, study.columns],
        "snapshot": snapshot,
        "newest": newest,
        "seed": settings.training.seed,
        "scheme": settings.data.scheme.value,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
