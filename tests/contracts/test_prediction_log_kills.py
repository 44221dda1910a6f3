"""A server that is killed loses at most what it had not handed to the kernel; nothing is logged twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).resolve().parents[1] / "killing_log.py"
KILLS, QUEUE = 20, 300  # `python tests/killing_log.py FOLDER 400 0` does more


def test_what_callers_were_told_is_in_the_table_once_but_for_the_last_of_each_killed_server(tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, tmp_path, str(KILLS), "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["killed"] >= KILLS
    assert found["rows"] > QUEUE * KILLS / 10, "too little was logged to say anything"
    assert found["twice"] == 0
    assert found["not_the_last"] == 0, "what is lost is what was told last"
    assert found["most_lost"] <= QUEUE, "serving.log_queue bounds what is in memory"
    assert (found["personal"], found["rejected"]) == (0, 0)
