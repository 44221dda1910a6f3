"""Settings come from one place, say what is wrong with them, and are all documented."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from sentiment.cleaning import Cleaning
from sentiment.deployment.backend import environment
from sentiment.errors import SettingsError
from sentiment.settings import Section, Settings, load_settings

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def names() -> list[str]:
    return [
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        for name in _within(field.annotation)
    ]


def _within(section: type[Section]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if is_dataclass(field.annotation):
            yield from (f"{name}.{inner.name}" for inner in fields(field.annotation))
        else:
            yield name


@pytest.mark.parametrize("name", names())
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in DOCUMENT.read_text()


def test_no_documented_setting_is_gone() -> None:
    documented = [line.split("`")[1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert sorted(documented) == sorted(names())


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sentiment.toml").write_text("[gate]\nmargin = 0.02\nalpha = 0.1\n")
    monkeypatch.setenv("SENTIMENT_GATE__MARGIN", "0.03")
    assert (load_settings().gate.margin, load_settings().gate.alpha) == (0.03, 0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gate]\nmargn = 0.02\n", "gate.margn"),
        ("[gate]\nmargin = 2\n", "gate.margin"),
        ("[gat]\nmargin = 0.02\n", "gat"),
        ("[training.cleaning]\nlemmas = true\n", "training.cleaning.lemmas"),
        ("[training.cleaning]\nnormal_form = 'lemmas'\n", "training.cleaning.normal_form"),
        ("[gate\n", "sentiment.toml"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sentiment.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_cleaning_is_set_by_file_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sentiment.toml").write_text("[training.cleaning]\nstop_words = 'drop'\nurls = 'mark'\n")
    monkeypatch.setenv("SENTIMENT_TRAINING__CLEANING__URLS", "drop")
    assert load_settings().training.cleaning == Cleaning(stop_words="drop", urls="drop")


def test_settings_cannot_be_changed(settings: Settings) -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings.gate.margin = 0.5


def test_lists_and_switches_reach_another_process_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"cors_origins": ("https://shop.example", "http://127.0.0.1:8000"), "max_batch": 7, "linger_seconds": 2.5}
    for name, value in environment(load_settings(serving=chosen)).items():
        monkeypatch.setenv(name, value)
    read = load_settings().serving
    assert {name: getattr(read, name) for name in chosen} == chosen


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "ftp://shop.example", "https://a b", ""])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match="cors_origins"):
        load_settings(serving={"cors_origins": [origin]})
