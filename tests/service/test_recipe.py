"""What is served is pinned, asked for and complete: a Bento is all that a builder of images needs."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from bentos import BuiltBentos

from sentiment.packaging import _needed_modules

PROJECT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def pins_of(path: Path) -> dict[tuple[str, str], set[str]]:
    """Return the hashes of each name and version that a requirements file pins."""
    entries = path.read_text().replace("\\\n", " ").splitlines()
    pin = re.compile(r"([a-z0-9-]+)(?:\[.*\])?==(\S+)(?: ; .*?)?((?:\s+--hash=sha256:[0-9a-f]{64})+)")
    found = [pin.fullmatch(entry) for entry in entries if entry.strip() and not entry.startswith("#")]
    assert all(found), "an entry without a pin or a hash"
    return {(one[1], one[2]): set(one[3].split()) for one in found if one}


def test_what_is_served_is_pinned_with_hashes_as_the_project_pins_it(bentos: BuiltBentos) -> None:
    served, project = pins_of(PROJECT / "images/serving/requirements.txt"), pins_of(PROJECT / "constraints.txt")
    assert {name for name, _ in served} >= {"bentoml", "numpy", "obstore", "pydantic", "uvicorn"}
    assert {pin: hashes for pin, hashes in served.items() if project.get(pin) != hashes} == {}
    asked = (PROJECT / "images/serving/requirements.in").read_text().splitlines()
    assert {line for line in asked if not line.startswith("#")} <= {name for name, _ in served}
    recipe = yaml.safe_load((PROJECT / "bentofile.yaml").read_text())
    assert recipe["python"] == {"lock_packages": False, "requirements_txt": "images/serving/requirements.txt"}
    assert pins_of(Path(bentos.first.path, "src/images/serving/requirements.txt")) == served


def test_what_is_served_is_asked_for() -> None:
    """Everything that the served code imports comes with the packages of requirements.in, or with Python."""
    served = {name for name, _ in pins_of(PROJECT / "images/serving/requirements.txt")}
    folders = packages_distributions()
    ours = {"bento", "sentiment", *sys.stdlib_module_names}
    for name in {*_needed_modules(PROJECT), "images/serving/fetch.py"} - {"sentiment/s3.py"}:  # that is where boto3 is
        for module in imported_by(PROJECT / name) - ours:
            assert {one.lower().replace("_", "-") for one in folders[module]} & served, f"{name} imports {module}"


def imported_by(file: Path) -> set[str]:
    """Return the packages that a file imports when it is imported itself."""
    body = ast.parse(file.read_text()).body
    names = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in body if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


def test_a_bento_is_all_that_a_builder_of_images_needs(bentos: BuiltBentos) -> None:
    folder = Path(bentos.first.path)
    dockerfile = (PROJECT / "images/serving/Dockerfile").read_text()
    assert (folder / "env/docker/Dockerfile").read_text().rstrip() == dockerfile.rstrip(), "Jinja changed it"
    copied = re.findall(r"\$\{SOURCE\}/(\S+)", dockerfile)
    assert set(copied) == {"requirements.txt", "entrypoint.sh", "fetch.py"}
    assert all((folder / "src/images/serving" / name).is_file() for name in copied)
    assert re.search(r"^ARG BASE=python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)
