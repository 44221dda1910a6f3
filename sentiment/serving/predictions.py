"""The prediction log: what was asked and answered, for the landing zone."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sentiment.redaction import redact
from sentiment.serving.landing import LandingLog
from sentiment.serving.landing_file import FLAG, MOMENT, NUMBER, SHARES, TEXT, schema
from sentiment.settings import Settings


@dataclass(frozen=True, slots=True)
class Answer:
    """One prediction, as the caller got it; `text` as it was sent, in memory only.

    Attributes
    ----------
    unknown_share : float or None
        Share of the text's tokens that the model does not know; None if nobody looked.
    """

    request_id: str
    text: str
    label: str
    score: float
    probabilities: Mapping[str, float]
    model_version: str
    predicted_at: datetime
    abstained: bool = False
    unknown_share: float | None = None

    @property
    def characters(self) -> int:
        """How much text it holds."""
        return len(self.text)


class PredictionLog(LandingLog[Answer]):
    """Writes answers to ``landing/predictions/``: their text, or only its hash, of all or of some."""

    kind = "predictions"
    columns = schema(
        {
            "request_id": TEXT,
            "text": TEXT,
            "text_sha256": TEXT,
            "label": TEXT,
            "score": NUMBER,
            "probabilities": SHARES,
            "abstained": FLAG,
            "model_version": TEXT,
            "predicted_at": MOMENT,
            "unknown_share": NUMBER,
        }
    )

    def __init__(self, settings: Settings) -> None:
        self._redacts, self._keeps_text = settings.data.redact, settings.serving.log_predictions == "text"
        self._below = round(settings.serving.log_share * 2**32)
        super().__init__(settings)

    def record(self, record: Answer) -> None:
        """Log an answer if it is one of those that ``serving.log_share`` chooses, the same ones everywhere."""
        if zlib.crc32(record.request_id.encode()) < self._below:
            super().record(record)

    def line(self, record: Answer) -> dict[str, Any]:
        """Return an answer as JSON types, without personal data."""
        text = record.text.encode(errors="replace").decode()  # half a surrogate pair cannot be stored
        if self._redacts:
            text, _ = redact(text)
        return {
            "request_id": record.request_id,
            "text": text if self._keeps_text else None,
            "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "label": record.label,
            "score": record.score,
            "probabilities": dict(record.probabilities),
            "abstained": record.abstained,
            "model_version": record.model_version,
            "predicted_at": record.predicted_at.astimezone(UTC).isoformat(),
            "unknown_share": record.unknown_share,
        }
