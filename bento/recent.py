"""The last answers of this process, from memory, for who looks after the service."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sentiment.redaction import redact

MOST = 100
CHARACTERS = 500
"""Longest text that is shown."""


class Recent:
    """Keeps the last `MOST` answers. Redacts when asked, so that an answer does not wait for it."""

    def __init__(self) -> None:
        self._answers: deque[tuple[str, Mapping[str, Any], datetime]] = deque(maxlen=MOST)

    def record(self, texts: Sequence[str], answers: Sequence[Mapping[str, Any]], *, at: datetime) -> None:
        """Keep the answers to some texts, given at one moment."""
        self._answers.extend((text, answer, at) for text, answer in zip(texts[-MOST:], answers[-MOST:], strict=True))

    def listed(self) -> list[dict[str, Any]]:
        """Return the answers as JSON types, the newest first; texts without personal data, shortened after that."""
        return [
            {**answer, "text": _shown(text), "predicted_at": at.isoformat(timespec="milliseconds")}
            for text, answer, at in reversed(self._answers.copy())
        ]


def _shown(text: str) -> str:
    clean, _ = redact(text)
    return clean if len(clean) <= CHARACTERS else f"{clean[: CHARACTERS - 1]}\u2026"
