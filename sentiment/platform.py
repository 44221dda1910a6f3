"""``sentiment up``: MLflow, Airflow and the API on one machine, supervised."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil

from sentiment.deployment.ports import free_port
from sentiment.deployment.release import stop as stop_deployment
from sentiment.deployment.state import holder, take
from sentiment.errors import ServiceError, storage_errors
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.supervisor import Service, stop_all, wait_healthy
from sentiment.tracking import SQLITE, ensure_database

PROJECT = Path(__file__).resolve().parents[1]
AIRFLOW_PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
_WARM = ["sentiment.warm", str(PROJECT / "dags")]
_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
USER = "admin"

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Addresses:
    """Where the services of one platform answer."""

    mlflow: str
    airflow: str
    api: str

    @classmethod
    def choose(cls, settings: Settings, announce: Announce) -> Addresses:
        """Take the wanted ports, or free ones where they are taken, and say so."""
        host, chosen = settings.platform.host, []
        for name, wanted in (
            ("MLflow", settings.platform.mlflow_port),
            ("Airflow", settings.platform.airflow_port),
            ("API", settings.platform.api_port),
        ):
            port = free_port(host, wanted)
            if port != wanted:
                announce(f"Port {wanted} is taken; {name} uses {port} instead.")
            chosen.append(f"http://{host}:{port}")
        return cls(*chosen)


@dataclass(frozen=True)
class Platform:
    """A running platform."""

    settings: Settings
    addresses: Addresses
    services: tuple[Service, ...]
    password: str

    def check(self) -> None:
        """Raise `ServiceError` if a service has died."""
        for service in self.services:
            service.check_alive()

    def wait(self) -> None:
        """Block until a service dies."""
        while True:
            self.check()
            time.sleep(1)

    def facts(self) -> dict[str, str]:
        """Return what a person needs to know to use it."""
        return {
            "Airflow": f"{self.addresses.airflow}  (user {USER}, password {self.password})",
            "MLflow": self.addresses.mlflow,
            "API": self.addresses.api,
            "Logs": str(self.settings.local_dir / "log"),
        }


@contextmanager
def running(settings: Settings, *, announce: Announce = lambda _: None) -> Iterator[Platform]:
    """Start the three services; whatever ends the block ends them all.

    Raises
    ------
    ServiceError
        A service does not start, or the platform already runs on this folder.
    """
    storage = Storage(settings)  # says what is wrong with the root before anything starts
    if storage.is_local:
        with storage_errors(storage.uri("inbox")):
            Path(storage.uri("inbox")).mkdir(exist_ok=True)  # so that there is a place to drop files
    with _only_one(settings):
        _state_path(settings).unlink(missing_ok=True)  # left by one that was killed
        if stop_deployment(settings):
            announce("The local deployment that ran in the background continues here.")
        addresses = Addresses.choose(settings, announce)
        services: list[Service] = []
        try:
            password = _start(settings, addresses, services, announce)
            inside = settings.model_copy(
                update={"registry": settings.registry.model_copy(update={"tracking_uri": addresses.mlflow})}
            )
            _record(settings, addresses)
            yield Platform(inside, addresses, tuple(services), password)
        finally:
            stop_all(list(reversed(services)))
            _state_path(settings).unlink(missing_ok=True)


def running_addresses(settings: Settings) -> Addresses | None:
    """Return where the platform on this folder answers, if it runs."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        if holder(_lock_path(settings)):
            return Addresses(**json.loads(_state_path(settings).read_text()))
    return None


