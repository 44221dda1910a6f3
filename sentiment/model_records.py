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
class TrainedRecord:
    """What the MLflow run of a trained model says beside its files.

    Attributes
    ----------
    key : str
        Identifies the training; see `training_key`.
    trained_at : datetime
        With its timezone.
    dataset : TrainingData or None
    """

    key: str
    trained_at: datetime
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    dataset: TrainingData | None = None


@dataclass(frozen=True)
class Digests:
    """What names the content of a model's two files.

    Attributes
    ----------
    scorer : str
        Of the scorer's arrays (`Scorer.digest`).
    pipeline : str
        SHA-256 of the skops file.
    """

    scorer: str
    pipeline: str


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
    pipeline_digest: str = ""
    data_digest: str = ""
    cause: str = "{}"
    code: str = ""

    @property
    def digests(self) -> Digests:
        """What MLflow says the digests are."""
        return Digests(scorer=self.digest, pipeline=self.pipeline_digest)

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
    pipeline_digest: str = ""
    code: str = ""

    @property
    def digests(self) -> Digests:
        """What MLflow says the digests are."""
        return Digests(scorer=self.digest, pipeline=self.pipeline_digest)

    def to_dict(self) -> dict[str, Any]:
        """Return the version as JSON types."""
        return {**asdict(self), "created_at": self.created_at.isoformat()}
