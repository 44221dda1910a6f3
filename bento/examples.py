"""One example of each request and answer, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

TEXT = "Not bad at all, I loved it."
PREDICTION: dict[str, Any] = {
    "request_id": "5b0f8c0e4f8e4b0f9b1c2d3e4f5a6b7c",
    "label": "positive",
    "score": 0.93,
    "probabilities": {"negative": 0.07, "positive": 0.93},
    "abstained": False,
    "model_version": "3",
}
PROBLEM: dict[str, Any] = {
    "type": "urn:problem:sentiment:invalid-request",
    "title": "Invalid request",
    "status": 422,
    "detail": "The body is not what this endpoint takes. /text: Field required.",
    "errors": [{"pointer": "/text", "detail": "Field required"}],
}
TOO_LONG: dict[str, Any] = {
    "type": "urn:problem:sentiment:text-too-long",
    "title": "Text too long",
    "status": 413,
    "detail": "The text has 60000 characters, at most 50000 are allowed.",
}

REQUESTS: dict[str, dict[str, Any]] = {
    "/predict": {"text": TEXT},
    "/predict_batch": {"texts": [TEXT, "What a dreadful film"]},
    "/explain": {"text": TEXT},
    "/feedback": {"request_id": PREDICTION["request_id"], "label": "negative", "comment": "It was ironic."},
}
RESPONSES: dict[str, dict[str, Any]] = {
    "/predict": PREDICTION,
    "/predict_batch": {"predictions": [PREDICTION, {"error": TOO_LONG}]},
    "/explain": {
        **PREDICTION,
        "request_id": None,
        "margin": 2.6,
        "baseline": 0.1,
        "words": [
            {"word": "loved it", "weight": 1.4, "spans": [[18, 26]]},
            {"word": "not bad", "weight": 1.1, "spans": [[0, 7]]},
        ],
    },
    "/feedback": {"request_id": PREDICTION["request_id"], "status": "received"},
}
