"""How much each task's pod asks for. Airflow's scheduler calls the hook for every pod that it starts.

A task that is not named here gets what `workers.resources` of helm/airflow-values.yaml says.
"""

from typing import Any

LARGE = {"cpu": "2", "memory": "6Gi", "ephemeral-storage": "4Gi"}
SMALL = {"cpu": "250m", "memory": "1Gi", "ephemeral-storage": "1Gi"}

SIZES = {
    # They hold all reviews at once, or a model with its training rows.
    ("sentiment_retrain", "train"): LARGE,
    ("sentiment_retrain", "judge"): LARGE,
    ("sentiment_retrain", "search.try_path"): LARGE,
    ("sentiment_experiment", "try_one"): LARGE,
    # They ask or tell somebody, and wait.
    ("sentiment_retrain", "promote"): SMALL,
    ("sentiment_drift", "ask_for_retraining"): SMALL,
    ("sentiment_drift", "tell"): SMALL,
    ("sentiment_ingest", "name_unread"): SMALL,
    ("sentiment_score", "name_unread"): SMALL,
}
BURST = 2  # how often its requested processors a task may use; memory is not lent


def pod_mutation_hook(pod: Any) -> None:
    """Set requests and limits of the container `base` by the DAG and the task in the pod's annotations."""
    named = pod.metadata.annotations or {}
    size = SIZES.get((named.get("dag_id", ""), named.get("task_id", "")))
    if size is None:
        return
    [base] = [container for container in pod.spec.containers if container.name == "base"]
    base.resources.requests = dict(size)
    base.resources.limits = {**size, "cpu": _times(size["cpu"], BURST)}


def _times(cpu: str, factor: int) -> str:
    milli = int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000
    return f"{milli * factor}m"
