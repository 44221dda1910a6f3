"""Batches beyond policy are held whole; refused rows can be seen, replayed and dropped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sentiment.cli import main
from sentiment.errors import DataError
from sentiment.ledger import Ledger
from sentiment.reviews import quarantine as quarantine_module
from sentiment.reviews import replay as replay_module
from sentiment.reviews.contract import CONTRACT
from sentiment.reviews.held import HeldError, held_batches
from sentiment.reviews.ingest import ingest
from sentiment.reviews.policy import BatchCounts, judge_batch
from sentiment.reviews.quarantine import drop, list_refused, release, replay, show_refused
from sentiment.reviews.table import Quarantine, Reviews, latest_snapshot, read_snapshot
from sentiment.reviews.versions import snapshot_log
from sentiment.settings import BatchPolicy, Settings, load_settings
from sentiment.storage import Storage


def counts(accepted: int, refused: int = 0, *, duplicates: int = 0, **labels: int) -> BatchCounts:
    return BatchCounts(accepted, duplicates, {"empty_text": refused} if refused else {}, labels)


@pytest.mark.parametrize(
    ("given", "reasons"),
    [
        (counts(70, 30, positive=40, negative=30), []),
        (counts(69, 31, positive=40, negative=29), ["31 of 100 rows (31.0%) were refused (empty_text 31)"]),
        (counts(9, 90, positive=9), []),
        (counts(0, 100), ["100 of 100 rows (100.0%)"]),
        (counts(100, positive=98, negative=2), []),
        (counts(100, positive=99, negative=1), ["99 of 100 new labels (99.0%) are 'positive'"]),
        (counts(99, positive=99), []),
        (counts(400), []),
        (counts(990, 11, duplicates=0), ["1,001 rows are more than the 1,000"]),
        (counts(0, 400, duplicates=700), ["1,100 rows are more", "400 of 1,100 rows (36.4%)"]),
    ],
)
def test_a_batch_is_judged_by_its_size_its_refusals_and_its_labels(given: BatchCounts, reasons: list[str]) -> None:
    policy = BatchPolicy(max_rows=1_000, min_rows=100)
    found = judge_batch(given, policy)
    assert len(found) == len(reasons)
    assert all(expected in reason for expected, reason in zip(reasons, found, strict=True))


def deliver(settings: Settings, name: str = "inbox/shop.csv", *, bad: int = 60) -> Path:
    path = Path(settings.storage.root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"review {n},{'pos' if n % 2 else 'neg'}" for n in range(100)] + [f"bad {n},meh" for n in range(bad)]
    path.write_text("\n".join(["text,label", *rows]))
    return path


def files(settings: Settings, folder: str) -> list[str]:
    root = Path(settings.storage.root, folder)
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_batch_beyond_policy_is_held_whole_and_the_others_are_taken_in(settings: Settings) -> None:
    deliver(settings)
    deliver(settings, "inbox/good.csv", bad=0)
    with pytest.raises(HeldError, match=r"shop.csv is held as a whole: 60 of 160 rows \(37.5%\)") as caught:
        ingest(settings)
    storage = Storage(settings)
    assert caught.value.result.accepted == 100  # type: ignore[attr-defined]
    assert latest_snapshot(storage).rows == 100  # type: ignore[union-attr]
    assert len(Quarantine(storage).read()) == 0
    [held] = held_batches(storage)
    assert held.counts["refused"] == {"unknown_label": 60}
    assert files(settings, "inbox") == []
    assert files(settings, "held") == [f"{held.key}.json", f"{held.key}/shop.csv"]


def test_a_released_batch_is_taken_in_once(settings: Settings) -> None:
    deliver(settings)
    with pytest.raises(HeldError):
        ingest(settings)
    storage = Storage(settings)
    [held] = held_batches(storage)
    assert release(settings, batch=held.key, reason="a new shop").accepted == 100
    assert len(Quarantine(storage).read()) == 60
    assert read_snapshot(storage, 1)["source"].unique().tolist() == ["shop"]
    assert files(settings, "held") == []
    assert files(settings, "processed") == [f"{held.key}-shop.csv"]
    assert [(entry.event, entry.reason) for entry in Ledger(storage).entries()] == [("released", "a new shop")]
    with pytest.raises(DataError, match="No batch"):
        release(settings, batch=held.key)
    deliver(settings)
    assert ingest(settings).skipped == 1


@pytest.mark.parametrize("step", ["_record", "held.forget"])
def test_a_release_that_was_killed_can_be_repeated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    deliver(settings)
    with pytest.raises(HeldError):
        ingest(settings)
    [held] = held_batches(Storage(settings))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        owner = quarantine_module.held if "." in step else quarantine_module
        patch.setattr(owner, step.split(".")[-1], killed)
        with pytest.raises(KeyboardInterrupt):
            release(settings, batch=held.key)
    release(settings, batch=held.key)
    storage = Storage(settings)
    assert len(Reviews(storage).read()) == 100
    assert len(Quarantine(storage).read()) == 60
    assert files(settings, "held") == []
    assert [entry.event for entry in Ledger(storage).entries()] == ["released"]


def test_a_given_file_that_is_held_stays_and_a_copy_waits_with_its_options(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("utterance,mood\n" + "".join(f"review {n},{'pos' if n < 100 else 'neg'}\n" for n in range(101)))
    for _ in range(2):
        with pytest.raises(HeldError, match="are 'positive'"):
            ingest(settings, paths=[path], text="utterance", label="mood", source="survey")
    assert path.exists()
    [held] = held_batches(Storage(settings))
    assert release(settings, batch=held.batch_id).accepted == 101
    assert set(read_snapshot(Storage(settings), 1)["source"]) == {"survey"}


def test_a_held_batch_that_is_dropped_is_gone(settings: Settings) -> None:
    deliver(settings)
    with pytest.raises(HeldError):
        ingest(settings)
    [held] = held_batches(Storage(settings))
    assert drop(settings, batch=held.key) == 160
    assert files(settings, "held") == []
    assert [entry.event for entry in Ledger(Storage(settings)).entries()] == ["dropped"]
    with pytest.raises(DataError, match="No row of a batch"):
        drop(settings, batch=held.key)


def test_refused_rows_are_taken_in_when_the_rule_is_corrected(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("text,rating\n" + "".join(f"review {n},{n % 10 + 1}\n" for n in range(50)) + ",5\nreview 0,9\n")
    storage = Storage(settings)
    ingest(settings, paths=[path])
    refused = {"neutral_rating": 10, "empty_text": 1, "conflicting_label": 1}
    [batch] = list_refused(storage)
    assert batch.reasons == refused
    assert replay(settings).refused == refused
    ternary = load_settings(storage=settings.storage.model_dump(), data={"scheme": "ternary"})
    result = replay(ternary, batch=batch.batch)
    assert (result.accepted, result.duplicates) == (10, 0)
    assert result.refused == {"empty_text": 1, "conflicting_label": 1}
    rows = read_snapshot(storage, latest_snapshot(storage).version)  # type: ignore[union-attr]
    assert rows["label"].value_counts()["neutral"] == 10
    assert set(rows["source"]) == {"stars"}
    assert replay(ternary).accepted == 0
    assert len(Quarantine(storage).read()) == 2


def test_a_replay_that_was_killed_before_the_quarantine_was_cleared_adds_nothing_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "words.csv"
    path.write_text("text,label\nfine,neutral\ngood,pos\n")
    ingest(settings, paths=[path])
    ternary = load_settings(storage=settings.storage.model_dump(), data={"scheme": "ternary"})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Quarantine, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            replay(ternary)
    assert replay(ternary).duplicates == 1
    assert len(Reviews(Storage(settings)).read()) == 2
    assert len(Quarantine(Storage(settings)).read()) == 0


def test_a_long_replay_is_one_snapshot_and_what_stays_says_the_reason_of_today(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "RANGE_ROWS", 7)
    path = tmp_path / "words.csv"
    rows = [f"review {n % 40},neutral" for n in range(60)] + ["review 3,meh", "good,pos", "good,neutral"]
    path.write_text("\n".join(["text,label", *rows]))
    ingest(settings, paths=[path])
    storage = Storage(settings)
    assert list_refused(storage)[0].reasons == {"unknown_label": 62}
    ternary = load_settings(storage=settings.storage.model_dump(), data={"scheme": "ternary"})
    result = replay(ternary)
    assert (result.accepted, result.duplicates) == (40, 20)
    assert result.refused == {"unknown_label": 1, "conflicting_label": 1}
    assert list_refused(storage)[0].reasons == {**result.refused, "duplicate": 20}
    staying = [
        row for row in Quarantine(storage).read().sort_by("row_number").to_pylist() if row["reason"] != "duplicate"
    ]
    assert [(row["text"], row["label"]) for row in staying] == [("review 3", "meh"), ("good", "neutral")]
    [newest, *_] = snapshot_log(storage)
    assert (newest.snapshot, newest.rows_added) == ("reviews@v2", 40)
    assert (newest.made_by, newest.made_from, newest.contract) == ("replay", "words.csv", CONTRACT)
    assert files(settings, "spool") == []
    assert replay(ternary).refused == result.refused
    assert snapshot_log(storage)[0] == newest


def test_a_replay_that_another_machine_overtakes_compares_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "words.csv"
    path.write_text("text,label\nfine,neutral\nso so,neutral\ngood,pos\n")
    ingest(settings, paths=[path])
    storage = Storage(settings)
    ternary = load_settings(storage=settings.storage.model_dump(), data={"scheme": "ternary"})
    apply, calls = replay_module.apply_contract, 0

    def overtaken(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        checked = apply(*arguments, **named)
        if calls == 1:
            theirs = Reviews(storage).read().to_pandas()
            first = checked.accepted.iloc[:1][["review_id", "text", "label"]]
            Reviews(storage).append(theirs.assign(**first.iloc[0].to_dict()), ids=["another machine"])
        return checked

    monkeypatch.setattr(replay_module, "apply_contract", overtaken)
    result = replay(ternary)
    assert (calls, result.accepted, result.duplicates) == (2, 1, 1)
    assert len(Reviews(storage).read()) == 3


def test_a_batch_is_named_by_the_beginning_of_its_digest_if_that_is_enough(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("text,label\nfine,neutral\ngood,pos\n")
    ingest(settings, paths=[path])
    rows = Quarantine(Storage(settings)).read().to_pandas()
    batch_id = rows["batch_id"][0]
    Quarantine(Storage(settings)).append(rows.assign(batch_id=batch_id[:20] + "0" * 44), ids=["other"])
    assert len(show_refused(Storage(settings), batch_id)) == 1
    for wrong, said in ((batch_id[:20], "beginning of 2 batches"), (batch_id[:3], "No row of a batch")):
        with pytest.raises(DataError, match=said):
            show_refused(Storage(settings), wrong)


@pytest.fixture
def sentiment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["quarantine", *arguments])
        assert ended.value.code in (0, None)
        return capsys.readouterr().out

    return run


def test_the_command_line_lists_shows_releases_replays_and_drops(
    settings: Settings, sentiment: Callable[..., str]
) -> None:
    deliver(settings)
    with pytest.raises(HeldError):
        ingest(settings)
    [held] = json.loads(sentiment("list", "--json"))["held"]
    assert "37.5%" in sentiment("show", held["batch"])
    assert "Accepted 100" in sentiment("release", held["batch"])
    assert "unknown_label 60" in sentiment("list")
    assert len(json.loads(sentiment("show", held["batch"], "--rows", "7", "--json"))) == 7
    assert "60 stay refused" in sentiment("replay")
    assert "Dropped 60" in sentiment("drop", held["batch"])
    assert json.loads(sentiment("list", "--json")) == {"held": [], "refused": []}
    with pytest.raises(DataError, match="No row"):
        show_refused(Storage(settings), held["batch"])
