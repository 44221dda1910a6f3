"""The command line teaches: every command shows an example that it would accept, and says what it left out."""

from pathlib import Path

import pytest
import typer.main

from sentiment.cli import app, main
from sentiment.reviews.sample import write_sample

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples_with_options_that_exist(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert not ended.value.code
    said = capsys.readouterr().out
    examples = [line.split() for line in said.splitlines() if line.strip().startswith("$ ")]
    assert examples
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    for words in examples:
        place = words.index("sentiment") + 1
        assert words[place] == name
        inner = getattr(command, "commands", {}).get(words[place + 1], command) if len(words) > place + 1 else command
        options = {option for parameter in inner.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options


def test_the_same_file_again_is_said_to_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(tmp_path / "var"))
    data = str(write_sample(tmp_path / "film.csv", "film", 20, seed=1))
    for said in ("Accepted 20 reviews", "Left out 1 files whose content was taken in before"):
        with pytest.raises(SystemExit):
            main(["ingest", data])
        assert said in capsys.readouterr().out
