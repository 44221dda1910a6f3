"""The workflows of GitHub: least rights, no stored keys, and commands that exist."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloud_templates import Template

PROJECT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = [PROJECT / ".github" / "scan", PROJECT / ".github" / "upgrade-serving", PROJECT / ".ci" / "kind"]
OWN_ACTIONS = {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}
TOKEN = {"aws-actions/configure-aws-credentials"}
ON_RUNNERS = {"aws", "docker", "echo", "helm", "kubectl", "make", "for", "done"}


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


pytestmark = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def test_rights_are_given_one_by_one(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for name, job in workflow["jobs"].items():
        rights = job.get("permissions", {})
        assert set(rights) <= {"contents", "id-token"}, name
        assert rights.get("contents", "read") == "read"
        if "id-token" in rights:  # a role is taken: only in an environment, which the role demands
            assert job["environment"] in ("build", "production")
            assert any(step.get("uses", "").startswith("aws-actions/") for step in job["steps"])


def test_no_foreign_code_runs_with_our_rights(path: Path) -> None:
    text, workflow = path.read_text(), read(path)
    assert "pull_request_target" not in text
    assert "workflow_run" not in text
    assert "secrets." not in text, "there are no stored keys"
    for step in steps(workflow):
        if "uses" in step:
            name, _, version = step["uses"].partition("@")
            assert name in OWN_ACTIONS | TOKEN
            assert re.fullmatch(r"v\d+|[0-9a-f]{40}", version), step["uses"]
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


def test_every_job_ends(path: Path) -> None:
    assert all(0 < job["timeout-minutes"] <= 60 for job in read(path)["jobs"].values())


def test_what_a_stranger_wrote_never_becomes_a_command(path: Path) -> None:
    """Expressions in `run` are pasted before the shell sees them; values go by the environment."""
    for step in steps(read(path)):
        assert "${{" not in step.get("run", ""), step["run"]


def test_every_command_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for step in steps(read(path)):
        script = re.sub(r"\\\n\s*", " ", step.get("run", ""))
        for line in filter(None, map(str.strip, script.splitlines())):
            command, *arguments = re.sub(r"^sudo( --\S+)* ", "", line).split()
            if command == "make":
                assert arguments[0] in targets
            elif command.startswith("."):
                assert (PROJECT / command).stat().st_mode & stat.S_IXUSR
            else:
                assert command in ON_RUNNERS, line
        for name in re.findall(r"(?:--file|--filename|--values) (\S+)", script):
            assert (PROJECT / name).is_file(), name
        for name in re.findall(r"docker build .* (\S+)$", script, re.MULTILINE):
            assert (PROJECT / name).exists()


def test_paths_that_start_a_workflow_exist(path: Path) -> None:
    workflow = read(path)
    events = workflow[True]  # YAML reads `on` so
    for event in events.values():
        for pattern in (event or {}).get("paths", []):
            assert (PROJECT / pattern.removesuffix("/**")).exists(), pattern


def test_variables_are_those_of_the_guide(path: Path) -> None:
    guide = (PROJECT / "docs" / "aws.md").read_text()
    for name in re.findall(r"vars\.([A-Z_]+)", path.read_text()):
        assert f"`{name}`" in guide


def test_a_release_waits_for_its_environment(path: Path) -> None:
    environments = {job["environment"] for job in read(path)["jobs"].values() if "environment" in job}
    given = Template.read("github").parameters
    assert environments <= {given["BuildEnvironment"]["Default"], given["DeployEnvironment"]["Default"]}
    if path.stem == "deploy":
        assert read(path)["jobs"]["releases"]["environment"] == "production"
        assert read(path)["jobs"]["releases"]["needs"] == "images"
        assert read(path)["jobs"]["images"]["needs"] == "check"


def test_scripts_are_shell(path: Path) -> None:
    for script in SCRIPTS:
        assert script.stat().st_mode & stat.S_IXUSR
        done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        if checker := shutil.which("shellcheck"):
            subprocess.run([checker, script], timeout=60, check=True)
    for step in steps(read(path)):
        done = subprocess.run(
            ["bash", "-n"], input=step.get("run", ""), capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
