"""Maintenance: what a registered model names stays for ever, what nothing needs goes, whatever happens meanwhile."""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable

from sentiment import maintenance
from sentiment.cli import main
from sentiment.errors import DataError, ModelError, ServiceError
from sentiment.ledger import Ledger
from sentiment.maintenance import maintain
from sentiment.promotions import Promotion, Promotions
from sentiment.registry import Registry
from sentiment.reviews import upkeep
from sentiment.reviews.ingest import ingest
from sentiment.reviews.predictions import Predictions
from sentiment.reviews.table import REVIEWS_SCHEMA, Reviews, latest_snapshot, read_snapshot
from sentiment.reviews.versions import snapshot_log, summarise
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=1_000)


def take_in(settings: Settings, number: int, *, rows: int = 2) -> None:
    path = Path(settings.storage.root, "inbox", f"{number}.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("text,label\n" + "".join(f"review {number} {n},{'pos' if n % 2 else 'neg'}\n" for n in range(rows)))
    ingest(settings)


def registered(settings: Settings, *snapshots: str, model: str = "sentiment") -> Registry:
    """A real MLflow that knows a version of a model for each snapshot."""
    registry = Registry(settings)
    registry._client.create_registered_model(model)
    for name in snapshots:
        registry._client.create_model_version(model, source="file:///model", tags={"snapshot": name})
    return registry


def files(settings: Settings, folder: str) -> set[str]:
    root = Path(settings.storage.root, folder)
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def data_files(settings: Settings, table: str = "reviews") -> set[str]:
    return {name for name in files(settings, f"tables/{table}") if not name.startswith("_delta_log")}


def age(folder: Path, *, days: int = 400) -> None:
    moment = time.time() - days * 86_400
    for path in folder.rglob("*"):
        os.utime(path, (moment, moment))


def test_a_version_can_be_read_for_ever_and_a_recorded_id_is_refused_for_ever(settings: Settings) -> None:
    """Commits, checkpoints, logs as old as they may get, every clean-up that Delta Lake has."""
    storage = Storage(settings)
    reviews = Reviews(storage)
    take_in(settings, 0)
    digest = summarise(storage, 1).digest
    row = reviews.read().to_pandas().head(1)
    for number in range(110):  # the hundredth makes a checkpoint by itself
        assert reviews.append(row.assign(review_id=f"{number:032x}"), ids=[f"id-{number}"])
        if number in (50, 105):
            age(Path(reviews.uri))
            table = DeltaTable(reviews.uri)
            table.create_checkpoint()
            table.cleanup_metadata()
            table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    assert summarise(storage, 1).digest == digest
    assert summarise(storage, 60).rows == 2 + 59
    assert not reviews.append(row, ids=["id-0"])
    assert Reviews(storage).recorded(["id-0", "id-109", "other"]) == {"id-0", "id-109"}


def test_an_older_table_is_told_to_keep_its_log(settings: Settings) -> None:
    storage = Storage(settings)
    reviews = Reviews(storage)
    DeltaTable.create(reviews.uri, schema=REVIEWS_SCHEMA)
    take_in(settings, 0)
    found = DeltaTable(reviews.uri).metadata().configuration
    assert found == dict(Reviews.properties)
    take_in(settings, 1)
    operations = [entry.made_by for entry in snapshot_log(storage)]
    assert operations == ["ingest", "ingest", "set tblproperties", "create table"]


def test_what_a_registered_model_names_stays_and_the_rest_goes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MANY", 4)
    storage = Storage(settings)
    for number in range(5):
        take_in(settings, number)
    digests = {version: summarise(storage, version).digest for version in range(1, 6)}
    registry = registered(settings, "reviews@v2")
    registered(settings, "reviews@v3", "reviews@v99", "", model="another")
    alone = Path(settings.storage.root, "tables", "reviews", "part-00000-killed-c000.snappy.parquet#1")
    alone.write_bytes(b"half a file")

    early = maintain(settings, now=NOW, registry=registry)
    assert early.compacted == {"reviews": 4}
    assert early.freed == {}, "young files may belong to somebody"
    assert all(summarise(storage, version).digest == digest for version, digest in digests.items())
    assert latest_snapshot(storage).version == 5  # type: ignore[union-attr]
    assert summarise(storage, 6).digest == digests[5]
    assert [(entry.made_by, entry.same_reviews) for entry in snapshot_log(storage)[:2]] == [
        ("compaction", True),
        ("ingest", False),
    ]
    take_in(settings, 5)

    planned = maintain(settings, now=LATER, registry=registry, dry_run=True)
    before = data_files(settings)
    assert "tables/reviews" in planned.freed
    result = maintain(settings, now=LATER, registry=registry)
    assert result.freed["tables/reviews"] == planned.freed["tables/reviews"]
    assert len(before - data_files(settings)) == result.freed["tables/reviews"].files == 3
    assert not alone.exists()
    assert result.kept == ("reviews@v2", "reviews@v3", "reviews@v99")
    for version in (1, 2, 3):
        assert summarise(storage, version).digest == digests[version]
    with pytest.raises(DataError, match=r"reviews@v4 is not kept any more"):
        summarise(storage, 4)
    with pytest.raises(DataError, match=r"reviews@v5 is not kept any more"):
        read_snapshot(storage, 5)
    assert len(read_snapshot(storage, latest_snapshot(storage).version)) == 12  # type: ignore[union-attr]
    assert Ledger(storage).entries()[-1].event == "removed"
    again = maintain(settings, now=LATER, registry=registry)
    assert (again.freed.get("tables/reviews"), again.compacted) == (None, {})


def test_a_snapshot_is_kept_while_it_is_the_newest_or_young(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MANY", 2)
    storage = Storage(settings)
    for number in range(3):
        take_in(settings, number)
    digest = summarise(storage, 3).digest
    registry = registered(settings)
    maintain(settings, now=LATER, registry=registry)
    assert maintain(settings, now=LATER, registry=registry).freed == {}
    assert summarise(storage, 3).digest == digest
    take_in(settings, 3)
    assert maintain(settings, now=NOW + timedelta(days=60), registry=registry).freed == {}
    for_ever = load_settings(storage=settings.storage.model_dump(), retention={"snapshot_days": 0})
    assert "tables/reviews" not in maintain(for_ever, now=LATER, registry=registry).freed
    assert maintain(settings, now=LATER, registry=registry).freed["tables/reviews"].files == 3
    assert summarise(storage, 5).rows == 8


def test_originals_predictions_reports_and_bentos_go_when_they_are_old(settings: Settings) -> None:
    storage = Storage(settings)
    take_in(settings, 0)
    folder = Path(settings.storage.root, "inbox", "set")
    for label in ("pos", "neg"):
        (folder / label).mkdir(parents=True)
        (folder / label / "1.txt").write_text(f"a {label} thing")
    ingest(settings)
    age(Path(settings.storage.root, "processed"), days=4_000)  # a rename keeps the time of the last change
    moments = pd.to_datetime(["2020-01-01", str(NOW.date())], utc=True)
    rows = pd.DataFrame(
        {
            "request_id": ["a", "b"],
            "text": "t",
            "text_sha256": None,
            "label": "positive",
            "score": 0.5,
            "model_version": "1",
            "abstained": False,
            "unknown_share": None,
        }
    )
    Predictions(storage).append(rows.assign(predicted_at=moments, ingested_at=NOW), ids=["one"])
    for path in ("drift/x/report.html", "data/reviews-v1.html", "data/reviews-v2.html", "gate/v1/decision.json"):
        storage.write(f"reports/{path}", b"x")
    for name in ("v1-old", "v1-new", "v2-served", "v7-gone", "v2-older"):
        storage.write(f"bentos/sentiment-{name}.bento", b"xx")
        time.sleep(0.02)
    registry = registered(settings, "reviews@v1")
    serve(settings, "v2-served")

    soon = maintain(settings, now=NOW + timedelta(days=1), registry=registry)
    assert (soon.predictions, soon.freed) == (1, {}), "what was moved yesterday was not delivered long ago"
    assert Predictions(storage).read()["request_id"].to_pylist() == ["b"]
    for_ever = dict.fromkeys(type(settings.retention).model_fields, 0)
    kept = maintain(
        load_settings(storage=settings.storage.model_dump(), retention=for_ever), now=LATER, registry=registry
    )
    assert (kept.predictions, set(kept.freed)) == (0, {"tables/predictions"})
    result = maintain(settings, now=LATER, registry=registry)
    assert result.predictions == 1
    assert {where: part.files for where, part in result.freed.items()} == {
        "tables/predictions": 1,
        "processed": 3,
        "reports/drift": 1,
        "reports/data": 1,
        "bentos": 3,
    }
    assert list(Path(settings.storage.root, "processed").iterdir()) == []
    assert files(settings, "reports") == {"data/reviews-v1.html", "gate/v1/decision.json"}
    assert files(settings, "bentos") == {"sentiment-v1-new.bento", "sentiment-v2-served.bento"}


def test_what_was_shipped_stays_as_long_as_a_model_or_a_release_may_need_it(settings: Settings) -> None:
    """Pods that start again next month fetch the file of their release; Helm remembers ten of them."""
    storage, registry = Storage(settings), registered(settings, "reviews@v1")
    for version in ("1", "gone", "unknown", *(f"gone-{number}" for number in range(11))):
        storage.write(f"bentos/by-digest/{version}-file.bento", b"xx")
        if version != "unknown":
            digests = {"bento": f"{version}-bento", "file": f"{version}-file"}
            Ledger(storage).append("shipped", model_version=version, digests=digests)
    storage.write("bentos/sentiment-v1-a.bento", b"x")
    Ledger(storage).append("deployed", model_version="gone", digests={"bento": "gone-bento"})

    assert maintain(settings, now=NOW + timedelta(days=29), registry=registry).freed == {}
    assert maintain(settings, now=LATER, registry=registry, dry_run=True).freed["bentos/by-digest"].files == 3
    assert len(files(settings, "bentos/by-digest")) == 14
    freed = maintain(settings, now=LATER, registry=registry).freed
    assert {where: part.files for where, part in freed.items()} == {"bentos/by-digest": 3}
    kept = {"1-file.bento", "gone-file.bento", *(f"gone-{number}-file.bento" for number in range(2, 11))}
    assert files(settings, "bentos/by-digest") == kept
    assert files(settings, "bentos") - {f"by-digest/{name}" for name in kept} == {"sentiment-v1-a.bento"}


def serve(settings: Settings, name: str) -> None:
    from sentiment.deployment.state import DeploymentFiles, Wanted

    DeploymentFiles(settings).want(Wanted("1", f"sentiment:{name}", "", "2", NOW.isoformat()))


@pytest.mark.parametrize("moment", range(4))
def test_maintenance_that_was_killed_can_be_repeated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    monkeypatch.setattr(upkeep, "MANY", 3)
    for number in range(4):
        take_in(settings, number)
    registry = registered(settings, "reviews@v1")
    digest = summarise(Storage(settings), 1).digest
    maintain(settings, now=NOW, registry=registry)
    take_in(settings, 4)
    calls = 0
    remove = Storage.remove

    def killed(storage: Storage, path: str) -> None:
        nonlocal calls
        calls += 1
        if calls > moment:
            raise KeyboardInterrupt
        remove(storage, path)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            maintain(settings, now=LATER, registry=registry)
    maintain(settings, now=LATER, registry=registry)
    assert len(data_files(settings)) == 3, "the file of version 1, the compacted one and the one after it"
    assert files(settings, "processed") == set()
    assert summarise(Storage(settings), 1).digest == digest
    assert summarise(Storage(settings), 6).rows == 10


def test_ingestion_goes_on_beside_maintenance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "MANY", 2)
    registry = registered(settings)
    failures: list[BaseException] = []

    def deliver() -> None:
        try:
            for number in range(12):
                take_in(settings, number, rows=20)
                time.sleep(0.1)  # the lock is not fair
        except BaseException as error:
            failures.append(error)

    delivering = threading.Thread(target=deliver)
    delivering.start()
    merged = 0
    while delivering.is_alive():
        merged += maintain(settings, now=datetime.now(UTC), registry=registry).compacted.get("reviews", 0)
    delivering.join()
    assert failures == []
    assert merged > 0
    rows = Reviews(Storage(settings)).read()["review_id"].to_pylist()
    assert len(rows) == len(set(rows)) == 240


def test_nothing_is_removed_when_mlflow_does_not_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    take_in(settings, 0)
    silent = load_settings(
        storage=settings.storage.model_dump(), registry={"tracking_uri": "http://127.0.0.1:9", "timeout_seconds": 1}
    )
    with pytest.raises(ServiceError, match=r"Nothing was removed\. .* does not answer"):
        maintain(silent, now=LATER)
    assert len(files(settings, "processed")) == 1
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    monkeypatch.setenv("SENTIMENT_REGISTRY__TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(SystemExit) as ended:
        main(["maintain"])
    assert ended.value.code == 5
    assert "Nothing was removed" in capsys.readouterr().err


def test_nothing_is_removed_when_mlflow_is_another_one(settings: Settings) -> None:
    take_in(settings, 0)
    Promotions(Storage(settings)).claim(Promotion(1, None, "3", None, False, "", NOW.isoformat()))
    with pytest.raises(ModelError, match=r"Nothing was removed\. .* does not know version 3"):
        maintain(settings, now=LATER, registry=registered(settings, "reviews@v1"))
    assert len(files(settings, "processed")) == 1


def test_all_versions_are_asked_for_however_many_there_are(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registered(settings, *(f"reviews@v{number}" for number in range(1, 8)))
    search: Callable[..., object] = registry._client.search_model_versions
    monkeypatch.setattr(
        registry._client, "search_model_versions", lambda *a, **k: search(*a, **{**k, "max_results": 3})
    )
    assert len(registry.snapshots_named()) == 7


def test_local_copies_of_models_go_after_a_month(settings: Settings) -> None:
    registry = registered(settings)
    copy = settings.local_dir / "cache" / "models" / "run" / "pipeline" / "model.skops"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"12345")
    assert maintain(settings, now=NOW + timedelta(days=29), registry=registry).freed == {}
    planned = maintain(settings, now=NOW + timedelta(days=31), registry=registry, dry_run=True)
    assert copy.exists()
    result = maintain(settings, now=NOW + timedelta(days=31), registry=registry)
    assert result.freed == planned.freed == {"cache/models": maintenance.Freed(1, 5)}
    assert not copy.exists()


def test_what_drift_checks_measured_goes_after_a_month(settings: Settings) -> None:
    registry, storage = registered(settings, "reviews@v1"), Storage(settings)
    for name in ("a1/reference-0f.npz", "a1/6400-0f.json", "gone/labelled-0f.npz"):
        storage.write(f"drift/calibrations/{name}", b"12345")
    assert maintain(settings, now=NOW + timedelta(days=29), registry=registry).freed == {}
    planned = maintain(settings, now=NOW + timedelta(days=31), registry=registry, dry_run=True)
    assert len(storage.list("drift/calibrations")) == 3
    result = maintain(settings, now=NOW + timedelta(days=31), registry=registry)
    assert result.freed == planned.freed == {"drift/calibrations": maintenance.Freed(3, 15)}
    assert storage.list("drift/calibrations") == []


def test_the_command_tells_what_it_would_do_and_does_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    monkeypatch.setattr(upkeep, "MANY", 2)
    for number in range(2):
        take_in(settings, number)
    for arguments, said in ((["--dry-run"], "Would free 0 bytes"), ([], "Freed 0 bytes in 0 files; 1 small files")):
        with pytest.raises(SystemExit):
            main(["maintain", *arguments])
        assert said in capsys.readouterr().out
    assert latest_snapshot(Storage(settings)).version == 2  # type: ignore[union-attr]


def test_a_moment_without_a_timezone_is_refused(settings: Settings) -> None:
    with pytest.raises(DataError, match="no timezone"):
        maintenance.maintain(settings, now=datetime(2026, 1, 1))  # noqa: DTZ001
