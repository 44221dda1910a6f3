"""Refusals: the one shape of every error, problem details as RFC 9457 has them.

Nothing of a request is repeated in them but lengths, positions and numbers: a text may be private, and long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
"""Faults that one refusal lists at the most."""

RETRY_SECONDS = 1


@dataclass(eq=False)  # not frozen: context managers note where an exception came by
class Refusal(Exception):  # noqa: N818, it is an answer
    """What is said instead of an answer.

    Attributes
    ----------
    status : int
        Of HTTP.
    title : str
        The kind of problem, the same each time; its `type` is made of it.
    detail : str
        What was wrong this time, and what to do.
    errors : sequence of dict
        Where in the body, if it is known: ``pointer`` (JSON Pointer, RFC 6901) and ``detail``.
    headers : mapping
        What HTTP wants beside the status, such as ``Retry-After``.
    """

    status: int
    title: str
    detail: str
    errors: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The title as a word for machines: ``text-too-long``."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def to_dict(self) -> dict[str, Any]:
        """Return the body of the answer."""
        problem = {
            "type": f"urn:problem:sentiment:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return {**problem, "errors": [dict(error) for error in self.errors]} if self.errors else problem


def busy(detail: str, *, seconds: int = RETRY_SECONDS) -> Refusal:
    """Return the refusal of a request that may be sent again soon."""
    return Refusal(503, "Busy", detail, headers={"Retry-After": str(seconds)})


def invalid(faults: Sequence[Mapping[str, Any]]) -> Refusal:
    """Return the refusal of a body, from what pydantic found.

    Parameters
    ----------
    faults : sequence of mapping
        ``ValidationError.errors(include_url=False, include_context=False, include_input=False)``.
    """
    if any(fault["type"] == "json_invalid" for fault in faults):
        said = str(faults[0]["msg"]).removeprefix("Invalid JSON: ")
        return Refusal(400, "Malformed JSON", f"The body is not JSON in UTF-8: {said}.")
    errors = [{"pointer": pointer(fault["loc"]), "detail": str(fault["msg"])} for fault in faults[:MAX_ERRORS]]
    named = "; ".join(f"{error['pointer'] or 'the body'}: {error['detail']}" for error in errors[:3])
    return Refusal(422, "Invalid request", f"The body is not what this endpoint takes. {named}.", errors)


def pointer(place: Sequence[str | int]) -> str:
    """Return the JSON Pointer of a place, empty for the whole body; names that callers chose are cut."""
    return "".join(f"/{str(part)[:40].replace('~', '~0').replace('/', '~1')}" for part in place)


def of_status(status: int, headers: Mapping[str, str] | None = None) -> Refusal:
    """Return the refusal that goes with nothing but a status."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    return Refusal(status, phrase, _SAID.get(status, f"{phrase}."), headers=headers or {})


_SAID = {
    404: "There is nothing at this path; GET /docs.json lists what there is.",
    405: "This path is not asked with this method; GET /docs.json lists what there is.",
    500: "The service failed; its log says why. The text was not at fault, and trying again may help.",
    503: "The service is not ready.",
}
