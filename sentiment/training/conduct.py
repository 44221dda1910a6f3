"""Conduct a study: its trials cross-validated on the training split of a snapshot, as nested MLflow runs.

A study is one parent run; each trial is a run below it. What has a result is left out, so that a study that was
interrupted goes on. At the end the parent gets the comparison as a table and as pictures.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic

from sentiment.errors import NotEnoughDataError
from sentiment.registry import Registry
from sentiment.reviews.table import latest_snapshot, parse_snapshot, read_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.crossval import Rows, TrialResult, count_rows
from sentiment.training.rowcache import shared_rows
from sentiment.training.studies import Study, Tried
from sentiment.training.studyruns import StudyRuns

log = logging.getLogger(__name__)

Announce = Callable[[str], None]
Validate = Callable[[Rows, Sequence[Tried]], list[TrialResult]]


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
        Names of what is tried one by one; see `Study.paths`.
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
class Conductor(Generic[Tried]):
    """Tries what a study compares.

    Attributes
    ----------
    validate : callable
        Cross-validates the trials of one path; must reach other processes.
    """

    settings: Settings
    registry: Registry
    study: Study[Tried]
    validate: Validate[Tried]

    def begin(self, *, snapshot: str | None, newest: int | None) -> Plan:
        """Begin the study on a snapshot, or find the one that has begun with the same settings.

        Raises
        ------
        NotEnoughDataError
            There are no reviews.
        """
        name = f"reviews@v{parse_snapshot(snapshot)}" if snapshot else _latest(self.settings)
        run_id = StudyRuns(self.registry).begin(self.study, key=self._key(name, newest), snapshot=name)
        return Plan(self.study.name, name, newest, run_id, list(self.study.paths()))

    def attend(self, plan: Plan, path: str) -> list[TrialResult]:
        """Cross-validate the trials of one path and log them, unless that is done already."""
        trials, there = self.study.path(path), StudyRuns(self.registry).results(plan.run_id)
        if _complete(trials, there):
            return [there[trial.name] for trial in trials]
        results = self.validate(self.rows(plan), trials)
        self._log(plan, results)
        return results

    def conduct(self, plan: Plan, *, jobs: int, announce: Announce) -> None:
        """Try everything on this machine, `jobs` paths at a time; the results do not depend on `jobs`."""
        from joblib import Parallel, delayed

        there = StudyRuns(self.registry).results(plan.run_id)
        waiting = [path for path in self.study.paths().values() if not _complete(path, there)]
        total, done = len(self.study.trials), len(self.study.trials) - sum(map(len, waiting))
        if not waiting:
            return
        rows = self.rows(plan)
        announce(f"{rows.counts.shape[0]:,} reviews, {rows.counts.shape[1]:,} n-grams, {total - done} trials")
        results: Iterator[list[TrialResult]] = Parallel(
            n_jobs=min(jobs, len(waiting)), return_as="generator_unordered"
        )(delayed(self.validate)(rows, path) for path in waiting)
        for found in results:
            self._log(plan, found)
            for result in found:
                done += 1
                announce(f"{done} of {total}: {result.trial}: accuracy {result.metrics['accuracy']:.1%}")

    def results(self, plan: Plan) -> list[TrialResult]:
        """Return what was found of all trials, best first.

        Raises
        ------
        NotEnoughDataError
            A trial has not been run.
        """
        there = StudyRuns(self.registry).results(plan.run_id)
        if missing := [trial.name for trial in self.study.trials if trial.name not in there]:
            raise NotEnoughDataError(
                f"The study {plan.study} has no result of {', '.join(missing)}.", fix="Run the study again: it goes on."
            )
        metric = self.study.metric
        return sorted(there.values(), key=lambda result: (-result.metrics[metric], result.trial))

    def rows(self, plan: Plan) -> Rows:
        """Return what the trials learn from: the training split only, counted once for all of them."""

        def count() -> Rows:
            version = parse_snapshot(plan.snapshot)
            reviews = read_snapshot(Storage(self.settings), version, split="train", newest=plan.newest)
            texts, labels, ids = (reviews[name].tolist() for name in ("text", "label", "review_id"))
            return count_rows(texts, labels, ids, self.study)

        parts = [plan.snapshot, plan.newest, self.settings.data.scheme.value, self.study.features]
        return shared_rows(self.settings, _digest(parts), count)

    def _log(self, plan: Plan, results: Sequence[TrialResult]) -> None:
        runs = StudyRuns(self.registry)
        there = runs.results(plan.run_id)
        for result in results:
            if result.trial not in there:
                runs.log_result(plan.run_id, self.study.trial(result.trial), result)

    def _key(self, snapshot: str, newest: int | None) -> str:
        parts = {
            "study": self.study.name,
            "trials": [[trial.name, dict(trial.said)] for trial in self.study.trials],
            "features": self.study.features,
            "snapshot": snapshot,
            "newest": newest,
            "seed": self.settings.training.seed,
            "balanced": self.settings.training.balanced,
            "scheme": self.settings.data.scheme.value,
        }
        return _digest(parts)


def _complete(path: Sequence[Tried], there: Container[str]) -> bool:
    """Whether a whole path has results; if one is missing all are tried again, because they build on each other."""
    return all(trial.name in there for trial in path)


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _latest(settings: Settings) -> str:
    found = latest_snapshot(Storage(settings))
    if found is None:
        raise NotEnoughDataError("There are no reviews to learn from.", fix="Ingest some: `sentiment ingest FILE`.")
    return str(found)
