"""The same code on S3: the whole loop, all but serving, against an S3 server over HTTP."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from faults import Fault, S3Server
from monitored import live_through

from sentiment.drift.run import check_drift
from sentiment.errors import DataError, SentimentError, SourceError, StorageError
from sentiment.ledger import Ledger
from sentiment.maintenance import maintain
from sentiment.metrics import data
from sentiment.metrics.exporter import StateMetrics
from sentiment.packaging import package
from sentiment.registry import Registry
from sentiment.reviews import upkeep
from sentiment.reviews.ingest import ingest
from sentiment.reviews.profile_page import publish_profile
from sentiment.reviews.sample import write_sample
from sentiment.reviews.table import read_snapshot
from sentiment.reviews.versions import summarise
from sentiment.serving.feedback import Feedback, FeedbackLog
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.promotion import judge, promote
from sentiment.training.train import train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # botocore's own
]


def test_a_write_that_must_be_the_first_is_refused_the_second_time(s3: Settings) -> None:
    storage = Storage(s3)
    assert storage.create("registry/1.json", b"first")
    assert not storage.create("registry/1.json", b"second")
    assert storage.read("registry/1.json") == b"first"
    assert storage.list("registry") == ["registry/1.json"]
    assert storage.read_json("registry/2.json") is None


def test_the_loop_on_a_store_that_fails_now_and_then(
    s3: Settings, store: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    s3 = s3.model_copy(update={"storage": s3.storage.model_copy(update={"attempts": 10, "retry_seconds": 60})})
    store.misbehave(
        Fault("error", method="PUT", part="mlflow/artifacts", times=2),
        Fault("throttle", rate=0.03),
        Fault("lose", rate=0.06),
    )
    storage = Storage(s3)
    storage.upload(write_sample(tmp_path / "film.csv", "film", 1_500, seed=1), "inbox/film.csv")
    (tmp_path / "held.csv").write_text("text,label\n" + "".join(f"review {n},pos\n" for n in range(200)))
    storage.upload(tmp_path / "held.csv", "inbox/held.csv")
    with pytest.raises(SentimentError, match=r"held.csv is held as a whole") as raised:
        ingest(s3)
    assert raised.value.result.accepted == 1_500

    registry = Registry(s3)
    challenger, decision = judge(s3, registry=registry, challenger=train(s3, registry=registry))
    assert decision.outcome == "promote"
    champion = promote(s3, registry=registry, version=challenger.version)
    assert "storage: artifacts, PutObject: attempt 1 failed: the store answered 500" in caplog.text
    bento = package(s3, registry)

    scorer = registry.load_scorer(champion)
    log, now = PredictionLog(s3), datetime.now(UTC)
    kitchen = write_sample(tmp_path / "kitchen.csv", "kitchen", 400, seed=2)
    for number, line in enumerate(kitchen.read_text().splitlines()[1:301]):
        scores = scorer.probabilities([line])[0]
        answer = dict(zip(scorer.labels, map(float, scores), strict=True))
        label = max(answer, key=lambda name: answer[name])
        log.record(Answer(f"r{number}", line, label, answer[label], answer, champion.version, now))
    log.close()
    storage.upload(kitchen, "inbox/kitchen.csv")
    taken = ingest(s3)
    assert (taken.predictions, taken.snapshot) == (300, "reviews@v2")
    publish_profile(s3, "reviews@v2")
    check = check_drift(s3, registry=registry, start=now - timedelta(hours=1), end=now + timedelta(hours=1))
    assert check.verdict.state == "drifted"

    second, _ = judge(s3, registry=registry, challenger=train(s3, registry=registry))
    registry.promote(second.version, expected=champion.version, reason="for the sake of going back")
    back = registry.promote(champion.version, expected=second.version, reason="on call says so", rollback=True)
    assert (back.version, registry.champion().version) == ("1", "1")
    assert registry.taken_back(registry.candidate(second.run_id)) == "2"

    found = storage.list("")
    assert f"bentos/sentiment-{bento.version}.bento" in found
    for place in (
        "tables/reviews/_delta_log/", "tables/predictions/_delta_log/", "tables/ledger/", "mlflow/artifacts/",
        "reports/gate/v1/", f"reports/drift/{check.id}/report.html", "reports/data/", "registry/promotions/",
        "held/", "processed/",
    ):  # fmt: skip
        assert any(path.startswith(place) for path in found), place
    events = [entry.event for entry in Ledger(storage).entries()]
    assert events == [
        "trained", "registered", "decided", "promoted", "packaged", "trained", "registered", "decided",
    ]  # fmt: skip
    assert not Ledger(storage).verify().problem, "attempts that were lost left the chain whole"
    assert store.injected() >= 5

    registry.artifact(champion, "scorer.npz").unlink()
    store.misbehave(Fault("drop", part="mlflow/artifacts"))
    impatient = s3.model_copy(update={"storage": s3.storage.model_copy(update={"attempts": 2})})
    with pytest.raises(StorageError, match=r"scorer.npz did not read: 2 attempts"):
        Registry(impatient).load_scorer(champion)


def test_a_file_at_an_s3_address_is_taken_in(s3: Settings, store: S3Server, tmp_path: Path) -> None:
    data = write_sample(tmp_path / "film.csv", "film", 300, seed=1)
    store.client().upload_file(str(data), store.bucket, "deliveries/film.csv")
    assert ingest(s3, paths=[f"s3://{store.bucket}/deliveries/film.csv"]).accepted == 300
    with pytest.raises(SourceError, match="There is no object"):
        ingest(s3, paths=[f"s3://{store.bucket}/deliveries/none.csv"])


def test_maintenance_finds_what_is_not_needed_on_s3(
    s3: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MANY", 3)
    storage = Storage(s3)
    for seed in range(3):
        ingest(s3, paths=[write_sample(tmp_path / f"{seed}.csv", "film", 20, seed=seed)])
    digest = summarise(storage, 3).digest
    storage.write("processed/one.csv", b"text")
    registry, later = Registry(s3), datetime.now(UTC) + timedelta(days=1_000)
    first = maintain(s3, now=later, registry=registry)
    assert first.compacted == {"reviews": 2}
    assert {where: part.files for where, part in first.freed.items()} == {"processed": 1}
    ingest(s3, paths=[write_sample(tmp_path / "4.csv", "film", 20, seed=4)])
    assert maintain(s3, now=later, registry=registry).freed["tables/reviews"].files == 3
    assert summarise(storage, 4).digest == digest
    with pytest.raises(DataError, match="not kept any more"):
        summarise(storage, 3)


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


def test_the_state_is_told_from_s3_and_looks_at_some_of_what_waits_only(
    s3: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_through(s3)
    storage = Storage(s3)
    for number in range(5):
        storage.write(f"landing/predictions/2027010{number}.parquet", b"")
    first = [f"landing/predictions/{name}" for name in ("20260101T000000-predictions.parquet", "20270100.parquet")]
    assert [item.path for item in storage.objects("landing/predictions", most=2)] == first
    monkeypatch.setattr(data, "WAITING", 3)
    found = StateMetrics(s3)
    found.refresh(datetime.now(UTC))
    assert 'sentiment_state_up{part="models"} 1.0' in found.text()
    assert 'sentiment_champion_info{model_version="1",snapshot="reviews@v1"} 1.0' in found.text()
    assert 'sentiment_table_rows{table="reviews"} 2.0' in found.text()
    assert 'sentiment_waiting_files{place="predictions"} 3.0' in found.text()
