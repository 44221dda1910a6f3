"""What a drift check leaves: a report and a verdict that programs can rely on, without anybody's data."""

import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from sentiment.drift.accuracy import Accuracy, measure_accuracy
from sentiment.drift.archive import (
    SCHEMA,
    DriftCheck,
    check_page,
    earlier_checks,
    list_checks,
    publish_check,
    read_check,
)
from sentiment.drift.check import judge_drift
from sentiment.drift.explanation import Separation
from sentiment.drift.moved_words import MovedWord
from sentiment.drift.sample import Sample, measure
from sentiment.drift.signals import compare
from sentiment.drift.verdict import Confirmation, DriftVerdict, JudgedSignal
from sentiment.reviews.sample import generate
from sentiment.settings import DriftPolicy, Settings
from sentiment.storage import Storage

END = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
FORM = json.loads(files("sentiment.drift").joinpath("verdict.schema.json").read_text(encoding="utf-8"))

PERSONAL = ("mary.jones@example.com", "4111 1111 1111 1111", "+44 20 7946 0958", "203.0.113.77", "user_id: maryj77")
SECRETS = ("mary.jones", "4111 1111", "7946 0958", "203.0.113.77", "maryj77")


def one_side(domain: str, rows: int, seed: int, *, note: str = "", **given: Any) -> Sample:
    texts = [review.text + note for review in generate(domain, rows, seed=seed)]
    scores = np.random.default_rng(seed).uniform(0, 1, rows)
    return measure(texts, scores=scores, predictions=np.where(scores > 0.5, "positive", "negative").tolist(), **given)


def check_of(reference: Sample, current: Sample, *, end: datetime = END, key: str = "0a1b2c3d") -> DriftCheck:
    verdict = judge_drift(
        signals=compare(reference=reference, current=current),
        live_accuracy=measure_accuracy(correct=70, rows=100),
        reference_accuracy=measure_accuracy(correct=920, rows=1000),
        reference_rows=len(reference),
        current_rows=len(current),
        policy=DriftPolicy(),
    )
    return DriftCheck(
        id=f"{end:%Y%m%dT%H%M%S}-v3-{key}",
        verdict=verdict,
        start=end - timedelta(days=7),
        end=end,
        champion="3",
        snapshot="reviews@v12",
    )


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return Storage(settings)


def published(storage: Storage, check: DriftCheck, reference: Sample, current: Sample, **facts: str) -> dict[str, Any]:
    publish_check(storage, check, facts=facts, reference=reference, current=current)
    written: dict[str, Any] = json.loads(storage.read(f"reports/drift/{check.id}/verdict.json"))
    return written


def test_nobodys_data_reaches_the_report_or_the_verdict(storage: Storage) -> None:
    told = " Write to " + " or ".join(PERSONAL) + "."
    reference = one_side("film", 150, 1, note=told, sources=[PERSONAL[0]] * 75 + ["web"] * 75)
    current = one_side("kitchen", 150, 2, note=told.replace("Write", "Reply"), sources=["web"] * 150)
    current = replace(current, predictions=(PERSONAL[0],) * 150, labels=(PERSONAL[1],) * 150)
    check = check_of(reference, current)
    assert PERSONAL[0] in str(check.verdict)  # a label that is somebody's address is in a reason
    published(storage, check, reference, current, Current=f"{PERSONAL[0]}.csv")
    report = storage.read(f"reports/drift/{check.id}/report.html").decode()
    verdict = storage.read(f"reports/drift/{check.id}/verdict.json").decode()
    for secret in SECRETS:
        assert secret not in report
        assert secret not in verdict
    alone = check_page(check, facts={"Current": PERSONAL[0]}, reference=reference, current=current)
    assert not any(secret in alone for secret in SECRETS)
    assert "[email]" in report
    assert "reply to" in report.lower()  # the texts themselves are shown


def test_a_word_that_was_part_of_somebodys_data_is_not_told_either(storage: Storage) -> None:
    reference = one_side("film", 200, 1)
    spammed = one_side("film", 200, 2, note=" customer id: maryj77")
    check = check_of(reference, spammed)
    told = next(signal.description for signal in check.verdict.signals if signal.name == "word")
    assert told.endswith(("'maryj77'", "'customer'", "'id'"))
    signals = [
        replace(each, description="the share of texts with the word 'maryj77'") for each in check.verdict.signals
    ]
    plainly = replace(
        check.verdict, signals=tuple(signals), reasons=("The word 'maryj77' moved.", "Word moved: 'film'.")
    )
    done = publish_check(storage, replace(check, verdict=plainly), facts={}, reference=reference, current=spammed)
    for file in ("report.html", "verdict.json"):
        assert "maryj77" not in storage.read(f"reports/drift/{check.id}/{file}").decode()
    assert done.verdict.signals[0].description == "the share of texts with the word [redacted]"
    assert done.verdict.reasons[1] == "Word moved: 'film'."


def test_what_is_published_is_read_back(storage: Storage) -> None:
    reference, current = one_side("film", 120, 1), one_side("kitchen", 120, 2)
    check = check_of(reference, current)
    done = publish_check(storage, check, facts={}, reference=reference, current=current)
    assert done.report == f"reports/drift/{check.id}/report.html"
    assert read_check(storage, check.id) == done
    assert list_checks(storage) == [check.id]


