"""Why it retrained on a day, in words, from checks and ledger entries alone; and on the command line."""

import json
from datetime import UTC, date, datetime

import pytest

from sentiment.cli import main
from sentiment.drift.aftermath import answer, caused, day_of, retrainings
from sentiment.drift.records import CheckRecord, parse_check
from sentiment.ledger import Ledger, LedgerEntry
from sentiment.storage import Storage

CHECK = "20261114T063000-v1-0123abcd"


def entry(day: int, hour: int, event: str, version: str | None, run: str, reason: str = "", **detail) -> LedgerEntry:
    time = datetime(2026, 11, day, hour, 5, tzinfo=UTC)
    return LedgerEntry(time, event, "airflow", version, "reviews@v8", reason, detail, run_id=run)


def made(name: str = CHECK, state: str = "drifted", *actions: str) -> CheckRecord:
    return parse_check(name, {"verdict": {"state": state, "reasons": ["Scores moved."], "actions": list(actions)}})


DRIFT = {"what": "drift", "check": CHECK, "reasons": ["Scores moved."]}
SCHEDULE = {"what": "schedule", "check": None, "reasons": []}
STORY = [
    entry(1, 3, "trained", None, "run1", cause=SCHEDULE),
    entry(1, 4, "promoted", "1", "run1", "First model."),
    entry(14, 7, "trained", None, "run2", "accuracy 91%", cause=DRIFT),
    entry(14, 8, "registered", "2", "run2"),
    entry(14, 8, "decided", "2", "run2", "promote: Better."),
    entry(14, 9, "promoted", "2", "run2", "Better.", approved_by="Ada"),
    entry(16, 9, "rolled_back", "1", "run1", "angry customers", **{"from": "2"}),
]


def told(day: int, checks=(), story=STORY) -> str:
    return " ".join(answer(day_of(date(2026, 11, day), checks=checks, entries=story)))


def test_a_check_is_followed_to_the_promotion_it_led_to() -> None:
    found = caused(retrainings(STORY))
    assert list(found) == [CHECK]
    assert found[CHECK].version == "2"
    assert [later.event for later in found[CHECK].later] == ["registered", "decided", "promoted"]


def test_it_says_why_it_retrained_on_the_14th() -> None:
    assert told(14, [made(CHECK, "drifted", "retrain")]) == (
        "It retrained at 07:05 because the drift check of 14 Nov 2026 at 06:30 asked for it. "
        "The check said: Scores moved. Version 2 was promoted on 14 Nov 2026 at 09:05 by airflow, approved by Ada. "
        "1 drift check: 1 drifted. Version 1 was champion, from 09:05 version 2."
    )


def test_what_a_removed_check_said_is_still_known() -> None:
    assert "The check said: Scores moved." in told(14)
    assert "No drift check was made." in told(14)


def test_a_training_by_the_schedule_is_not_put_down_to_drift() -> None:
    said = told(1)
    assert said.startswith("It retrained at 03:05 because it was time by the schedule.")
    assert said.endswith("Version 1 was champion from 04:05.")


def test_a_quiet_day_is_told() -> None:
    checks = [made("20261115T060000-v2-aa", "stable"), made("20261115T070000-v2-bb", "insufficient_data")]
    assert told(15, checks) == (
        "Nothing was retrained that day. 2 drift checks: 1 stable, 1 not enough data. Version 2 was champion."
    )


def test_a_rollback_is_told_with_its_reason() -> None:
    assert "Version 1 came back by a rollback at 09:05 by airflow: angry customers" in told(16)


def test_a_retraining_that_began_on_another_day_is_found_from_the_check() -> None:
    late = [entry(15, 1, "trained", None, "run2", cause=DRIFT), entry(15, 2, "decided", "2", "run2", "reject: Worse.")]
    said = told(14, [made(CHECK, "drifted", "retrain")], late)
    assert said.startswith("A drift check asked for retraining; it began on 15 Nov 2026 at 01:05.")
    assert "Version 2 was not promoted: reject: Worse." in said


def test_a_request_that_nothing_answered_is_told() -> None:
    said = told(14, [made(CHECK, "drifted", "retrain")], [])
    assert said.startswith("A drift check asked for retraining, but no training names it as its cause.")
    assert said.endswith("There was no champion.")


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ([], "It was never judged, so nothing changed."),
        ([entry(14, 8, "registered", "2", "run2")], "It has not been judged yet."),
        ([entry(14, 8, "rejected", "2", "run2", "wrong shop")], "Version 2 was rejected by airflow: wrong shop"),
    ],
)
def test_a_training_without_a_promotion_says_what_became_of_it(later, said) -> None:
    assert said in told(14, (), [STORY[2], *later])


def test_what_is_told_with_a_retraining_is_not_told_again() -> None:
    other = entry(14, 10, "deployed", "1", "run1")
    day = day_of(date(2026, 11, 14), checks=(), entries=[*STORY, other])
    assert day.others == (other,)


def test_there_is_an_answer_without_any_ledger() -> None:
    assert told(14, (), []) == "Nothing was retrained that day. No drift check was made. There was no champion."


def test_the_command_line_tells_a_day(settings, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    storage = Storage(settings)
    Ledger(storage).append("trained", run_id="run2", detail={"cause": DRIFT}, actor="airflow")
    Ledger(storage).append("promoted", run_id="run2", model_version="2", actor="airflow")
    today = f"{Ledger(storage).entries()[0].time:%Y-%m-%d}"
    name = f"{today.replace('-', '')}T000000-v1-aa"
    verdict = {"verdict": {"state": "watch", "reasons": ["Words moved."]}}
    storage.write(f"reports/drift/{name}/verdict.json", json.dumps(verdict).encode())

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            main(["why", *arguments])
        said = capsys.readouterr()
        return " ".join((said.out + said.err).split())

    said = run(today)
    assert "because the drift check of 14 Nov 2026 at 06:30 asked for it." in said
    assert "1 drift check: 1 watch." in said
    assert "Words moved." in said
    found = json.loads(run(today, "--json"))
    assert found["retrainings"] == [{"run_id": "run2", "cause": "drift", "check": CHECK, "version": "2"}]
    assert [check["id"] for check in found["checks"]] == [name]
    assert found["answer"][1] == "The check said: Scores moved."
    assert "Nothing was retrained that day." in run("2020-01-01")
    assert "2026-13-01 is not a day" in run("2026-13-01")
