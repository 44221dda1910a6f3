"""A real MLflow server: who may use it, and that no trained model is lost when it is down, slow or killed."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import Fault
from mlflow_servers import PASSWORD, TOKEN, USER, Guard, MlflowServer, guarded, mlflow_server

from sentiment.cli import main
from sentiment.errors import PromotionConflictError, ServiceError, SettingsError
from sentiment.ledger import Ledger
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training.promotion import judge, promote
from sentiment.training.train import train

FITTED = "learning from"  # what the training says before it fits a model
PROCESSES, CALLERS = 2, 4  # of each process

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture
def guard(server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    with guarded(server.url) as running:
        yield running


@pytest.fixture
def settings(guard: Guard, tmp_path: Path) -> Settings:
    """A platform with reviews whose MLflow is behind the guard, in an experiment of its own."""
    found = _settings(tmp_path, guard.url)
    ingest(found, paths=[write_sample(tmp_path / "film.csv", "film", 300, seed=1)])
    return found


def _settings(root: Path, url: str) -> Settings:
    return load_settings(
        storage={"root": str(root / "var")},
        registry={"tracking_uri": url, "experiment": root.name, "model_name": root.name},
        training={"learning_curve": False},
    )


# -- credentials ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["password", "token"])
def test_credentials_come_from_the_environment(
    settings: Settings, guard: Guard, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.closed = True
    if kind == "password":
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    registry = Registry(settings)
    version, decision = judge(settings, registry=registry, challenger=train(settings, registry=registry))
    assert decision.outcome == "promote"
    assert promote(settings, registry=registry, version=version.version) == registry.champion()
    assert guard.greeted == {"Basic" if kind == "password" else "Bearer"}, "no request went without"


@pytest.mark.parametrize("secret", ["wrong-horse", ""])
def test_wrong_credentials_are_told_and_never_shown(
    settings: Settings, guard: Guard, secret: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    guard.closed = True
    if secret:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", secret)
    sent = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" if secret else "none"
    with pytest.raises(ServiceError, match=f"refuses the credentials; in the environment: {sent}") as refused:
        train(settings, registry=Registry(settings))
    assert "MLFLOW_TRACKING_TOKEN" in refused.value.fix
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    monkeypatch.setenv("SENTIMENT_REGISTRY__TRACKING_URI", guard.url)
    with pytest.raises(SystemExit) as ended:
        main(["train"])
    assert ended.value.code == ServiceError.exit_code
    shown = "".join(capfd.readouterr())
    assert "refuses the credentials" in " ".join(shown.split())
    assert not secret or secret not in shown + "".join(traceback.format_exception(refused.value))


def test_an_address_with_a_password_in_it_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_USERNAME") as refused:
        load_settings(registry={"tracking_uri": "https://ada:hush-hush@mlflow.example.com"})
    assert "hush-hush" not in str(refused.value)


# -- MLflow is down ------------------------------------------------------------------------------------------


def test_a_model_that_was_trained_while_the_server_died_is_logged_when_it_is_back(
    settings: Settings, server: MlflowServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    caplog.set_level(logging.INFO, "sentiment")
    settings = settings.model_copy(
        update={"registry": settings.registry.model_copy(update={"tracking_uri": server.url})}
    )
    registry = Registry(settings)
    try:
        with (
            _when_fitting(server.kill),
            pytest.raises(ServiceError, match=r"does not answer.* is kept in cand") as lost,
        ):
            train(settings, registry=registry)
    finally:
        server.start()
    assert "logs it without training again" in lost.value.fix
    assert len(Storage(settings).list("candidates")) == 1
    candidate = train(settings, registry=registry)
    _assert_logged_once(settings, candidate.run_id, caplog)
    judge(settings, registry=registry, challenger=candidate)
    assert registry.load_scorer(registry.version("challenger")).digest == candidate.digest


@pytest.mark.parametrize(
    ("request_part", "kind"),
    [
        ("runs/create", "drop"),
        ("artifacts/", "drop"),
        ("logged-models", "error"),
        ("runs/log-batch", "lose"),
        ("runs/set-tag", "slow"),
        ("runs/update", "slow"),
    ],
)
def test_a_model_is_logged_once_wherever_the_logging_broke_off(
    settings: Settings,
    guard: Guard,
    request_part: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "sentiment")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")  # a slow server never answers: only this ends the wait
    registry = Registry(settings)
    registry.experiment_id()
    guard.behave([Fault(kind, part=request_part, seconds=3_600)])
    with pytest.raises(ServiceError, match="is kept in candidates/"):
        train(settings, registry=registry)
    assert registry.find_run(_key(settings)) is None
    guard.behave([])
    candidate = train(settings, registry=registry)
    _assert_logged_once(settings, candidate.run_id, caplog)
    with registry.client("look") as client:
        found = client.search_runs([registry.experiment_id()])
    assert sorted(run.info.status for run in found) in (["FINISHED"], ["FINISHED", "KILLED"])


def test_a_training_that_is_killed_while_it_logs_is_logged_by_the_next(
    settings: Settings, guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sentiment")
    Registry(settings).experiment_id()
    guard.behave([Fault("slow", part="runs/log-batch", seconds=3_600)])
    code = (
        "import sys, json; from sentiment.settings import load_settings; from sentiment.registry import Registry\n"
        "from sentiment.training.train import train\n"
        "settings = load_settings(**json.loads(sys.argv[1])); train(settings, registry=Registry(settings))"
    )
    said = json.dumps(settings.model_dump(mode="json", include={"storage", "registry", "training"}))
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, said])
    try:
        while not any("log-batch" in request["path"] for request in list(guard.requests)):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    guard.behave([])
    candidate = train(settings, registry=Registry(settings))
    _assert_logged_once(settings, candidate.run_id, caplog, fits=0)


def test_a_kept_model_that_is_damaged_is_trained_again(
    settings: Settings, guard: Guard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sentiment")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry(settings)
    guard.behave([Fault("drop", part="runs/create")])
    with pytest.raises(ServiceError):
        train(settings, registry=registry)
    guard.behave([])
    [kept] = Storage(settings).list("candidates")
    whole = Storage(settings).read(kept)
    Storage(settings).write(kept, whole[: len(whole) // 2])
    candidate = train(settings, registry=registry)
    assert "is damaged and is removed" in caplog.text
    _assert_logged_once(settings, candidate.run_id, caplog, fits=2)


def _key(settings: Settings) -> str:
    from sentiment.training.train import training_key

    return training_key(settings, "reviews@v1")


def _assert_logged_once(settings: Settings, run_id: str, caplog: pytest.LogCaptureFixture, *, fits: int = 1) -> None:
    assert sum(record.getMessage().startswith(FITTED) for record in caplog.records) == fits
    registry = Registry(settings)
    found = registry.find_run(_key(settings))
    assert found is not None
    assert found.run_id == run_id
    assert registry.load_scorer(found).digest == found.digest
    assert found.metrics["accuracy"] > 0.5
    assert registry.artifact(found, "evaluation/evaluation.html").stat().st_size > 1_000
    assert Storage(settings).list("candidates") == []
    trained = [entry for entry in Ledger(Storage(settings)).entries() if entry.event == "trained"]
    assert [entry.run_id for entry in trained] == [run_id]


class _when_fitting(logging.Handler):  # noqa: N801
    """Within it, something happens at the moment when a model begins to be fitted."""

    def __init__(self, happens: object) -> None:
        super().__init__()
        self._happens = happens

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(FITTED):
            self._happens()  # type: ignore[operator]

    def __enter__(self) -> None:
        logging.getLogger("sentiment").addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("sentiment").removeHandler(self)


# -- who wins ------------------------------------------------------------------------------------------------

_PROMOTE = """
import json, os, pathlib, sys, threading, time, traceback
import mlflow.store.model_registry.sqlalchemy_store, mlflow.store.tracking.sqlalchemy_store
from sentiment.errors import PromotionConflictError
from sentiment.registry import Registry
from sentiment.settings import load_settings

