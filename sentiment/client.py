"""A client of the served API; needs httpx and tenacity, nothing of the training stack.

    >>> with Client("http://127.0.0.1:3000", key=key) as client:
    ...     answer = client.predict("Not bad at all.")
    ...     client.feedback(answer.request_id, "positive")

What a server does not take becomes an error of `sentiment.errors` that says what the server said: `DataError` for the
texts, `SettingsError` for the key, `ServiceError` for all that is the server's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import tenacity

from sentiment.client_answers import Explanation, Limits, Model, Prediction, Refused
from sentiment.errors import DataError, SentimentError, ServiceError, SettingsError

__all__ = ["Client", "Explanation", "Limits", "Model", "Prediction", "Refused"]

ATTEMPTS = 4
LONGEST_WAIT_SECONDS = 30.0
TIMEOUT_SECONDS = 30.0
_T = TypeVar("_T")
_BUSY = (429, 503)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BROKEN = (*_UNSENT, httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)


class Client:
    """Asks a served model.

    A request is tried up to four times, with growing random pauses, where that can do no harm: nothing was sent, the
    server said that it is busy (429, 503; as long as ``Retry-After`` says), or, except for feedback, the connection
    broke. A server that is slower than `timeout` is not asked again.

    Parameters
    ----------
    url : str
        Where the API is, such as ``http://127.0.0.1:3000``.
    key : str, optional
        The API key, where the server wants one.
    timeout : float
        Seconds that one attempt may take to connect, and the server to say something.

    Raises
    ------
    SettingsError
        The URL or the key cannot be one, or (from any method) the server does not take the key.
    DataError
        From any method: the server does not take what was sent.
    ServiceError
        From any method: the server is not there, is too busy, or failed.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = TIMEOUT_SECONDS) -> None:
        self._url = _checked_url(url)
        headers = {"authorization": f"Bearer {_checked_key(key)}"} if key else {}
        self._http = httpx.Client(base_url=self._url, headers=headers, timeout=timeout)
        self._limits: Limits | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, text: str) -> Prediction:
        """Judge one text."""
        return self._read(Prediction.of, self._ask("POST", "predict", {"text": _storable(text)}))

    def predict_batch(self, texts: Sequence[str]) -> list[Prediction | Refused]:
        """Judge any number of texts, in requests as large as the server allows; answers keep the order.

        A text that the server does not take does not keep the others from being answered: a `Refused` is in its place.
        """
        limits = self.limits
        answers: list[Prediction | Refused] = [limits.refusal(text) or _UNANSWERED for text in texts]
        asked = [place for place, answer in enumerate(answers) if answer is _UNANSWERED]
        for chunk in _chunks([_storable(texts[place]) for place in asked], limits):
            found = self._ask("POST", "predict_batch", {"texts": chunk})
            items = self._read(lambda said: [_item(item) for item in said["predictions"]], found)
            if len(items) != len(chunk):
                raise self._nonsense(f"{len(items)} answers to {len(chunk)} texts")
            for place, item in zip(asked[: len(chunk)], items, strict=True):
                answers[place] = item
            del asked[: len(chunk)]
        return answers

    def explain(self, text: str) -> Explanation:
        """Judge one text and say what each word added."""
        return self._read(Explanation.of, self._ask("POST", "explain", {"text": _storable(text)}))

    def feedback(self, request_id: str, label: str, *, comment: str | None = None, reporter: str | None = None) -> None:
        """Say which label is right for the answer that has this request id."""
        said = {"request_id": request_id, "label": label, "comment": comment, "reporter": reporter}
        given = {name: _storable(value) for name, value in said.items() if value is not None}
        self._ask("POST", "feedback", given, repeatable=False)

    def model(self) -> Model:
        """Say which model answers, what it learned from, how good it is, and what the server allows."""
        return self._read(Model.of, self._ask("GET", "model"))

    @property
    def limits(self) -> Limits:
        """What the server takes at a time; asked for once."""
        if self._limits is None:
            self._limits = self.model().limits
        return self._limits

    def _ask(self, method: str, path: str, body: Any = None, *, repeatable: bool = True) -> Any:
        """Return what the server says, as JSON."""
        content = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        request = self._http.build_request(
            method, f"/{path}", content=content, headers={"content-type": "application/json"} if content else {}
        )
        worth = tenacity.retry_if_exception_type(_BROKEN if repeatable else _UNSENT)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_pause,
            retry=worth | tenacity.retry_if_result(_is_busy),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        try:
            answer = retrying(self._http.send, request)
        except httpx.TimeoutException as error:
            raise ServiceError(
                f"{self._url} did not answer /{path} in time.", fix="Ask again later, or with a longer timeout."
            ) from error
        except httpx.HTTPError as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise ServiceError(
                f"{self._url} cannot be reached: {reason}.", fix="Check the address, and whether the API is up."
            ) from error
        if not answer.is_success:
            raise _refusal(answer, f"{self._url}/{path}")
        return self._read(lambda response: response.json(), answer)

    def _read(self, read: Callable[[Any], _T], said: Any) -> _T:
        try:
            return read(said)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._nonsense(f"{type(error).__name__}: {error}") from error

    def _nonsense(self, what: str) -> ServiceError:
        return ServiceError(
            f"{self._url} did not answer as this API does ({what}).", fix="Check that the address is that of the API."
        )


