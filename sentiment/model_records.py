"""What the registry says about models: plain values, without MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class TrainingData:
    """The rows that a model learned from, as MLflow records them.

    Attributes
    ----------
    snapshot : str
        ``reviews@v12``.
    digest : str
        What names these reviews whatever files they came in.
    uri : str
        The Delta table.
    rows : dict of str to int
        Counts: all, and those of each side of the split.
    """

    snapshot: str
    digest: str
    uri: str
    rows: Mapping[str, int]


@dataclass(frozen=True)
class Candidate:
    """A freshly trained model: an MLflow run, not yet registered."""

    run_id: str
    snapshot: str
    digest: str
    labels: tuple[str, ...]
    metrics: Mapping[str, float]
    train_rows: int
    test_rows: int

    def to_dict(self) -> dict[str, Any]:
        """Return the candidate as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class ModelVersion:
    """A registered model."""

    version: str
    run_id: str
    snapshot: str
    digest: str
    labels: tuple[str, ...]
    metrics: Mapping[str, float]
    decision: str
    aliases: tuple[str, ...]
    created_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the version as JSON types."""
        return {**asdict(self), "created_at": self.created_at.isoformat()}
