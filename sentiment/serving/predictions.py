"""The prediction log: what was asked and answered, for the landing zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sentiment.serving.landing import LandingLog


@dataclass(frozen=True, slots=True)
class Answer:
    """One prediction, as the caller got it."""

    request_id: str
    text: str
    label: str
    score: float
    probabilities: Mapping[str, float]
    model_version: str
    predicted_at: datetime
    abstained: bool = False

    @property
    def characters(self) -> int:
        """How much text it holds."""
        return len(self.text)


class PredictionLog(LandingLog[Answer]):
    """Writes answers to ``landing/predictions/``."""

    folder, what = "landing/predictions", "predictions"

    def line(self, record: Answer) -> dict[str, Any]:
        """Return an answer as JSON types."""
        return {**asdict(record), "predicted_at": record.predicted_at.astimezone(UTC).isoformat()}
