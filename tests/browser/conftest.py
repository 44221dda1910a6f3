"""A real Airflow API server with our plugin, a served Bento with its page, and a headless Chromium."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from bentos import BuiltBentos
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.expected_conditions import visibility_of_element_located
from selenium.webdriver.support.wait import WebDriverWait
from served import running
from served_page import LONGEST, Page

from sentiment.deployment.ports import free_port
from sentiment.drift.archive import DriftCheck
from sentiment.drift.check import DriftVerdict, State
from sentiment.serving.keys import KeyScope, create
from sentiment.settings import load_settings
from sentiment.storage import Storage

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
NEWEST = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
REPORT = (
    "<!DOCTYPE html><title>Report</title><h1>What moved</h1><p id=origin></p>"
    "<script>document.getElementById('origin').textContent = self.origin</script>"
)


@dataclass(frozen=True)
class Airflow:
    """Where the API server answers, what it runs in and where its drift checks are."""

    url: str
    home: Path
    storage: Storage
    password: str = "only-for-this-test"

    def client(self, user: str | None = "reader") -> httpx.Client:
        """Return a client that is logged in as a user, or as nobody."""
        headers = {"Authorization": f"Bearer {self._token(user)}"} if user else {}
        return httpx.Client(base_url=f"{self.url}/sentiment", headers=headers, timeout=30)

    def _token(self, user: str) -> str:
        login = {"username": user, "password": self.password}
        answer = httpx.post(f"{self.url}/auth/token", json=login, timeout=30)
        return str(answer.raise_for_status().json()["access_token"])


@pytest.fixture(scope="session")
def airflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    port = free_port("127.0.0.1")
    storage = Storage(load_settings(storage={"root": str(home / "var")}))
    server = Airflow(url=f"http://127.0.0.1:{port}", home=home, storage=storage)
    environment = _environment(server, port)
    (home / "passwords.json").write_text(json.dumps(dict.fromkeys(("reader", "stranger"), server.password)))
    airflow = str(Path(sys.executable).parent / "airflow")
    with (home / "log.txt").open("wb") as log:
        output = {"cwd": home, "env": environment, "stdout": log, "stderr": subprocess.STDOUT}
        subprocess.run([airflow, "db", "migrate"], check=True, timeout=120, **output)
        process = subprocess.Popen([airflow, "api-server"], start_new_session=True, **output)
        try:
            _wait_until_healthy(server, process)
            yield server
        finally:
            _stop(process)


@pytest.fixture
def publish(airflow_server: Airflow) -> Callable[..., str]:
    """Forget all drift checks, then write one per call, each a day older than the one before unless it says when."""
    storage = airflow_server.storage
    shutil.rmtree(Path(storage.root) / "reports", ignore_errors=True)
    published: list[str] = []
    rows = {"reference_rows": 2_000, "current_rows": 640}

    def write(
        state: State = "stable", *reasons: str, at: datetime | None = None, champion: str = "3", **verdict: Any
    ) -> str:
        end = at or NEWEST - timedelta(days=len(published))
        said = {"signals": (), **rows, **verdict}
        check = DriftCheck(
            id=f"{end:%Y%m%dT%H%M%S}-v{champion}-0123abcd",
            verdict=DriftVerdict(state, reasons or ("Nothing moved.",), **said),
            start=end - timedelta(days=7),
            end=end,
            champion=champion,
            snapshot="reviews@v12",
        )
        storage.write(f"reports/drift/{check.id}/report.html", REPORT.encode())
        storage.write(f"reports/drift/{check.id}/verdict.json", json.dumps(check.to_dict()).encode())
        published.append(check.id)
        return check.id

    return write


@pytest.fixture
def reader(airflow_server: Airflow, chromium: WebDriver) -> WebDriver:
    """The browser, with a reader logged in to the Airflow UI, whoever was before."""
    wait = WebDriverWait(chromium, 60)
    chromium.get(airflow_server.url)
    chromium.delete_all_cookies()
    chromium.get(airflow_server.url)
    wait.until(visibility_of_element_located((By.NAME, "username"))).send_keys("reader")
    chromium.find_element(By.NAME, "password").send_keys(airflow_server.password, Keys.ENTER)
    return chromium


@pytest.fixture(scope="session")
def site(bentos: BuiltBentos, started_chromium: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A served Bento that asks for a key and shows what it was asked, and a browser that has one."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "downloads").mkdir()
    key = create(folder / "keys.json", name="page", scopes=(KeyScope.admin,)).key
    limits = {"max_batch": 8, "max_characters": LONGEST, "log_flush_seconds": 0.2}
    settings = load_settings(
        storage={"root": str(folder / "var")},
        serving={**limits, "show_recent": True, "keys_file": str(folder / "keys.json")},
    )
    with running(bentos.first.path, folder, settings) as served:
        served.client.headers["Authorization"] = f"Bearer {key}"
        where = {"behavior": "allow", "downloadPath": str(folder / "downloads")}
        started_chromium.execute_cdp_cmd("Browser.setDownloadBehavior", where)
        yield Page(started_chromium, served, key, folder / "downloads")


@pytest.fixture
def nothing_went_wrong(site: Page, chromium: Chrome) -> Iterator[None]:
    """Nothing is written to the console, nothing is asked of another host, no text became markup."""
    site.browser.get_log("browser")
    yield
    known = ("401 (Unauthorized)", "/favicon.ico")  # the page names an icon of its own
    said = [line["message"] for line in site.browser.get_log("browser")]
    assert [line for line in said if not any(part in line for part in known)] == []
    asked = site.browser.execute_script("return performance.getEntries().map(entry => entry.name)")
    assert [name for name in asked if "//" in name and not name.startswith((site.url, f"blob:{site.url}"))] == []
    assert site.browser.title != "owned"
    assert site.browser.find_elements(By.CSS_SELECTOR, "main img, main script, main b > b") == []
    site.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    site.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def _environment(server: Airflow, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "SENTIMENT"))}
    settings = {
        "CORE__DAGS_FOLDER": server.home / "dags",
        "CORE__PLUGINS_FOLDER": PLUGINS,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "reader:viewer,stranger:",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": server.home / "passwords.json",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{server.home / 'airflow.db'}",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__BASE_URL": server.url,
        "API__WORKERS": 1,
        "API__SECRET_KEY": "0123456789abcdef" * 2,
        "API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    airflow = {f"AIRFLOW__{name}": str(value) for name, value in settings.items()}
    return {
        **kept,
        **airflow,
        "AIRFLOW_HOME": str(server.home),
        "SENTIMENT_STORAGE__ROOT": server.storage.root,
    }


def _wait_until_healthy(server: Airflow, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{server.url}/api/v2/monitor/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    last = (server.home / "log.txt").read_text(errors="replace").splitlines()[-20:]
    pytest.fail("the Airflow API server did not start:\n" + "\n".join(last))


def _stop(process: subprocess.Popen[bytes]) -> None:
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    os.killpg(process.pid, signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=10)
    for member in left:
        member.kill()
    process.wait(10)
