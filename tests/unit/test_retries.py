"""What is tried again, how often, and what is said about it."""

import logging

import pytest

from sentiment.errors import StorageError
from sentiment.retries import RetryPolicy, is_transient

BUSY = "Generic S3 error: Error performing PUT http://s3/x in 4.2ms - Server returned non-2xx status code: "
TREE = (
    "Generic S3 error\n  \x1b[31m\u21b3\x1b[0m Error performing PUT http://s3/x in 1.2ms - "
    "Server returned non-2xx status code\n  \x1b[31m\u21b3\x1b[0m "
)


@pytest.mark.parametrize("status", ["503 Service Unavailable", "500 Internal", "429 Too Many Requests", "408 Timeout"])
@pytest.mark.parametrize("form", [BUSY, TREE], ids=["obstore", "deltalake"])
def test_what_may_pass_is_tried_again(form: str, status: str) -> None:
    assert is_transient(OSError(form + status))


def test_no_answer_is_tried_again() -> None:
    assert is_transient(OSError("Generic S3 error: Error performing GET x - HTTP error: error sending request"))


@pytest.mark.parametrize(
    "error",
    [
        OSError(BUSY + "403 Forbidden"),
        OSError(TREE + "400 Bad Request"),
        OSError(28, "No space left on device"),
        FileNotFoundError("x"),
        ValueError("Generic"),
        StorageError("given up: Generic S3 error ... HTTP error"),
    ],
)
def test_a_refusal_is_not(error: Exception) -> None:
    assert not is_transient(error)


def test_attempts_are_counted_and_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    calls = []

    def busy() -> None:
        calls.append(1)
        raise OSError(BUSY + "503 Slow Down")

    with caplog.at_level(logging.WARNING), pytest.raises(StorageError, match=r"s3://b/x did not write: 4 attempts"):
        RetryPolicy(attempts=4, seconds=1000).call(busy, what="write", where="s3://b/x")
    assert len(calls) == 4
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert said[0].startswith("storage: write s3://b/x: attempt 1 of 4 failed, again in ")
    assert said[0].endswith("503 Slow Down")


def test_time_is_bounded_too() -> None:
    calls = []

    def busy() -> None:
        calls.append(1)
        raise OSError(BUSY + "503 Slow Down")

    with pytest.raises(StorageError, match="1 attempts"):
        RetryPolicy(attempts=20, seconds=0).call(busy, what="write", where="s3://b/x")
    assert len(calls) == 1
