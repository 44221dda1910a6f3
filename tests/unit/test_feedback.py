"""Feedback becomes labelled reviews: joined by request id, judged, once, and nobody swings the model."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sentiment.cli import main
from sentiment.errors import DataError, StorageError
from sentiment.reviews import feedback_join
from sentiment.reviews.feedback import Feedback, Verdicts, waiting_feedback
from sentiment.reviews.feedback_policy import ACCEPTED
from sentiment.reviews.identity import review_id_of
from sentiment.reviews.ingest import IngestResult, ingest
from sentiment.reviews.quarantine import drop, list_refused, replay, show_refused
from sentiment.reviews.table import Quarantine, Reviews
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


class Killed(BaseException):
    """Stands for the end of the process: no handler may catch it."""


def land(settings: Settings, kind: str, *records: dict[str, Any]) -> Path:
    path = Path(settings.storage.root, "landing", kind, f"20260301T120000-{uuid4().hex}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def answered(settings: Settings, *texts: str, at: datetime = NOW) -> None:
    """Let the service have answered texts; the request id is made of the text."""
    facts = {"label": "positive", "score": 0.9, "model_version": "1", "predicted_at": at.isoformat()}
    land(settings, "predictions", *({"request_id": f"id of {text}", "text": text, **facts} for text in texts))


def said(
    text: str,
    label: str = "negative",
    *,
    reporter: str = "ann",
    minute: float = 1,
    comment: str = "",
    client: str = "c",
) -> dict[str, Any]:
    received = (NOW + timedelta(minutes=minute)).isoformat()
    facts = {"label": label, "comment": comment, "reporter": reporter, "client": client, "received_at": received}
    return {"request_id": f"id of {text}", **facts}


def reviews(settings: Settings) -> list[tuple[str, str]]:
    rows = Reviews(Storage(settings)).read().to_pandas()
    return sorted(zip(rows["text"], rows["label"], strict=True))


def refused(settings: Settings) -> Counter[str]:
    return Counter(Quarantine(Storage(settings)).read()["reason"].to_pylist())


def outcomes(result: IngestResult) -> dict[str, int]:
    return {name: count for name, count in result.feedback.items() if count}


def test_feedback_becomes_a_labelled_review(settings: Settings) -> None:
    answered(settings, "Not my film", at=NOW)
    land(settings, "feedback", said("Not my film", comment="Write to ann@example.org"))
    result = ingest(settings)
    assert outcomes(result) == {"received": 1, "accepted": 1}
    assert (result.files, result.accepted, result.predictions, result.snapshot) == (0, 1, 1, "reviews@v1")
    assert result.redacted == {"email": 1}
    storage = Storage(settings)
    [row] = Reviews(storage).read().to_pylist()
    assert (row["text"], row["label"], row["source"], row["origin"]) == (
        "Not my film",
        "negative",
        "feedback",
        "feedback",
    )
    assert row["review_id"] == review_id_of("Not my film")
    assert row["split"] in ("train", "test")
    [kept] = Feedback(storage).read().to_pylist()
    assert (kept["comment"], kept["received_at"]) == ("Write to [email]", NOW + timedelta(minutes=1))
    assert storage.list("landing") == []
    assert outcomes(ingest(settings)) == {}


def test_feedback_that_comes_before_its_prediction_waits_for_it(settings: Settings) -> None:
    land(settings, "feedback", said("Late"), said("Never"))
    assert outcomes(ingest(settings)) == {"received": 2, "waiting": 2}
    assert outcomes(ingest(settings)) == {"waiting": 2}
    answered(settings, "Late")
    assert outcomes(ingest(settings)) == {"accepted": 1, "waiting": 1}
    assert reviews(settings) == [("Late", "negative")]
    assert len(waiting_feedback(Storage(settings))) == 1


def test_feedback_whose_prediction_never_comes_or_is_too_old_is_given_up(settings: Settings) -> None:
    long_ago = NOW - timedelta(days=settings.feedback.horizon_days)
    answered(settings, "Old", at=long_ago - timedelta(days=2))
    minute = (long_ago - NOW) / timedelta(minutes=1)
    nine_days_after = said("Old", "positive", reporter="bob", minute=-5)
    land(settings, "feedback", said("Old", minute=minute), said("Never", minute=minute), nine_days_after)
    assert outcomes(ingest(settings)) == {"received": 3, "accepted": 1, "held": 1, "waiting": 1}
    assert reviews(settings) == [("Old", "negative")]
    assert refused(settings) == {"unmatched": 1}


def test_feedback_on_an_answer_without_its_text_is_held_at_once_and_trains_nothing(settings: Settings) -> None:
    facts = {"label": "positive", "score": 0.9, "model_version": "1", "predicted_at": NOW.isoformat()}
    hashed = {"request_id": "id of Secret", "text": None, "text_sha256": "ab" * 32, **facts}
    land(settings, "predictions", hashed)
    answered(settings, "Plain")
    land(settings, "feedback", said("Secret"), said("Secret", "positive", reporter="bob"), said("Plain"))
    result = ingest(settings)
    assert outcomes(result) == {"received": 3, "accepted": 1, "held": 2}
    assert result.refused == {"text_not_kept": 2}
    assert reviews(settings) == [("Plain", "negative")]
    assert outcomes(ingest(settings)) == {}
    batches = list_refused(Storage(settings))
    assert {reason for batch in batches for reason in batch.reasons} == {"text_not_kept"}
    for batch in batches:
        assert replay(settings, batch=batch.batch).accepted == 0, "an operator cannot make a review of it either"
    land(settings, "feedback", *(said("Plain", reporter=name) for name in "defg"))
    assert outcomes(ingest(settings)) == {"received": 4, "agreeing": 4}, "what was held counts against nobody"


def test_the_contract_holds_for_feedback_too(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("text,label\nKnown,pos\nKnown too,pos\n")
    ingest(settings, paths=[path])
    answered(settings, "known", "KNOWN TOO", " ", "Call me: +49 30 1234567", "odd")
    given = [
        said("known"),
        said("KNOWN TOO", "positive"),
        said(" "),
        said("Call me: +49 30 1234567"),
        said("odd", "???"),
    ]
    land(settings, "feedback", *given)
    result = ingest(settings)
    assert result.feedback["accepted"] == 1
    assert {"conflicting_label": 1, "empty_text": 1, "unknown_label": 1}.items() <= result.refused.items()
    assert ("Call me: [phone]", "negative") in reviews(settings)
    assert len(reviews(settings)) == 3
    rows = Quarantine(Storage(settings)).read().to_pandas()
    assert set(rows["origin"]) == {"feedback"}
    assert set(rows["source_file"]) == {"feedback-1.jsonl"}


def test_ratings_are_labels_under_five_stars(tmp_path: Path) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")}, data={"scheme": "five_star"})
    answered(settings, "One", "Two", "Five")
    land(settings, "feedback", said("One", "1"), said("Two", "2"))
    ingest(settings)
    land(settings, "feedback", said("Five", "5"))
    ingest(settings)
    assert reviews(settings) == [("Five", "5"), ("One", "1"), ("Two", "2")]


def test_a_poisoned_burst_leaves_at_most_the_cap(settings: Settings) -> None:
    texts = [f"a fine film, number {number}" for number in range(500)]
    answered(settings, *texts)
    for start in range(0, 500, 100):  # delivered in five files, an ingest after each
        land(settings, "feedback", *(said(text, minute=n / 600) for n, text in enumerate(texts[start : start + 100])))
        ingest(settings)
    assert len(reviews(settings)) <= settings.feedback.max_per_reporter
    assert sum(refused(settings).values()) == 500 - len(reviews(settings))
    assert set(refused(settings)) <= {"burst", "over_cap"}
    assert len(waiting_feedback(Storage(settings))) == 0


def test_one_who_is_patient_is_capped_too(settings: Settings) -> None:
    texts = [f"a fine film, number {number}" for number in range(30)]
    answered(settings, *texts)
    base = -((NOW - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(days=1)) / timedelta(minutes=1)  # midnight
    for number, text in enumerate(texts):
        land(settings, "feedback", said(text, minute=base + 10 + number))
    answered(settings, *texts, at=NOW - timedelta(days=1))
    ingest(settings)
    assert len(reviews(settings)) == settings.feedback.max_per_reporter
    assert refused(settings) == {"over_cap": 30 - settings.feedback.max_per_reporter}


def test_a_disagreement_is_reviewed_as_one_batch_and_settled_by_a_person(settings: Settings) -> None:
    answered(settings, "Sick!", "Fine")
    land(settings, "feedback", said("Sick!"), said("Fine", "positive"))
    land(settings, "feedback", said("Sick!", "positive", reporter="bob"), said("Sick!", "positive", reporter="eve"))
    assert ingest(settings).refused == {"disagreement": 3}
    assert reviews(settings) == [("Fine", "positive")]
    land(settings, "feedback", said("Sick!", "positive", reporter="joe"))
    assert ingest(settings).refused == {"disagreement": 1}
    storage = Storage(settings)
    [batch] = list_refused(storage)
    assert (batch.rows, batch.reasons, batch.needs_review) == (4, {"disagreement": 4}, True)
    labels = [row["label"] for row in show_refused(storage, batch.batch)]
    assert sorted(labels) == ["negative", "positive", "positive", "positive"]

    assert replay(settings).accepted == 0, "nobody has reviewed it"
    with pytest.raises(DataError, match=r"disagree .* negative or positive"):
        replay(settings, batch=batch.batch)
    with pytest.raises(DataError, match=r"has the label 'neutral'"):
        replay(settings, batch=batch.batch, label="neutral")
    result = replay(settings, batch=batch.batch, label="positive")
    assert (result.accepted, result.duplicates) == (1, 2)
    assert reviews(settings) == [("Fine", "positive"), ("Sick!", "positive")]
    assert set(Reviews(storage).read()["origin"].to_pylist()) == {"feedback"}
    assert drop(settings, batch=batch.batch, reason="settled") == 3, "the other side, and the two that agreed"
    assert list_refused(storage) == []


def test_a_later_contradiction_is_held_and_the_review_stays(settings: Settings) -> None:
    answered(settings, "Sick!")
    land(settings, "feedback", said("Sick!"))
    ingest(settings)
    land(settings, "feedback", said("sick!"), said("Sick!", "positive", reporter="bob"))
    answered(settings, "sick!")
    result = ingest(settings)
    assert result.refused == {"duplicate": 1, "disagreement": 1}, "the same reporter and text under another request id"
    assert reviews(settings) == [("Sick!", "negative")]


def test_what_was_held_by_mistake_is_taken_in_by_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    texts = [f"scene {number}" for number in range(30)]
    answered(settings, *texts)
    land(settings, "feedback", *(said(text, minute=n / 60) for n, text in enumerate(texts)))
    with pytest.raises(SystemExit):
        main(["ingest"])
    assert "Feedback: received 30, accepted 0, agreeing 0, held 30, waiting 0." in capsys.readouterr().out
    [batch] = list_refused(Storage(settings))
    assert batch.source_file == "feedback/ann"
    with pytest.raises(SystemExit):
        main(["quarantine", "replay", batch.batch, "--label", "negative"])
    assert "Accepted 30" in capsys.readouterr().out
    assert len(reviews(settings)) == 30


def state(settings: Settings) -> dict[str, Any]:
    storage = Storage(settings)
    found: dict[str, Any] = {"landing": storage.list("landing")}
    for table in (Reviews(storage), Quarantine(storage), Feedback(storage), Verdicts(storage)):
        rows = table.read().to_pandas()
        rows = rows.drop(columns=[name for name in ("ingested_at", "quarantined_at", "decided_at") if name in rows])
        found[table.name] = sorted(map(repr, rows.to_dict("records")))
    return found


def fill(settings: Settings) -> None:
    names = iter("abcdefgh")
    answered(settings, "Sick!", "Fine", "Meh", " ", "Good")
    answered(settings, *(f"scene {number}" for number in range(20)))
    land(settings, "feedback", said("Sick!"), said("Fine", "positive"), said(" "))
    land(settings, "feedback", said("Sick!", "positive", reporter="bob"), said("Fine", "positive", reporter="bob"))
    land(settings, "feedback", *(said(f"scene {n}", reporter="eve", minute=n / 60) for n in range(20)), said("Nothing"))
    for path in sorted(Path(settings.storage.root, "landing", "feedback").iterdir(), key=lambda p: p.read_text()):
        path.rename(path.with_name(f"20260301T120000-{next(names) * 32}.jsonl"))


STEPS = [
    (Verdicts, "append_batches"),
    (Quarantine, "append"),
    (Feedback, "append"),
    (Storage, "delete"),
    (feedback_join, "_deliver"),
    (feedback_join, "_decide"),
]


@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_step_and_run_again_is_as_one_clean_run(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str, moment: str
) -> None:
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
    clean = load_settings(storage={"root": str(tmp_path / "clean")})
    fill(clean)
    ingest(clean)
    assert state(settings) == state(clean)
    assert len(state(settings)["reviews"]) == 1


def test_what_arrives_after_a_join_was_killed_does_not_change_what_it_decided(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(settings, "Sick!")
    land(settings, "feedback", said("Sick!"))

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(feedback_join, "_deliver", killed)
        with pytest.raises(Killed):
            ingest(settings)
    assert reviews(settings) == []
    land(settings, "feedback", said("Sick!", "positive", reporter="bob"))
    result = ingest(settings)
    assert (result.accepted, result.refused) == (1, {"disagreement": 1})
    assert reviews(settings) == [("Sick!", "negative")]


def test_a_join_of_another_machine_is_finished_before_anything_is_decided_beside_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(settings, "Sick!", "Fine")
    land(settings, "feedback", said("Sick!"), said("Fine"))
    matched = feedback_join._matched

    def overtaken(storage: Storage, *args: Any, **named: Any) -> Any:
        rows = matched(storage, *args, **named)
        monkeypatch.setattr(feedback_join, "_matched", matched)
        version = 0 if (table := Verdicts(storage).open()) is None else table.version()
        feedback_join._decide(storage, settings.feedback, version, now=NOW)  # and dies
        return rows

    monkeypatch.setattr(feedback_join, "_matched", overtaken)
    assert outcomes(ingest(settings)) == {"received": 2, "accepted": 2}
    assert Verdicts(Storage(settings)).read()["outcome"].to_pylist() == [ACCEPTED] * 2
    assert reviews(settings) == [("Fine", "negative"), ("Sick!", "negative")]


def test_a_join_that_always_loses_says_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(settings, "Sick!")
    land(settings, "feedback", said("Sick!"))
    monkeypatch.setattr(feedback_join, "_decide", _always_overtaken)
    with pytest.raises(StorageError, match="5 attempts lost"):
        ingest(settings)
    assert reviews(settings) == []


def _always_overtaken(*_: Any, **__: Any) -> Any:
    raise feedback_join.OvertakenError("somebody was quicker")


@pytest.mark.parametrize(
    "change",
    [{"label": 5}, {"received_at": "2026-03-01T12:00:00"}, {"reporter": None}, {"received_at": "soon"}],
    ids=["label", "local time", "no reporter", "no time"],
)
def test_a_landing_file_that_is_damaged_is_kept_aside_and_the_others_move(
    settings: Settings, change: dict[str, Any]
) -> None:
    answered(settings, "Fine")
    land(settings, "feedback", said("Fine"))
    damaged = land(settings, "feedback", {**said("Fine"), **change})
    assert outcomes(ingest(settings)) == {"received": 1, "accepted": 1}
    rejected = f"landing/rejected/{damaged.name}"
    assert Storage(settings).list("landing") == [rejected, f"{rejected}.reason.json"]


def test_dropped_feedback_does_not_come_back(settings: Settings) -> None:
    answered(settings, " ")
    land(settings, "feedback", said(" "))
    ingest(settings)
    [batch] = list_refused(Storage(settings))
    drop(settings, batch=batch.batch)
    ingest(settings)
    assert list_refused(Storage(settings)) == []
