"""Each DAG run for real, task by task: what it does, when it skips, what it says when it cannot."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentiment.deployment.release import status, stop
from sentiment.registry import Registry
from sentiment.reviews.sample import write_sample
from sentiment.settings import Settings, load_settings
from sentiment.training.promotion import judge
from sentiment.training.search import search
from tests.receivers import Webhook, listening

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Run = Callable[..., tuple[str, dict[str, str], Any]]


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    """Who is told."""
    server = Webhook()
    with listening(server):
        yield server


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, webhook: Webhook) -> Iterator[Path]:
    """A storage root and an Airflow database, shared by the steps of the story below."""
    home = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTIMENT_STORAGE__ROOT", str(home / "var"))
        patch.setenv("SENTIMENT_ALERTS__WEBHOOK_CONN_ID", "chat")
        chat = {"conn_type": "http", "host": f"http://127.0.0.1:{webhook.port}"}
        patch.setenv("AIRFLOW_CONN_CHAT", json.dumps(chat))
        patch.setenv("SENTIMENT_TUNE__ROWS", "400")
        patch.setenv("SENTIMENT_TRAINING__LEARNING_CURVE", "false")
        yield home / "var"
        stop(load_settings())


RUNNER = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import upgradedb
upgradedb()
dags = DagBag(dag_folder=sys.argv[1]).dags
for line in sys.stdin:
    dag_id, conf = json.loads(line)
    run = dags[dag_id].test(run_conf=conf)
    tasks = run.get_task_instances()
    states = {task.task_id: str(task.state) for task in tasks}
    values = {task.task_id: task.xcom_pull(task_ids=task.task_id) for task in tasks}
    key = "_link_DriftReportLink"
    values["links"] = {task.task_id: task.xcom_pull(task_ids=task.task_id, key=key) for task in tasks}
    print("RESULT" + json.dumps([str(run.state), states, values], default=str), flush=True)
"""


