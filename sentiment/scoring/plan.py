"""What a run of the DAG scores, decided once: a retry must not meet another champion or another latest snapshot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from sentiment.registry import Registry
from sentiment.scoring.inputs import pinned
from sentiment.settings import Settings

SCORES = "scores"
"""Folder under the storage root for scores that are given no place of their own."""


@dataclass(frozen=True)
class Plan:
    """Arguments of `sentiment.scoring.run.score`."""

    given: str
    output: str
    version: str
    column: str | None
    keep: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


def plan(
    settings: Settings,
    given: str,
    output: str | None,
    *,
    registry: Registry,
    version: str | None = None,
    column: str | None = None,
    keep: Sequence[str] = (),
) -> Plan:
    """Choose the model version, the snapshot, and a place for the scores if none is given.

    Raises
    ------
    NoChampionError, ModelError
        There is no such model.
    DataError
        There are no reviews, or it is no snapshot.
    """
    model = registry.version(version) if version else registry.champion()
    source = pinned(settings, given)
    name = re.sub(r"[^\w@.-]", "-", PurePosixPath(source).name)
    place = output or f"{settings.storage.root}/{SCORES}/{name}-model-v{model.version}"
    return Plan(given=source, output=place, version=model.version, column=column, keep=tuple(keep))
