"""The whole loop by a real scheduler, and services that end when they should and leave nothing behind."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest
from postgres import postgres, programs
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.expected_conditions import element_to_be_clickable as clickable
from selenium.webdriver.support.expected_conditions import visibility_of_element_located as visible
from selenium.webdriver.support.ui import WebDriverWait

from sentiment.deployment.ports import free_port
from sentiment.errors import ServiceError
from sentiment.ledger import Ledger
from sentiment.reviews.sample import write_sample
from sentiment.reviews.table import latest_snapshot
from sentiment.scheduler import Scheduler
from sentiment.settings import load_settings
from sentiment.storage import Storage
from sentiment.why import why

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def start(root: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sentiment.cli", *arguments],
        env={**os.environ, "SENTIMENT_STORAGE__ROOT": str(root), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_over(root: Path) -> list[str]:
    """Return the processes that belong to the platform on `root`."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SENTIMENT_STORAGE__ROOT") == str(root) and process.status() != "zombie":
                found.append(" ".join(process.cmdline()))
    return found


def wait_for(path: Path, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.1)


@pytest.fixture
def taken_ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The three wanted ports, all of them in use by somebody else; outgoing connections take no neighbour of them."""
    with contextlib.ExitStack() as stack:
        ports = []
        for name in ("MLFLOW", "AIRFLOW", "API"):
            ports.append(free_port("127.0.0.1"))
            stack.enter_context(socket.create_server(("127.0.0.1", ports[-1])))
            monkeypatch.setenv(f"SENTIMENT_PLATFORM__{name}_PORT", str(ports[-1]))
        yield ports


@pytest.fixture
def databases() -> Iterator[dict[str, str]]:
    """A PostgreSQL for Airflow and MLflow, where Debian's is installed; otherwise nothing, which is SQLite."""
    if programs() is None:
        yield {}
        return
    with postgres() as address:
        yield {
            f"SENTIMENT_PLATFORM__{name.upper()}_DATABASE": f"postgresql://{name}:for-{name}@{address}/{name}"
            for name in ("airflow", "mlflow")
        }


def runs_by_type(root: Path, databases: dict[str, str], dag: str) -> dict[str, int]:
    """Return how many runs of each type a DAG had, from Airflow's own tables."""
    asked = "select run_type, count(*) from dag_run where dag_id = '{}' group by 1"
    if databases:
        with psycopg.connect(databases["SENTIMENT_PLATFORM__AIRFLOW_DATABASE"]) as database:
            return dict(database.execute(asked.format(dag)).fetchall())
    with contextlib.closing(sqlite3.connect(root / "airflow" / "airflow.db")) as database:
        return dict(database.execute(asked.format(dag)))


def test_the_loop_closes_on_a_machine_whose_ports_are_taken(
    tmp_path: Path, taken_ports: list[int], databases: dict[str, str]
) -> None:
    root = tmp_path / "var"
    demo = start(root, "demo", "--once", **databases)
    try:
        said, _ = demo.communicate(timeout=560)
    finally:
        demo.kill()
    assert demo.returncode == 0, said[-4000:]
    assert left_over(root) == []
    for port in taken_ports:
        assert f"Port {port} is taken" in said
    assert "The loop closed" in said
    assert ", 0 failed" in said

    settings = load_settings(storage={"root": str(root)})
    events = [(entry.event, entry.model_version) for entry in Ledger(Storage(settings)).entries()]
    assert events == [
        (event, version if event != "trained" else None)
        for version in ("1", "2")
        for event in ("trained", "registered", "decided", "promoted", "packaged", "canary", "deployed")
    ]
    decision = json.loads((root / "reports/gate/v2/decision.json").read_text())
    kitchen = decision["slices"]["source kitchen"]
    assert kitchen["champion"] < 0.8
    assert kitchen["challenger"] > 0.88
    verdicts = [json.loads(path.read_text()) for path in sorted(root.glob("reports/drift/*/verdict.json"))]
    states = [verdict["verdict"]["state"] for verdict in verdicts]
    assert "drifted" in states
    assert states[-1] == "stable"
    story = why(settings, "2")
    assert story.drift is not None
    assert story.drift.state == "drifted"
    assert [file.name for file in story.files] == ["kitchen.csv", "film.csv"]
    assert not Ledger(Storage(settings)).verify().problem
    runs = runs_by_type(root, databases, "sentiment_ingest")
    assert runs["asset_triggered"] == 2, "two files landed, each was noticed, nobody triggered anything"
    for name in ("airflow/airflow.db", "mlflow/mlflow.db"):
        assert (root / name).exists() is not bool(databases)