@pytest.fixture(scope="module")
def run(root: Path) -> Iterator[Run]:
    """Run a DAG with values of its form; return its state, those of its tasks, and what they returned.

    One process runs them all: what they import takes longer than they do.
    """
    folder = str(Path(__file__).resolve().parents[2] / "dags")
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
    ) as runner:
        assert runner.stdin
        assert runner.stdout

        def call(dag_id: str, **conf: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
            assert runner.stdin
            assert runner.stdout
            runner.stdin.write(json.dumps([dag_id, conf]) + "\n")
            runner.stdin.flush()
            log = ""
            for line in runner.stdout:
                if line.startswith("RESULT"):
                    state, tasks, values = json.loads(line.removeprefix("RESULT"))
                    return state, tasks, {**values, "log": log}
                log += line
            pytest.fail(f"the runner ended: {log[-3000:]}")

        yield call
        runner.stdin.close()


@pytest.fixture
def platform(root: Path) -> Settings:
    return load_settings()


@pytest.mark.timeout(600)
def test_the_dags_in_order(run: Run, root: Path, platform: Settings, webhook: Webhook) -> None:
    state, tasks, said = run("sentiment_retrain")
    assert state == "failed"
    assert "There are no reviews to learn from" in said["log"]

    write_sample(root / "inbox" / "film.csv", "film", 1_500, seed=1)
    bad = root / "inbox" / "empty.csv"
    bad.touch()
    state, tasks, said = run("sentiment_ingest")
    assert (state, tasks["ingest"]) == ("failed", "success"), "a bad file must not keep the good ones from being told"
    assert "empty.csv is empty" in said["log"]
    assert said["ingest"]["snapshot"] == "reviews@v1"
    bad.unlink()
    assert run("sentiment_ingest")[0] == "success"

    state, tasks, _ = run("sentiment_drift")
    assert (state, set(tasks.values())) == ("success", {"skipped"}), "before a champion there is nothing to check"
    state, _, said = run("sentiment_drift", reference="reviews@v1")
    assert (state, len(webhook.received)) == ("failed", 1)
    assert "sentiment_drift: check failed\nA comparison needs two" in webhook.received[0][1]["text"]

    state, tasks, said = run("sentiment_retrain")
    assert (state, str(said["promote"])) == ("success", "1")
    assert tasks["search.try_path"] == "skipped", "nobody asked for a search"
    state, _, said = run("sentiment_deploy")
    assert state == "success"
    url = said["deploy"]["url"]
    assert httpx.get(f"{url}/model").json()["model_version"] == "1"

    state, tasks, said = run("sentiment_retrain")
    assert (state, tasks["train"]) == ("success", "skipped")
    assert "Nothing new to learn" in said["log"]

    write_sample(root / "inbox" / "kitchen.csv", "kitchen", 1_500, seed=2)
    assert run("sentiment_ingest")[2]["ingest"]["snapshot"] == "reviews@v2"
    state, tasks, said = run("sentiment_drift", reference=None)  # the runner keeps what a form said last
    assert said["check"]["verdict"]["state"] == "drifted", said["log"][-3000:]
    assert tasks["ask_for_retraining"] == "success"
    check = said["check"]["id"]
    assert said["links"]["check"].endswith(f"/sentiment/checks/{check}")
    assert said["tell"] == {"told": ["webhook"], "not_told": {}}
    assert webhook.received[1][1]["text"].endswith(f"/sentiment/checks/{check}")
    state, tasks, said = run("sentiment_drift", end=said["check"]["end"])
    assert (said["check"]["id"], said["tell"]["told"]) == (check, []), "asked again, it is the same and no news"
    state, tasks, said = run("sentiment_drift", end=None, reference="reviews@v1:held-out", current="reviews@v2")
    assert (state, said["check"]["verdict"]["state"], said["check"]["champion"]) == ("success", "drifted", "1")
    assert (tasks["ask_for_retraining"], tasks["tell"]) == ("skipped", "skipped"), "somebody only looked"

    state, _, said = run("sentiment_maintain", dry_run=True)
    assert (state, said["maintain"]["kept"], said["maintain"]["files"]) == ("success", ["reviews@v1"], 0)

    state, tasks, _ = run("sentiment_retrain", promote=False)
    assert tasks["promote"] == "skipped", "the form said: register only"
    assert Registry(platform).champion().version == "1"
    _, _, said = run("sentiment_retrain", promote=True)
    assert str(said["promote"]) == "2", said["log"]
    assert run("sentiment_deploy")[0] == "success"
    assert httpx.get(f"{url}/model").json()["model_version"] == "2"

    registry = Registry(platform)
    strict = load_settings(gate={"alpha": 1e-9})
    _, decision = judge(strict, registry=registry, challenger=registry.version("1"))
    assert decision.outcome == "inconclusive", "what the gate says by now shall not bar the way back"
    state, _, said = run("sentiment_rollback", reason="on call says so")
    assert (state, said["rollback"]["model_version"]) == ("success", "1")
    assert Registry(platform).champion().version == "1"
    release = status(platform).release
    assert release is not None
    assert release.model_version == "1"
    state, tasks, said = run("sentiment_retrain")
    assert (state, tasks["train"]) == ("success", "skipped"), "what was rolled back from does not come back by itself"
    assert "version 2 has learned from reviews@v2 and was rolled back from" in said["log"]
    state, _, said = run("sentiment_rollback")
    assert state == "failed", "there is nothing before the first champion"
    assert "Nothing to roll back to" in said["log"]
    assert run("sentiment_rollback", version="2")[2]["rollback"]["model_version"] == "2"
    assert httpx.get(f"{url}/model").json()["model_version"] == "2"


@pytest.mark.timeout(900)
def test_a_retraining_searches_first_when_it_is_asked_to(run: Run, root: Path, platform: Settings) -> None:
    write_sample(root / "inbox" / "hotel.csv", "hotel", 600, seed=4)
    snapshot = run("sentiment_ingest")[2]["ingest"]["snapshot"]
    state, tasks, said = run("sentiment_retrain", tune=True, promote=False)
    assert (state, tasks["search.try_path"], tasks["train"]) == ("success", "success", "success"), said["log"][-3000:]
    chosen, registry = said["search.choose"], Registry(platform)
    assert chosen["snapshot"] == snapshot
    with registry.client("look") as client:
        parent, trained = client.get_run(chosen["run_id"]), client.get_run(said["train"]["run_id"])
        below = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{chosen['run_id']}'")
    assert len(below) == len(search(platform.training, platform.data.scheme).trials)
    assert trained.data.tags["sentiment.searched"] == chosen["run_id"]
    assert {name: trained.data.params[name] for name in chosen["training"]} == {
        name: str(value) for name, value in chosen["training"].items()
    }
    again = run("sentiment_retrain", tune=True, promote=False)[2]
    assert again["search.choose"] == chosen, "a finished search is not repeated"
    assert again["train"]["run_id"] == said["train"]["run_id"]


def test_a_table_is_scored_and_a_retry_goes_on_where_it_was(
    run: Run, root: Path, platform: Settings, tmp_path: Path
) -> None:
    registry = Registry(platform)
    if registry.champion_or_none() is None:
        write_sample(root / "inbox" / "film.csv", "film", 1_500, seed=1)
        run("sentiment_ingest")
        run("sentiment_retrain")
    state, _, said = run("sentiment_score")
    champion = registry.champion().version
    assert (state, said["score"]["model_version"]) == ("success", champion), said["log"][-3000:]
    assert said["plan"]["given"].startswith("reviews@v"), "the latest snapshot is chosen once"
    output = Path(said["score"]["output"])
    assert output == root / "scores" / f"{said['plan']['given']}-model-v{champion}"
    assert said["score"]["rows"] > 1_000
    written = {path: path.stat().st_mtime_ns for path in output.glob("*.parquet")}
    again = run("sentiment_score")[2]
    assert again["score"] == said["score"]
    assert {path: path.stat().st_mtime_ns for path in output.glob("*.parquet")} == written

    (tmp_path / "in").mkdir()
    write_sample(tmp_path / "in" / "hotel.csv", "hotel", 50, seed=5)
    (tmp_path / "in" / "empty.csv").touch()
    state, tasks, said = run("sentiment_score", input=str(tmp_path / "in"), output=str(tmp_path / "out"))
    assert (state, tasks["score"], tasks["name_unread"]) == ("failed", "success", "failed")
    assert said["score"]["rows"] == 50
    assert "empty.csv is empty" in said["log"]
