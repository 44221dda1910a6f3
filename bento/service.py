"""Answers over HTTP whether a text is positive or negative, and how sure that is.

The Bento carries numpy and the scorer, not the training stack. It refuses to start unless its scorer is the
one that was registered and still answers the manifest's probes as the trained pipeline did.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import bentoml
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bento.answers import INLINE_CHARACTERS, Answers
from bento.edge import caller, is_probe, problem
from bento.fast import FastService
from bento.metrics import LogWatch, exposition
from bento.problems import Refusal
from sentiment.serving.feedback import FeedbackLog
from sentiment.serving.manifest import ServedModel
from sentiment.serving.predictions import PredictionLog
from sentiment.settings import load_settings

MODEL_FOLDER = Path(__file__).resolve().parent.parent / "model"


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


class Problem(BaseModel):
    """A refusal, as RFC 9457 has it."""

    type: str = Field(description="Names the kind of problem; the title as a URN.")
    title: str
    status: int
    detail: str = Field(description="What was wrong this time, and what to do. Never holds the text.")


class Refused(BaseModel):
    """What stands in the place of a text that alone was refused."""

    error: Problem


class Predictions(BaseModel):
    """Answers in the order of the texts."""

    predictions: list[Prediction | Refused]


class Word(BaseModel):
    """What a word, or a sequence of words, added to the answer."""

    word: str
    weight: float = Field(description="Above zero towards the positive end, below zero towards the negative.")
    spans: list[tuple[int, int]] = Field(
        description="Where it stands in the text as sent: begin and end in Unicode code points; empty if unknown."
    )


class Explanation(BaseModel, protected_namespaces=()):
    """One answer, taken apart: the baseline and the weights sum to the margin."""

    request_id: None = Field(description="Explanations are not recorded, so there is nothing to give feedback on.")
    label: str
    score: float
    probabilities: dict[str, float]
    abstained: bool
    model_version: str
    margin: float = Field(description="With two labels the log-odds of the positive one.")
    baseline: float = Field(description="The margin of a text without known words.")
    words: list[Word] = Field(description="The largest weight, either way, first.")


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


Text = Annotated[str, Field(description="The text to judge.", examples=["Not bad at all."])]
Texts = Annotated[list[Any], Field(description="The texts to judge, in order; one that is no string is refused alone.")]


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Leave out the traceback, with the text in it, that BentoML logs for every malformed request."""
    return not (record.exc_info and isinstance(record.exc_info[1], ValidationError))


async def _model_page(_: Request) -> Response:
    return JSONResponse(bentoml.get_current_service()._facts)


@bentoml.asgi_app(Starlette(routes=[Route("/model", _model_page, methods=["GET"])]), path="/")
@bentoml.service(
    name="sentiment",
    service_class=FastService,
    workers=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
    envs=[{"name": "OTEL_SDK_DISABLED", "value": "true"}, {"name": "BENTOML_DO_NOT_TRACK", "value": "True"}],
)
class SentimentService:
    """Says how positive a text is."""

    def __init__(self) -> None:
        logging.getLogger("bentoml._internal.server.http_app").addFilter(_is_our_fault)
        settings, started = load_settings(), time.perf_counter()
        model = ServedModel.load(MODEL_FOLDER)
        self._load_seconds = time.perf_counter() - started
        logs = settings.serving.log_predictions
        self.answers = Answers(
            model,
            settings.serving,
            log=PredictionLog(settings) if logs else None,
            feedback_log=FeedbackLog(settings) if logs else None,
        )
        for name, log in (("prediction", self.answers.log), ("feedback", self.answers.feedback_log)):
            LogWatch(name, log).start()
        facts = model.manifest.model_dump(mode="json", exclude={"probes"})
        self._facts = {**facts, "min_confidence": model.scorer.min_confidence}

    @bentoml.on_deployment
    @staticmethod
    def check_model() -> None:
        """Refuse to start, once and with a reason, instead of restarting the worker for ever."""
        load_settings()
        ServedModel.load(MODEL_FOLDER)

    @bentoml.api(output_spec=Prediction)
    async def predict(self, text: Text) -> Any:
        """Judge one text."""
        return await _said(len(text), lambda: self.answers.predict(text, record=not is_probe.get()))

    @bentoml.api(output_spec=Predictions)
    async def predict_batch(self, texts: Texts) -> Any:
        """Judge several texts; the answers keep their order, and a text that is refused has an error in its place."""
        characters = sum(len(text) for text in texts if isinstance(text, str))
        return await _said(
            characters, lambda: {"predictions": self.answers.predict_batch(texts, record=not is_probe.get())}
        )

    @bentoml.api(output_spec=Explanation)
    async def explain(self, text: Text) -> Any:
        """Judge one text and say what each of its words added; nothing is recorded."""
        return await _said(5 * len(text), lambda: self.answers.explain(text))

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
        said = request_id, label, comment or "", reporter or ""
        return await _said(0, lambda: self.answers.feedback(*said, address=caller.get()), status=202)

    @bentoml.api(output_spec=ModelFacts)
    async def model(self) -> Any:
        """Say which model answers, what it learned from and how good it is."""
        return JSONResponse(self._facts)

    @bentoml.on_shutdown
    def write_log(self) -> None:
        """Write the answers and the feedback that are not logged yet."""
        self.answers.close()

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
                exposition(
                    "sentiment_model_load_seconds", "gauge", "Seconds in which the model was read and checked.",
                    self._load_seconds,
                ),
            ]
        )  # fmt: skip


async def _said(characters: int, answer: Callable[[], dict[str, Any]], *, status: int = 200) -> Response:
    """Return what is answered or refused; on a thread if that takes long enough to keep others waiting."""
    try:
        long = characters > INLINE_CHARACTERS
        return JSONResponse(await asyncio.to_thread(answer) if long else answer(), status_code=status)
    except Refusal as refusal:
        return problem(refusal)
