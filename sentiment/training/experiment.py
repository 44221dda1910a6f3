"""Run one of the classical studies: see `sentiment.training.studies` for what each compares."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from sentiment.registry import Registry
from sentiment.settings import Settings
from sentiment.training.conduct import Announce, Conductor, Plan
from sentiment.training.crossval import Rows, TrialResult, cross_validate
from sentiment.training.studies import Trial, study_named
from sentiment.training.studyruns import StudyRuns

log = logging.getLogger(__name__)


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
    return _conductor(settings, registry, study).begin(snapshot=snapshot, newest=newest)


def try_one(settings: Settings, plan: Plan, trial: str, *, registry: Registry) -> TrialResult:
    """Cross-validate one trial of a study and log it, unless that is done already."""
    [result] = _conductor(settings, registry, plan.study).attend(plan, trial)
    return result


def conclude(settings: Settings, plan: Plan, *, registry: Registry) -> Comparison:
    """Log the comparison of all trials of a study, table and pictures, and end it.

    Raises
    ------
    NotEnoughDataError
        A trial has not been run.
    """
    results = _conductor(settings, registry, plan.study).results(plan)
    StudyRuns(registry).conclude(plan.run_id, study_named(plan.study), results)
    return Comparison(plan.study, plan.snapshot, results[0].rows, plan.run_id, results)


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
    conductor = _conductor(settings, registry, study)
    begun = conductor.begin(snapshot=snapshot, newest=newest)
    conductor.conduct(begun, jobs=jobs, announce=announce)
    return conclude(settings, begun, registry=registry)


def _conductor(settings: Settings, registry: Registry, study: str) -> Conductor[Trial]:
    return Conductor(settings, registry, study_named(study), partial(_validate, seed=settings.training.seed))


def _validate(rows: Rows, trials: Sequence[Trial], *, seed: int) -> list[TrialResult]:
    return [cross_validate(rows, trial, seed=seed) for trial in trials]
