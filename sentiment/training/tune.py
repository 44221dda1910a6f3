"""Search better settings of training by cross-validation on the training split of a snapshot."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from sentiment.registry import Registry
from sentiment.settings import Settings, TrainingSettings
from sentiment.training.conduct import Announce, Conductor, Plan
from sentiment.training.crossval import TrialResult
from sentiment.training.search import Variant, choose, cross_validate_path, search
from sentiment.training.studyruns import StudyRuns

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuneResult:
    """What a search found, best first, and what it chose.

    Attributes
    ----------
    run_id : str
        The search's own run in MLflow.
    metric : str
        By which was chosen.
    training : dict
        The chosen settings, by name.
    better : bool
        Whether they differ from those in force.
    gain, error : float
        What the best variant gains over the settings in force, and the standard error of that.
    reason : str
        The choice in words.
    """

    snapshot: str
    rows: int
    run_id: str
    metric: str
    training: dict[str, Any]
    better: bool
    gain: float
    error: float
    reason: str
    results: list[TrialResult]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return asdict(self)

    def lines_to_keep(self) -> tuple[str, ...]:
        """Return the lines for ``sentiment.toml`` that keep the chosen settings."""
        values = (
            f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}"
            for name, value in self.training.items()
        )
        return ("[training]", *values)


def tuned(settings: Settings, training: Mapping[str, Any]) -> Settings:
    """Return the settings with some of those of training replaced, such as `TuneResult.training`."""
    chosen = TrainingSettings.model_validate({**settings.training.model_dump(), **training})
    return settings.model_copy(update={"training": chosen})


def plan(settings: Settings, *, registry: Registry, snapshot: str | None = None, newest: int | None = None) -> Plan:
    """Begin a search on a snapshot, or find the one that has begun with the same settings.

    Parameters
    ----------
    snapshot : str, optional
        The latest if not given.
    newest : int, optional
        Only the newest so many training reviews; ``tune.rows`` if not given.

    Raises
    ------
    NotEnoughDataError
        There are no reviews.
    """
    return _conductor(settings, registry).begin(snapshot=snapshot, newest=newest or settings.tune.rows)


def try_path(settings: Settings, plan: Plan, path: str, *, registry: Registry) -> list[TrialResult]:
    """Cross-validate the variants of one path and log them, unless that is done already."""
    return _conductor(settings, registry).attend(plan, path)


def conclude(settings: Settings, plan: Plan, *, registry: Registry) -> TuneResult:
    """Choose, log the comparison, table and picture, and end the search.

    Raises
    ------
    NotEnoughDataError
        Some path has not been tried.
    """
    conductor = _conductor(settings, registry)
    study, results = conductor.study, conductor.results(plan)
    verdict = choose(study, results, Variant.of(settings.training))
    StudyRuns(registry).conclude(plan.run_id, study, results, verdict=verdict.reason, chosen=verdict.chosen.name)
    return TuneResult(
        snapshot=plan.snapshot,
        rows=results[0].rows,
        run_id=plan.run_id,
        metric=study.metric,
        training=dict(verdict.chosen.said),
        better=verdict.better,
        gain=verdict.gain,
        error=verdict.error,
        reason=verdict.reason,
        results=results,
    )


def tune(
    settings: Settings,
    *,
    registry: Registry,
    snapshot: str | None = None,
    newest: int | None = None,
    jobs: int = 1,
    announce: Announce = log.info,
) -> TuneResult:
    """Run a whole search on this machine, `jobs` paths at a time.

    The result does not depend on `jobs`. Interrupted, it goes on where it was when it is called again.
    """
    begun = plan(settings, registry=registry, snapshot=snapshot, newest=newest)
    _conductor(settings, registry).conduct(begun, jobs=jobs, announce=announce)
    return conclude(settings, begun, registry=registry)


def _conductor(settings: Settings, registry: Registry) -> Conductor[Variant]:
    training, scheme = settings.training, settings.data.scheme
    validate = partial(cross_validate_path, training=training, scheme=scheme)
    return Conductor(settings, registry, search(training, scheme, settings.tune.models), validate)
