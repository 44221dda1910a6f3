"""Airflow's scheduler with what the tasks import imported already: ``python -m sentiment.warm DAGS scheduler``.

The LocalExecutor forks its workers from the scheduler, and each task from a worker. What the scheduler has imported, no
task imports again: 2 to 8 seconds of each, which is most of what a small task takes. The memory is shared.
"""

from __future__ import annotations

import ast
import runpy
import sys
from importlib import import_module
from pathlib import Path

LATE = ("evidently", "matplotlib.figure", "mlflow.sklearn", "pandera.pandas")  # what stages import when they need it


def imported_by(folder: Path) -> set[str]:
    """Return the modules of ours that the Python files of a folder import, anywhere in them."""
    nodes = (node for path in folder.glob("*.py") for node in ast.walk(ast.parse(path.read_bytes(), str(path))))
    return {
        node.module
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sentiment.")
    }


def main() -> None:
    """Import what the tasks of a folder of DAGs will, and become Airflow with the other arguments."""
    dags = Path(sys.argv.pop(1))
    if sys.platform == "linux":  # elsewhere tasks are programs of their own
        for name in (*sorted(imported_by(dags)), *LATE):
            import_module(name)
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
