"""What a drift check need not measure again: the champion's labelled rows, and what servers logged for the window."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sentiment.drift.archive import DriftCheck
from sentiment.drift.comparison import compare_sides
from sentiment.drift.kept_measures import FOLDER, KEPT, measured_once
from sentiment.drift.run import check_drift
from sentiment.drift.sample import MEASURED, Sample
from sentiment.drift.sampling import LoggedAnswer, Row, SampledRows
from sentiment.drift.scoring import CHECKED, sample_of, scored
from sentiment.drift.sides import SnapshotSide, WindowSide
from sentiment.labels import LabelScheme
from sentiment.reviews import predictions
from sentiment.reviews.predictions import ingest_predictions
from sentiment.reviews.sample import generate
from sentiment.reviews.table import FILE, Reviews, latest_snapshot
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings, TrainingSettings, load_settings
from sentiment.storage import Storage
from sentiment.training.model import build_pipeline, compile_scorer

NOW = datetime(2100, 11, 21, 6, 15, tzinfo=UTC)  # what is written now is known by then
WINDOW = WindowSide(NOW - timedelta(days=1), NOW)
PROBES = 3  # texts that are measured in every check, for each of two roles
ROWS = 400


@cache
def film_scorer(seed: int = 0, scheme: LabelScheme = LabelScheme.binary) -> Scorer:
    """A real model of generated film reviews; another seed gives another one."""
    reviews = list(generate("film", 900, seed=seed))
    pipeline = build_pipeline(TrainingSettings(), scheme)
    third = "neutral" if scheme is LabelScheme.ternary else "positive"
    labels = [third if len(review.text) % 3 == 0 else review.label for review in reviews]
    pipeline.fit([review.text for review in reviews], labels)
    return compile_scorer(pipeline)


class Champion:
    """A registry with a champion."""

    def __init__(self, snapshot: str, scorer: Scorer, version: str = "3") -> None:
        self._scorer = scorer
        self._model = SimpleNamespace(version=version, snapshot=snapshot, digest=scorer.digest)

    def champion_at(self, moment: datetime) -> SimpleNamespace:
        return self._model

    def champion_or_none(self) -> SimpleNamespace:
        return self._model

    def load_scorer(self, model: SimpleNamespace) -> Scorer:
        return self._scorer


class Scored:
    """Counts the texts that real scorers read."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.texts = 0
        really = Scorer.read

        def read(scorer: Scorer, texts: Sequence[str]) -> Any:
            self.texts += len(texts)
            return really(scorer, texts)

        patch.setattr(Scorer, "read", read)

    def during(self, call: Any) -> int:
        before = self.texts
        call()
        return self.texts - before


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Scored:
    return Scored(monkeypatch)


def add_reviews(settings: Settings, domain: str, rows: int, *, seed: int, at: datetime) -> str:
    reviews = list(generate(domain, rows, seed=seed))
    frame = pd.DataFrame([(r.text, r.label) for r in reviews], columns=["text", "label"])
    frame["review_id"] = [hashlib.sha256(text.encode()).hexdigest() for text in frame["text"]]
    frame = frame.assign(source=domain, split="test", ingested_at=at, batch_id=f"{domain}{seed}")
    frame = frame.assign(row_number=range(rows), origin=FILE, written_at=None, contract=1)
    Reviews(Storage(settings)).append(frame, ids=[f"{domain}{seed}"])
    return str(latest_snapshot(Storage(settings)))


