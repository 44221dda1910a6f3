"""The image of a real Bento, built, pushed and run by a real engine. `make test-image` asks for it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from bentos import BuiltBentos
from engine import base_image, engine, install, ready, registry, run, wait_for

from sentiment.deployment.images import Image, build_and_push, records_of
from sentiment.deployment.ports import free_port
from sentiment.settings import Settings
from sentiment.storage import Storage

PROJECT = Path(__file__).resolve().parents[2]
SERVING = PROJECT / "images" / "serving"
WHOLE_MEGABYTES = 350
RESTRICTED = (  # what the chart's pods are held to
    "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=1g", "--pids-limit=200",
    "--tmpfs=/tmp:size=64m", "--tmpfs=/run/bentoml:size=64m,uid=1034,mode=700", "--tmpfs=/var/spool/sentiment:uid=1034",
    "--env=SENTIMENT_SERVING__SPOOL_FOLDER=/var/spool/sentiment",
    "--env=SENTIMENT_STORAGE__ROOT=/var/spool/sentiment/root",
)  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        os.environ.get("TEST_IMAGE") != "yes", reason="needs a Docker engine: `make test-image` brings one"
    ),
]


@dataclass(frozen=True)
class Workshop:
    """An engine, a registry, and the base for images."""

    folder: Path
    registry: str
    base: str


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    install()
    folder = Path(tempfile.mkdtemp(prefix="sentiment-image-"))  # short: a socket's path has at most 108 characters
    with pytest.MonkeyPatch.context() as patch, engine(folder) as address:
        patch.setenv("DOCKER_HOST", address)
        patch.setenv("DOCKER_BUILDKIT", "0")  # Debian has no buildx
        with registry(folder, free_port("127.0.0.1")) as host:
            yield Workshop(folder, host, base_image(folder))


@pytest.fixture(scope="module")
def settings(bentos: BuiltBentos, workshop: Workshop) -> Settings:
    deployment = bentos.settings.deployment.model_copy(
        update={"image_repository": f"{workshop.registry}/sentiment", "base_image": workshop.base, "builder": "docker"}
    )
    return bentos.settings.model_copy(update={"deployment": deployment})


@pytest.fixture(scope="module")
def image(bentos: BuiltBentos, settings: Settings) -> Image:
    return build_and_push(settings, bentos.first)


@pytest.fixture(scope="module")
def pulled(image: Image, bentos: BuiltBentos, workshop: Workshop) -> str:
    """The image as a node has it: nothing but what the registry gave for the digest."""
    name = f"{image.repository}@{image.digest}"
    run("docker", "rmi", "--force", f"{image.repository}:{image.tag}")
    run("docker", "pull", "--quiet", name)
    return name


@pytest.fixture(scope="module")
def runtime(workshop: Workshop) -> str:
    run(
        "docker", "build", "--quiet", "--target", "runtime", "--build-arg", "SOURCE=.",
        "--build-arg", f"BASE={workshop.base}", "--tag", "runtime:test", str(SERVING),
    )  # fmt: skip
    return "runtime:test"


@contextmanager
def container(image: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Run an image as the chart's pods do; give the container's id and its address."""
    port = free_port("127.0.0.1")
    arguments = command or ("serve", "--host=0.0.0.0", "--port=3000", "--timeout-graceful-shutdown=30")
    name = run(
        "docker", "run", "--detach", *RESTRICTED, "--publish", f"127.0.0.1:{port}:3000", *options, image, *arguments
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: ready(url) or _ended(name), 90)
        assert not _ended(name), subprocess.run(["docker", "logs", name], capture_output=True, text=True, check=False)
        yield name, url
    finally:
        run("docker", "rm", "--force", "--volumes", name)


def _ended(name: str) -> bool:
    return run("docker", "inspect", "--format", "{{.State.Running}}", name) == "false"


