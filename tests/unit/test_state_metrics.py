"""`sentiment metrics` tells the state that the stages left, cheaply, and says what it cannot read."""

import re
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from monitored import check_drift, live_through
from prometheus_client.parser import text_string_to_metric_families

from sentiment.chain import Head, follow
from sentiment.cli import main
from sentiment.errors import ServiceError, StorageError
from sentiment.ledger import SCHEMA, Ledger
from sentiment.metrics.exporter import StateMetrics
from sentiment.metrics.models import WINDOWS, read_story
from sentiment.settings import Settings
from sentiment.storage import Storage

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text()
ROW = re.compile(r"^\| `(sentiment_\w+)` \| (.*?) \|", re.MULTILINE)


def read(settings: Settings, *, now: datetime | None = None) -> dict[str, float]:
    """Return the values by name and labels, as Prometheus writes them."""
    found = StateMetrics(settings)
    found.refresh(now or datetime.now(UTC))
    return {
        sample.name + "".join(f",{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(found.text())
        for sample in family.samples
    }


def test_the_page_and_the_metrics_name_the_same_things(settings: Settings) -> None:
    live_through(settings)
    found = StateMetrics(settings)
    found.refresh(datetime.now(UTC))
    families = list(text_string_to_metric_families(found.text()))
    assert {family.type for family in families} == {"gauge"}
    real = {family.name: {name for sample in family.samples for name in sample.labels} for family in families}
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in ROW.findall(PAGE)} == real


def test_it_tells_the_state_that_the_stages_left(settings: Settings) -> None:
    live_through(settings)
    found = read(settings)
    assert found["sentiment_champion_info,1,reviews@v1"] == 1
    assert found["sentiment_decision_info,1,promote"] == 1
    assert found["sentiment_release_info,1"] == 1
    assert found["sentiment_ledger_entries"] == 4
    assert found["sentiment_champion_trained_timestamp_seconds"] < found["sentiment_champion_since_timestamp_seconds"]
    assert found["sentiment_event_timestamp_seconds,promoted"] == found["sentiment_champion_since_timestamp_seconds"]
    assert found["sentiment_snapshot_version"] == 1
    assert (found["sentiment_table_rows,reviews"], found["sentiment_table_rows,quarantine"]) == (2, 1)
    assert (found["sentiment_day_rows,accepted"], found["sentiment_day_rows,unknown_label"]) == (2, 1)
    assert [found[f"sentiment_waiting_files,{place}"] for place in ("inbox", "predictions", "feedback")] == [1, 1, 1]
    assert found["sentiment_drift_verdict,watch"] == 1
    assert found["sentiment_drift_verdict,drifted"] == 0
    assert (found["sentiment_drift_distance,scores"], found["sentiment_drift_threshold,scores"]) == (0.04, 0.05)
    assert "sentiment_drift_threshold,text" not in found
    assert found["sentiment_accuracy,live"] == 0.9
    assert {value for name, value in found.items() if name.startswith("sentiment_state_up")} == {1}


def test_a_day_later_the_rows_are_not_those_of_the_day(settings: Settings) -> None:
    live_through(settings)
    found = read(settings, now=datetime.now(UTC) + timedelta(hours=25))
    assert found["sentiment_day_rows,accepted"] == 0
    assert "sentiment_day_rows,unknown_label" not in found
    assert found["sentiment_table_rows,reviews"] == 2


def test_the_newest_check_of_the_traffic_counts(settings: Settings) -> None:
    storage, noon = Storage(settings), datetime(2026, 11, 21, 12, tzinfo=UTC)
    check_drift(storage, "drifted", at=noon)
    check_drift(storage, "stable", at=noon - timedelta(hours=1))
    storage.write("reports/drift/sides-0a1b2c3d/verdict.json", b'{"verdict": {"state": "watch"}}')
    found = read(settings)
    assert found["sentiment_drift_verdict,drifted"] == 1
    assert found["sentiment_drift_checked_timestamp_seconds"] == noon.timestamp()


def test_a_platform_without_anything_has_metrics_too(settings: Settings) -> None:
    found = read(settings)
    assert found["sentiment_ledger_entries"] == 0
    assert found["sentiment_state_up,models"] == 1
    assert not [name for name in found if name.startswith(("sentiment_champion", "sentiment_drift"))]


