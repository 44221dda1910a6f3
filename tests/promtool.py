"""Alerts on made-up series, by Prometheus's own tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest


def promtool() -> str:
    """Return Prometheus's tool, or skip the test."""
    found = shutil.which("promtool")
    if not found:
        pytest.skip("promtool is not here: install Debian's prometheus")
    return found


def firing(
    folder: Path, rules: Mapping[str, Any], series: Mapping[str, str], *, minutes: int, every: int = 1
) -> list[dict[str, str]]:
    """Return the labels of the alerts that fire after so many minutes of such series.

    Parameters
    ----------
    series : mapping of str to str
        Values by name and labels, as promtool writes them; one value for `every` minutes.
    """
    (folder / "rules.json").write_text(json.dumps(rules))
    given = [{"series": name, "values": values} for name, values in series.items()]
    asked = [{"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{minutes}m", "exp_samples": []}]
    test = {"interval": f"{every}m", "input_series": given, "promql_expr_test": asked}
    written = {"rule_files": ["rules.json"], "evaluation_interval": f"{every}m", "tests": [test]}
    (folder / "test.json").write_text(json.dumps(written))
    ended = subprocess.run([promtool(), "test", "rules", "test.json"], cwd=folder, capture_output=True, text=True)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0 or "got:" in said, said
    got = re.findall(r"\{([^}]*)\}", said.partition("got:")[2])
    return [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in got]