def log_answers(
    settings: Settings, texts: Sequence[str], scorer: Scorer, *, version: str = "3", name: str = "a", shift: float = 0
) -> None:
    """Have a server's log of its answers taken in; `shift` makes it wrong."""
    probabilities = scorer.probabilities(texts)
    lines = [
        {
            "request_id": f"{name}{number}",
            "text": text,
            "label": scorer.labels[int(row.argmax())],
            "score": min(1.0, float(score) + shift),
            "model_version": version,
            "predicted_at": (NOW - timedelta(hours=1)).isoformat(),
        }
        for number, (text, row, score) in enumerate(
            zip(texts, probabilities, scorer.scores_of(probabilities), strict=True)
        )
    ]
    name = hashlib.sha256(name.encode()).hexdigest()[:32]
    data = "\n".join(map(json.dumps, lines)).encode()
    Storage(settings).write(f"landing/predictions/20261120T000000-{name}.jsonl", data)
    ingest_predictions(settings)


def texts_of(domain: str, rows: int, *, seed: int) -> list[str]:
    return [review.text for review in generate(domain, rows, seed=seed)]


@pytest.fixture
def registry(settings: Settings) -> Champion:
    return Champion(add_reviews(settings, "film", ROWS, seed=1, at=NOW - timedelta(days=9)), film_scorer())


def check(settings: Settings, registry: Champion) -> DriftCheck:
    return check_drift(settings, registry=registry, end=NOW, publish=False)  # type: ignore[arg-type]


def entries(settings: Settings, role: str = "") -> list[str]:
    return [path for path in Storage(settings).list(FOLDER) if path.endswith(".npz") and f"/{role}" in path]


def same(one: Sample, other: Sample) -> None:
    """Assert that two samples hold the same measures."""
    for name in ("scores", "confidence", "unknown_share"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=1e-9)
    for name in MEASURED[:-1]:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.predictions == other.predictions
    assert (one.features != other.features).nnz == 0


# -- labelled rows -----------------------------------------------------------------------------------------


def test_the_second_check_of_a_champion_scores_neither_its_reference_nor_its_window(
    settings: Settings, registry: Champion, counted: Scored
) -> None:
    log_answers(settings, texts_of("film", 300, seed=2), film_scorer())
    add_reviews(settings, "film", 60, seed=3, at=NOW - timedelta(days=2))
    checks: list[DriftCheck] = []
    first, second = (counted.during(lambda: checks.append(check(settings, registry))) for _ in range(2))
    assert first == ROWS + 60 + CHECKED + 2 * PROBES
    assert second == CHECKED + 2 * PROBES
    assert checks[0].to_dict() == checks[1].to_dict()
    assert checks[0].verdict.live_accuracy is not None


def test_what_was_kept_is_what_was_measured(settings: Settings) -> None:
    texts = [*texts_of("film", 150, seed=4), "", "?!", "<p>Русский &amp; текст</p> http://x.y", "\ud800 half"]
    kept = [
        measured_once(
            Storage(settings),
            texts,
            identity="rows",
            champion="c",
            role="reference",
            measured=lambda some: scored(some, film_scorer()),
        )
        for _ in range(2)
    ]
    same(kept[0], kept[1])
    assert "features" in kept[1].__dict__, "it was read"


def test_no_text_is_kept(settings: Settings, registry: Champion) -> None:
    log_answers(settings, texts_of("film", 150, seed=2), film_scorer())
    check(settings, registry)
    assert len(entries(settings)) == 2
    words = {word for text in texts_of("film", ROWS, seed=1) for word in text.split() if len(word) > 6}
    for path in Storage(settings).list(FOLDER):
        data = Storage(settings).read(path)
        assert not [word for word in words if word.encode() in data]


