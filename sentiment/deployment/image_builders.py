"""Building an image of a Bento and pushing it, with the commands docker, buildah or buildctl.

The Bento's folder is all that a builder is given. A registry's password goes to it in a file that only this user can
read and that is gone afterwards; never as an argument.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sentiment.deployment.image_registry import Login, is_loopback
from sentiment.errors import ServiceError

DOCKERFILE = "env/docker/Dockerfile"
TARGET = "bento"
LAST_LINES = 15
PACKAGES = ("dpkg-query", "--show", "--showformat=${Package} ${Version} ${Architecture}\\n")


@dataclass(frozen=True)
class Plan:
    """What is built of what.

    Attributes
    ----------
    folder : Path
        The Bento.
    reference : str
        ``REPOSITORY:TAG`` that is pushed.
    labels, arguments : mapping
        Labels of the image, build arguments.
    login : Login or None
        For the registry; None if the builder knows.
    timeout_seconds : float
        For everything together.
    """

    folder: Path
    reference: str
    labels: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    login: Login | None = None
    timeout_seconds: float = 1800.0

    @property
    def host(self) -> str:
        """Return the registry's."""
        return self.reference.partition("/")[0]


class Commands:
    """Runs commands, all of them within one time.

    Parameters
    ----------
    seconds : float
        That time.
    """

    def __init__(self, seconds: float) -> None:
        self._ends, self._seconds = time.monotonic() + seconds, seconds

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> str:
        """Run a command and return what it prints.

        Raises
        ------
        ServiceError
            It is not installed, failed (with its last lines), or took too long.
        """
        name = " ".join(command[:2])
        if not shutil.which(command[0]):
            raise ServiceError(
                f"There is no command {command[0]} here.", fix="Install it, or choose another deployment.builder."
            )
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, capture_output=True, text=True,
                errors="replace", timeout=max(1.0, self._ends - time.monotonic()),
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ServiceError(
                f"`{name}` did not end: {self._seconds:.0f} s are over.", fix="Raise deployment.build_timeout_seconds."
            ) from error
        if done.returncode:
            last = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).splitlines()[-LAST_LINES:])
            raise ServiceError(f"`{name}` failed with status {done.returncode}. Its last lines:\n{last}\n")
        return done.stdout


def docker(plan: Plan) -> list[str]:
    """Build and push with the Docker engine that the command reaches; return the Debian packages of the image."""
    commands = Commands(plan.timeout_seconds)
    commands.run(
        "docker", "build", "--quiet", "--target", TARGET, "--file", str(plan.folder / DOCKERFILE),
        "--tag", plan.reference, *_options("--label", plan.labels), *_options("--build-arg", plan.arguments),
        str(plan.folder),
    )  # fmt: skip
    packages = commands.run(
        "docker", "run", "--rm", "--network=none", "--entrypoint", PACKAGES[0], plan.reference, *PACKAGES[1:]
    )
    host = commands.run("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}").strip()
    with _login_file(plan.login) as file:
        commands.run("docker", "push", plan.reference, env=_docker_env(file, {"DOCKER_HOST": host}))
    return packages.splitlines()


def buildah(plan: Plan) -> list[str]:
    """Build and push with buildah, which needs no engine; return the Debian packages of the image."""
    commands = Commands(plan.timeout_seconds)
    insecure = ["--tls-verify=false"] if is_loopback(plan.host) else []
    commands.run(
        "buildah", "build", "--quiet", "--layers", *insecure, "--target", TARGET,
        "--file", str(plan.folder / DOCKERFILE), "--tag", plan.reference,
        *_options("--label", plan.labels), *_options("--build-arg", plan.arguments), str(plan.folder),
    )  # fmt: skip
    container = commands.run("buildah", "from", "--pull-never", plan.reference).strip()
    try:
        packages = commands.run("buildah", "run", "--network=none", container, "--", *PACKAGES)
    finally:
        commands.run("buildah", "rm", container)
    with _login_file(plan.login) as file:
        env = {"REGISTRY_AUTH_FILE": str(file)} if file else {}
        commands.run("buildah", "push", "--quiet", *insecure, plan.reference, env=env)
    return packages.splitlines()


def buildkit(plan: Plan, *, address: str = "") -> list[str]:
    """Build and push with a buildkitd, such as one in the cluster. It names no packages: nothing comes back from it."""
    options = ["target=" + TARGET, *(f"label:{name}={value}" for name, value in plan.labels.items())]
    options += [f"build-arg:{name}={value}" for name, value in plan.arguments.items()]
    insecure = ",registry.insecure=true" if is_loopback(plan.host) else ""
    with _login_file(plan.login) as file:
        Commands(plan.timeout_seconds).run(
            "buildctl", *(["--addr", address] if address else []), "build", "--progress", "plain",
            "--frontend", "dockerfile.v0", "--local", f"context={plan.folder}",
            "--local", f"dockerfile={(plan.folder / DOCKERFILE).parent}",
            *(word for option in options for word in ("--opt", option)),
            "--output", f"type=image,name={plan.reference},push=true,rewrite-timestamp=true{insecure}",
            env=_docker_env(file),
        )  # fmt: skip
    return []


def _options(flag: str, values: Mapping[str, str]) -> list[str]:
    return [word for name, value in values.items() for word in (flag, f"{name}={value}")]


def _docker_env(file: Path | None, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Point Docker's tools to a login; with their own configuration goes the address of the engine, so that is told."""
    return {"DOCKER_CONFIG": str(file.parent), **(env or {})} if file else {}


@contextlib.contextmanager
def _login_file(login: Login | None) -> Iterator[Path | None]:
    """Hold a login in a file as all three tools read it, for this user only and for no longer than it is needed."""
    if login is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="login-") as folder:
        file = Path(folder, "config.json")
        file.touch(mode=0o600)
        file.write_text(json.dumps({"auths": {login.host: {"auth": login.basic}}}))
        yield file
