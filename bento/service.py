"""Answers over HTTP whether a text is positive or negative, and how sure that is.

The Bento carries numpy and the scorer, not the training stack. It refuses to start unless its scorer is the
one that was registered and still answers the manifest's probes as the trained pipeline did.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import bentoml
import numpy as np
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bento.edge import Edge, caller, is_probe, problem
from bento.metrics import exposition, metrics
from sentiment.serving.feedback import Feedback, FeedbackLog
from sentiment.serving.landing import LandingLog
from sentiment.serving.manifest import ServedModel
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.settings import load_settings

MODEL_FOLDER = Path(__file__).resolve().parent.parent / "model"
INLINE_CHARACTERS = 10_000  # more text is scored on a thread, so that short requests need not wait for it
MAX_COMMENT, MAX_REPORTER = 2_000, 200  # characters
REQUEST_ID = re.compile(r"[0-9a-f]{32}")


class Prediction(BaseModel, protected_namespaces=()):
    """One answer."""

    request_id: str = Field(description="Names this answer in the prediction log and in feedback.")
    label: str = Field(description="The most probable label, also of an answer that is unsure.")
    score: float = Field(description="0 to 1; 1 is the most positive.")
    probabilities: dict[str, float]
    abstained: bool = Field(
        description="Whether the answer is unsure and better left to a person: the label's probability is not above "
        "the model's `min_confidence`, where too few answers are right."
    )
    model_version: str


class Predictions(BaseModel):
    """Answers in the order of the texts."""

    predictions: list[Prediction]


class Received(BaseModel):
    """What became of feedback: it is judged later, beside everybody else's."""

    request_id: str
    status: Literal["received"]


class ModelFacts(BaseModel, protected_namespaces=()):
    """Where the served model came from."""

    name: str
    model_version: str
    run_id: str
    snapshot: str
    scorer_digest: str
    scheme: str
    labels: list[str]
    min_confidence: float = Field(
        description="Answers whose label is no more probable than this are unsure; 0: none, 1: all."
    )
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
        facts = self._manifest.model_dump(mode="json", exclude={"probes"})
        self._facts = {**facts, "min_confidence": self._scorer.min_confidence}
        self._positions = np.linspace(0.0, 1.0, len(self._manifest.labels))
        logs = self._settings.serving.log_predictions
        self._log = PredictionLog(self._settings) if logs else None
        self._feedback = FeedbackLog(self._settings) if logs else None

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

    @bentoml.api(output_spec=Received)
    async def feedback(
        self,
        request_id: Annotated[str, Field(description="The request id of the answer.", examples=["9f" * 16])],
        label: Annotated[str, Field(description="The label that is right.", examples=["negative"])],
        comment: Annotated[str | None, Field(description="Anything to add; personal data is removed.")] = None,
        reporter: Annotated[
            str | None, Field(description="An id of who says so, such as a user's; only a hash of it is stored.")
        ] = None,
    ) -> Any:
        """Say which label is right for an answer that was given."""
        if self._feedback is None:
            detail = "Answers are not logged here (serving.log_predictions), so there is nothing to match it with."
            return problem(503, "Feedback is not taken", detail)
        if refusal := self._refuse_feedback(request_id, label, comment=comment or "", reporter=reporter or ""):
            return refusal
        said = Feedback(request_id, label, comment or "", reporter or "", caller.get(), datetime.now(UTC))
        metrics().count_feedback(label)
        self._feedback.record(said)
        return JSONResponse({"request_id": request_id, "status": "received"}, status_code=202)

    @bentoml.api(output_spec=ModelFacts)
    async def model(self) -> Any:
        """Say which model answers, what it learned from and how good it is."""
        return JSONResponse(self._facts)

    @bentoml.on_shutdown
    def write_log(self) -> None:
        """Write the answers and the feedback that are not logged yet."""
        for log in (self._log, self._feedback):
            if log:
                log.close()

    def __metrics__(self, text: str) -> str:
        """Add what is read when it is asked for to BentoML's metrics."""
        facts = self._facts
        return text + "".join(
            [
                exposition(
                    "sentiment_model_info", "gauge", "The served model.", 1,
                    model_version=facts["model_version"], snapshot=facts["snapshot"],
                    digest=facts["scorer_digest"], bento=facts["bento_digest"],
                ),
                *_state("prediction", "Answers", self._log),
                *_state("feedback", "Feedback", self._feedback),
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

    def _refuse_feedback(self, request_id: str, label: str, *, comment: str, reporter: str) -> Response | None:
        labels = self._manifest.labels
        if not REQUEST_ID.fullmatch(request_id):
            return problem(422, "Not a request id", "`request_id` is that of an answer: 32 hexadecimal digits.")
        if label not in labels:
            return problem(422, "Unknown label", f"`label` is none of {', '.join(labels)}.")
        for name, value, limit in (("comment", comment, MAX_COMMENT), ("reporter", reporter, MAX_REPORTER)):
            if len(value) > limit:
                detail = f"`{name}` has {len(value)} characters, at most {limit} are allowed."
                return problem(413, f"{name.capitalize()} too long", detail)
        return None

    async def _answer(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        if sum(map(len, texts)) <= INLINE_CHARACTERS:
            table = self._scorer.probabilities(texts)
        else:
            table = await asyncio.to_thread(self._scorer.probabilities, texts)
        version, labels = self._manifest.model_version, self._manifest.labels
        best, scores, rows = table.argmax(axis=1), (table @ self._positions).tolist(), table.tolist()
        unsure = self._scorer.abstains(table).tolist()
        answers = [
            {
                "request_id": uuid.uuid4().hex,
                "label": labels[number],
                "score": min(1.0, max(0.0, score)),
                "probabilities": dict(zip(labels, row, strict=True)),
                "abstained": abstained,
                "model_version": version,
            }
            for number, score, row, abstained in zip(best.tolist(), scores, rows, unsure, strict=True)
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


def _state(name: str, subject: str, log: LandingLog[Any] | None) -> tuple[str, str]:
    waiting, dropped = (log.waiting, log.dropped) if log else (0, 0)
    return (
        exposition(f"sentiment_{name}_log_waiting", "gauge", f"{subject} not logged yet.", waiting),
        exposition(f"sentiment_{name}_log_dropped_total", "counter", f"{subject} never logged.", dropped),
    )


SentimentService.add_asgi_middleware(Edge)
