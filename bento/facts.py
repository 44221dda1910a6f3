"""What ``GET /model`` says: which model answers, how good it is, why it was promoted, and what may be asked."""

from __future__ import annotations

from typing import Any

from sentiment.serving.manifest import ServedModel
from sentiment.settings import ServingSettings


def facts(model: ServedModel, settings: ServingSettings, *, feedback: bool) -> dict[str, Any]:
    """Return the facts as JSON types; they stay the same while the server runs. `feedback` says whether it is taken."""
    return {
        **model.manifest.model_dump(mode="json", exclude={"probes"}),
        "min_confidence": model.scorer.min_confidence,
        "thresholds": {"min_confidence": model.scorer.min_confidence},
        "limits": {
            "max_characters": settings.max_characters,
            "max_batch": settings.max_batch,
            "max_body_bytes": settings.max_body_bytes,
        },
        "features": {
            "explain": True,
            "feedback": feedback,
            "recent": settings.show_recent,
            "keys": bool(settings.keys_file),
        },
    }