@dataclass(frozen=True)
class Platform:
    """A platform that runs: its process, its root, and Airflow's address and password."""

    process: subprocess.Popen[str]
    root: Path
    url: str
    password: str


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One platform for the tests of this module that need a healthy one; the last of them ends it."""
    root = tmp_path_factory.mktemp("platform") / "var"
    process = start(root, "up", SENTIMENT_GATE__APPROVAL="always")
    try:
        wait_for(root / "platform.json")
        url = json.loads((root / "platform.json").read_text())["airflow"]
        password = json.loads((root / "airflow" / "passwords.json").read_text())["admin"]
        yield Platform(process, root, url, password)
    finally:
        process.kill()


def test_a_worker_holds_what_tasks_import_before_the_first_task(platform: Platform) -> None:
    members = psutil.Process(platform.process.pid).children(recursive=True)
    workers = [process for process in members if "airflow worker -- LocalExecutor" in " ".join(process.cmdline())]
    assert workers
    for worker in workers:
        loaded = {mapped.path for mapped in worker.memory_maps()}
        for library in ("deltalake", "matplotlib", "pandas", "sklearn"):
            assert any(f"/{library}/" in path for path in loaded), library


def wait_for_failure(scheduler: Scheduler, dag_id: str) -> None:
    """Look at every run, whatever started it, until one fails."""
    start, seen = datetime.now(UTC) - timedelta(hours=2), set[str]()
    while True:
        seen.add(scheduler.wait_for_run(dag_id, since=start, but=seen).run_id)


def required_actions(platform: Platform, chromium: WebDriver) -> WebDriverWait[WebDriver]:
    """Log in to Airflow and open what waits for a person."""
    page = WebDriverWait(chromium, 60)
    chromium.get(platform.url)
    chromium.delete_all_cookies()
    chromium.get(platform.url)
    page.until(visible((By.NAME, "username"))).send_keys("admin")
    chromium.find_element(By.NAME, "password").send_keys(platform.password, Keys.ENTER)
    page.until(visible((By.LINK_TEXT, "Dags")))
    chromium.get(f"{platform.url}/required_actions")
    return page


def test_a_held_batch_is_released_by_a_person_in_the_browser(platform: Platform, chromium: WebDriver) -> None:
    inbox = platform.root / "inbox" / "one-sided.csv"
    with Scheduler(platform.url, user="admin", password=platform.password) as scheduler:
        scheduler.wait_for_dags("sentiment_ingest", "sentiment_release")
        inbox.write_text("text,label\n" + "".join(f"review {number} was fine,pos\n" for number in range(200)))
        with pytest.raises(ServiceError, match=r"one-sided.csv is held as a whole: 200 of 200 new labels \(100.0%\)"):
            wait_for_failure(scheduler, "sentiment_ingest")
        run = scheduler.trigger("sentiment_release")
        while scheduler.task_states(run).get("ask") != "awaiting_input":
            time.sleep(0.5)

        page = required_actions(platform, chromium)
        page.until(visible((By.PARTIAL_LINK_TEXT, "one-sided.csv is held"))).click()
        page.until(visible((By.NAME, "element_reason"))).send_keys("checked by hand")
        page.until(clickable((By.XPATH, "//button[normalize-space()='Release']"))).click()
        scheduler.wait(run)

    storage = Storage(load_settings(storage={"root": str(platform.root)}))
    entry = Ledger(storage).entries()[-1]
    assert (entry.event, entry.actor, entry.reason) == ("released", "admin", "checked by hand")
    assert latest_snapshot(storage).rows == 200


def test_a_challenger_is_approved_by_a_person_in_the_browser(platform: Platform, chromium: WebDriver) -> None:
    storage = Storage(load_settings(storage={"root": str(platform.root)}))
    with Scheduler(platform.url, user="admin", password=platform.password) as scheduler:
        write_sample(platform.root / "inbox" / "film.csv", "film", 1_500, seed=1)
        while (found := latest_snapshot(storage)) is None or found.rows < 1_000:
            time.sleep(0.5)
        run = scheduler.trigger("sentiment_retrain")
        while scheduler.task_states(run).get("ask") != "awaiting_input":
            time.sleep(0.5)
        page = required_actions(platform, chromium)
        page.until(visible((By.PARTIAL_LINK_TEXT, "is judged promote: promote it?"))).click()
        reason = page.until(visible((By.NAME, "element_reason")))
        assert (
            page.until(visible((By.LINK_TEXT, "Model card"))).get_attribute("href").endswith("/sentiment-why/cards/1")
        )
        assert chromium.find_element(By.XPATH, "//table//td[normalize-space()='source film']")
        reason.send_keys("read the card")
        page.until(clickable((By.XPATH, "//button[normalize-space()='Approve']"))).click()
        scheduler.wait(run)
    words = [e for e in Ledger(storage).entries() if e.event in ("approved", "promoted")]
    assert [(e.event, e.model_version) for e in words] == [("approved", "1"), ("promoted", "1")]
    assert (words[0].actor, words[0].reason, words[1].detail["approved_by"]) == ("admin", "read the card", "admin")


def test_a_service_that_dies_ends_the_platform_with_its_last_lines(platform: Platform) -> None:
    scheduler = next(
        process
        for process in psutil.Process(platform.process.pid).children(recursive=True)
        if process.cmdline()[-1:] == ["scheduler"]
    )
    scheduler.kill()
    said, _ = platform.process.communicate(timeout=60)
    assert platform.process.returncode == 5
    assert "Airflow scheduler ended with status -9" in said
    assert "airflow-scheduler.log" in said
    assert left_over(platform.root) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ending_it_while_it_starts_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    root = tmp_path / "var"
    platform = start(root, "up")
    try:
        wait_for(root / "log" / "airflow-migrate.log")
        platform.send_signal(number)
        platform.communicate(timeout=60)
    finally:
        platform.kill()
    assert platform.returncode == 128 + number
    assert left_over(root) == []
