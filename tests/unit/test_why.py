"""From an answer back to the files, on a real loop; and what the command line says of the record."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from sentiment.cli import main
from sentiment.drift.archive import newest_check
from sentiment.drift.run import check_drift
from sentiment.errors import ModelError
from sentiment.ledger import Ledger
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.predictions import ingest_predictions
from sentiment.reviews.sample import generate, write_sample
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training.promotion import judge, promote
from sentiment.training.train import train
from sentiment.why import why

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ANSWERED, WAITING, HASHED, HASHED_WAITING = "a" * 32, "b" * 32, "e" * 32, "f" * 32
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A champion of films that was asked about kitchens, drift that was noticed, and a challenger that was judged."""
    folder = tmp_path_factory.mktemp("why")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTIMENT_STORAGE__ROOT", str(folder / "var"))
        patch.setenv("SENTIMENT_DATA__SETTLE_SECONDS", "0")
        patch.setenv("SENTIMENT_TRAINING__LEARNING_CURVE", "false")
        settings = load_settings()
        registry = Registry(settings)
        ingest(settings, paths=[write_sample(folder / "film.csv", "film", 1_500, seed=1)])
        first, _ = judge(settings, registry=registry, challenger=train(settings, registry=registry))
        promote(settings, registry=registry, version=first.version)
        asked = {f"{number:032x}": review.text for number, review in enumerate(generate("kitchen", 300, seed=9))}
        _answer(settings, {**asked, ANSWERED: "The lid leaks; write to eve@example.org."})
        ingest_predictions(settings)
        hashing = load_settings(storage=settings.storage.model_dump(), serving={"log_predictions": "hash"})
        _answer(hashing, {HASHED: "The spoon bent; write to eve@example.org."})
        ingest_predictions(settings)
        _answer(hashing, {HASHED_WAITING: "The fork bent; write to eve@example.org."})
        _answer(settings, {WAITING: "The handle broke; write to eve@example.org."})
        now = datetime.now(UTC)
        check_drift(settings, registry=registry, start=now - timedelta(hours=1), end=now + timedelta(hours=1))
        ingest(settings, paths=[write_sample(folder / "kitchen.csv", "kitchen", 400, seed=2)])
        yield settings


def _answer(settings: Settings, texts: dict[str, str]) -> None:
    log = PredictionLog(settings)
    for request_id, text in texts.items():
        probabilities = {"negative": 0.8, "positive": 0.2}
        log.record(Answer(request_id, text, "negative", 0.2, probabilities, "1", datetime.now(UTC)))
    log.close()


@pytest.fixture
def run(loop: Settings, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; return its status and what it wrote."""

    def call(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + (said.err if not said.out else "")

    return call


@pytest.mark.parametrize("request_id", [ANSWERED, WAITING])
def test_an_answer_leads_to_version_decision_run_and_files(loop: Settings, request_id: str) -> None:
    found = why(loop, request_id)
    assert found.answer is not None
    assert (found.answer.request_id, found.answer.label, found.answer.model_version) == (request_id, "negative", "1")
    assert "[email]" in (found.answer.text or "")
    champion = Registry(loop).champion()
    assert (found.version, found.run_id, found.snapshot) == ("1", champion.run_id, "reviews@v1")
    assert [(file.name, file.rows, file.by) for file in found.files] == [("film.csv", 1_500, "ingest")]
    assert found.digests["model"] == champion.digest
    assert set(found.digests) == {"model", "pipeline", "data", "decision"}
    assert found.decision["outcome"] == "promote"
    assert (found.cause, found.drift) == ("by hand", None)
    assert [entry.event for entry in found.entries] == ["trained", "registered", "decided", "promoted"]
    json.dumps(found.to_dict())


@pytest.mark.parametrize("request_id", [HASHED, HASHED_WAITING])
def test_an_answer_whose_text_was_not_kept_is_told_without_it(loop: Settings, run: Run, request_id: str) -> None:
    found = why(loop, request_id)
    assert found.answer is not None
    assert (found.answer.text, len(found.answer.text_sha256 or "")) == (None, 64)
    assert found.version == "1"
    status, said = run("why", request_id)
    assert status == 0
    assert "The text was not kept" in said
    json.dumps(found.to_dict())


def test_nothing_is_made_up(loop: Settings) -> None:
    for asked in ("c" * 32, "99", "v99", ""):
        with pytest.raises(ModelError, match="no answer and no model version"):
            why(loop, asked)


def test_the_command_line_knows_the_drift_and_the_person_behind_a_version(loop: Settings, run: Run) -> None:
    check = newest_check(Storage(loop), "1")
    assert check is not None
    assert (check.verdict.state, check.verdict.actions) == ("drifted", ("ask_for_labels",)), "they came afterwards"
    status, said = run("train", "--json")
    assert status == 0
    run_id = json.loads(said)["run_id"]
    assert MlflowClient(loop.tracking_uri).get_run(run_id).data.tags["sentiment.cause"] == check.id

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTIMENT_GATE__APPROVAL", "always")
        status, said = run("promote", "--json")
        assert (status, json.loads(said)["waiting"]) == (10, True)
        assert run("promote")[1].count("It waits for a person: sentiment approve 2") == 1
        assert run("reject", "2", "--reason", "wrong shop")[0] == 0
        status, said = run("promote", "2")
        assert status == 10
        assert "rejected it: wrong shop" in said
        assert run("approve", "2", "--reason", "right shop")[0] == 0
        assert run("promote", "2")[0] == 0
    found = json.loads(run("why", "champion", "--json")[1])
    assert (found["version"], found["drift"]["check"], found["drift"]["state"]) == ("2", check.id, "drifted")
    assert found["drift"]["reasons"] == list(check.verdict.reasons)
    assert [file["name"] for file in found["files"]] == ["kitchen.csv", "film.csv"]
    shown = run("why", "2")[1]
    for fact in ("right shop", check.id, "kitchen.csv: 400 reviews", found["run_id"]):
        assert fact in shown.replace("\n", " "), fact


def test_history_tells_who_was_champion(loop: Settings, run: Run) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    status, said = run("history", "--at", today, "--json")
    found: list[dict[str, Any]] = json.loads(said)
    assert status == 0
    assert found[0]["version"] == "1"
    assert run("history", "--at", "2001-01-01")[1].strip() == "There was no champion at 2001-01-01."
    assert "Champion: version" in run("history")[1]
    assert run("history", "--at", "once")[0] == 2


def test_verify_names_what_was_changed_and_ends_with_4(loop: Settings, run: Run, tmp_path: Path) -> None:
    status, said = run("ledger", "verify", "--json")
    found = json.loads(said)
    assert (status, found["intact"], found["entries"]) == (0, True, len(Ledger(Storage(loop)).entries()))
    assert run("ledger", "verify", "--head", found["head"])[0] == 0
    status, said = run("ledger", "verify", "--head", "0f" * 32)
    assert status == 4
    assert "No entry has the remembered hash" in said
    status, said = run("ledger", "verify", "--head", "0f" * 32, "--json")
    assert (status, json.loads(said)["intact"]) == (4, False)
