"""Writes the Grafana dashboards into the chart: ``python -m monitoring.dashboards``.

They are kept as JSON, where both the chart and a Grafana without it find them; a test keeps the JSON equal to this.
"""

from __future__ import annotations

import json
from pathlib import Path

from monitoring.model import MODEL
from monitoring.pipeline import PIPELINE
from monitoring.service import SERVICE

FOLDER = Path(__file__).resolve().parents[1] / "helm" / "sentiment" / "files" / "dashboards"


def documents() -> dict[Path, str]:
    """Return what the files should hold."""
    return {
        FOLDER / f"{dashboard.uid}.json": json.dumps(dashboard.json(), indent=1) + "\n"
        for dashboard in (SERVICE, MODEL, PIPELINE)
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
