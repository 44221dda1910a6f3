"""A drift check from the tables and files that it reads to the report that it leaves."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from sentiment.drift.archive import list_checks, read_check
from sentiment.drift.comparison import compare_sides
from sentiment.drift.run import check_drift
from sentiment.drift.sides import FileSide
from sentiment.errors import DataError, NoChampionError, SourceError
from sentiment.labels import LabelScheme
from sentiment.reviews.identity import split_of
from sentiment.reviews.predictions import ingest_predictions
from sentiment.reviews.sample import generate
from sentiment.reviews.table import FILE, Reviews, latest_snapshot
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings, TrainingSettings
from sentiment.storage import Storage
from sentiment.training.model import build_pipeline, compile_scorer

NOW = datetime(2100, 11, 21, 6, 15, tzinfo=UTC)  # what is written now is known by then
FIRST = NOW - timedelta(days=30)


@cache
def film_scorer() -> Scorer:
    """A real model of generated film reviews."""
    reviews = list(generate("film", 1500, seed=0))
    pipeline = build_pipeline(TrainingSettings(), LabelScheme.binary)
    pipeline.fit([review.text for review in reviews], [review.label for review in reviews])
    return compile_scorer(pipeline)


class OneChampion:
    """A registry that holds one champion."""

    def __init__(self, snapshot: str) -> None:
        self._model = SimpleNamespace(version="3", snapshot=snapshot, digest=film_scorer().digest)

    def champion_at(self, moment: datetime) -> SimpleNamespace:
        return self._model

    def champion_or_none(self) -> SimpleNamespace:
        return self._model

    def load_scorer(self, model: SimpleNamespace) -> Scorer:
        assert model is self._model
        return film_scorer()


class NoChampion(OneChampion):
    def __init__(self) -> None:
        """Hold nothing."""

    def champion_at(self, moment: datetime) -> SimpleNamespace:
        raise NoChampionError("There is no champion yet.", fix="Train one.")

    def champion_or_none(self) -> None:
        return None


def add_reviews(settings: Settings, domain: str, rows: int, *, seed: int, at: datetime) -> str:
    reviews = list(generate(domain, rows, seed=seed))
    ids = [hashlib.sha256(review.text.encode()).hexdigest() for review in reviews]
    frame = pd.DataFrame(
        {
            "review_id": ids,
            "text": [review.text for review in reviews],
            "label": [review.label for review in reviews],
            "source": domain,
            "split": [split_of(review.text, 0.5) for review in reviews],
            "ingested_at": at,
            "batch_id": f"{domain}-{seed}",
            "row_number": range(rows),
            "origin": FILE,
            "written_at": None,
            "contract": 1,
        }
    )
    Reviews(Storage(settings)).append(frame, ids=[f"{domain}-{seed}"])
    return str(latest_snapshot(Storage(settings)))


def add_predictions(settings: Settings, domain: str, rows: int, *, seed: int, at: datetime, version: str = "3") -> None:
    lines = [
        json.dumps(
            {
                "request_id": f"{domain}-{seed}-{i}",
                "text": review.text,
                "label": "positive",
                "score": 0.5,
                "model_version": version,
                "predicted_at": at.isoformat(),
            }
        )
        for i, review in enumerate(generate(domain, rows, seed=seed))
    ]
    Storage(settings).write(f"landing/predictions/20261120T000000-{seed:032x}.jsonl", "\n".join(lines).encode())
    ingest_predictions(settings)


@pytest.fixture
def registry(settings: Settings) -> OneChampion:
    """A champion that learned from 600 film reviews."""
    return OneChampion(add_reviews(settings, "film", 600, seed=0, at=FIRST))


def test_traffic_of_another_domain_is_drift(settings: Settings, registry: OneChampion) -> None:
    add_predictions(settings, "kitchen", 300, seed=1, at=NOW - timedelta(hours=1))
    check = check_drift(settings, registry=registry, end=NOW, publish=False)
    assert check.verdict.state == "drifted"
    assert check.report is None
    assert list_checks(Storage(settings)) == []


def test_traffic_of_the_same_domain_is_stable(settings: Settings, registry: OneChampion) -> None:
    add_predictions(settings, "film", 400, seed=2, at=NOW - timedelta(hours=1))
    check = check_drift(settings, registry=registry, end=NOW, publish=False)
    assert check.verdict.state == "stable"
    assert check.verdict.current_rows == 400
    assert 200 < check.verdict.reference_rows < 400  # the held-out half only


def test_only_the_window_is_looked_at(settings: Settings, registry: OneChampion) -> None:
    add_predictions(settings, "kitchen", 300, seed=3, at=NOW)  # the end is excluded
    add_predictions(settings, "kitchen", 300, seed=4, at=NOW - timedelta(days=8))
    check = check_drift(settings, registry=registry, end=NOW, publish=False)
    assert check.verdict.state == "insufficient_data"
    assert check.verdict.current_rows == 0
    earlier = check_drift(settings, registry=registry, start=NOW - timedelta(days=9), end=NOW, publish=False)
    assert earlier.verdict.current_rows == 300


def test_what_an_earlier_champion_answered_is_not_held_against_this_one(
    settings: Settings, registry: OneChampion
) -> None:
    add_predictions(settings, "kitchen", 300, seed=5, at=NOW - timedelta(hours=2), version="2")
    add_predictions(settings, "film", 200, seed=6, at=NOW - timedelta(hours=1))
    check = check_drift(settings, registry=registry, end=NOW, publish=False)
    assert check.verdict.current_rows == 200
    assert check.verdict.state == "stable"


def test_newly_labelled_rows_that_the_champion_gets_wrong_are_drift_without_traffic(
    settings: Settings, registry: OneChampion
) -> None:
    before = check_drift(settings, registry=registry, end=NOW, publish=False)
    assert before.verdict.live_accuracy is None
    add_reviews(settings, "kitchen", 300, seed=5, at=FIRST + timedelta(days=1))
    check = check_drift(settings, registry=registry, end=NOW, publish=False)
    assert check.verdict.live_accuracy is not None
    assert check.verdict.live_accuracy.rows == 300
    assert check.verdict.state == "drifted"
    assert check.latest_snapshot != check.snapshot


def test_a_retry_rewrites_the_same_files_and_the_verdict_can_be_read_back(
    settings: Settings, registry: OneChampion
) -> None:
    add_predictions(settings, "kitchen", 150, seed=6, at=NOW - timedelta(hours=1))
    first = check_drift(settings, registry=registry, end=NOW)
    storage = Storage(settings)
    files = {path: storage.read(path) for path in storage.list("reports")}
    assert check_drift(settings, registry=registry, end=NOW) == first
    assert {path: storage.read(path) for path in storage.list("reports")} == files
    assert first.id.startswith("21001121T061500-v3-")
    assert first.report == f"reports/drift/{first.id}/report.html"
    assert sorted(files) == [first.report, f"reports/drift/{first.id}/verdict.json"]
    assert list_checks(storage) == [first.id]
    assert read_check(storage, first.id) == first


def test_a_report_without_its_verdict_is_not_listed(settings: Settings) -> None:
    storage = Storage(settings)
    storage.write("reports/drift/x/report.html", b"half")
    assert list_checks(storage) == []
    assert read_check(storage, "x") is None
    assert read_check(storage, "../../secret") is None


def test_another_window_or_more_traffic_is_another_check(settings: Settings, registry: OneChampion) -> None:
    ids = set()
    for seed in (7, 8):
        add_predictions(settings, "film", 20, seed=seed, at=NOW - timedelta(hours=1))
        for days in (1, 2):
            start = NOW - timedelta(days=days)
            ids.add(check_drift(settings, registry=registry, start=start, end=NOW, publish=False).id)
    assert len(ids) == 4


def test_without_a_champion_the_error_says_so(settings: Settings) -> None:
    with pytest.raises(NoChampionError):
        check_drift(settings, registry=NoChampion(), end=NOW)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [(NOW, NOW, "window is empty"), (None, NOW.replace(tzinfo=None), "no timezone")],
)
def test_an_impossible_window_is_refused(
    settings: Settings, start: datetime | None, end: datetime, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_drift(settings, registry=NoChampion(), start=start, end=end)


# -- files -------------------------------------------------------------------------------------------------


def write_file(path: Path, domain: str, rows: int, *, seed: int) -> Path:
    reviews = [{"text": r.text, "label": r.label} for r in generate(domain, rows, seed=seed)]
    pd.DataFrame(reviews).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("champion", [True, False])
def test_two_files_are_compared_with_or_without_a_champion(settings: Settings, tmp_path: Path, champion: bool) -> None:
    registry = OneChampion("reviews@v1") if champion else NoChampion()
    reference = write_file(tmp_path / "reference.csv", "film", 400, seed=1)
    same = write_file(tmp_path / "same.csv", "film", 300, seed=2)
    other = write_file(tmp_path / "other.csv", "kitchen", 300, seed=2)
    stable, compared = (
        compare_sides(settings, reference=FileSide(reference), current=FileSide(side), registry=registry)
        for side in (same, other)
    )
    assert list_checks(Storage(settings)) == [], "nothing is written until it is asked for"
    drifted = compared.publish(Storage(settings))
    assert stable.check.verdict.state == "stable"
    assert drifted.verdict.state == "drifted"
    assert drifted.champion == ("3" if champion else None)
    assert read_check(Storage(settings), drifted.id) == drifted


def test_a_missing_file_is_one_clear_error(settings: Settings, tmp_path: Path) -> None:
    there = write_file(tmp_path / "there.csv", "film", 200, seed=1)
    with pytest.raises(SourceError, match=r"absent\.csv"):
        compare_sides(settings, reference=FileSide(there), current=FileSide(tmp_path / "absent.csv"))
