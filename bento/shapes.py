"""What the API sends, described: the OpenAPI document is made of these, the answers are plain dictionaries."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from sentiment.serving.manifest import Curves


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


class Fault(BaseModel):
    """One thing that is wrong with a body."""

    pointer: str = Field(description="Where, as a JSON Pointer (RFC 6901); empty for the whole body.")
    detail: str


class Problem(BaseModel):
    """A refusal, as RFC 9457 has it."""

    type: str = Field(description="Names the kind of problem: the title as a URN.")
    title: str
    status: int
    detail: str = Field(description="What was wrong this time, and what to do. Never holds the text.")
    errors: list[Fault] = Field([], description="Where in the body, if it is known.")


class Refused(BaseModel):
    """What stands in the place of a text that alone was refused."""

    error: Problem


class RecentAnswer(Prediction):
    """An answer, and the text it was given to."""

    text: str = Field(description="Without personal data, and shortened after that.")
    predicted_at: datetime


class RecentAnswers(BaseModel):
    """The last answers of a process."""

    recent: list[RecentAnswer]


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


class Thresholds(BaseModel):
    """What makes an answer unsure."""

    min_confidence: float


class Limits(BaseModel):
    """What a request may hold."""

    max_characters: int
    max_batch: int
    max_body_bytes: int


class Features(BaseModel):
    """What this server offers."""

    explain: bool
    feedback: bool
    recent: bool
    keys: bool = Field(description="Whether an API key is needed.")


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
    built_at: datetime
    promoted_at: datetime | None = Field(description="When it last became champion, as known when it was packaged.")
    promotion_reason: str | None
    thresholds: Thresholds
    curves: Curves | None = Field(description="On held-out reviews; null if no evaluation was registered.")
    limits: Limits
    features: Features