def stop(settings: Settings) -> list[str]:
    """Stop the platform and the local deployment of this folder; return what was running."""
    stopped = []
    if pid := holder(_lock_path(settings)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            process.terminate()
            _, alive = psutil.wait_procs([process], timeout=60)
            if alive:
                raise ServiceError(f"The platform (process {pid}) does not stop.", fix=f"kill -9 {pid}")
        stopped.append("platform")
    if stop_deployment(settings):
        stopped.append("local deployment")
    return stopped


def _start(settings: Settings, addresses: Addresses, services: list[Service], announce: Announce) -> str:
    logs = settings.local_dir / "log"
    ours = _environment(settings, addresses)
    env, password = _airflow_environment(settings, addresses)
    env.update(ours)
    with _migrating(env, logs):
        services.append(_api(addresses, logs, ours))
        services[-1].start()
        services.append(_mlflow(settings, addresses, logs))
        services[-1].start()
    for part in AIRFLOW_PARTS:
        # The api-server blocks itself when SQLite is locked; give up soon there, and let the client retry.
        busy_seconds = 2 if part == "api-server" else 60
        service = Service(
            f"Airflow {part}",
            [sys.executable, "-m", *(_WARM if part == "scheduler" else ["airflow"]), part],
            log_path=logs / f"airflow-{part}.log",
            env={**env, **_airflow_database(settings, busy_seconds=busy_seconds)},
            healthy=lambda part=part: _airflow_healthy(addresses.airflow, part),  # type: ignore[misc]
        )
        services.append(service)
        service.start()
    wait_healthy(
        services,
        timeout_seconds=settings.platform.start_timeout_seconds,
        on_healthy=lambda service: announce(f"{service.name} is up."),
    )
    return password


def _mlflow(settings: Settings, addresses: Addresses, logs: Path) -> Service:
    url = httpx.URL(addresses.mlflow)
    database = settings.platform.mlflow_database or f"{SQLITE}{settings.local_dir / 'mlflow' / 'mlflow.db'}"
    ensure_database(database)
    artifacts = Storage(settings).uri("mlflow/artifacts")
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", url.host, "--port", str(url.port), "--workers", "1",
        "--default-artifact-root", artifacts if "://" in artifacts else Path(artifacts).as_uri(),
        "--no-serve-artifacts",
    ]  # fmt: skip
    env = {
        "MLFLOW_BACKEND_STORE_URI": database,  # not an argument, which others on this machine could read
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return Service(
        "MLflow", command, log_path=logs / "mlflow.log", env=env,
        healthy=lambda: _answers(f"{addresses.mlflow}/health"),
    )  # fmt: skip


def _api(addresses: Addresses, logs: Path, env: dict[str, str]) -> Service:
    return Service(
        "API",
        [sys.executable, "-m", "sentiment.deployment.local"],
        log_path=logs / "api.log",
        env=env,
        healthy=lambda: _responds(addresses.api),
    )


def _environment(settings: Settings, addresses: Addresses) -> dict[str, str]:
    """Return the settings for our code inside the services."""
    return {
        "SENTIMENT_STORAGE__ROOT": settings.storage.root,
        "SENTIMENT_REGISTRY__TRACKING_URI": addresses.mlflow,
        "SENTIMENT_PLATFORM__HOST": settings.platform.host,
        "SENTIMENT_PLATFORM__API_PORT": str(httpx.URL(addresses.api).port),
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONWARNINGS": "ignore",
    }


def _airflow_environment(settings: Settings, addresses: Addresses) -> tuple[dict[str, str], str]:
    """Airflow's configuration and the password of its admin, both kept over restarts."""
    home = settings.local_dir / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    kept = _kept_secrets(home)
    passwords = home / "passwords.json"
    _write_private(passwords, json.dumps({USER: kept["password"]}))
    url = httpx.URL(addresses.airflow)
    config = {
        "CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "3",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CORE__EXECUTION_API_SERVER_URL": f"{addresses.airflow}/execution/",
        "API__HOST": url.host,
        "API__PORT": str(url.port),
        "API__BASE_URL": addresses.airflow,
        "API__WORKERS": "1",
        "API__SECRET_KEY": kept["secret_key"],
        "API_AUTH__JWT_SECRET": kept["jwt_secret"],
        "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port(url.host, 8793)),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port(url.host, 8794)),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "5",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",  # a file that has changed is parsed at once
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",  # after a hard stop, tasks are retried this soon
    }
    env = {f"AIRFLOW__{name}": value for name, value in config.items()}
    return {**env, **_airflow_database(settings), "AIRFLOW_HOME": str(home)}, kept["password"]


def _airflow_database(settings: Settings, *, busy_seconds: int = 60) -> dict[str, str]:
    """Return where Airflow's database is; SQLite waits so long for others that write."""
    if address := settings.platform.airflow_database:
        driver = "postgresql+psycopg://"  # Airflow itself would ask for a second one, for its coroutines
        address = driver + address.removeprefix("postgresql://")
        return {_DATABASE: address, f"{_DATABASE}_ASYNC": address}
    return {_DATABASE: f"sqlite:///{settings.local_dir / 'airflow' / 'airflow.db'}?timeout={busy_seconds}"}


def _kept_secrets(home: Path) -> dict[str, str]:
    path = home / "secrets.json"
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(path.read_text()))
    made = {
        "password": secrets.token_urlsafe(12),
        "secret_key": secrets.token_hex(32),
        "jwt_secret": secrets.token_hex(32),
    }
    _write_private(path, json.dumps(made))
    return made


def _write_private(path: Path, text: str) -> None:
    with storage_errors(str(path)):
        temporary = path.with_suffix(".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        temporary.replace(path)


@contextmanager
def _migrating(env: dict[str, str], logs: Path) -> Iterator[None]:
    """Bring Airflow's database up to date, beside what the block does."""
    migration = Service(
        "Airflow database migration",
        [sys.executable, "-m", "airflow", "db", "migrate"],
        log_path=logs / "airflow-migrate.log",
        env=env,
    )
    migration.start()
    try:
        yield
        while migration.exit_code is None:
            time.sleep(0.1)
        if migration.exit_code:
            migration.check_alive()
    finally:
        migration.stop()


def _airflow_healthy(url: str, part: str) -> bool:
    with contextlib.suppress(httpx.HTTPError, ValueError):
        health = httpx.get(f"{url}/api/v2/monitor/health", timeout=5).json()
        key = part.replace("-", "_")
        return bool(health.get("metadatabase" if part == "api-server" else key, {}).get("status") == "healthy")
    return False


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=5).is_success
    return False


def _responds(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        httpx.get(f"{url}/livez", timeout=5)
        return True
    return False


def _state_path(settings: Settings) -> Path:
    return settings.local_dir / "platform.json"


def _lock_path(settings: Settings) -> Path:
    return settings.local_dir / "locks" / "platform.lock"


def _record(settings: Settings, addresses: Addresses) -> None:
    _write_private(_state_path(settings), json.dumps(asdict(addresses)))


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    path = _lock_path(settings)
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
    with lock:
        try:
            take(lock)
        except BlockingIOError as error:
            raise ServiceError(
                f"The platform already runs on {settings.local_dir}.",
                fix="`sentiment status` tells where; stop it with Ctrl-C or `sentiment down`.",
            ) from error
        yield