def test_a_part_that_cannot_be_read_is_said_to_be_down(settings: Settings) -> None:
    live_through(settings)
    for path in Path(settings.storage.root, "tables", "ledger").rglob("*.parquet"):
        path.write_bytes(b"damaged")
    found = read(settings)
    assert found["sentiment_state_up,models"] == 0
    assert found["sentiment_state_up,data"] == 1
    assert "sentiment_champion_info,1,reviews@v1" not in found
    assert found["sentiment_table_rows,reviews"] == 2


def long_ledger(settings: Settings, *, before: int, after: int) -> Ledger:
    """A ledger whose champion has many entries before and after it, in files of a thousand."""
    ledger = Ledger(Storage(settings))
    ledger.append("packaged", reason="the first entry")
    head, uri = Head(1, ledger.entries()[-1].hash), f"{settings.storage.root}/tables/ledger"
    story = ["packaged"] * before + ["trained", "decided", "promoted", "deployed"] + ["packaged"] * after
    rows = []
    for number, event in enumerate(story):
        facts = {
            "time": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number), "event": event, "actor": "a",
            "model_version": "7", "snapshot": "reviews@v7", "reason": "", "detail": "{}", "run_id": "r",
            "digests": "{}",
        }  # fmt: skip
        rows.append(follow(facts, head))
        head = Head(rows[-1]["sequence"], rows[-1]["hash"])
    for start in range(0, len(rows), 1_000):
        write_deltalake(uri, pa.Table.from_pylist(rows[start : start + 1_000], schema=SCHEMA), mode="append")
    return ledger


def test_of_a_long_ledger_only_the_end_is_read(settings: Settings) -> None:
    ledger = long_ledger(settings, before=20_000, after=500)
    files = pa.table(DeltaTable(f"{settings.storage.root}/tables/ledger").get_add_actions(flatten=True)).to_pylist()
    for file in files:
        if file["max.sequence"] < 19_000:
            Path(settings.storage.root, "tables", "ledger", file["path"]).unlink()  # whoever reads it fails
    story = read_story(ledger)
    assert story.champion is not None
    assert (story.champion.version, story.entries) == ("7", 20_505)
    assert story.trained is not None


@pytest.mark.parametrize("after", [WINDOWS[0] + 100, WINDOWS[1] + 100])
def test_a_champion_of_long_ago_is_found(after: int, settings: Settings) -> None:
    story = read_story(long_ledger(settings, before=10, after=after))
    assert story.champion is not None
    assert story.trained is not None
    assert {"decided", "deployed"} <= story.last.keys()
    assert story.entries == after + 15


def test_the_newest_entries_are_those_at_the_end(settings: Settings) -> None:
    ledger = Ledger(Storage(settings))
    assert ledger.newest(3) == []
    for number in range(5):
        ledger.append("packaged", reason=str(number))
    assert ledger.newest(2) == ledger.entries()[-2:]
    assert ledger.newest(9) == ledger.entries()


def test_it_is_printed_and_written_to_a_file_at_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live_through(settings)
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    file = tmp_path / "textfile" / "sentiment.prom"
    file.parent.mkdir()
    for arguments in (["metrics"], ["metrics", "--textfile", str(file)]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code
    printed = capsys.readouterr().out
    assert printed.count("sentiment_champion_info{") == 1
    assert 'sentiment_champion_info{model_version="1",snapshot="reviews@v1"} 1.0' in file.read_text()
    assert [path.name for path in file.parent.iterdir()] == ["sentiment.prom"]


def test_a_file_that_the_node_exporter_would_not_read_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"\.prom"):
        StateMetrics(settings).write(tmp_path / "sentiment.txt")
    with pytest.raises(StorageError):
        StateMetrics(settings).write(tmp_path / "absent" / "sentiment.prom")


def test_whoever_scrapes_gets_what_was_read_last(settings: Settings) -> None:
    found = StateMetrics(settings)
    found.refresh(datetime.now(UTC))
    port = found.serve("127.0.0.1", 0)

    def scraped() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return str(answer.read().decode())

    live_through(settings)
    assert "sentiment_champion_info{" not in scraped()
    found.refresh(datetime.now(UTC))
    assert "sentiment_champion_info{" in scraped()
    with pytest.raises(ServiceError, match=f"127.0.0.1:{port}"):
        found.serve("127.0.0.1", port)
