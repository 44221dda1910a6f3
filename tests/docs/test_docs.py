"""What the documents promise is there, and what is there is in the documents."""

import re
from pathlib import Path

import pytest

from sentiment.cli import app
from sentiment.reviews.contract import CONTRACT, REASONS

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [
    PROJECT / "README.md",
    PROJECT / "CHANGELOG.md",
    PROJECT / "CONTRIBUTING.md",
    PROJECT / "helm" / "sentiment" / "README.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
]
README = (PROJECT / "README.md").read_text()


def commands() -> set[str]:
    single = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}
    return single | {str(group.name) for group in app.registered_groups}


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"`sentiment {command}" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_command_that_does_not_exist(page: Path) -> None:
    named = set(re.findall(r"(?:`|\n|bin/)sentiment ([a-z]+)", page.read_text()))
    assert named <= commands()


@pytest.mark.parametrize("dag", sorted(path.stem for path in (PROJECT / "dags").glob("sentiment_*.py")))
def test_every_dag_is_in_the_readme(dag: str) -> None:
    assert dag == "sentiment_catalog" or f"| `{dag}` |" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_holds_what_a_merge_left(page: Path) -> None:
    assert not re.search(r"^(<<<<<<<|=======|>>>>>>>)( |$)", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("target", re.findall(r"make ([a-z-]+)", README))
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "make test" in README
    assert "make test" in (PROJECT / ".ci" / "run").read_text()


def test_every_reason_of_the_contract_is_explained() -> None:
    explained = (PROJECT / "docs" / "data.md").read_text()
    missing = [reason for reason in REASONS if f"| `{reason}` |" not in explained]
    assert missing == []


def test_every_version_of_the_contract_is_explained() -> None:
    explained = (PROJECT / "docs" / "data.md").read_text()
    assert [version for version in range(1, CONTRACT + 1) if f"| {version} |" not in explained] == []


def test_no_package_registry_is_named() -> None:
    host = re.compile(r"(//|\.|\b)(py" + r"(pi|thonhosted)|npm" + r"js|deb" + r"ian)\.(org|com)\b")
    for path in [*PAGES, PROJECT / "constraints.txt", PROJECT / "pyproject.toml"]:
        assert not host.search(path.read_text()), path