def megabytes(image: str) -> float:
    return int(run("docker", "image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def inside(image: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "run", "--rm", "--network=none", image, *command], capture_output=True, text=True, check=False
    )


def test_the_image_is_pushed_under_the_bentos_version(image: Image, bentos: BuiltBentos, settings: Settings) -> None:
    assert image.tag == bentos.first.version
    found = httpx.head(
        f"http://{settings.deployment.image_repository.replace('/', '/v2/', 1)}/manifests/{image.tag}",
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
    )
    assert found.headers["docker-content-digest"] == image.digest


def test_what_is_there_is_not_built_again(
    image: Image, bentos: BuiltBentos, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert build_and_push(settings, bentos.first) == image


def test_the_image_is_lean(pulled: str, workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    whole, base = megabytes(pulled), megabytes(workshop.base)
    with capsys.disabled():
        sys.stdout.write(f"\n    image {whole:.0f} MB, of which the base {base:.0f} MB\n")
    assert whole < WHOLE_MEGABYTES
    for tool in ("gcc", "cc", "make", "git", "pip", "pip3", "uv"):
        assert inside(pulled, "sh", "-c", f"command -v {tool}").returncode != 0, tool
    assert inside(pulled, "python", "-m", "pip").returncode != 0


def test_it_serves_as_a_restricted_pod(pulled: str) -> None:
    with container(pulled) as (name, url):
        answer = httpx.post(f"{url}/predict", json={"text": "what a wonderful film!"}, timeout=30).json()
        assert (answer["label"], answer["model_version"]) == ("positive", "1")
        processes = run("docker", "exec", name, "sh", "-c", "cat /proc/[0-9]*/status")
        assert {line.split()[1] for line in processes.splitlines() if line.startswith("Uid:")} == {"1034"}
        assert {line.split()[1] for line in processes.splitlines() if line.startswith("CapEff:")} == {"0" * 16}
        said = subprocess.run(
            ["docker", "exec", name, "touch", "/home/bentoml/bento/x"], capture_output=True, check=False
        )
        assert b"Read-only file system" in said.stderr
        mounted = {"C /var", "C /var/spool", "A /var/spool/sentiment"}
        assert set(run("docker", "diff", name).splitlines()) <= mounted, "something else was written"


def test_a_request_that_has_begun_is_answered_after_sigterm(pulled: str) -> None:
    body = json.dumps({"text": "what a dreadful kettle!"}).encode()
    with container(pulled, "--env=SENTIMENT_SERVING__LINGER_SECONDS=2") as (name, url):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30) as connection:
            head = ("POST /predict HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", "Connection: close", "", "")
            connection.sendall("\r\n".join(head).encode() + body[:10])
            run("docker", "kill", "--signal", "TERM", name)
            wait_for(lambda: not ready(url), 10)
            connection.sendall(body[10:])
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert b'"label":"negative"' in answer
        assert run("docker", "wait", name, seconds=60) == "0"


def test_the_runtime_serves_a_bento_that_is_mounted(runtime: str, bentos: BuiltBentos, workshop: Workshop) -> None:
    folder = workshop.folder / "mounted"
    shutil.copytree(bentos.second.path, folder)
    folder.chmod(0o755)
    with container(runtime, f"--volume={folder}:/home/bentoml/bento:ro") as (_, url):
        answer = httpx.post(f"{url}/predict", json={"text": "what a wonderful film!"}, timeout=30).json()
        assert (answer["label"], answer["model_version"]) == ("negative", "2")
    without = inside(runtime, "serve")
    assert without.returncode != 0


def test_the_runtime_runs_what_the_chart_runs(runtime: str) -> None:
    assert inside(runtime, "python", "-c", "import obstore; print(obstore.__name__)").stdout == "obstore\n"
    called = inside(runtime, "python", "/opt/sentiment/fetch.py")
    assert (called.returncode, len(called.stderr.splitlines())) == (2, 1)


def test_bentoml_containerize_gives_the_lean_image_too(
    bentos: BuiltBentos, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        sys.executable, "-m", "bentoml", "containerize", bentos.first.tag, "--backend", "docker",
        "--image-tag", "containerized:test", "--opt", f"build-arg=BASE={workshop.base}",
        cwd=tempfile.gettempdir(),  # BentoML's issue 5566: it reads no template outside of the current folder
        BENTOML_HOME=str(bentos.settings.local_dir / "bentoml"), BENTOML_DO_NOT_TRACK="True",
    )  # fmt: skip
    with capsys.disabled():
        sys.stdout.write(f"\n    bentoml containerize: {megabytes('containerized:test'):.0f} MB\n")
    assert megabytes("containerized:test") < WHOLE_MEGABYTES
    with container("containerized:test") as (_, url):
        assert httpx.post(f"{url}/predict", json={"text": "superb music"}, timeout=30).json()["label"] == "positive"


def test_the_same_input_gives_the_same_files(runtime: str, workshop: Workshop) -> None:
    listed = (
        "sh",
        "-c",
        "find /opt /etc /home ! -type d -newermt 2026-01-02 | sort; find /opt/venv -type f | sort | xargs sha256sum",
    )
    before = inside(runtime, *listed).stdout
    run(
        "docker", "build", "--quiet", "--no-cache", "--target", "runtime", "--build-arg", "SOURCE=.",
        "--build-arg", f"BASE={workshop.base}", "--tag", "again:test", str(SERVING),
    )  # fmt: skip
    after = inside("again:test", *listed).stdout
    assert len(before.splitlines()) > 1000
    assert set(before.splitlines()) ^ set(after.splitlines()) == set()


def test_the_records_name_what_is_in_the_image(
    image: Image, pulled: str, settings: Settings, read_record: Callable[[str], dict[str, object]]
) -> None:
    sbom, provenance = read_record(records_of(image.tag)["sbom"]), read_record(records_of(image.tag)["provenance"])
    named = {(one["name"], one["version"]) for one in sbom["components"] if one.get("purl", "").startswith("pkg:pypi")}
    code = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    found = {tuple(line.split()) for line in inside(pulled, "python", "-c", code).stdout.splitlines()}
    assert {(name.lower().replace("_", "-"), version) for name, version in found} == named
    debian = {one["name"] for one in sbom["components"] if one.get("purl", "").startswith("pkg:deb")}
    assert {"libc6", "libssl3"} <= debian
    assert provenance["subject"][0]["digest"] == {"sha256": image.digest.removeprefix("sha256:")}


@pytest.fixture
def read_record(settings: Settings) -> Callable[[str], dict[str, object]]:
    return lambda path: json.loads(Storage(settings).read(path))


@pytest.mark.skipif(not shutil.which("buildah"), reason="buildah is not installed")
def test_buildah_builds_and_pushes_the_same(
    bentos: BuiltBentos, settings: Settings, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second Bento, which nobody pushed yet; the base comes from the registry, because buildah has no engine."""
    kept = workshop.folder / "buildah"
    kept.mkdir()
    storage = f"[storage]\ndriver = 'overlay'\ngraphroot = '{kept}/images'\nrunroot = '{kept}/run'\n"
    (kept / "storage.conf").write_text(storage)
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(kept / "storage.conf"))
    base = f"{workshop.registry}/base:test"
    run("docker", "tag", workshop.base, base)
    run("docker", "push", "--quiet", base)
    changed = settings.deployment.model_copy(update={"builder": "buildah", "base_image": base})
    made = build_and_push(settings.model_copy(update={"deployment": changed}), bentos.second)
    run("docker", "pull", "--quiet", f"{made.repository}@{made.digest}")
    with container(f"{made.repository}@{made.digest}") as (_, url):
        assert httpx.post(f"{url}/predict", json={"text": "superb music"}, timeout=30).json()["label"] == "negative"