folder = pathlib.Path(sys.argv[3])

def promote_at_once(number, versions):
    settings = load_settings(**json.loads(sys.argv[1]))
    registries = [Registry(settings) for _ in versions]
    registries[0].champion()
    said = {}

    def attempt(registry, version):
        try:
            said[version] = registry.promote(version, expected="1", reason="race").version
        except PromotionConflictError as error:
            said[version] = str(error)

    threads = [threading.Thread(target=attempt, args=pair) for pair in zip(registries, versions)]
    (folder / f"ready-{number}").touch()
    while len(list(folder.glob("ready-*"))) < len(shares):
        time.sleep(0.005)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (folder / f"said-{number}").write_text(json.dumps(said))

shares = json.loads(sys.argv[2])
for number, versions in enumerate(shares):
    if os.fork() == 0:
        try:
            promote_at_once(number, versions)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
sys.exit(any([os.wait()[1] for _ in shares]))
"""


@pytest.mark.parametrize("where", ["sqlite", "server"])
def test_of_many_retrainings_in_several_processes_exactly_one_wins(
    where: str, server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    settings = _settings(tmp_path, server.url if where == "server" else "")
    registry = Registry(settings)
    versions = _versions(registry, tmp_path.name, 1 + PROCESSES * CALLERS)
    registry.promote("1", expected=None, reason="first")
    plain = json.dumps(settings.model_dump(mode="json", include={"storage", "registry"}))
    shares = [versions[1 + CALLERS * number :][:CALLERS] for number in range(PROCESSES)]
    command = [sys.executable, "-W", "ignore", "-c", _PROMOTE, plain, json.dumps(shares), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2_000:]
    said = {}
    for path in tmp_path.glob("said-*"):
        said |= json.loads(path.read_text())
    champion = registry.champion().version
    assert len(said) == PROCESSES * CALLERS
    assert said.pop(champion) == champion
    for version, told in said.items():
        assert f"Version {version} was judged against version 1, but the champion is version {champion}" in told
        with pytest.raises(PromotionConflictError):
            registry.promote(version, expected="1", reason="late")
    assert registry.version("previous_champion").version == "1"


def _versions(registry: Registry, name: str, count: int) -> list[str]:
    """Register so many versions: aliases care for no files."""
    with registry.client("register") as client:
        client.create_registered_model(name)
        run = client.create_run(registry.experiment_id())
        made = [client.create_model_version(name, run.info.artifact_uri, run.info.run_id) for _ in range(count)]
    return [str(version.version) for version in made]
