"""Ingest: exactly once, whatever is delivered twice, cut off or killed half-way."""

import csv
import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment import delta
from sentiment.errors import DataError, SourceError, StorageError
from sentiment.reviews import batch as batch_module
from sentiment.reviews import inbox as inbox_module
from sentiment.reviews import landing as landing_module
from sentiment.reviews.ingest import ingest
from sentiment.reviews.lock import exclusive
from sentiment.reviews.predictions import PREDICTIONS_SCHEMA, Predictions, ingest_predictions, read_predictions
from sentiment.reviews.sample import write_sample
from sentiment.reviews.table import (
    REVIEWS_SCHEMA,
    Quarantine,
    Reviews,
    Table,
    latest_snapshot,
    parse_snapshot,
    read_snapshot,
)
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

MIXED = "text,label\nSo good,pos\nso GOOD,pos\nBad,neg\nMeh,neutral\n,pos\nbad,pos\nHm,what\nNo label,\n"
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Killed(BaseException):
    """Stands for the end of the process: no handler may catch it."""


def drop(settings: Settings, name: str, content: str = MIXED) -> Path:
    path = Path(settings.storage.root, "inbox", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def names(settings: Settings, folder: str) -> list[str]:
    root = Path(settings.storage.root, folder)
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def state(settings: Settings) -> dict[str, Any]:
    """Everything that ingestion leaves behind, without the moments at which it did."""
    storage = Storage(settings)
    found: dict[str, Any] = {"inbox": names(settings, "inbox"), "processed": names(settings, "processed")}
    for table, moment in ((Reviews(storage), "ingested_at"), (Quarantine(storage), "quarantined_at")):
        rows = table.read().to_pandas().drop(columns=moment)
        found[table.name] = sorted(map(repr, rows.to_dict("records")))
    return found


def clean_state(tmp_path: Path, fill: Callable[[Settings], object]) -> dict[str, Any]:
    settings = load_settings(storage={"root": str(tmp_path / "clean")})
    fill(settings)
    ingest(settings)
    return state(settings)


def test_the_inbox_goes_into_the_tables_and_is_emptied(settings: Settings) -> None:
    drop(settings, "shop.csv")
    result = ingest(settings)
    assert (result.files, result.accepted, result.duplicates) == (1, 3, 1)
    assert result.refused == {"unknown_label": 2, "empty_text": 1, "conflicting_label": 1}
    assert result.snapshot == "reviews@v1"
    assert result.new_rows
    assert json.loads(json.dumps(result.to_dict()))["accepted"] == 3
    assert names(settings, "inbox") == []
    [processed] = names(settings, "processed")
    assert processed.endswith("-shop.csv")
    rows = read_snapshot(Storage(settings), 1)
    assert rows[["text", "label", "source", "row_number"]].to_numpy().tolist() == [
        ["So good", "positive", "shop", 1],
        ["Bad", "negative", "shop", 3],
    ]
    assert len(read_snapshot(Storage(settings), 1, labelled_only=False)) == 3
    quarantine = Quarantine(Storage(settings)).read().to_pandas().sort_values("row_number")
    assert quarantine["row_number"].tolist() == [2, 4, 5, 6, 7]
    assert quarantine["reason"].tolist()[0] == "duplicate"
    assert quarantine["label"].tolist()[1:] == ["neutral", "pos", "pos", "what"]
    assert set(quarantine["source_file"]) == {"shop.csv"}


def test_nothing_to_do_is_fine(settings: Settings) -> None:
    result = ingest(settings)
    assert (result.files, result.accepted, result.predictions, result.snapshot) == (0, 0, 0, None)
    assert result.refused == {}


@pytest.mark.parametrize("name", ["shop.csv", "renamed.csv"])
def test_the_same_content_twice_adds_nothing_under_any_name(settings: Settings, name: str) -> None:
    drop(settings, "shop.csv")
    ingest(settings)
    before = state(settings)
    drop(settings, name)
    result = ingest(settings)
    assert (result.files, result.skipped, result.accepted, result.new_rows) == (0, 1, 0, False)
    assert result.snapshot == "reviews@v1"
    after = state(settings)
    assert {key: after[key] for key in ("reviews", "quarantine", "inbox")} == {
        key: before[key] for key in ("reviews", "quarantine", "inbox")
    }


def test_another_file_with_reviews_that_exist_adds_only_the_others(settings: Settings) -> None:
    drop(settings, "a.csv", "text,label\nGood,pos\nBad,neg\n")
    ingest(settings)
    drop(settings, "b.csv", "text,label\nGOOD,pos\nbad,pos\nNew,neg\n")
    result = ingest(settings)
    assert (result.accepted, result.duplicates, result.refused) == (1, 1, {"conflicting_label": 1})


def test_a_label_that_comes_later_than_its_text_is_learned_once(settings: Settings) -> None:
    drop(settings, "a.csv", "text\nGood\nHm\n")
    drop(settings, "b.csv", "text,label\nGood,pos\n")
    ingest(settings)
    rows = read_snapshot(Storage(settings), 2, labelled_only=False)
    assert sorted(rows["text"]) == ["Good", "Hm"]
    assert rows.loc[rows["text"] == "Good", "label"].tolist() == ["positive"]
    assert read_snapshot(Storage(settings), 2)["text"].tolist() == ["Good"]


STEPS = [
    (batch_module.BatchLoader, "_append_refused"),
    (batch_module.BatchLoader, "_append_accepted"),
    (inbox_module, "retire"),
]


@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_step_and_run_again_is_as_one_clean_run(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str, moment: str
) -> None:
    def fill(settings: Settings) -> None:
        drop(settings, "a.csv")
        drop(settings, "b.csv", "text,label\nSo good,neg\nNew,pos\n")
        drop(settings, "set/pos/1.txt", "A folder")
        drop(settings, "set/neg/1.txt", "Another text")

    fill(settings)
    real = getattr(owner, step)

    def killed(*args: Any, **named: Any) -> None:
        if moment == "after":
            real(*args, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, killed)
        with pytest.raises(Killed):
            ingest(settings)
    ingest(settings)
    ingest(settings)
    assert state(settings) == clean_state(tmp_path, fill)


def test_bad_files_do_not_stop_the_others_and_stay_where_they_are(settings: Settings) -> None:
    drop(settings, "a.csv", "")
    drop(settings, "b.csv")
    drop(settings, "c.parquet", "half a file")
    with pytest.raises(SourceError, match=r"2 files were not .*a\.csv is empty.*c\.parquet is trunc") as caught:
        ingest(settings)
    assert caught.value.result.accepted == 3  # type: ignore[attr-defined]
    assert names(settings, "inbox") == ["a.csv", "c.parquet"]
    assert latest_snapshot(Storage(settings)).rows == 3  # type: ignore[union-attr]


def test_a_file_cut_off_after_its_first_batches_leaves_nothing(tmp_path: Path) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")}, data={"batch_rows": 100})
    whole = write_sample(tmp_path / "all.csv", "film", 3_000, seed=1)
    half = tmp_path / "half.csv.gz"
    half.write_bytes(gzip.compress(whole.read_bytes())[:-5_000])
    with pytest.raises(SourceError, match="truncated"):
        ingest(settings, paths=[half, whole])
    assert len(read_snapshot(Storage(settings), 1)) == 3_000


def test_given_paths_are_read_with_their_options_and_left(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("utterance,mood\nGood,pos\n")
    result = ingest(settings, paths=[path], text="utterance", label="mood", source="survey")
    assert result.accepted == 1
    assert path.exists()
    assert read_snapshot(Storage(settings), 1)["source"].tolist() == ["survey"]


def test_a_given_file_that_is_refused_altogether_is_an_error_that_counts_and_can_be_repeated(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("text,label,mood\nGood,x,pos\nBad,y,neg\n,z,pos\n")
    for _ in range(2):
        with pytest.raises(DataError, match=r"All 3 rows of .* unknown_label 2, empty_text 1\..*quarantine"):
            ingest(settings, paths=[path])
        assert len(Quarantine(Storage(settings)).read()) == 3
    assert ingest(settings, paths=[path], label="mood").accepted == 2


def test_a_second_ingest_waits_for_the_first(settings: Settings) -> None:
    with (
        exclusive(settings, "ingest"),
        pytest.raises(StorageError, match=r"Another ingest is still running"),
        exclusive(settings, "ingest", wait_seconds=0.1),
    ):
        pass
    with exclusive(settings, "ingest", wait_seconds=0):
        pass


def test_two_ingestions_at_once_are_as_one(settings: Settings, tmp_path: Path) -> None:
    def fill(settings: Settings) -> None:
        for seed in range(4):
            write_sample(Path(settings.storage.root, "inbox", f"{seed}.csv"), "film", 200, seed=seed)

    fill(settings)
    with ThreadPoolExecutor(2) as pool:
        results = [done.result() for done in [pool.submit(ingest, settings) for _ in range(2)]]
    assert sorted(result.files for result in results) == [0, 4]
    assert state(settings) == clean_state(tmp_path, fill)


def test_an_id_that_another_writer_records_between_look_and_commit_is_not_written_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = Quarantine(Storage(settings)), Quarantine(Storage(settings))
    row = dict.fromkeys(mine.schema.names, "x") | {"row_number": 1, "stars": 5, "contract": 1, "quarantined_at": MOMENT}
    look = delta.recorded

    def overtaken(*args: Any) -> set[str]:
        found = look(*args)
        monkeypatch.setattr(delta, "recorded", look)
        if not found:
            assert other.append(pd.DataFrame([row]), ids=["same"])
        return found

    monkeypatch.setattr(delta, "recorded", overtaken)
    assert not mine.append(pd.DataFrame([row]), ids=["same"])
    assert len(mine.read()) == 1


def test_a_snapshot_does_not_change_when_more_arrives(settings: Settings) -> None:
    storage = Storage(settings)
    for seed in (1, 2):
        write_sample(Path(settings.storage.root, "inbox", f"{seed}.csv"), "film", 300, seed=seed)
        ingest(settings)
    first = read_snapshot(storage, parse_snapshot("reviews@v1"))
    second = read_snapshot(storage, 2)
    assert (len(first), len(second)) == (300, 600)
    pd.testing.assert_frame_equal(first, second.head(300))
    pd.testing.assert_frame_equal(read_snapshot(storage, 2, newest=50), second.tail(50).reset_index(drop=True))
    parts = [read_snapshot(storage, 2, split=split) for split in ("train", "test")]
    assert not set(parts[0]["review_id"]) & set(parts[1]["review_id"])
    assert sum(map(len, parts)) == 600
    assert 0.12 < len(parts[1]) / 600 < 0.28
    assert str(latest_snapshot(storage)) == "reviews@v2"


def test_a_snapshot_that_is_not_there_is_told(settings: Settings) -> None:
    with pytest.raises(DataError, match="no reviews at"):
        read_snapshot(Storage(settings), 1)
    drop(settings, "a.csv")
    ingest(settings)
    with pytest.raises(DataError, match=r"no snapshot reviews@v7; the newest is reviews@v1"):
        read_snapshot(Storage(settings), 7)
    with pytest.raises(DataError, match="not a snapshot"):
        parse_snapshot("latest")


def test_every_row_of_a_real_file_is_accepted_a_duplicate_or_refused(settings: Settings, real_data: Path) -> None:

    path = real_data / "amazon_alexa.tsv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        delivered = sum(1 for row in csv.reader(file, delimiter="\t")) - 1
    result = ingest(settings, paths=[path])
    assert result.accepted + result.duplicates + sum(result.refused.values()) == delivered
    assert set(result.refused) == {"neutral_rating", "empty_text"}
    assert len(Quarantine(Storage(settings)).read()) == result.duplicates + sum(result.refused.values())
    assert set(read_snapshot(Storage(settings), 1)["label"]) == {"negative", "positive"}


def record(minute: int, **changes: Any) -> dict[str, Any]:
    moment = MOMENT + timedelta(minutes=minute)
    return {
        "request_id": f"r{minute:03}",
        "text": "Good",
        "label": "positive",
        "score": 0.75,
        "probabilities": {"negative": 0.25, "positive": 0.75},
        "model_version": "3",
        "predicted_at": moment.isoformat(),
        **changes,
    }


def land(settings: Settings, *records: dict[str, Any], tail: str = "") -> Path:
    path = Path(settings.storage.root, "landing/predictions", f"20260301T120000-{uuid4().hex}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in records) + tail)
    return path


def test_predictions_move_to_their_table_once(settings: Settings) -> None:
    said = [record(0), record(1, abstained=False)]
    files = [land(settings, *said), land(settings, record(2, text="half \ud800", abstained=True))]
    copies = [(path, path.read_bytes()) for path in files]
    assert ingest(settings).predictions == 3
    assert names(settings, "landing") == []
    for path, content in copies:  # killed after the commit, before the files were deleted
        path.write_bytes(content)
    assert ingest_predictions(settings) == 0
    assert names(settings, "landing") == []
    rows = read_predictions(Storage(settings))
    assert rows["request_id"].tolist() == ["r000", "r001", "r002"]
    assert rows["text"].tolist()[2] == "half ?"
    assert rows["predicted_at"].tolist()[1] == MOMENT + timedelta(minutes=1)
    assert rows["score"].tolist() == [0.75] * 3
    assert rows["abstained"].tolist() == [None, False, True]


def test_predictions_killed_before_the_files_are_deleted_are_not_counted_twice(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minute in range(5):
        land(settings, record(minute))
    monkeypatch.setattr(landing_module, "FILES_PER_COMMIT", 2)

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "delete", killed)
        with pytest.raises(Killed):
            ingest_predictions(settings)
    assert ingest_predictions(settings) == 3
    assert len(read_predictions(Storage(settings))) == 5


@pytest.mark.parametrize(
    "bad",
    [
        {"tail": '{"request_id": "r9", "te'},
        {"row": record(9, score=1.5)},
        {"row": record(9, score=float("nan"))},
        {"row": record(9, text=None)},
        {"row": record(9, text=1)},
        {"row": record(9, unknown_share=1.5)},
        {"row": record(9, abstained="no")},
        {"row": record(9, predicted_at="2026-03-01T12:00:00")},
        {"row": {"request_id": "r9"}},
        {"row": [1]},
        {},
    ],
    ids=[
        "half written",
        "score",
        "nan",
        "no text",
        "text",
        "unknown share",
        "abstained",
        "local time",
        "fields missing",
        "no object",
        "empty",
    ],
)
def test_a_landing_file_that_is_damaged_is_kept_aside_and_the_others_move(
    settings: Settings, bad: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    good = land(settings, record(0))
    damaged = land(settings, *([bad["row"]] if "row" in bad else []), tail=bad.get("tail", ""))
    assert ingest_predictions(settings) == 1
    assert names(settings, "landing") == [f"rejected/{damaged.name}", f"rejected/{damaged.name}.reason.json"]
    assert f"{damaged.name} is not readable" in caplog.text
    assert not good.exists()
    why = json.loads(Path(settings.storage.root, "landing", "rejected", f"{damaged.name}.reason.json").read_text())
    assert why["table"] == "predictions"
    assert why["reason"]
    assert datetime.fromisoformat(why["at"]).tzinfo


def logged(settings: Settings, *numbers: int, **serving: object) -> list[Path]:
    """Let a server log answers; return the files it leaves."""
    log = PredictionLog(load_settings(storage=settings.storage.model_dump(), serving=serving))
    for n in numbers:
        moment = MOMENT + timedelta(minutes=n)
        log.record(Answer(f"r{n:03}", f"Good {n}", "positive", 0.75, {"positive": 0.75}, "3", moment, False, n / 10))
    log.close()
    return sorted(Path(settings.storage.root, "landing", "predictions").glob("*.parquet"))


def test_files_of_old_and_new_servers_move_once_beside_each_other(settings: Settings) -> None:
    land(settings, record(0))
    (path,) = logged(settings, 1, 2)
    content = path.read_bytes()
    assert ingest(settings).predictions == 3
    path.write_bytes(content)  # a server that was killed before it knew sends it again
    assert ingest_predictions(settings) == 0
    assert names(settings, "landing") == []
    rows = read_predictions(Storage(settings))
    assert rows["request_id"].tolist() == ["r000", "r001", "r002"]
    assert rows["unknown_share"].tolist()[1:] == [0.1, 0.2]
    assert rows["text_sha256"].tolist()[1] == hashlib.sha256(b"Good 1").hexdigest()
    assert rows.loc[0, ["text_sha256", "unknown_share"]].isna().all()
    assert rows["abstained"].tolist() == [None, False, False]
    assert rows["predicted_at"].tolist()[2] == MOMENT + timedelta(minutes=2)


def test_a_table_from_before_gets_the_new_columns_once_and_keeps_its_rows(settings: Settings) -> None:
    storage = Storage(settings)
    new = ("text_sha256", "unknown_share")
    old = pa.schema([field for field in PREDICTIONS_SCHEMA if field.name not in new])
    before = Table(storage, "predictions", old)
    row: dict[str, Any] = {"request_id": "r000", "text": "Old", "label": "positive", "score": 0.5, "model_version": "1"}
    row |= {"predicted_at": MOMENT, "ingested_at": MOMENT}
    before.append(pd.DataFrame([row], columns=old.names), ids=["a"])
    assert read_predictions(storage)["text_sha256"].isna().all(), "readable before anything is added"
    for number in (1, 2):
        logged(settings, number, log_predictions="hash")
        assert ingest_predictions(settings) == 1
    table = Predictions(storage).open()
    assert table is not None
    assert [field.name for field in table.schema().fields] == PREDICTIONS_SCHEMA.names
    changes = [commit["operation"] for commit in Predictions(storage).commits()]
    assert changes == ["WRITE", "WRITE", "WRITE", "CREATE TABLE"], "no commit but those that add rows"
    rows = read_predictions(storage)
    assert rows["request_id"].tolist() == ["r000", "r001", "r002"]
    assert rows["text"].tolist()[0] == "Old"
    assert rows["text"].isna().tolist() == [False, True, True]
    assert rows["text_sha256"].notna().tolist() == [False, True, True]


@pytest.mark.parametrize("harm", ["cut", "hole", "nothing", "columns"])
def test_a_parquet_file_that_is_damaged_is_kept_aside_and_the_others_move(settings: Settings, harm: str) -> None:
    (path,) = logged(settings, 1)
    data = path.read_bytes()
    if harm == "columns":
        file = BytesIO()
        pq.write_table(pa.table({"request_id": ["r"], "text": ["Write to jane@example.org"]}), file)
        data = file.getvalue()
    harmed = {"cut": data[: len(data) // 2], "hole": data[:8] + bytes(60) + data[68:], "nothing": b""}.get(harm, data)
    path.write_bytes(harmed)
    land(settings, record(0))
    assert ingest_predictions(settings) == 1
    assert names(settings, "landing") == [f"rejected/{path.name}", f"rejected/{path.name}.reason.json"]
    assert Path(settings.storage.root, "landing", "rejected", path.name).read_bytes() == harmed
    assert ingest_predictions(settings) == 0


def test_no_commit_reads_more_than_so_many_bytes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for minute in range(3):
        land(settings, record(minute))
    monkeypatch.setattr(landing_module, "BYTES_PER_COMMIT", 1)
    assert ingest_predictions(settings) == 3
    assert [commit["operation"] for commit in Predictions(Storage(settings)).commits()].count("WRITE") == 3


def test_what_is_kept_aside_holds_no_personal_data(settings: Settings) -> None:
    damaged = land(settings, record(0, text="Write to jane@example.org"), tail='{"half')
    assert ingest_predictions(settings) == 0
    kept = Path(settings.storage.root, "landing", "rejected", damaged.name).read_text()
    assert "Write to [email]" in kept
    assert kept.endswith('{"half')
    assert "jane@example.org" not in kept


def test_predictions_are_read_by_half_open_interval_newest_last(settings: Settings) -> None:
    for minutes in ((5, 1), (3, 2, 4)):
        land(settings, *map(record, minutes))
        ingest_predictions(settings)
    storage = Storage(settings)
    start, end = MOMENT + timedelta(minutes=2), MOMENT + timedelta(minutes=5)
    assert read_predictions(storage, start=start, end=end)["request_id"].tolist() == ["r002", "r003", "r004"]
    assert read_predictions(storage, end=end, newest=2)["request_id"].tolist() == ["r003", "r004"]
    assert read_predictions(storage, newest=0).empty
    assert len(read_predictions(storage, newest=99)) == 5
    with pytest.raises(DataError, match="has no timezone"):
        read_predictions(storage, start=datetime(2026, 3, 1))  # noqa: DTZ001


def test_reading_predictions_before_there_are_any_gives_no_rows(settings: Settings) -> None:
    rows = read_predictions(Storage(settings), newest=10)
    assert rows.empty
    assert "predicted_at" in rows


def test_a_folder_in_the_inbox_is_one_delivery(settings: Settings, tmp_path: Path) -> None:
    drop(settings, "set/pos/1.txt", "Good")
    drop(settings, "set/neg/1.txt", "Bad")
    copy = shutil.copytree(Path(settings.storage.root, "inbox/set"), tmp_path / "set")
    assert ingest(settings).accepted == 2
    assert names(settings, "inbox") == []
    shutil.copytree(copy, Path(settings.storage.root, "inbox/set"))
    assert ingest(settings).skipped == 1
    assert names(settings, "inbox") == []
    assert len(names(settings, "processed")) == 2


def test_a_file_that_grows_while_it_is_read_is_left_and_taken_in_whole_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(settings, "shop.csv", "text,label\nGood,pos\n")
    read = batch_module.read_batches

    def grows(*args: Any, **named: Any) -> Iterator[pd.DataFrame]:
        yield from read(*args, **named)
        with path.open("a") as file:
            file.write("Bad,neg\n")

    with monkeypatch.context() as patch:
        patch.setattr(batch_module, "read_batches", grows)
        with pytest.raises(SourceError, match="changed while it was read"):
            ingest(settings)
    assert latest_snapshot(Storage(settings)) is None
    assert ingest(settings).accepted == 2


def test_a_file_that_grows_after_it_was_read_comes_back_and_adds_only_the_rest(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(settings, "shop.csv", "text,label\nGood,pos\n")
    append = batch_module.BatchLoader._append_accepted

    def grows(*args: Any, **named: Any) -> bool:
        with path.open("a") as file:
            file.write("Bad,neg\n")
        return append(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(batch_module.BatchLoader, "_append_accepted", grows)
        with pytest.raises(SourceError, match="grew after it was read"):
            ingest(settings)
    assert names(settings, "inbox") == ["shop.csv"]
    result = ingest(settings)
    assert (result.accepted, result.duplicates) == (1, 1)


def test_a_file_that_is_still_being_uploaded_is_left_for_the_next_time(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = load_settings(storage=settings.storage.model_dump(), data={"settle_seconds": 0.4})
    drop(slow, "done.csv", "text,label\nGood,pos\n")
    half = drop(slow, "half.csv", "label,text\npos,A review that is cut o")
    uploading = Event()

    def upload() -> None:
        while not uploading.wait(0.05):
            half.touch()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(upload)
        try:
            result = ingest(slow)
        finally:
            uploading.set()
    assert (result.accepted, result.waiting) == (1, 1)
    assert "half.csv is still being written" in caplog.text
    drop(slow, "half.csv", "label,text\npos,A review that is cut off no more\n")
    assert ingest(slow).accepted == 1
    assert sorted(read_snapshot(Storage(slow), 2)["text"]) == ["A review that is cut off no more", "Good"]


def test_what_another_machine_adds_between_look_and_commit_is_not_added_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,label\nGood,pos\nBad,neg\n")
    drop(settings, "shop.csv", "text,label\nGood,pos\nNew,pos\nBad,pos\n")
    append = batch_module.BatchLoader._append_accepted

    def overtaken(*args: Any, **named: Any) -> bool:
        monkeypatch.setattr(batch_module.BatchLoader, "_append_accepted", append)
        loader = batch_module.BatchLoader(settings, Storage(settings))
        loader._spool = tmp_path / "on the other machine"
        loader.load(other)
        return append(*args, **named)

    monkeypatch.setattr(batch_module.BatchLoader, "_append_accepted", overtaken)
    result = ingest(settings)
    assert (result.accepted, result.duplicates, result.refused) == (1, 1, {"conflicting_label": 1})
    assert len(Reviews(Storage(settings)).read()) == 3


def test_a_file_that_was_delivered_in_half_and_then_whole_gives_its_rows_once(settings: Settings) -> None:
    lines = ["text,label\n", *(f"review {number},{'pos' if number % 2 else 'neg'}\n" for number in range(60))]
    drop(settings, "shop.csv", "".join(lines[:31]) + "review 30,")
    first = ingest(settings)
    assert (first.accepted, first.waiting) == (31, 0)
    drop(settings, "shop.csv", "".join(lines))
    second = ingest(settings)
    assert (second.accepted, second.duplicates, second.refused) == (30, 30, {})
    rows = read_snapshot(Storage(settings), 2)
    assert sorted(rows["text"]) == sorted(f"review {number}" for number in range(60))
    compressed = gzip.compress("".join(lines).replace("review", "other").encode())
    path = Path(settings.storage.root, "inbox", "other.csv.gz")
    path.write_bytes(compressed[:-20])
    with pytest.raises(SourceError, match="truncated"):
        ingest(settings)
    path.write_bytes(compressed)
    assert ingest(settings).accepted == 60


def test_a_table_of_an_older_version_gets_the_columns_that_it_lacks(settings: Settings, tmp_path: Path) -> None:
    storage = Storage(settings)
    old = pa.schema([field for field in REVIEWS_SCHEMA if field.name not in ("origin", "written_at", "contract")])
    row = {"review_id": "0" * 32, "text": "Old.", "label": "positive", "source": "old", "split": "train"}
    frame = pd.DataFrame([{**row, "ingested_at": datetime.now(UTC), "batch_id": "b", "row_number": 1}])
    Table(storage, "reviews", old).append(frame, ids=["b"])

    before = read_snapshot(storage, 1)
    path = tmp_path / "new.csv"
    path.write_text("text,label\nA new one.,positive\nAnother one.,negative\n")
    ingest(settings, paths=[path])

    after = read_snapshot(storage, latest_snapshot(storage).version)
    assert before["origin"].isna().all()
    assert after["origin"].fillna("").tolist() == ["", "file", "file"]
    assert read_snapshot(storage, 1).equals(before)
