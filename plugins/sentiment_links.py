"""Links in the Airflow UI: from a task of the drift or the retrain DAG to the drift report that it is about."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink


class DriftReportLink(BaseOperatorLink):
    """Leads to the report of the check that a task made, or that triggered its run."""

    name = "Drift report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address; empty if there is no report. Airflow asks in the task's process, once it has ended."""
        events = ti_key.get_template_context()["dag_run"].consumed_asset_events or ()
        checks = [event.extra["check"] for event in events if "check" in (event.extra or {})]
        made = None if checks else ti_key.xcom_pull(task_ids=ti_key.task_id)
        if isinstance(made, dict) and made.get("report"):
            checks = [made["id"]]
        return report_link(checks[-1]) if checks else ""


def linked(result: Any) -> Any:
    """Give the task of a result the link to its drift report; return the result."""
    result.operator.operator_extra_links = (DriftReportLink(),)
    return result


def report_link(check_id: str, base_url: str = "") -> str:
    """Return the address of a drift report in the Airflow UI."""
    return f"{_base(base_url)}/sentiment/checks/{quote(check_id)}"


def task_link(dag_id: str, run_id: str, task_id: str, base_url: str = "") -> str:
    """Return the address of a task of a run in the Airflow UI."""
    return f"{_base(base_url)}/dags/{dag_id}/runs/{quote(run_id, safe='')}/tasks/{quote(task_id)}"


def _base(base_url: str) -> str:
    if not base_url:
        from airflow.configuration import conf

        base_url = conf.get("api", "base_url", fallback="")
    return base_url.rstrip("/")
