"""What every test may use."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples

from sentiment import tracking
from sentiment.settings import Settings, load_settings

if TYPE_CHECKING:
    from bentos import BuiltBentos
    from faults import S3Server
    from selenium.webdriver import Chrome

for name in [name for name in os.environ if name.startswith("SENTIMENT_")]:
    del os.environ[name]  # a user's own settings are not the tests'
# Hundreds of processes import pandas, MLflow or Airflow; to compile those anew in each takes as long as all the rest.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two processes with a thread a core wait for each other, busily

examples.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # also a busy one
examples.load_profile("any machine")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew, to be reviewed as a diff"
    )


TOGETHER = (  # what one process runs, because it shares what is slow to start; longest first, so that two end together
    ("tests/platform/",),
    ("tests/browser/",),  # an Airflow, a Chromium
    ("tests/dags/",),
    (
        "tests/service/",
        "tests/docs/test_clients.py",
        "tests/deployment/test_local.py",
        "tests/browser/test_served_page",
        "tests/monitoring/test_watching.py",
    ),
    ("tests/contracts/test_s3", "tests/unit/test_ledger_chain.py"),  # an S3 server
    ("tests/contracts/test_mlflow_server.py",),
    ("tests/deployment/",),
    ("tests/contracts/test_exactly_once.py",),
)


def place_of(nodeid: str) -> int:
    found = [(len(path), place) for place, paths in enumerate(TOGETHER) for path in paths if nodeid.startswith(path)]
    return max(found)[1] if found else len(TOGETHER)  # of two, the one that says more


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the groups, and every other file, to whoever is free, in the order of the collection."""
    from xdist.scheduler import LoadScopeScheduling

    class InGroups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            place = place_of(nodeid)
            return TOGETHER[place][0] if place < len(TOGETHER) else nodeid.partition("::")[0]

    config.option.loadscopereorder = False  # files with the most tests first: the loop, of few tests, came last
    return InGroups(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def complete_on_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a test drops into an inbox need no time to settle."""
    monkeypatch.setenv("SENTIMENT_DATA__SETTLE_SECONDS", "0")


@pytest.fixture(scope="session", autouse=True)
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], None]]:
    """MLflow's empty database is built once and then copied: its hundred migrations take a second each time.

    Gives what builds it.
    """
    build, kept = tracking._build, tmp_path_factory.mktemp("mlflow") / "empty.db"

    def copy(uri: str) -> None:
        if not kept.exists():
            build(f"{tracking.SQLITE}{kept}")
        shutil.copyfile(kept, uri.removeprefix(tracking.SQLITE))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "_build", copy)
        yield build


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty platform in a folder of its own."""
    return load_settings(storage={"root": str(tmp_path / "var")})


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server that misbehaves when asked."""
    from faults import s3_server

    with s3_server() as server:
        yield server


@pytest.fixture
def store(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Server:
    """The S3 server with an empty bucket, and credentials for it where every AWS tool finds them."""
    import boto3

    if kept := sys.modules.get("mlflow.store.artifact.s3_artifact_repo"):
        kept._cached_get_s3_client.cache_clear()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "from-environment",
        "AWS_SECRET_ACCESS_KEY": "hush-hush",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws" / "credentials"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "")  # put back afterwards
    monkeypatch.chdir(tmp_path)
    s3_server.new_bucket()
    return s3_server


@pytest.fixture
def s3(store: S3Server) -> Settings:
    """Settings whose root is the empty bucket, with little patience."""
    root = f"s3://{store.bucket}/platform"
    return load_settings(storage={"root": root, "endpoint": store.url, "retry_seconds": 10, "timeout_seconds": 2})


@pytest.fixture
def real_data() -> Path:
    """The folder of real text, where it is present."""
    if not DATA.is_dir():
        pytest.skip(f"real text is not here: {DATA} is absent")
    return DATA


@pytest.fixture(scope="session")
def bentos(tmp_path_factory: pytest.TempPathFactory) -> BuiltBentos:
    """Two real Bentos, built once, whose models disagree about every text."""
    from bentos import build

    return build(tmp_path_factory.mktemp("bentos"))


@pytest.fixture(scope="session")
def started_chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless Chromium driven by selenium."""
    from selenium import webdriver

    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("Chromium is not here: install chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    flags = (
        "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
        f"disable-component-update disable-sync user-data-dir={tmp_path_factory.mktemp('chromium')} "
        "window-size=1280,900"
    )
    for flag in flags.split():
        options.add_argument(f"--{flag}")
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


@pytest.fixture
def chromium(started_chromium: Chrome) -> Iterator[Chrome]:
    """Chromium, and an empty page afterwards: Airflow's would go on asking its server, also when that has ended."""
    yield started_chromium
    started_chromium.get("about:blank")
