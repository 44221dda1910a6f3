"""What builders are told: everything about the image, within a time, and no secret where others could read it.

`make test-image` runs docker and buildah for real. buildctl is in no package here: a recorder takes its place.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from sentiment.deployment.image_builders import Commands, Plan, buildah, buildkit, docker
from sentiment.deployment.image_registry import Login
from sentiment.errors import ServiceError

RECORDER = """#!/usr/bin/env python3
import json, os, pathlib, sys
name, here = pathlib.Path(sys.argv[0]).name, pathlib.Path(sys.argv[0]).parent
files = [os.environ.get("REGISTRY_AUTH_FILE"), os.environ.get("DOCKER_CONFIG", "") + "/config.json"]
[login] = [pathlib.Path(file) for file in files if file and pathlib.Path(file).is_file()] or [None]
call = {"command": [name, *sys.argv[1:]], "environment": dict(os.environ), "login": None}
if login:
    call |= {"login": json.loads(login.read_text()), "file": str(login), "mode": login.stat().st_mode}
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(call) + "\\n")
print({"from": "container-1", "context": "unix:///run/docker.sock"}.get(sys.argv[1], "libc6 2.36 amd64"))
sys.exit(3 if os.environ.get("BREAKS") in sys.argv else 0)
"""
REFERENCE = "registry.example/team/sentiment:v1"
PASSWORD = "hush-hush"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put recorders of the three commands on the PATH; gives what reads their calls."""
    for name in ("docker", "buildah", "buildctl"):
        (tmp_path / name).write_text(RECORDER)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return lambda: [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(
        folder=tmp_path / "bento",
        reference=REFERENCE,
        labels={"sentiment.model": "sentiment/3"},
        arguments={"BASE": "python@sha256:abc"},
        login=Login("registry.example", "AWS", PASSWORD),
    )


@pytest.mark.parametrize("builder", [docker, buildah, buildkit], ids=lambda builder: builder.__name__)
def test_a_password_is_only_in_a_file_that_is_gone_afterwards(builder: Any, plan: Plan, calls: Any) -> None:
    builder(plan)
    pushes = [call for call in calls() if call["login"]]
    assert len(pushes) == 1
    [push] = pushes
    assert push["login"] == {"auths": {"registry.example": {"auth": plan.login.basic}}}
    assert stat.S_IMODE(push["mode"]) == 0o600
    assert not Path(push["file"]).parent.exists()
    for call in calls():
        told = json.dumps([call["command"], call["environment"]])
        assert PASSWORD not in told
        assert plan.login.basic not in told


@pytest.mark.parametrize("builder", [docker, buildah, buildkit], ids=lambda builder: builder.__name__)
def test_the_build_is_told_what_it_is_of_and_on_what(builder: Any, plan: Plan, calls: Any) -> None:
    builder(plan)
    [build] = [" ".join(call["command"]) for call in calls() if "build" in call["command"]]
    for part in ("sentiment.model=sentiment/3", "BASE=python@sha256:abc", REFERENCE, str(plan.folder / "env/docker")):
        assert part in build


def test_docker_pushes_to_the_engine_that_built_with_a_login_of_its_own(plan: Plan, calls: Any) -> None:
    assert docker(plan) == ["libc6 2.36 amd64"]
    [push] = [call for call in calls() if call["command"][1] == "push"]
    assert push["environment"]["DOCKER_HOST"] == "unix:///run/docker.sock"
    assert push["command"] == ["docker", "push", REFERENCE]


def test_buildkit_pushes_what_it_builds_and_is_reached_where_the_settings_say(plan: Plan, calls: Any) -> None:
    assert buildkit(plan, address="tcp://buildkitd:1234") == []
    [call] = calls()
    assert call["command"][:3] == ["buildctl", "--addr", "tcp://buildkitd:1234"]
    assert f"type=image,name={REFERENCE},push=true,rewrite-timestamp=true" in call["command"]
    assert "target=bento" in call["command"]


def test_buildah_removes_the_container_that_it_asks_for_packages(
    plan: Plan, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKS", "run")
    with pytest.raises(ServiceError, match="`buildah run` failed with status 3"):
        buildah(plan)
    assert calls()[-1]["command"] == ["buildah", "rm", "container-1"]


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"`sleep 60` did not end: 1 s are over\. Raise deployment\.build_timeout"):
        Commands(1).run("sleep", "60")


def test_the_last_lines_of_what_failed_are_said() -> None:
    with pytest.raises(ServiceError, match=r"(?s)status 7.*line 30") as raised:
        Commands(60).run("sh", "-c", "for i in $(seq 30); do echo line $i >&2; done; exit 7")
    assert "line 15\n" not in str(raised.value)
