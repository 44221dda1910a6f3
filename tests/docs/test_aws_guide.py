"""The guide from an empty account to a served model names stacks, outputs, commands and sums that are right."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from sentiment.cli import app

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "aws.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SCRIPT = re.sub(r"\\\n\s*", " ", "\n".join(BLOCKS))
OUTPUT = re.compile(r"\$\(out (\w+) (\w+)\)")


class Loader(yaml.SafeLoader):
    """Reads templates; what their short forms do is of no matter here."""


Loader.add_multi_constructor("!", lambda loader, tag, node: None)


def template(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((PROJECT / "cloudformation" / f"{name}.yaml").read_text(), Loader)
    return found


def stacks() -> list[tuple[str, dict[str, str]]]:
    found = []
    for line in SCRIPT.splitlines():
        if line.startswith("up "):
            _, name, *given = shlex.split(line)
            found.append((name, dict(word.split("=", 1) for word in given)))
    return found


def block(name: str) -> str:
    """Return the file that the guide writes, with outputs in words."""
    [found] = re.findall(rf"{name} <<EOF\n(.*?)^EOF$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("code", BLOCKS)
def test_what_the_guide_runs_is_shell(code: str) -> None:
    done = subprocess.run(["bash", "-n"], input=code, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""


def test_every_stack_is_made_once_and_taken_down_after_what_needs_it() -> None:
    made = [name for name, _ in stacks()]
    assert sorted(made) == sorted(path.stem for path in (PROJECT / "cloudformation").glob("*.yaml"))
    down = re.findall(r"^down (\w+)$", SCRIPT, re.MULTILINE)
    assert sorted(down) == sorted(made)
    for name, parameters in stacks():
        for source, _ in OUTPUT.findall(" ".join(parameters.values())):
            assert made.index(source) < made.index(name), "it is made before it is needed"
            assert down.index(source) > down.index(name), "it goes after what needs it"


@pytest.mark.parametrize(("name", "given"), stacks(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_stack_is_given_what_it_needs_and_nothing_else(name: str, given: dict[str, str]) -> None:
    parameters = template(name)["Parameters"]
    assert set(given) <= set(parameters)
    assert {key for key, one in parameters.items() if "Default" not in one} <= set(given)


def test_every_output_that_is_asked_for_exists() -> None:
    asked = OUTPUT.findall(PAGE)
    assert len(asked) > 20
    for name, output in asked:
        assert output in template(name)["Outputs"], (name, output)


def test_every_file_that_is_named_exists() -> None:
    named = re.findall(r"(?:--values|--file|-f) ((?:helm|images)/\S+)|(?:^|\s)(\.github/\w+)", SCRIPT, re.MULTILINE)
    assert len(named) >= 4
    for name in named:
        assert (PROJECT / "".join(name)).is_file(), name


def test_every_command_of_ours_exists_with_its_flags() -> None:
    group: Any = typer.main.get_command(app)
    used = re.findall(r"(?:^|-- |`)sentiment ([a-z]+)((?: -{1,2}[a-z-]+)*)", SCRIPT + "\n" + PAGE, re.MULTILINE)
    assert used
    for name, flags in used:
        known = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert set(flags.split()) <= known, name


def test_the_values_of_the_guide_are_values_of_the_chart() -> None:
    values = yaml.safe_load(OUTPUT.sub(r"\1-\2", block("serving.yaml")))
    chart = yaml.safe_load((PROJECT / "helm" / "sentiment" / "values.yaml").read_text())

    def check(given: Any, known: Any) -> None:
        if isinstance(given, dict) and known:
            assert set(given) <= set(known)
            for key, value in given.items():
                check(value, known[key])

    check(values, chart)


@pytest.mark.parametrize("name", ["airflow", "mlflow"])
def test_files_of_your_own_only_fill_in_what_ours_leave_open(name: str) -> None:
    given = yaml.safe_load(re.sub(r"\$\(out \w+ \w+\)|\$\w+", "x", block(f"my-{name}.yaml")))
    ours = yaml.safe_load((PROJECT / "helm" / f"{name}-values.yaml").read_text())

    def check(given: Any, ours: Any) -> None:
        for key, value in given.items():
            assert key in ours, key
            if isinstance(value, dict):
                check(value, ours[key])
            else:
                assert ours[key] in ("", "s3://"), key

    check(given, ours)


def test_the_versions_of_other_peoples_charts_are_the_same_everywhere() -> None:
    places = [
        PROJECT / "docs" / "aws.md",
        PROJECT / ".github" / "workflows" / "deploy.yml",
        *(PROJECT / "helm" / name for name in ("airflow-values.yaml", "mlflow-values.yaml")),
    ]
    text = "\n".join(path.read_text() for path in places)
    for chart in ("apache-airflow/airflow", "community-charts/mlflow"):
        found = re.findall(rf"{chart} --version (\S+)", text)
        assert len(found) == 3
        assert len(set(found)) == 1


def test_the_costs_add_up() -> None:
    rows = re.findall(r"^\| ([^|*]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    [total] = re.findall(r"^\| \*\*together\*\* \| \*\*(\d+)\*\* \|$", PAGE, re.MULTILINE)
    assert len(rows) == 8
    assert sum(int(cost) for _, cost in rows) == int(total)
