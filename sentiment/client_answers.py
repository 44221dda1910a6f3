"""What the API answers, as its clients see it: plain frozen values, read from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

_OVERHEAD = 16  # bytes that a body has around its texts


@dataclass(frozen=True)
class Prediction:
    """The answer to one text.

    Attributes
    ----------
    label : str
        The most probable label, also of an answer that is unsure.
    score : float
        From 0 to 1, the most positive.
    probabilities : mapping of str to float
        Of every label, from the most negative to the most positive.
    abstained : bool
        Whether the answer is unsure and better left to a person.
    model_version : str
    request_id : str or None
        Names the answer in feedback; None if no server gave it.
    """

    label: str
    score: float
    probabilities: Mapping[str, float]
    abstained: bool
    model_version: str
    request_id: str | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Read the answer of a server; what it says beyond this is left out."""
        return cls(**_answer(said))

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Word:
    """What a word or word sequence added to an answer.

    Attributes
    ----------
    weight : float
        Above zero it makes the answer more positive.
    spans : tuple of (int, int)
        Where it is in the text, in characters; empty where that cannot be told.
    """

    word: str
    weight: float
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Explanation(Prediction):
    """An answer taken apart: `baseline` and the weights of the `words` sum to the `margin`, its log-odds."""

    margin: float = 0.0
    baseline: float = 0.0
    words: tuple[Word, ...] = ()

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Read the explanation of a server."""
        words = tuple(
            Word(item["word"], float(item["weight"]), tuple((begin, end) for begin, end in item["spans"]))
            for item in said["words"]
        )
        return cls(**_answer(said), margin=float(said["margin"]), baseline=float(said["baseline"]), words=words)


@dataclass(frozen=True)
class Refused:
    """Why a server did not take a text or a request (RFC 9457)."""

    status: int
    title: str
    detail: str = ""
    type: str = "about:blank"

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Read a problem."""
        fields = [f"{item['pointer']}: {item['detail']}" for item in said.get("errors") or ()]
        detail, kind = str(said.get("detail") or "; ".join(fields)), str(said.get("type") or "about:blank")
        return cls(int(said.get("status", 0)), str(said.get("title") or ""), detail, kind)

    def __str__(self) -> str:
        return ": ".join(filter(None, [self.title, self.detail])) or "no reason given."


@dataclass(frozen=True)
class Limits:
    """What a server takes at a time."""

    max_characters: int = 50_000
    max_batch: int = 256
    max_body_bytes: int = 16 * 1024 * 1024

    def size(self, text: str) -> int:
        """Return the bytes of a text in a request, and a few for what is around it."""
        return len(json.dumps(text, ensure_ascii=False).encode(errors="replace")) + _OVERHEAD

    def refusal(self, text: str) -> Refused | None:
        """Say why a text is not even worth sending, as the server would; None if it is."""
        if len(text) > self.max_characters:
            detail = f"The text has {len(text)} characters, at most {self.max_characters} are allowed."
        elif self.size(text) > self.max_body_bytes:
            detail = f"The text has {self.size(text)} bytes, at most {self.max_body_bytes} are allowed."
        else:
            return None
        return Refused(413, "Text too long", detail)


@dataclass(frozen=True)
class Model:
    """Which model answers.

    Attributes
    ----------
    labels : tuple of str
        From the most negative to the most positive.
    facts : mapping
        All that the server says of it.
    """

    model_version: str
    labels: tuple[str, ...]
    snapshot: str
    run_id: str
    scorer_digest: str
    metrics: Mapping[str, float]
    limits: Limits
    facts: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Read the facts of a server; one that does not tell its limits is taken to have the usual ones."""
        known = Limits.__dataclass_fields__
        limits = {name: int(value) for name, value in (said.get("limits") or {}).items() if name in known}
        return cls(
            model_version=str(said["model_version"]),
            labels=tuple(said["labels"]),
            snapshot=str(said["snapshot"]),
            run_id=str(said["run_id"]),
            scorer_digest=str(said["scorer_digest"]),
            metrics=dict(said["metrics"]),
            limits=Limits(**limits),
            facts=dict(said),
        )


def _answer(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": str(said["label"]),
        "score": float(said["score"]),
        "probabilities": {str(label): float(value) for label, value in said["probabilities"].items()},
        "abstained": bool(said["abstained"]),
        "model_version": str(said["model_version"]),
        "request_id": said.get("request_id"),
    }
