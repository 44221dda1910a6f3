"""Helm's own engine for a test: the `helm` command, and a Kubernetes API in memory that it talks to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes_api import kubeconfig, serving
from kubernetes_cluster import Cluster

TESTS = Path(__file__).resolve().parent
CHART = TESTS.parent / "helm" / "sentiment"
SECONDS = 120


@dataclass(frozen=True)
class Helm:
    """The `helm` command for one cluster."""

    command: Path
    cluster: Cluster
    env: dict[str, str]

    def __call__(self, *arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever comes of it; `values` come from its standard input."""
        process = self.start(*arguments, values=values)
        out, error = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    def start(self, *arguments: str, values: dict[str, Any] | None = None) -> subprocess.Popen[str]:
        """Start it."""
        more = ("--values", "-") if values is not None else ()
        process = subprocess.Popen(
            [str(self.command), *arguments, *more],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if values is not None and process.stdin:
            process.stdin.write(json.dumps(values))
            process.stdin.close()
            process.stdin = None
        return process

    def done(self, *arguments: str, values: dict[str, Any] | None = None) -> str:
        """Run it, which must succeed, and return what it prints."""
        ended = self(*arguments, values=values)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture(scope="session")
def helm_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An executable named `helm`, in a folder of its own."""
    sdk = pytest.importorskip("helm_sdkpy", reason="Helm's engine is not here: helm-sdkpy is not installed")
    try:
        sdk.get_version()
    except sdk.HelmError as error:
        pytest.skip(f"Helm's engine does not run on this machine: {error}")
    path = tmp_path_factory.mktemp("bin") / "helm"
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{TESTS / 'helm_command.py'}' \"$@\"\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def new_helm(helm_command: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Helm]]:
    """Gives `helm` for a new, empty cluster each time it is called."""
    with ExitStack() as stack:

        def make() -> Helm:
            cluster, home = Cluster(), tmp_path_factory.mktemp("helm")
            (home / "kubeconfig").write_text(kubeconfig(stack.enter_context(serving(cluster))))
            names = {"KUBECONFIG": str(home / "kubeconfig"), "HOME": str(home), "GOMAXPROCS": "2"}
            return Helm(helm_command, cluster, {**os.environ, **names})

        yield make


@pytest.fixture
def helm(new_helm: Callable[[], Helm]) -> Helm:
    """`helm` for a new, empty cluster."""
    return new_helm()
