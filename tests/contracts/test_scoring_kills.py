"""Killed at random moments and run again, scoring leaves byte for byte what one clean run leaves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).resolve().parents[1] / "killing_scores.py"
KILLS = 12  # `python tests/killing_scores.py FOLDER 300 0` does more


def test_killed_scoring_leaves_the_files_of_a_clean_run(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, tmp_path, str(KILLS), "0"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["killed"] >= KILLS
    assert found["partial"] > 0, "some kills must come in the midst"
    assert (found["skipped"], found["wrong"]) == (2, [])