_UNANSWERED = Refused(status=0, title="Not answered")


def _checked_url(url: str) -> str:
    try:
        parts = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise SettingsError(f"{url!r} is no URL: {error}.", fix="Write it like http://127.0.0.1:3000.") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise SettingsError(f"{url!r} is no address of an API.", fix="Write it like http://127.0.0.1:3000.")
    return url.strip().rstrip("/")


def _checked_key(key: str) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError("The API key holds characters that no key has.", fix="Copy it again, on one line.")
    return key


def _storable(text: str) -> str:
    """Return the text with U+FFFD for half a surrogate pair, which UTF-8 cannot carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _chunks(texts: Sequence[str], limits: Limits) -> Iterator[list[str]]:
    """Yield the texts in lists that the server takes at a time."""
    chunk: list[str] = []
    size = 0
    for text in texts:
        length = limits.size(text)
        if chunk and (len(chunk) == limits.max_batch or size + length > limits.max_body_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(text)
        size += length
    if chunk:
        yield chunk


def _item(item: Mapping[str, Any]) -> Prediction | Refused:
    return Refused.of(item["error"]) if "error" in item else Prediction.of(item)


def _is_busy(answer: httpx.Response) -> bool:
    return answer.status_code in _BUSY and (_retry_after(answer) or 0.0) <= LONGEST_WAIT_SECONDS


def _pause(state: tenacity.RetryCallState) -> float:
    """Return how long to wait: what the server asks for and a little, or a random time that grows."""
    drawn = tenacity.wait_random_exponential(multiplier=0.25, max=8)(state)
    answer = state.outcome.result() if state.outcome and not state.outcome.failed else None
    asked = _retry_after(answer) if answer is not None else None
    return drawn if asked is None else asked + min(drawn, 1.0)


def _retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, given as a number or as a date; None if it does not."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _refusal(answer: httpx.Response, address: str) -> SentimentError:
    """Return the error for an answer that is none, with what the server says about it."""
    try:
        problem = Refused.of(answer.json())
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = Refused(status=answer.status_code, title=answer.reason_phrase or "no reason given")
    said = f"{address} answered {answer.status_code}: {problem}"
    match answer.status_code:
        case 400 | 413 | 415 | 422:
            return DataError(said, fix="Correct what was sent.")
        case 401 | 403:
            return SettingsError(said, fix="Give an API key that may do this; `sentiment keys create` makes one.")
        case 404 | 405:
            return ServiceError(said, fix="Check the address; an older server may not have this yet.")
        case 408 | 429 | 503:
            asked = _retry_after(answer)
            return ServiceError(said, fix=f"Ask again {f'in {asked:.0f} s' if asked else 'later'}.")
        case _:
            return ServiceError(said, fix="Look into the log of the API.")
