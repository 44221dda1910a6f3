"""Airflow as the DAG tests see it: a home of its own, nothing of the user's."""

import os
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

if "airflow" not in sys.modules:  # Airflow reads its configuration when it is first imported
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-")
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(PROJECT / "dags")
    os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(PROJECT / "plugins")
    os.environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] = "False"
sys.path[:0] = [str(PROJECT / "dags"), str(PROJECT / "plugins")]