@pytest.mark.parametrize("place", [0, 0.3, 0.6, 0.9])
def test_a_damaged_entry_is_measured_anew_and_replaced(
    settings: Settings, registry: Champion, counted: Scored, place: float
) -> None:
    log_answers(settings, texts_of("film", 300, seed=2), film_scorer())
    before = check(settings, registry)
    storage = Storage(settings)
    (path,) = entries(settings, "reference")
    whole = storage.read(path)
    at = int(place * len(whole))
    storage.write(path, whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
    assert counted.during(lambda: check(settings, registry)) >= ROWS
    assert storage.read(path) == whole
    assert check(settings, registry) == before


@pytest.mark.parametrize("content", [b"", b"half", b'{"level": 0.1}', b"null", b"[1]"])
def test_what_is_no_entry_and_no_calibration_is_made_anew(
    settings: Settings, registry: Champion, content: bytes
) -> None:
    log_answers(settings, texts_of("film", 300, seed=2), film_scorer())
    before, storage = check(settings, registry), Storage(settings)
    for path in storage.list(FOLDER):
        storage.write(path, content)
    assert check(settings, registry) == before
    assert content not in [storage.read(path) for path in storage.list(FOLDER)]


def test_entries_of_other_rows_do_not_pass_for_these(settings: Settings, registry: Champion, counted: Scored) -> None:
    """The bytes of an entry under the name of another one: what fits the rows is believed, what cannot fit is not."""
    check(settings, registry)
    (path,) = entries(settings, "reference")
    fewer = measured_once(
        Storage(settings),
        texts_of("film", 50, seed=7),
        identity="fewer",
        champion="x",
        role="reference",
        measured=lambda some: scored(some, film_scorer()),
    )
    assert len(fewer) == 50
    other = next(name for name in entries(settings) if f"{FOLDER}/x/" in name)
    Storage(settings).write(path, Storage(settings).read(other))
    assert counted.during(lambda: check(settings, registry)) >= ROWS


def test_changed_rows_and_another_champion_are_measured(
    settings: Settings, registry: Champion, counted: Scored
) -> None:
    check(settings, registry)
    other = Champion(str(latest_snapshot(Storage(settings))), film_scorer(seed=5), version="4")
    assert counted.during(lambda: check(settings, other)) == ROWS + 2 * PROBES
    fewer = load_settings(storage=settings.storage.model_dump(), drift={"reference_rows": 300})
    assert counted.during(lambda: check(fewer, registry)) == 300 + 2 * PROBES
    corrected = Champion(add_reviews(settings, "film", 1, seed=9, at=NOW - timedelta(days=8)), film_scorer())
    assert counted.during(lambda: check(settings, corrected)) == ROWS + 1 + 2 * PROBES
    assert len(entries(settings, "reference")) == 4


def test_another_way_to_measure_is_another_entry(
    settings: Settings, registry: Champion, counted: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(settings, registry)
    monkeypatch.setattr("sentiment.drift.sample.word_counts", lambda texts: np.array([float(len(t)) for t in texts]))
    assert counted.during(lambda: check(settings, registry)) == ROWS + 2 * PROBES


def test_a_champion_keeps_few_entries_of_a_role(settings: Settings, registry: Champion) -> None:
    for number in range(KEPT + 2):
        add_reviews(settings, "film", 1, seed=20 + number, at=NOW - timedelta(days=2))
        check(settings, registry)
    assert len(entries(settings, "labelled")) == KEPT
    assert len(entries(settings, "reference")) == 1


# -- logged answers ----------------------------------------------------------------------------------------


def test_logged_answers_are_what_the_model_says(settings: Settings, registry: Champion) -> None:
    texts = texts_of("film", 300, seed=2)
    log_answers(settings, texts, film_scorer())
    logged = check(settings, registry)
    table = predictions.Predictions(Storage(settings))
    table.replace(
        "model_version = '3'", lambda: table.read().set_column(3, "score", pa.array([0.5] * 300)).to_batches()
    )
    assert check(settings, registry) == logged, "scored anew, because the log is wrong"


def test_a_log_that_is_wrong_is_not_believed_and_said(
    settings: Settings, registry: Champion, counted: Scored, caplog: pytest.LogCaptureFixture
) -> None:
    log_answers(settings, texts_of("film", 300, seed=2), film_scorer(), shift=0.3)
    assert counted.during(lambda: check(settings, registry)) == ROWS + CHECKED + 300 + 2 * PROBES
    assert "other answers of version 3" in caplog.text


def test_a_text_that_was_redacted_is_scored_as_the_reference_is(settings: Settings, registry: Champion) -> None:
    """The logged answer is to a text with an address in it; both sides are compared without."""
    texts = [f"{text} loved-it@wonderful-film.example" for text in texts_of("film", 200, seed=2)]
    log_answers(settings, texts, film_scorer())
    stored = predictions.Predictions(Storage(settings)).read()
    assert all("[email]" in text for text in stored["text"].to_pylist())
    assert not np.allclose(stored["score"], film_scorer().scores(stored["text"].to_pylist()), atol=1e-6)
    found = check(settings, registry)
    mean = next(signal.current for signal in found.verdict.signals if signal.name == "scores")
    assert mean == pytest.approx(film_scorer().scores(stored["text"].to_pylist()).mean())


def test_rows_that_another_version_answered_are_scored_anew(
    settings: Settings, registry: Champion, counted: Scored
) -> None:
    mine, others = texts_of("film", 200, seed=2), texts_of("film", 120, seed=6)
    log_answers(settings, mine, film_scorer())
    log_answers(settings, others, film_scorer(seed=5), version="2", name="b")
    before = counted.texts
    found = compare_sides(
        settings,
        reference=SnapshotSide(1),
        current=WINDOW,
        registry=registry,  # type: ignore[arg-type]
    )
    assert counted.texts - before == ROWS + CHECKED + 120
    assert found.current.scores == pytest.approx(film_scorer().scores(list(found.current.texts)), abs=1e-9)


def answered(rows: int, scorer: Scorer, **other: Any) -> SampledRows:
    texts = texts_of("film", rows, seed=2)
    probabilities, unknown = scorer.read(texts)
    answers = [
        LoggedAnswer("3", scorer.labels[int(row.argmax())], float(score), float(share))._replace(**other)
        for row, score, share in zip(probabilities, scorer.scores_of(probabilities), unknown, strict=True)
    ]
    return SampledRows(tuple(Row(text, answer=answer) for text, answer in zip(texts, answers, strict=True)), rows)


@pytest.mark.parametrize("unknown", [{}, {"unknown_share": None}])
def test_a_logged_row_is_measured_as_one_that_is_scored(unknown: dict[str, Any], counted: Scored) -> None:
    rows = answered(150, film_scorer(), **unknown)
    plain = scored([row.text for row in rows.rows], film_scorer())
    before = counted.texts
    same(sample_of(rows, film_scorer(), side=WINDOW, version="3"), plain)
    assert counted.texts - before == CHECKED


def test_of_three_labels_all_rows_are_scored_because_the_log_does_not_say_how_sure_the_model_was(
    counted: Scored,
) -> None:
    scorer = film_scorer(scheme=LabelScheme.ternary)
    rows = answered(120, scorer)
    before = counted.texts
    found = sample_of(rows, scorer, side=WINDOW, version="3")
    assert counted.texts - before == 120
    assert found.confidence == pytest.approx(scorer.probabilities(list(found.texts)).max(axis=1))


def test_unknown_words_are_taken_from_the_table_where_it_has_them(
    settings: Settings, registry: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = answered(200, film_scorer())
    given = pd.DataFrame([{**row.answer._asdict(), "text": row.text} for row in rows.rows if row.answer])
    given["unknown_share"] = given["unknown_share"].where(np.arange(200) % 2 == 0, None)
    given = given.rename(columns={"version": "model_version"}).assign(
        request_id=[f"r{n}" for n in range(200)], text_sha256=None
    )
    given = given.assign(predicted_at=NOW - timedelta(hours=1), ingested_at=NOW - timedelta(hours=1), abstained=False)
    predictions.Predictions(Storage(settings)).append(given, ids=["one"])
    asked: list[int] = []
    really = Scorer.unknown_share
    monkeypatch.setattr(
        Scorer, "unknown_share", lambda scorer, texts: (asked.append(len(texts)), really(scorer, texts))[1]
    )
    check(settings, registry)
    assert asked == [100]