def test_the_verdict_has_the_form_that_is_documented(storage: Storage) -> None:
    reference, current = one_side("film", 400, 1), one_side("kitchen", 400, 2)
    check = check_of(reference, current)
    full = replace(
        check.verdict,
        estimated_accuracy=measure_accuracy(correct=100, rows=120),
        actions=("retrain", "ask_for_labels"),
        alone="drifted",
        confirmation=Confirmation(1, 2, 3),
        level=0.012,
        false_alarm_days=91,
        detectable=("A shift of 8 points in the mix of answers.",),
    )
    for verdict in (check.verdict, full):
        written = published(storage, replace(check, verdict=verdict), reference, current)
        jsonschema.validate(written, FORM)
        assert written["schema"] == SCHEMA == FORM["properties"]["schema"]["const"]
    assert "film" in [word["word"] for word in written["explanation"]["fell"]]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("verdict", "state"), "fine"),
        (("verdict", "reasons"), []),
        (("verdict", "signals", 0, "distance"), 1.5),
        (("explanation", "separation", "auc"), "high"),
        (("schema",), 2),
        (("id",), None),
    ],
)
def test_the_form_refuses_what_is_not_a_verdict(storage: Storage, where: tuple[str | int, ...], value: object) -> None:
    reference, current = one_side("film", 120, 1), one_side("kitchen", 120, 2)
    written = published(storage, check_of(reference, current), reference, current)
    inner: Any = written
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written, FORM)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (FORM, DriftCheck),
        (FORM["$defs"]["verdict"], DriftVerdict),
        (FORM["$defs"]["signal"], JudgedSignal),
        (FORM["$defs"]["accuracy"], Accuracy),
        (FORM["$defs"]["confirmation"], Confirmation),
        (FORM["$defs"]["explanation"]["properties"]["separation"], Separation),
        (FORM["$defs"]["word"], MovedWord),
    ],
)
def test_every_field_is_documented(written: dict[str, Any], kind: type) -> None:
    names = {field.name for field in fields(kind)}
    extra = {DriftCheck: {"schema", "explanation"}, DriftVerdict: {"retrain"}}
    assert set(written["properties"]) == names | extra.get(kind, set())


def test_a_verdict_from_before_the_form_was_numbered_is_read(storage: Storage) -> None:
    signal = {
        "name": "scores", "p_value": 0.001, "distance": 0.2, "reference": 0.5, "current": 0.7,
        "description": "the mean score", "adjusted_p": 0.004, "counts": True,
    }  # fmt: skip
    verdict = {
        "state": "drifted", "reasons": ["Scores moved."], "signals": [signal], "reference_rows": 1000,
        "current_rows": 640, "live_accuracy": None, "reference_accuracy": None, "retrain": True,
    }  # fmt: skip
    old = {
        "id": "20260101T000000-v1-abcdef01", "verdict": verdict, "report": None, "start": "2025-12-25T00:00:00+00:00",
        "end": "2026-01-01T00:00:00+00:00", "champion": "1", "snapshot": "reviews@v1", "latest_snapshot": None,
    }  # fmt: skip
    storage.write(f"reports/drift/{old['id']}/verdict.json", json.dumps(old).encode())
    found = read_check(storage, str(old["id"]))
    assert found is not None
    assert found.verdict.actions == ("retrain",)
    assert found.verdict.signals[0].threshold is None
    assert found.end == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_later_form_with_more_fields_is_read_too(storage: Storage) -> None:
    reference = one_side("film", 120, 1)
    check = check_of(reference, reference)
    storage.write(
        f"reports/drift/{check.id}/verdict.json", json.dumps({**check.to_dict(), "schema": 2, "novelty": 1}).encode()
    )
    assert read_check(storage, check.id) == check


def test_a_report_shows_the_earlier_checks_of_its_champion(storage: Storage) -> None:
    reference, current = one_side("film", 120, 1), one_side("film", 120, 2)
    days = [check_of(reference, current, end=END + timedelta(days=day)) for day in (-2, -1, 1)]
    other = replace(days[0], id=days[0].id.replace("-v3-", "-v4-"), champion="4")
    for past in (*days, other):
        storage.write(f"reports/drift/{past.id}/verdict.json", json.dumps(past.to_dict()).encode())
    now = check_of(reference, current)
    assert [past.id for past in earlier_checks(storage, now)] == [days[1].id, days[0].id]
    assert len(earlier_checks(storage, now, most=1)) == 1
    publish_check(storage, now, facts={}, reference=reference, current=current)
    report = storage.read(f"reports/drift/{now.id}/report.html").decode()
    assert report.count('<span class="unseen">2026-11-') == 3  # two before, and itself
    assert "2026-11-22" not in report


def test_files_without_a_champion_have_no_history(storage: Storage) -> None:
    check = DriftCheck(id="files-0a1b2c3d", verdict=DriftVerdict("stable", ("Nothing moved.",), (), 10, 10))
    assert earlier_checks(storage, check) == []


def test_the_example_in_the_docs_has_the_form() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "drift.md").read_text(encoding="utf-8")
    example = re.findall(r"```json\n(.*?)```", page, re.DOTALL)[-1]
    jsonschema.validate(json.loads(example), FORM)
    assert DriftCheck.from_dict(json.loads(example)).verdict.actions == ("ask_for_labels",)
