"""A check of a past window says what it would have said at its end, whatever has happened since."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sentiment.drift.archive import list_checks
from sentiment.drift.run import check_drift
from sentiment.errors import NoChampionError
from sentiment.maintenance import maintain
from sentiment.registry import Registry
from sentiment.reviews import upkeep
from sentiment.reviews.ingest import ingest
from sentiment.reviews.predictions import Predictions, ingest_predictions
from sentiment.reviews.sample import generate, write_sample
from sentiment.reviews.table import Reviews, snapshot_before
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.promotion import judge, promote
from sentiment.training.train import train


def make_champion(settings: Settings, registry: Registry) -> str:
    version, decision = judge(settings, registry=registry, challenger=train(settings, registry=registry))
    assert decision.outcome == "promote", decision.reason
    return promote(settings, registry=registry, version=version.version).version


def answer(settings: Settings, domain: str, *, seed: int, at: datetime, version: str) -> None:
    """Write answers to the landing zone and take them in now."""
    lines = [
        json.dumps(
            {
                "request_id": f"{seed}-{i}",
                "text": review.text,
                "label": "positive",
                "score": 0.5,
                "model_version": version,
                "predicted_at": at.isoformat(),
            }
        )
        for i, review in enumerate(generate(domain, 200, seed=seed))
    ]
    Storage(settings).write(f"landing/predictions/20261120T000000-{seed:032x}.jsonl", "\n".join(lines).encode())
    ingest_predictions(settings)


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings)


def test_a_past_window_is_checked_as_it_would_have_been_then(
    settings: Settings, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, before_all = Storage(settings), datetime.now(UTC)
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 800, seed=1)])
    assert make_champion(settings, registry) == "1"
    ingest(settings, paths=[write_sample(tmp_path / "labelled.csv", "kitchen", 300, seed=2)])
    asked_at = datetime.now(UTC)
    answer(settings, "film", seed=3, at=asked_at, version="1")
    end = datetime.now(UTC)
    then = check_drift(settings, registry=registry, end=end)
    files = {path: storage.read(path) for path in storage.list("reports/drift")}
    assert (then.champion, then.latest_snapshot, then.verdict.current_rows) == ("1", "reviews@v2", 200)
    assert then.verdict.live_accuracy is not None

    answer(settings, "kitchen", seed=4, at=asked_at, version="1")  # of the window, but it came late
    ingest(settings, paths=[write_sample(tmp_path / "more.csv", "kitchen", 900, seed=5)])
    assert make_champion(settings, registry) == "2"
    answer(settings, "kitchen", seed=6, at=datetime.now(UTC), version="2")
    assert registry.champion().version == "2"

    assert check_drift(settings, registry=registry, end=end) == then
    assert {path: storage.read(path) for path in storage.list("reports/drift")} == files
    now = check_drift(settings, registry=registry, end=datetime.now(UTC))
    assert (now.champion, now.latest_snapshot, now.verdict.current_rows) == ("2", "reviews@v3", 200)
    assert list_checks(storage) == [now.id, then.id]
    with pytest.raises(NoChampionError, match="no champion yet at"):
        check_drift(settings, registry=registry, end=before_all)

    monkeypatch.setattr(upkeep, "MANY", 2)
    tidied = maintain(settings, now=datetime.now(UTC) + timedelta(days=200), registry=registry)
    assert tidied.compacted["reviews"], "the files of the snapshot of then are gone"
    assert Predictions(storage).open()
    again = check_drift(settings, registry=registry, end=end, publish=False)
    assert (again.id, again.verdict) == (then.id, then.verdict)


def test_drift_is_confirmed_by_the_checks_of_windows_that_ended_earlier_and_by_no_others(
    settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    policy = settings.drift.model_copy(update={"confirm_checks": 2, "confirm_of": 3, "reference_rows": 300})
    patient = settings.model_copy(update={"drift": policy})
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 800, seed=1)])
    make_champion(settings, registry)
    asked_at = datetime.now(UTC)
    answer(settings, "kitchen", seed=2, at=asked_at, version="1")
    day, hour = timedelta(days=1), timedelta(hours=1)
    ends = [datetime.now(UTC) + i * hour for i in range(3)]

    def check(end: datetime, *, length: timedelta = day) -> tuple[str, str | None]:
        found = check_drift(patient, registry=registry, start=end - length, end=end).verdict
        return found.state, found.alone

    assert check(ends[2]) == ("watch", "drifted"), "nobody has found it before"
    assert check(ends[0]) == ("watch", "drifted"), "the later check is none before this one"
    assert check(ends[0]) == ("watch", "drifted"), "asked again, it does not confirm itself"
    assert check(ends[1], length=2 * day) == ("watch", "drifted"), "windows of another length do not confirm it"
    assert check(ends[1]) == ("drifted", "drifted")


def test_the_snapshot_of_a_moment_is_the_newest_that_was_there(settings: Settings, tmp_path: Path) -> None:
    storage, moments = Storage(settings), [datetime.now(UTC)]
    for seed in (1, 2):
        ingest(settings, paths=[write_sample(tmp_path / f"{seed}.csv", "film", 30, seed=seed)])
        moments.append(datetime.now(UTC))
    upkeep.compact(Reviews(storage), dry_run=True)
    assert [snapshot_before(storage, moment) for moment in moments] == [None, 1, 2]


def test_the_champion_of_a_moment_is_the_one_promoted_last_before_it(
    settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(NoChampionError):
        registry.champion_at(datetime.now(UTC))
    moments, promoted = [datetime.now(UTC)], []
    for rows in (800, 1_600):
        ingest(settings, paths=[write_sample(tmp_path / f"{rows}.csv", "film", rows, seed=rows)])
        promoted.append(make_champion(settings, registry))
        moments.append(datetime.now(UTC))
    registry.promote("1", expected="2", reason="on call says so", rollback=True)
    found = [registry.champion_at(moment).version for moment in (*moments[1:], datetime.now(UTC))]
    assert (promoted, found) == (["1", "2"], ["1", "2", "1"])
    with pytest.raises(NoChampionError, match="no champion yet at"):
        registry.champion_at(moments[0])
