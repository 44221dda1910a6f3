"""A Docker engine of the tests' own, a base image and a registry, where no engine or registry can be reached.

Debian's packages give the engine (docker.io) and the registry (docker-registry); debootstrap gives the base, which
stands in for Docker's official Python image. All that is started is stopped, all that is mounted is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

PACKAGES = {
    "dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables", "debootstrap": "debootstrap",
    "docker-registry": "docker-registry",
}  # fmt: skip
BASE = "sentiment-base:test"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def run(*command: str, seconds: float = 900, cwd: str | None = None, **env: str) -> str:
    """Run a command and return what it prints; what it says on both channels is the failure."""
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=seconds, cwd=cwd,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def install() -> None:
    """Install what is missing of `PACKAGES`, without letting Debian start a service."""
    missing = sorted({package for command, package in PACKAGES.items() if not shutil.which(command)})
    if not missing:
        return
    assert shutil.which("apt-get"), f"needs Debian's packages {' '.join(missing)}"
    assert os.geteuid() == 0, f"needs root to install {' '.join(missing)}"
    run("apt-get", "update", "-qq")
    run(
        "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing,
        DEBIAN_FRONTEND="noninteractive", RUNLEVEL="1",
    )  # fmt: skip


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[str]:
    """Run dockerd with everything of its own under `folder`; give its address."""
    address = f"unix://{folder}/docker.sock"
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "dockerd", "--host", address, "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"),
                "--pidfile", str(folder / "dockerd.pid"), "--log-level", "warn",
            ],
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: _answers(address), 60, process=process, log=folder / "dockerd.log")
        yield address
    finally:
        _end(process)
        for mount in _mounts(folder):
            subprocess.run(["umount", "--lazy", mount], check=False)
        assert _mounts(folder) == []
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def registry(folder: Path, port: int) -> Iterator[str]:
    """Run Debian's registry on this machine; give its host."""
    config = folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=subprocess.STDOUT)
    try:
        host = f"127.0.0.1:{port}"
        wait_for(lambda: _listens(port), 30, process=process, log=folder / "registry.log")
        yield host
    finally:
        _end(process)


def base_image(folder: Path) -> str:
    """Return the name of a base: Debian, Python and pip, as in the official image, which no registry here has.

    Where one can be reached, ``TEST_BASE`` names an image to take instead, or a tar file of a root.
    """
    if given := os.environ.get("TEST_BASE"):
        run(*(("docker", "import", given, BASE) if Path(given).is_file() else ("docker", "pull", "--quiet", given)))
        return BASE if Path(given).is_file() else given
    root = folder / "rootfs"
    run(
        "debootstrap", "--variant=minbase", "--include=python3,python3-pip,python3-venv,ca-certificates",
        "bookworm", str(root), seconds=1800,  # from the mirror that it knows itself
    )  # fmt: skip
    for kept in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / kept)
    for kept in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        kept.unlink()
    (root / "usr/bin/python").symlink_to("python3")
    if AUTHORITIES.exists():  # whom this machine trusts, the container trusts
        shutil.copyfile(AUTHORITIES, root / AUTHORITIES.relative_to("/"))
    archive = folder / "rootfs.tar"
    run("tar", "--directory", str(root), "--create", "--file", str(archive), ".")
    run("docker", "import", "--change", 'CMD ["python3"]', str(archive), BASE)
    archive.unlink()
    shutil.rmtree(root)
    return BASE


def wait_for(
    what: object, seconds: float, *, process: subprocess.Popen[bytes] | None = None, log: Path | None = None
) -> None:
    """Wait until `what`, a function, says yes."""
    assert callable(what)
    deadline = time.monotonic() + seconds
    while not what():
        said = log.read_text(errors="replace")[-3000:] if log else ""
        assert process is None or process.poll() is None, f"it ended:\n{said}"
        assert time.monotonic() < deadline, f"not after {seconds} s:\n{said}"
        time.sleep(0.2)


def ready(url: str) -> bool:
    """Whether a server says that it is ready."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _answers(address: str) -> bool:
    return subprocess.run(["docker", "--host", address, "info"], capture_output=True, check=False).returncode == 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def _mounts(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines() if sys.platform == "linux" else []
    return [mount for mount in (line.split()[1] for line in lines) if mount.startswith(f"{folder}/")]
