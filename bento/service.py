"""Answers over HTTP whether a text is positive or negative, and how sure that is.

The Bento carries numpy and the scorer, not the training stack. It refuses to start unless its scorer is the
one that was registered and still answers the manifest's probes as the trained pipeline did.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bento.edge import Edge, is_probe, problem
from bento.metrics import exposition, metrics
from sentiment.serving.manifest import ServedModel
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.settings import load_settings

MODEL_FOLDER = Path(__file__).resolve().parent.parent / "model"
INLINE_CHARACTERS = 10_000  # more text is scored on a thread, so that short requests need not wait for it


class Prediction(BaseModel, protected_namespaces=()):
    """One answer."""

    request_id: str = Field(description="Names this answer in the prediction log and in feedback.")
    label: str = Field(description="The most probable label.")
    score: float = Field(description="0 to 1; 1 is the most positive.")
    probabilities: dict[str, float]
    model_version: str


class Predictions(BaseModel):
    """Answers in the order of the texts."""

    predictions: list[Prediction]


class ModelFacts(BaseModel, protected_namespaces=()):
    """Where the served model came from."""

    name: str
    model_version: str
    run_id: str
    snapshot: str
    scorer_digest: str
    scheme: str
    labels: list[str]
    metrics: dict[str, float]
    code_version: str
    code_digest: str
    recipe_digest: str
    bento_digest: str
    built_at: str


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Leave out the traceback, with the text in it, that BentoML logs for every malformed request."""
    return not (record.exc_info and isinstance(record.exc_info[1], ValidationError))


async def _model_page(_: Request) -> Response:
    return JSONResponse(bentoml.get_current_service()._facts)


@bentoml.asgi_app(Starlette(routes=[Route("/model", _model_page, methods=["GET"])]), path="/")
@bentoml.service(
    name="sentiment",
    workers=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
    envs=[{"name": "OTEL_SDK_DISABLED", "value": "true"}, {"name": "BENTOML_DO_NOT_TRACK", "value": "True"}],
)
class SentimentService:
    """Says how positive a text is."""

    def __init__(self) -> None:
        logging.getLogger("bentoml._internal.server.http_app").addFilter(_is_our_fault)
        self._settings = load_settings()
        model = ServedModel.load(MODEL_FOLDER)
        self._scorer, self._manifest = model.scorer, model.manifest
        self._facts = self._manifest.model_dump(mode="json", exclude={"probes"})
        self._positions = np.linspace(0.0, 1.0, len(self._manifest.labels))
        self._log = PredictionLog(self._settings) if self._settings.serving.log_predictions else None

    @bentoml.on_deployment
    @staticmethod
    def check_model() -> None:
        """Refuse to start, once and with a reason, instead of restarting the worker for ever."""
        load_settings()
        ServedModel.load(MODEL_FOLDER)

    @bentoml.api(output_spec=Prediction)
    async def predict(
        self, text: Annotated[str, Field(description="The text to judge.", examples=["Not bad at all."])]
    ) -> Any:
        """Judge one text."""
        if refusal := self._refuse([text]):
            return refusal
        return JSONResponse((await self._answer([text]))[0])

    @bentoml.api(output_spec=Predictions)
    async def predict_batch(
        self, texts: Annotated[list[str], Field(description="The texts to judge, in order.")]
    ) -> Any:
        """Judge several texts; the answers keep their order."""
        if refusal := self._refuse(texts):
            return refusal
        return JSONResponse({"predictions": await self._answer(texts)})

    @bentoml.api(output_spec=ModelFacts)
    async def model(self) -> Any:
        """Say which model answers, what it learned from and how good it is."""
        return JSONResponse(self._facts)

    @bentoml.on_shutdown
    def write_log(self) -> None:
        """Write the answers that are not logged yet."""
        if self._log:
            self._log.close()

    def __metrics__(self, text: str) -> str:
        """Add what is read when it is asked for to BentoML's metrics."""
        facts, waiting = self._facts, self._log.waiting if self._log else 0
        return text + "".join(
            [
                exposition(
                    "sentiment_model_info", "gauge", "The served model.", 1,
                    model_version=facts["model_version"], snapshot=facts["snapshot"],
                    digest=facts["scorer_digest"], bento=facts["bento_digest"],
                ),
                exposition("sentiment_prediction_log_waiting", "gauge", "Answers not logged yet.", waiting),
                exposition(
                    "sentiment_prediction_log_dropped_total", "counter", "Answers never logged.",
                    self._log.dropped if self._log else 0,
                ),
            ]
        )  # fmt: skip

    def _refuse(self, texts: Sequence[str]) -> Response | None:
        limits = self._settings.serving
        if not texts:
            return problem(422, "Empty batch", "`texts` is empty. Send at least one text.")
        if len(texts) > limits.max_batch:
            detail = f"`texts` has {len(texts)} texts, at most {limits.max_batch} are allowed."
            return problem(413, "Batch too large", detail)
        for number, text in enumerate(texts):
            if len(text) > limits.max_characters:
                where = f"Text {number}" if len(texts) > 1 else "The text"
                detail = f"{where} has {len(text)} characters, at most {limits.max_characters} are allowed."
                return problem(413, "Text too long", detail)
        return None

    async def _answer(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        if sum(map(len, texts)) <= INLINE_CHARACTERS:
            table = self._scorer.probabilities(texts)
        else:
            table = await asyncio.to_thread(self._scorer.probabilities, texts)
        version, labels = self._manifest.model_version, self._manifest.labels
        best, scores, rows = table.argmax(axis=1), (table @ self._positions).tolist(), table.tolist()
        answers = [
            {
                "request_id": uuid.uuid4().hex,
                "label": labels[number],
                "score": min(1.0, max(0.0, score)),
                "probabilities": dict(zip(labels, row, strict=True)),
                "model_version": version,
            }
            for number, score, row in zip(best.tolist(), scores, rows, strict=True)
        ]
        if not is_probe.get():
            self._count(texts, answers)
        return answers

    def _count(self, texts: Sequence[str], answers: Sequence[dict[str, Any]]) -> None:
        version = self._manifest.model_version
        metrics().count(Counter(answer["label"] for answer in answers), model_version=version)
        if self._log:
            now = datetime.now(UTC)
            for text, answer in zip(texts, answers, strict=True):
                self._log.record(Answer(text=text, predicted_at=now, **answer))


SentimentService.add_asgi_middleware(Edge)
