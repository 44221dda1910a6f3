"""A store that throttles, fails, hangs up and is slow: everything is done once all the same, or said in time."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import Fault, S3Server

from sentiment.errors import StorageError
from sentiment.ledger import Ledger
from sentiment.promotions import Promotion, Promotions
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.reviews.table import Reviews, latest_snapshot, parse_snapshot, read_snapshot
from sentiment.settings import Settings
from sentiment.storage import PIECE_BYTES, Storage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # botocore's own
]

ROWS = 400
ANSWER = (
    b'{"request_id": "r", "text": "fine", "label": "positive", "score": 0.9, "model_version": "1", '
    b'"predicted_at": "2026-01-01T00:00:00+00:00"}\n'
)
WRONG = {
    "busy": (Fault("throttle", rate=0.1), Fault("too_many", rate=0.15), Fault("error", rate=0.2)),
    "hanging up": (Fault("drop", rate=0.1), Fault("lose", rate=0.2)),
    "slow": (Fault("slow", times=2, seconds=4),),  # beyond the time limit of a request
}


def patient(s3: Settings) -> Settings:
    return s3.model_copy(update={"storage": s3.storage.model_copy(update={"retry_seconds": 60, "attempts": 10})})


@pytest.mark.parametrize("wrong", WRONG)
def test_data_is_taken_in_once_whatever_the_store_does(
    s3: Settings, store: S3Server, tmp_path: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    s3 = patient(s3)
    storage = Storage(s3)
    storage.upload(write_sample(tmp_path / "film.csv", "film", ROWS, seed=1), "inbox/film.csv")
    for name in ("a", "b", "c"):
        storage.write(f"landing/predictions/20260101T000000-{name}.jsonl", ANSWER.replace(b'"r"', f'"{name}"'.encode()))
    store.misbehave(*WRONG[wrong])
    with caplog.at_level(logging.WARNING, "sentiment"):
        result = ingest(s3)
        for _ in range(3):
            Ledger(Storage(s3)).append("trained", reason="no key, yet once")
    injected = store.injected()
    store.misbehave()
    assert injected >= 2, "the test injected too little to say anything"
    assert "attempt 1 of 10 failed, again in" in caplog.text
    assert (result.accepted, result.predictions) == (ROWS, 3)
    writes = [commit for commit in Reviews(storage).commits() if commit["operation"] == "WRITE"]
    assert result.snapshot == f"reviews@v{writes[0]['version']}"
    assert len(writes) == 1, "an answer that got lost may make a table twice, but never its rows"
    assert len(read_snapshot(storage, parse_snapshot(result.snapshot))) == ROWS
    assert len(Ledger(storage).entries()) == 3
    assert storage.list("inbox") == []
    assert storage.list("landing/predictions") == []
    assert len(storage.list("processed")) == 1
    assert ingest(s3).accepted == 0


def test_a_write_whose_answer_was_lost_is_known_as_ones_own(s3: Settings, store: S3Server) -> None:
    storage = Storage(s3)
    store.misbehave(Fault("lose", method="PUT", times=1))
    assert storage.create("registry/1.json", b"mine"), "the second attempt found what the first had written"
    assert not storage.create("registry/1.json", b"mine"), "the same content from another call is not ours"
    store.misbehave(Fault("lose", method="PUT", times=1))
    promotion = Promotion(number=1, was=None, now="1", previous=None, rollback=False, reason="", at="now")
    assert Promotions(storage).claim(promotion) == promotion


@pytest.mark.parametrize("kind", ["lose", "drop", "throttle", "slow"])
def test_a_commit_whose_answer_was_lost_is_counted_once_and_as_ones_own(
    s3: Settings, store: S3Server, tmp_path: Path, kind: str
) -> None:
    ingest(s3, paths=[write_sample(tmp_path / "first.csv", "film", 100, seed=1)])
    store.misbehave(Fault(kind, method="PUT", part="tables/reviews/_delta_log", times=1, seconds=4))
    result = ingest(s3, paths=[write_sample(tmp_path / "second.csv", "film", 100, seed=2)])
    assert store.injected() == 1
    assert (result.accepted, result.skipped, result.snapshot) == (100, 0, "reviews@v2")
    assert Reviews(Storage(s3)).read().num_rows == 200


def test_a_long_read_goes_on_where_it_was(s3: Settings, store: S3Server, tmp_path: Path) -> None:
    for seed in range(4):
        ingest(s3, paths=[write_sample(tmp_path / f"{seed}.csv", "film", 100, seed=seed)])
    reviews = Reviews(Storage(s3))
    whole = [row for batch in reviews.read_batches(columns=["review_id"]) for row in batch["review_id"].to_pylist()]
    batches = reviews.read_batches(columns=["review_id"])
    found = next(batches)["review_id"].to_pylist()
    store.misbehave(*[Fault("error", method="GET", part=".parquet", times=6)])  # more than deltalake tries by itself
    found += [row for batch in batches for row in batch["review_id"].to_pylist()]
    assert found == whole
    assert len(set(found)) == 400


def test_a_large_object_is_fetched_in_pieces_that_are_asked_for_again(
    s3: Settings, store: S3Server, tmp_path: Path
) -> None:
    storage = Storage(s3)
    data = bytes(range(256)) * (2 * PIECE_BYTES // 256) + b"the end"
    (tmp_path / "large").write_bytes(data)
    storage.upload(tmp_path / "large", "large")
    store.misbehave(Fault("drop", method="GET", rate=0.5))
    storage.fetch("large", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data


CALLS: dict[str, Callable[[Settings], Any]] = {
    "read": lambda s3: Storage(s3).read("x"),
    "write": lambda s3: Storage(s3).write("x", b""),
    "create": lambda s3: Storage(s3).create("x", b""),
    "list": lambda s3: Storage(s3).list("inbox"),
    "move": lambda s3: Storage(s3).move("x", "y"),
    "snapshot": lambda s3: latest_snapshot(Storage(s3)),
    "ledger": lambda s3: Ledger(Storage(s3)).append("trained"),
    "ingest": ingest,
}


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_is_down_is_said_in_bounded_time(s3: Settings, store: S3Server, call: str) -> None:
    store.misbehave(Fault("drop"))
    s3 = s3.model_copy(update={"storage": s3.storage.model_copy(update={"attempts": 3})})
    with pytest.raises(StorageError) as raised:
        CALLS[call](s3)
    assert f"s3://{store.bucket}/platform" in raised.value.message
    assert "3 attempts" in raised.value.message
    assert "Look whether the store is up" in raised.value.fix
    assert len(store.seen()) <= 3 * 4, "each attempt of ours is at most four requests of the library"


def test_nothing_is_lost_when_the_store_goes_down_half_way(s3: Settings, store: S3Server, tmp_path: Path) -> None:
    impatient = s3.model_copy(update={"storage": s3.storage.model_copy(update={"attempts": 2})})
    storage = Storage(s3)
    storage.upload(write_sample(tmp_path / "film.csv", "film", ROWS, seed=1), "inbox/film.csv")
    storage.write("landing/predictions/20260101T000000-a.jsonl", ANSWER)
    ended = 0
    for part in ("spool", "quarantine", "tables/reviews/_delta_log", "processed", "predictions", "landing", "tables"):
        store.misbehave(Fault("drop", part=part))
        try:
            ingest(impatient)
        except StorageError:
            ended += 1
        store.misbehave()
    assert ended >= 3
    ingest(s3)
    assert len(read_snapshot(storage, latest_snapshot(storage).version)) == ROWS  # type: ignore[union-attr]
    assert storage.list("inbox") == []
    assert storage.list("landing/predictions") == []


def test_a_refusal_is_not_tried_again(s3: Settings, store: S3Server) -> None:
    nowhere = s3.model_copy(update={"storage": s3.storage.model_copy(update={"root": "s3://no-such-bucket-here"})})
    with pytest.raises(StorageError, match="NoSuchBucket"):
        Storage(nowhere).write("x", b"")
    assert len(store.seen()) == 1
