"""The same code on S3: the whole way from a file to a Bento against an S3 server on this machine."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from sentiment.errors import SourceError
from sentiment.packaging import package
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.reviews.table import read_snapshot
from sentiment.serving.feedback import Feedback, FeedbackLog
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training.promotion import judge, promote
from sentiment.training.train import train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # botocore's and the S3 stand-in's own
]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Settings]:
    """Settings whose root is a bucket of a server on this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_REGION": "eu-central-1",
        "MLFLOW_S3_ENDPOINT_URL": url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    httpx.post(f"{url}/moto-api/reset").raise_for_status()
    boto3.client("s3", endpoint_url=url).create_bucket(
        Bucket="reviews", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    yield load_settings(storage={"root": "s3://reviews/platform", "endpoint": url, "region": "eu-central-1"})
    server.stop()


def test_a_write_that_must_be_the_first_is_refused_the_second_time(s3: Settings) -> None:
    storage = Storage(s3)
    assert storage.create("registry/1.json", b"first")
    assert not storage.create("registry/1.json", b"second")
    assert storage.read("registry/1.json") == b"first"
    assert storage.list("registry") == ["registry/1.json"]
    assert storage.read_json("registry/2.json") is None


def test_from_a_file_to_a_bento(s3: Settings, tmp_path: Path) -> None:
    data = write_sample(tmp_path / "film.csv", "film", 2_000, seed=1)
    first, again = ingest(s3, paths=[data]), ingest(s3, paths=[data])
    assert (first.accepted, again.accepted, again.skipped) == (2_000, 0, 1)
    registry = Registry(s3)
    challenger, decision = judge(s3, registry=registry, challenger=train(s3, registry=registry))
    assert decision.outcome == "promote"
    promote(s3, registry=registry, version=challenger.version)
    bento = package(s3, registry)
    found = Storage(s3).list("")
    assert f"bentos/sentiment-{bento.version}.bento" in found
    assert any(path.startswith("tables/reviews/_delta_log/") for path in found)
    assert any(path.startswith("mlflow/artifacts/") for path in found)
    assert any(path.startswith("tables/ledger/") for path in found)


def test_a_file_at_an_s3_address_is_taken_in(s3: Settings, tmp_path: Path) -> None:
    data = write_sample(tmp_path / "film.csv", "film", 300, seed=1)
    place = s3.storage.model_copy(update={"root": "s3://reviews"})
    Storage(s3.model_copy(update={"storage": place})).upload(data, "deliveries/film.csv")
    assert ingest(s3, paths=["s3://reviews/deliveries/film.csv"]).accepted == 300
    with pytest.raises(SourceError, match="There is no object"):
        ingest(s3, paths=["s3://reviews/deliveries/none.csv"])


def test_feedback_becomes_a_review(s3: Settings) -> None:
    answers, feedback = PredictionLog(s3), FeedbackLog(s3)
    now = datetime.now(UTC)
    answers.record(Answer("r1", "Ironic", "positive", 0.9, {"negative": 0.1, "positive": 0.9}, "1", now))
    feedback.record(Feedback("r1", "negative", "", "", "203.0.113.7", now))
    answers.close()
    feedback.close()
    assert (answers.written, feedback.written) == (1, 1)
    assert ingest(s3).feedback["accepted"] == 1
    assert read_snapshot(Storage(s3), 1)[["text", "label", "origin"]].to_numpy().tolist() == [
        ["Ironic", "negative", "feedback"]
    ]
    assert Storage(s3).list("landing") == []
