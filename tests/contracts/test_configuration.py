"""Which setting is in force, where it comes from, and what is said about a wrong one."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sentiment.cli import app, main
from sentiment.configuration import DEFAULT, HIDDEN, PROFILES, settings_with_origin
from sentiment.errors import SettingsError
from sentiment.settings import load_settings


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SENTIMENT_")]:
        monkeypatch.delenv(name)
    return tmp_path


def status(*arguments: str) -> int:
    """Return the exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def origins() -> dict[str, tuple[object, str]]:
    return {one.name: (one.value, one.origin) for one in settings_with_origin()}


def test_with_nothing_set_everything_is_the_default() -> None:
    assert {origin for _, origin in origins().values()} == {DEFAULT}


def test_each_source_wins_over_the_one_before(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "sentiment.toml").write_text("[gate]\nmargin = 0.01\nalpha = 0.01\n")
    assert origins()["gate.margin"] == (0.01, "sentiment.toml")
    (here / ".env").write_text("SENTIMENT_GATE__MARGIN=0.02\n")
    assert origins()["gate.margin"] == (0.02, ".env")
    monkeypatch.setenv("SENTIMENT_GATE__MARGIN", "0.03")
    found = origins()
    assert found["gate.margin"] == (0.03, "environment")
    assert found["gate.alpha"] == (0.01, "sentiment.toml")
    assert load_settings().gate.margin == 0.03


def test_the_origin_of_groups_and_tables_is_seen(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "sentiment.toml").write_text("[training.cleaning]\nurls = 'drop'\n[data.label_words]\ngood = 'positive'\n")
    monkeypatch.setenv("SENTIMENT_DATA__LANGUAGES", '["en"]')
    found = origins()
    assert found["training.cleaning.urls"] == ("drop", "sentiment.toml")
    assert found["training.cleaning.numbers"][1] == DEFAULT
    assert found["data.label_words"] == ({"good": "positive"}, "sentiment.toml")
    assert found["data.languages"] == (["en"], "environment")


def test_passwords_for_others_in_the_file_of_variables_are_nobodys_mistake(here: Path) -> None:
    (here / ".env").write_text("POSTGRES_PASSWORD=abc\nGRAFANA_PASSWORD=def\n")
    assert {origin for _, origin in origins().values()} == {DEFAULT}


def test_what_is_secret_is_not_shown(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_PLATFORM__AIRFLOW_DATABASE", "postgresql://me:hush@db/airflow")
    monkeypatch.setenv("SENTIMENT_SERVING__PROBE_KEY", "hush")
    found = origins()
    assert found["platform.airflow_database"] == (HIDDEN, "environment")
    assert found["serving.probe_key"] == (HIDDEN, "environment")
    assert found["platform.mlflow_database"] == ("", DEFAULT), "not set is not hidden"
    for arguments in (["config", "show"], ["config", "show", "--json"], ["config", "check"]):
        said = CliRunner().invoke(app, arguments)
        assert said.exit_code == 0
        assert "hush" not in said.output
    assert "hush" not in repr(load_settings())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[gate]\nmargn = 0.02\n", "did you mean gate.margin?"),
        ("[gat]\nmargin = 0.02\n", "did you mean gate?"),
        ("[training.cleaning]\nurl = 'drop'\n", "did you mean training.cleaning.urls?"),
        ("[gate]\nxyzzy = 1\n", "there is no such setting."),
    ],
)
def test_an_unknown_name_is_answered_with_the_one_that_was_meant(here: Path, text: str, meant: str) -> None:
    (here / "sentiment.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert meant in caught.value.message
    assert status("config", "check") == 2


def test_a_database_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_PLATFORM__MLFLOW_DATABASE", "mysql://me:hush@db/mlflow")
    with pytest.raises(SettingsError, match="no postgresql:// address") as caught:
        load_settings()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_written_once_and_is_right(here: Path, profile: str) -> None:
    assert status("config", "init", profile) == 0
    written = (here / "sentiment.toml").read_text()
    assert status("config", "check") == 0
    assert status("config", "init", "laptop") == 2
    assert (here / "sentiment.toml").read_text() == written


def test_one_section_or_setting_is_shown_alone() -> None:
    shown = CliRunner().invoke(app, ["config", "show", "gate", "--json"])
    assert {one["name"].split(".")[0] for one in json.loads(shown.stdout)} == {"gate"}
    one = CliRunner().invoke(app, ["config", "show", "gate.margin", "--json"])
    assert [found["name"] for found in json.loads(one.stdout)] == ["gate.margin"]
    assert status("config", "show", "gatte") == 2
