"""Exactly once: killed at random moments, run twice at once, completed late, the tables are those of one clean run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).resolve().parents[1] / "killing.py"
KILLS = 25  # `python tests/killing.py FOLDER 300 0` does more

ONE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from killing import ingest
print("ready", flush=True)
sys.stdin.readline()
ingest(Path(sys.argv[2]))
"""


def test_killed_at_random_moments_leaves_the_tables_of_a_clean_run(tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, tmp_path, str(KILLS), "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["killed"] >= KILLS
    assert found["rows"] == 512  # two of them are feedback
    assert found["wrong"] == []


def test_two_processes_that_ingest_at_once_are_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from killing import fill, ingest, state

    roots = [tmp_path / "two", tmp_path / "clean"]
    for root in roots:
        fill(root)
    command = [sys.executable, "-c", ONE, SCRIPT.parent, roots[0]]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.communicate("go\n", timeout=120)
        assert process.returncode == 0
    ingest(roots[1])
    assert state(roots[0]) == state(roots[1])
