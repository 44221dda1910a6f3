"""The compose file against the code: what it names is there, what it sets is known, and nobody gets in by default."""

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from sentiment.cli import app
from sentiment.settings import load_settings, refuse_unknown_sections

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "docker-compose.airflow.yml"
PASSWORDS = PROJECT / "images/platform/env.py"
OURS = "sentiment-platform:"
CONDITIONS = {"service_healthy", "service_completed_successfully"}


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of passwords, as `make compose-env` makes it."""
    path = tmp_path_factory.mktemp("env") / ".env"
    subprocess.run([sys.executable, PASSWORDS, path], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def composed(env: Path) -> dict[str, Any]:
    """The file as Compose understands it, with the variables in their places."""
    command = [sys.executable, "-m", "podman_compose", "--dry-run", "--file", FILE, "--env-file", env, "config"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
PYTHON = [name for name, service in SERVICES.items() if service["image"].startswith(OURS)]


def test_compose_reads_it(composed: dict[str, Any]) -> None:
    assert set(composed["services"]) == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_bounded_and_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert name in PYTHON or re.search(r":[\w.-]*[0-9][\w.-]*@sha256:[0-9a-f]{64}$", service["image"])
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert service["logging"]["options"]["max-size"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    if name != "setup":
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
    if name in PYTHON:
        assert service["read_only"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_can_become_ready(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        assert condition["condition"] in CONDITIONS
        assert condition["condition"] == "service_healthy" or SERVICES[other]["restart"] == "no"
        assert "healthcheck" in SERVICES[other] or other == "setup"
        assert name not in SERVICES[other].get("depends_on", {}), "they would wait for each other"


def test_what_is_mounted_is_there() -> None:
    volumes = yaml.safe_load(FILE.read_text())["volumes"]
    for service in SERVICES.values():
        for mounted in service.get("volumes", []):
            source = mounted.split(":")[0]
            assert source in volumes or (source.startswith("./") and (PROJECT / source).exists()), source


def test_commands_name_files_and_modules_that_are_there() -> None:
    image = (PROJECT / "images/platform/Dockerfile").read_text()
    copied = dict(re.findall(r"^COPY --chown=\S+ (\w+) (/opt/\S+)$", image, re.MULTILINE))
    for name in PYTHON:
        words = [*SERVICES[name]["command"], *SERVICES[name].get("healthcheck", {}).get("test", [])]
        for word in (word for word in words if word.startswith("/opt/")):
            places = [(source, target) for source, target in copied.items() if f"{word}/".startswith(f"{target}/")]
            assert places, f"{word} is not in the image"
            [(source, target)] = places
            assert (PROJECT / source / word.removeprefix(target).lstrip("/")).exists(), word
        if words[0] == "sentiment":
            assert words[1] in {command.name or command.callback.__name__ for command in app.registered_commands}
        for word in (word for word in words if word.startswith("sentiment.")):
            assert (PROJECT / word.replace(".", "/")).with_suffix(".py").exists()


@pytest.mark.parametrize("name", PYTHON)
def test_what_a_service_is_told_is_a_setting(
    name: str, composed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = composed["services"][name]["environment"]
    ours = {variable: value for variable, value in told.items() if variable.startswith("SENTIMENT_")}
    monkeypatch.chdir(tmp_path)
    for variable, value in ours.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    refuse_unknown_sections(ours)
    assert settings.storage.root.startswith("s3://")
    assert settings.registry.tracking_uri == "http://mlflow:5000"


def test_airflow_knows_each_of_its_options() -> None:
    from airflow.configuration import conf

    options = {name for service in SERVICES.values() for name in service.get("environment", {})}
    for name in sorted(option for option in options if option.startswith("AIRFLOW__")):
        _, section, option = name.lower().split("__")
        known = conf.configuration_description[section]["options"]
        assert option in known, name


def test_prometheus_asks_services_that_are_there_and_takes_the_rules(tmp_path: Path) -> None:
    text = (PROJECT / "monitoring/compose/prometheus.yml").read_text()
    targets = {
        target
        for job in yaml.safe_load(text)["scrape_configs"]
        for one in job["static_configs"]
        for target in one["targets"]
    }
    assert {target.split(":")[0] for target in targets} - {"127.0.0.1"} <= set(SERVICES)
    if promtool := shutil.which("promtool"):
        (tmp_path / "prometheus.yml").write_text(text)
        shutil.copytree(PROJECT / "helm/sentiment/files/rules", tmp_path / "rules")
        done = subprocess.run(
            [promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "2 rule files" in done.stdout


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    folder = PROJECT / "monitoring/compose/grafana"
    [source] = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"].split("//")[1].split(":")[0] in SERVICES
    [provider] = yaml.safe_load((folder / "dashboards/sentiment.yml").read_text())["providers"]
    assert f"./helm/sentiment/files/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]


def test_no_password_has_a_default_and_each_is_made() -> None:
    text = FILE.read_text()
    asked = dict(re.findall(r"\$\{(\w+)(:[^}]*)?\}", text))
    made = set(re.findall(r'^    "(\w+)",$', PASSWORDS.read_text(), re.MULTILINE))
    for variable, otherwise in asked.items():
        if variable.endswith(("_PORT", "_VERSION")):
            assert otherwise.startswith(":-")
        else:
            assert otherwise == ":?run make compose-env", variable
    assert made == {name for name in asked if not name.endswith(("_PORT", "_VERSION"))}


def test_passwords_are_private_all_different_and_made_once(env: Path, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nGRAFANA_PASSWORD=chosen\nAPI_PORT=3100\n")
    for _ in range(2):
        subprocess.run([sys.executable, PASSWORDS, path], check=True, capture_output=True)
        once = path.read_text()
    assert path.read_text() == once
    assert once.startswith("# mine\nGRAFANA_PASSWORD=chosen\nAPI_PORT=3100\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    values = dict(line.split("=", 1) for line in env.read_text().splitlines() if "=" in line)
    assert len(set(values.values())) == len(values)
    assert min(map(len, values.values())) >= 20
    assert not set(values.values()) & set(once.split("="))
    Fernet(values["AIRFLOW_FERNET_KEY"])


def test_nothing_secret_can_get_into_the_image() -> None:
    ignored = (PROJECT / "images/platform/Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not any(line.startswith(("!.env", "!var", "!tests", "!.")) for line in ignored)


@pytest.mark.parametrize(
    ("arguments", "well"),
    [(["/ok"], True), (["/busy"], False), (["/busy", "--or-503"], True), (["/health", "scheduler"], True),
     (["/health", "triggerer"], False), (["/health", "nobody"], False), (["/gone"], False)],
)  # fmt: skip
def test_the_health_check_tells_well_from_ill(arguments: list[str], well: bool, pages: str) -> None:
    command = [sys.executable, PROJECT / "images/platform/healthy.py", pages + arguments[0], *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode == 0) is well, done.stderr
    assert bool(done.stderr) is not well


@pytest.fixture(scope="module")
def pages() -> Any:
    """A server with the pages that the health check is tried on."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    health = b'{"scheduler": {"status": "healthy"}, "triggerer": {"status": "unhealthy"}}'
    answers = {"/ok": (200, b"{}"), "/busy": (503, b""), "/health": (200, health)}

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
