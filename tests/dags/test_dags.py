"""The DAGs as a reviewed snapshot: which there are, when they run, what they emit, what their forms ask."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "dags"

EXPECTED = {
    "sentiment_ingest": ("cron 0 * * * * or inbox", {"ingest": ["ingested"], "profile": [], "name_unread": []}),
    "sentiment_drift": (
        "cron 0 0 * * * or predictions or reviews",
        {"check": [], "ask_for_retraining": ["drift_detected"], "tell": []},
    ),
    "sentiment_retrain": (
        "cron 0 0 * * 0 or drift_detected",
        {
            "search.plan": [],
            "search.try_path": [],
            "search.choose": [],
            "train": [],
            "judge": [],
            "ask": [],
            "promote": ["champion"],
        },
    ),
    "sentiment_deploy": (
        "champion",
        {
            "package": [],
            "deploy": ["release"],
            "cluster.ship": [],
            "cluster.plan": [],
            "cluster.upgrade": [],
            "cluster.watch": [],
            "cluster.finish": ["release"],
            "cluster.smoke": [],
        },
    ),
    "sentiment_release": ("by hand", {"look": [], "ask": [], "settle": ["settled"]}),
    "sentiment_experiment": ("by hand", {"plan": [], "trials": [], "try_one": [], "compare": []}),
    "sentiment_score": ("by hand", {"plan": [], "score": [], "name_unread": []}),
    "sentiment_rollback": ("by hand", {"rollback": ["release"]}),
    "sentiment_maintain": ("cron 0 0 * * *", {"maintain": []}),
}


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(FOLDER))
    assert bag.import_errors == {}
    return dict(bag.dags)


def schedule(dag: Any) -> str:
    timetable = dag.timetable
    condition = getattr(timetable, "asset_condition", None)
    names = sorted(asset.name for asset in getattr(condition, "objects", [condition]) if asset is not None)
    cron = getattr(getattr(timetable, "timetable", timetable), "expression", None)
    return " or ".join(([f"cron {cron}"] if cron else []) + names) or "by hand"


def test_the_graph_is_the_reviewed_one(dags: dict[str, Any]) -> None:
    found = {
        dag_id: (
            schedule(dag),
            {task.task_id: [outlet.name for outlet in task.outlets] for task in dag.tasks},
        )
        for dag_id, dag in dags.items()
    }
    assert found == EXPECTED


def test_the_triggerer_watches_the_inbox(dags: dict[str, Any]) -> None:
    from importlib import import_module

    from airflow.triggers.base import BaseEventTrigger

    inbox = dags["sentiment_ingest"].timetable.asset_condition
    (watcher,) = inbox.watchers
    path, arguments = watcher.trigger.serialize()
    module, _, name = path.rpartition(".")
    assert (watcher.name, arguments) == ("sentiment_inbox", {}), "nothing of the settings is stored in the database"
    assert issubclass(getattr(import_module(module), name), BaseEventTrigger)


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_every_dag_explains_itself_and_retries(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert dag.doc_md.startswith("###")
    assert "*Runs*" in dag.doc_md
    assert "sentiment" in dag.tags
    assert dag.catchup is False
    assert dag.max_active_runs == 1
    for task in dag.tasks:
        assert task.owner == "sentiment"
        assert task.retries >= 2
        assert task.retry_exponential_backoff
        assert (getattr(task, "response_timeout", None) or task.execution_timeout) is not None


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_every_form_field_is_typed_described_and_has_a_valid_default(dags: dict[str, Any], dag_id: str) -> None:
    params = dags[dag_id].params
    assert len(params) > 0
    for name in params:
        param = params.get_param(name)
        assert param.schema.get("type"), name
        assert param.description, name
        param.resolve()


def test_forms_refuse_what_makes_no_sense(dags: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    for dag_id, name, value in (
        ("sentiment_retrain", "snapshot", "latest"),
        ("sentiment_retrain", "promote", "yes"),
        ("sentiment_retrain", "tune", "yes"),
        ("sentiment_deploy", "version", "champion"),
        ("sentiment_deploy", "target", "mars"),
        ("sentiment_deploy", "dry_run", "yes"),
        ("sentiment_drift", "end", "yesterday"),
        ("sentiment_drift", "reference", "/etc/passwd"),
        ("sentiment_drift", "current", "reviews@latest"),
        ("sentiment_ingest", "files", "one.csv"),
        ("sentiment_release", "batch", "shop.csv"),
        ("sentiment_experiment", "study", "everything"),
        ("sentiment_score", "input", ""),
        ("sentiment_score", "version", "champion"),
        ("sentiment_score", "keep", "id"),
    ):
        with pytest.raises(ParamValidationError):
            dags[dag_id].params.get_param(name).resolve(value)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_a_dag_file_is_thin_and_imports_only_the_sdk_at_its_top(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 90
    tree = ast.parse(path.read_text())
    top = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names
    }
    allowed = {
        "airflow.sdk",
        "airflow.sdk.exceptions",
        "cluster_tasks",
        "search_tasks",
        "sentiment_alerts",
        "sentiment_approval",
        "sentiment_catalog",
        "sentiment_cluster",
        "sentiment_inbox",
        "sentiment_links",
        "datetime",
        "typing",
    }
    assert top <= allowed | {"collections.abc", "contextlib", "airflow.providers.standard.operators.hitl"}


def test_parsing_touches_no_stage_and_no_database(tmp_path: Path) -> None:
    """DAG files are parsed every few seconds: nothing heavy may be imported, nothing looked up."""
    code = (
        "import sys, pathlib; sys.path[:0] = sys.argv[1:]\n"
        "import sentiment_catalog\n"
        "for path in pathlib.Path(sys.argv[1]).glob('sentiment_*.py'): __import__(path.stem)\n"
        "heavy = {'mlflow', 'sklearn', 'evidently', 'deltalake', 'pandera'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert not any(name.startswith('sentiment.') for name in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(FOLDER), str(FOLDER.parent / "plugins")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nonexistent/x.db",
        },
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
