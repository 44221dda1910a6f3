"""Answers over HTTP whether a text is positive or negative, and how sure that is.

The Bento carries numpy and the scorer, not the training stack. It refuses to start unless its scorer is the
one that was registered and still answers the manifest's probes as the trained pipeline did.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import bentoml
from pydantic import Field, ValidationError
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bento.access import Access
from bento.answers import INLINE_CHARACTERS, Answers
from bento.draining import Draining
from bento.edge import caller, is_probe, problem
from bento.facts import facts
from bento.fast import FastService
from bento.metrics import LogWatch, exposition, metrics
from bento.openapi import document
from bento.pages import Pages
from bento.problems import Refusal
from bento.recent import Recent
from bento.shapes import Explanation, Prediction, Predictions, Received
from sentiment.serving.feedback import FeedbackLog
from sentiment.serving.manifest import ServedModel, check_code
from sentiment.serving.predictions import PredictionLog
from sentiment.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent


Text = Annotated[str, Field(description="The text to judge.", examples=["Not bad at all."])]
Texts = Annotated[list[Any], Field(description="The texts to judge, in order; one that is no string is refused alone.")]


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Leave out the traceback, with the text in it, that BentoML logs for every malformed request."""
    return not (record.exc_info and isinstance(record.exc_info[1], ValidationError))


async def _model_page(_: Request) -> Response:
    """Say which model answers, what it learned from and how good it is."""
    return JSONResponse(bentoml.get_current_service()._facts)


async def _recent_page(_: Request) -> Response:
    recent = bentoml.get_current_service().answers.recent
    if recent is None:
        return problem(Refusal(404, "Not shown", "This service does not show its answers (serving.show_recent)."))
    headers = {"Cache-Control": "no-store"}
    return JSONResponse({"recent": await asyncio.to_thread(recent.listed)}, headers=headers)


async def _document(_: Request) -> Response:
    """Give the OpenAPI document, in the place of BentoML's, which knows neither all answers nor the refusals."""
    return JSONResponse(bentoml.get_current_service().openapi())


ROUTES = [
    Route("/model", _model_page),
    Route("/recent", _recent_page),
    Route("/docs.json", _document),
    *Pages.read().routes(),
]


@bentoml.asgi_app(Starlette(routes=ROUTES), path="/")
@bentoml.service(
    name="sentiment",
    service_class=FastService,
    workers=1,
    traffic={"timeout": 60},  # the edge has a shorter one, with words
    logging={"access": {"enabled": False}},
    envs=[{"name": "OTEL_SDK_DISABLED", "value": "true"}, {"name": "BENTOML_DO_NOT_TRACK", "value": "True"}],
)
class SentimentService:
    """Says how positive a text is."""

    def __init__(self) -> None:
        logging.getLogger("bentoml._internal.server.http_app").addFilter(_is_our_fault)
        settings, started = load_settings(), time.perf_counter()
        model = _checked_model()
        metrics()  # made once, before threads could make them twice
        self._load_seconds = time.perf_counter() - started
        logs = settings.serving.log_predictions != "off"
        self._draining = Draining(settings.serving.linger_seconds)
        self.answers = Answers(
            model,
            settings.serving,
            log=PredictionLog(settings) if logs else None,
            feedback_log=FeedbackLog(settings) if logs else None,
            recent=Recent() if settings.serving.show_recent else None,
        )
        for name, log in (("prediction", self.answers.log), ("feedback", self.answers.feedback_log)):
            LogWatch(name, log).start()
        self._thread = ThreadPoolExecutor(1, "long-texts")  # several would only wait for each other
        self._limits, self._facts = settings.serving, facts(model, settings.serving, feedback=logs)

    @bentoml.on_deployment
    @staticmethod
    def check_model() -> None:
        """Refuse to start, once and with a reason, instead of restarting the worker for ever."""
        Access(load_settings().serving)
        _checked_model()

    @bentoml.api(output_spec=Prediction)
    async def predict(self, text: Text) -> Any:
        """Judge one text."""
        record = not is_probe.get()
        return await self._said(len(text), lambda: self.answers.predict(text, record=record))

    @bentoml.api(output_spec=Predictions)
    async def predict_batch(self, texts: Texts) -> Any:
        """Judge several texts; the answers keep their order, and a text that is refused has an error in its place."""
        characters, record = sum(len(text) for text in texts if isinstance(text, str)), not is_probe.get()
        return await self._said(characters, lambda: {"predictions": self.answers.predict_batch(texts, record=record)})

    @bentoml.api(output_spec=Explanation)
    async def explain(self, text: Text) -> Any:
        """Judge one text and say what each of its words added; nothing is recorded."""
        return await self._said(5 * len(text), lambda: self.answers.explain(text))

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
        return await self._said(0, lambda: self.answers.feedback(*said, address=caller.get()), status=202)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        bentos, labels = SentimentService.openapi_spec.asdict(), self.answers.manifest.labels
        return document(bentos, self._limits, labels=labels)

    async def __is_ready__(self) -> bool:
        """Whether it is loaded, answers right and was not told to stop; BentoML asks for ``/readyz``."""
        return not self._draining.begun and self.answers.healthy()

    @bentoml.on_shutdown
    def write_log(self) -> None:
        """Write the answers and the feedback that are not logged yet."""
        self.answers.close()

    async def _said(self, characters: int, answer: Callable[[], dict[str, Any]], *, status: int = 200) -> Response:
        """Return what is answered or refused; on the thread if that takes long enough to keep others waiting."""
        try:
            if characters > INLINE_CHARACTERS:
                said = await asyncio.get_running_loop().run_in_executor(self._thread, answer)
            else:
                said = answer()
            return Response(to_json(said), status, media_type="application/json")
        except Refusal as refusal:
            return problem(refusal)

    def __metrics__(self, text: str) -> str:
        """Add what is read when it is asked for to BentoML's metrics."""
        known = self._facts
        return text + "".join(
            [
                exposition(
                    "sentiment_model_info", "gauge", "The served model.", 1,
                    model_version=known["model_version"], snapshot=known["snapshot"],
                    digest=known["scorer_digest"], bento=known["bento_digest"],
                ),
                exposition(
                    "sentiment_model_load_seconds", "gauge", "Seconds in which the model was read and checked.",
                    self._load_seconds,
                ),
            ]
        )  # fmt: skip


def _checked_model() -> ServedModel:
    """Load the model, if model and code are those that were packaged."""
    model = ServedModel.load(ROOT / "model")
    check_code(ROOT, model.manifest)
    return model
