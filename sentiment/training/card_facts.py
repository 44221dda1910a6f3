"""What a model card is made of, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sentiment.model_records import ModelVersion
from sentiment.reviews.versions import SnapshotSummary
from sentiment.training.evaluation import Evaluation
from sentiment.training.gate import Decision


@dataclass(frozen=True)
class DriftContext:
    """The newest drift check before the model: its id, verdict and reasons, and where the report is."""

    check: str
    state: str
    reasons: tuple[str, ...]
    report: str


@dataclass(frozen=True)
class CardFacts:
    """Everything a card says, as values.

    Attributes
    ----------
    model : str
        Name of the registered model.
    data : SnapshotSummary or None
        What the snapshot holds; None once it is gone.
    written : tuple of datetime, or None
        When the first and the last review were written, as far as the files said so.
    evaluation : Evaluation or None
        None for a model whose run keeps none.
    policy : mapping
        The settings of the gate.
    training : mapping of str to str
        The settings of the training.
    requirements : tuple of str
        Installed versions that the stored pipeline needs.
    """

    model: str
    version: ModelVersion
    train_rows: int
    test_rows: int
    data: SnapshotSummary | None
    written: tuple[datetime, datetime] | None
    evaluation: Evaluation | None
    decision: Decision
    policy: Mapping[str, Any]
    training: Mapping[str, str]
    requirements: tuple[str, ...]
    drift: DriftContext | None
