"""What the service answers, without HTTP: the same for BentoML's methods and for any other way in."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bento.metrics import metrics
from bento.problems import Refusal
from bento.recent import Recent
from sentiment.serving.explain import explain
from sentiment.serving.feedback import Feedback, FeedbackLog
from sentiment.serving.manifest import TOLERANCE, ServedModel
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.serving.spans import spans
from sentiment.settings import ServingSettings

INLINE_CHARACTERS = 10_000
"""More text is better scored on a thread, so that short requests need not wait for it."""

MAX_COMMENT, MAX_REPORTER = 2_000, 200  # characters
REQUEST_ID = re.compile(r"[0-9a-f]{32}")

Json = dict[str, Any]


class Answers:
    """Answers and refusals as plain values. Every method may be called from any thread.

    Parameters
    ----------
    model : ServedModel
        The checked model.
    limits : ServingSettings
        ``max_characters`` and ``max_batch``.
    log, feedback_log : optional
        Where answers and feedback are recorded; without them neither is.
    recent : Recent, optional
        Keeps the last answers in memory.
    """

    def __init__(
        self,
        model: ServedModel,
        limits: ServingSettings,
        *,
        log: PredictionLog | None = None,
        feedback_log: FeedbackLog | None = None,
        recent: Recent | None = None,
    ) -> None:
        self.scorer, self.manifest, self._limits = model.scorer, model.manifest, limits
        self.log, self.feedback_log, self.recent = log, feedback_log, recent

    def predict(self, text: object, *, record: bool = True) -> Json:
        """Judge one text.

        Raises
        ------
        Refusal
            It is no text, or too long.
        """
        [answer] = self._judged([self._checked(text)], record=record)
        return answer

    def predict_batch(self, texts: Sequence[object], *, record: bool = True) -> list[Json]:
        """Judge several texts; what is wrong with one of them is said in its place, as ``{"error": ...}``.

        Raises
        ------
        Refusal
            There are none, or too many.
        """
        if not texts:
            errors = [{"pointer": "/texts", "detail": "it is empty"}]
            raise Refusal(422, "Empty batch", "`texts` is empty. Send at least one text.", errors)
        if len(texts) > self._limits.max_batch:
            detail = f"`texts` has {len(texts)} texts, at most {self._limits.max_batch} are allowed."
            raise Refusal(413, "Batch too large", detail)
        if record:
            metrics().batch(len(texts))
        good: list[str] = []
        items: list[Json | None] = []
        for text in texts:
            try:
                good.append(self._checked(text))
                items.append(None)
            except Refusal as refusal:
                items.append({"error": refusal.to_dict()})
        answers = iter(self._judged(good, record=record))
        return [item or next(answers) for item in items]

    def explain(self, text: object) -> Json:
        """Judge one text and take the answer apart; nothing is recorded, so there is no request id.

        Raises
        ------
        Refusal
            It is no text, or too long.
        """
        checked = self._checked(text)
        found, places = explain(self.scorer, checked), spans(checked, self.scorer.chain.clean, self.scorer.max_ngram)
        [row] = self._rows(self.scorer.probabilities([checked]))
        return {
            "request_id": None,
            **row,
            "margin": found.margin,
            "baseline": found.baseline,
            "words": [{"word": word, "weight": weight, "spans": places(word)} for word, weight in found.words],
        }

    def feedback(self, request_id: str, label: str, comment: str = "", reporter: str = "", *, address: str) -> Json:
        """Take down which label is right for an answer that was given.

        Raises
        ------
        Refusal
            Answers are not logged here, or what was said makes no sense.
        """
        if self.feedback_log is None:
            detail = "Answers are not logged here (serving.log_predictions), so there is nothing to match it with."
            raise Refusal(503, "Feedback is not taken", detail)
        if not REQUEST_ID.fullmatch(request_id):
            detail = "`request_id` is that of an answer: 32 hexadecimal digits."
            raise Refusal(422, "Not a request id", detail, [{"pointer": "/request_id", "detail": detail}])
        if label not in self.manifest.labels:
            detail = f"`label` is none of {', '.join(self.manifest.labels)}."
            raise Refusal(422, "Unknown label", detail, [{"pointer": "/label", "detail": detail}])
        for name, value, limit in (("comment", comment, MAX_COMMENT), ("reporter", reporter, MAX_REPORTER)):
            if len(value) > limit:
                detail = f"`{name}` has {len(value)} characters, at most {limit} are allowed."
                raise Refusal(413, f"{name.capitalize()} too long", detail)
        metrics().count_feedback(request_id, label)
        self.feedback_log.record(Feedback(request_id, label, comment, reporter, address, datetime.now(UTC)))
        return {"request_id": request_id, "status": "received"}

    def healthy(self) -> bool:
        """Whether the model answers a probe as the trained pipeline did, right now."""
        probe = self.manifest.probes[0]
        distance = np.abs(self.scorer.probabilities([probe.text])[0] - probe.probabilities)
        return bool(np.all(distance <= TOLERANCE))

    def close(self) -> None:
        """Write the answers and the feedback that are not logged yet."""
        for log in (self.log, self.feedback_log):
            if log:
                log.close()

    def _checked(self, text: object) -> str:
        if not isinstance(text, str):
            raise Refusal(422, "Not a text", "The text is not a string.")
        if len(text) > self._limits.max_characters:
            detail = f"The text has {len(text)} characters, at most {self._limits.max_characters} are allowed."
            raise Refusal(413, "Text too long", detail)
        return text

    def _judged(self, texts: Sequence[str], *, record: bool) -> list[Json]:
        if not texts:
            return []
        table, shares = self.scorer.read(texts)
        ids, unknown = _request_ids(len(texts)), shares.tolist()
        answers = [{"request_id": name, **row} for name, row in zip(ids, self._rows(table), strict=True)]
        if record:
            metrics().answered(
                answers,
                confidences=table.max(axis=1).tolist(),
                unknown_shares=unknown,
                model_version=self.manifest.model_version,
            )
            now = datetime.now(UTC)
            if self.recent:
                self.recent.record(texts, answers, at=now)
            if self.log:
                for text, answer, share in zip(texts, answers, unknown, strict=True):
                    self.log.record(Answer(text=text, predicted_at=now, unknown_share=share, **answer))
        return answers

    def _rows(self, table: NDArray[np.float64]) -> list[Json]:
        labels, version = self.manifest.labels, self.manifest.model_version
        columns = (table.argmax(axis=1), self.scorer.scores_of(table), table, self.scorer.abstains(table))
        return [
            {
                "label": labels[best],
                "score": score,
                "probabilities": dict(zip(labels, row, strict=True)),
                "abstained": unsure,
                "model_version": version,
            }
            for best, score, row, unsure in zip(*map(np.ndarray.tolist, columns), strict=True)
        ]


def _request_ids(number: int) -> list[str]:
    """Return names that nobody can guess, 32 hexadecimal digits each."""
    digits = os.urandom(16 * number).hex()
    return [digits[begin : begin + 32] for begin in range(0, len(digits), 32)]
