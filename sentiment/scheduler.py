"""A small client of Airflow's REST API: trigger a DAG, wait for its run, tell why it failed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from sentiment.errors import ServiceError

ENDED = frozenset({"success", "failed"})


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG."""

    dag_id: str
    run_id: str
    state: str


class Scheduler:
    """Airflow at an address, as a user.

    Parameters
    ----------
    url : str
        Airflow's address, without a path.
    user, password : str
        A login that may trigger DAGs.
    check : callable
        Called while waiting; raises when waiting has lost its sense (a service died).
    """

    def __init__(self, url: str, *, user: str, password: str, check: Callable[[], None] = lambda: None) -> None:
        self._url = url
        self._login = {"username": user, "password": password}
        self._check = check
        self._http = httpx.Client(base_url=url, timeout=70)

    def __enter__(self) -> Self:
        token = self._call("POST", "/auth/token", json=self._login)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def wait_for_dags(self, *dag_ids: str, timeout_seconds: float = 60) -> None:
        """Wait until the DAGs are known.

        Raises
        ------
        ServiceError
            They are not, in time; with Airflow's import errors.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            known = {dag["dag_id"] for dag in self._call("GET", "/api/v2/dags?limit=100")["dags"]}
            if known >= set(dag_ids):
                return
            if time.monotonic() > deadline:
                errors = self._call("GET", "/api/v2/importErrors")["import_errors"]
                why = "; ".join(f"{error['filename']}: {error['stack_trace']}" for error in errors) or "no import error"
                raise ServiceError(
                    f"Airflow does not know {set(dag_ids) - known} ({why}).", fix="Correct the DAG file."
                )
            self._pause()

    def trigger(self, dag_id: str, **conf: object) -> DagRun:
        """Start a run of a DAG by hand; retried, it starts one all the same."""
        run_id = f"by-hand-{uuid.uuid4().hex[:12]}"
        self._call(
            "POST",
            f"/api/v2/dags/{dag_id}/dagRuns",
            json={"dag_run_id": run_id, "logical_date": None, "conf": conf},
            also_fine=409,
        )
        return DagRun(dag_id, run_id, "queued")

    def runs(self, dag_id: str, *, since: datetime, ended: bool = False) -> list[DagRun]:
        """Return the runs of a DAG that were asked for, or that ended, since a moment, oldest first."""
        what = "end_date" if ended else "run_after"
        query = {f"{what}_gte": since.astimezone(UTC).isoformat(), "order_by": what, "limit": 100}
        found = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=query)["dag_runs"]
        return [DagRun(dag_id, run["dag_run_id"], run["state"]) for run in found]

    def wait(self, run: DagRun, *, timeout_seconds: float = 300) -> DagRun:
        """Wait until a run has ended.

        Raises
        ------
        ServiceError
            It failed, with the failing task's error, or took too long.
        """
        deadline = time.monotonic() + timeout_seconds
        while run.state not in ENDED:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{run.dag_id} is still {run.state} after {timeout_seconds:.0f} s.",
                    fix=f"Look at {self._link(run)}",
                )
            self._pause()
            found = self._call("GET", f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}")
            run = DagRun(run.dag_id, run.run_id, found["state"])
        if run.state == "failed":
            raise ServiceError(f"{run.dag_id} failed: {self._why(run)}", fix=f"Look at {self._link(run)}")
        return run

    def wait_for_run(
        self,
        dag_id: str,
        *,
        since: datetime,
        but: Collection[str] = (),
        ended: bool = False,
        timeout_seconds: float = 300,
    ) -> DagRun:
        """Wait for the first run of a DAG that something else asked for since a moment, until it has ended.

        Runs whose ids are in `but` do not count. With `ended`, the first that ended since then, whenever it was
        asked for: a run of the schedule is asked for at the full hour, and may begin minutes later.
        """
        deadline = time.monotonic() + timeout_seconds
        while not (found := [run for run in self.runs(dag_id, since=since, ended=ended) if run.run_id not in but]):
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"Nothing started {dag_id} within {timeout_seconds:.0f} s.",
                    fix=f"Look at {self._url}/dags/{dag_id}",
                )
            self._pause()
        return self.wait(found[0], timeout_seconds=timeout_seconds)

    def task_states(self, run: DagRun) -> dict[str, str]:
        """Return the state of each task of a run."""
        return {task["task_id"]: task["state"] for task in self._tasks(run)}

    def returned(self, run: DagRun, task_id: str) -> Any:
        """Return what a task returned."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._call("GET", path)["value"]

    def _tasks(self, run: DagRun) -> list[dict[str, Any]]:
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
        return list(self._call("GET", path)["task_instances"])

    def _why(self, run: DagRun) -> str:
        """Return the error of the failed task, from its log."""
        for task in self._tasks(run):
            if task["state"] != "failed":
                continue
            base = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task['task_id']}"
            events = self._call("GET", f"{base}/logs/{task['try_number']}")["content"]
            said = [
                event for event in events if isinstance(event, dict) and event.get("level") in {"error", "critical"}
            ]
            details = [d for event in said for d in event.get("error_detail") or []]
            if details:
                return f"task {task['task_id']}: {details[0]['exc_type']}: {details[0]['exc_value']}"
            return f"task {task['task_id']}: {said[-1]['event'] if said else 'see its log'}"
        return "no task failed; see the scheduler's log"

    def _link(self, run: DagRun) -> str:
        return f"{self._url}/dags/{run.dag_id}/runs/{run.run_id}"

    def _pause(self) -> None:
        self._check()
        time.sleep(0.5)

    def _call(self, method: str, path: str, *, also_fine: int = 0, **request: Any) -> Any:
        try:
            response = self._send(method, path, **request)
            if response.status_code != also_fine:
                response.raise_for_status()
            return response.json()
        except httpx.HTTPStatusError as error:
            raise ServiceError(
                f"Airflow answered {error.response.status_code} to {method} {path}: {error.response.text[:300]}",
                fix=f"Look at {self._url}.",
            ) from error
        except (httpx.HTTPError, ValueError) as error:
            raise ServiceError(
                f"Airflow at {self._url} does not answer {method} {path} ({type(error).__name__}).",
                fix="Start it: `sentiment up`.",
            ) from error

    @retry(
        retry=retry_if_exception_type((httpx.TransportError, httpx.HTTPStatusError)),
        stop=stop_after_attempt(4),
        wait=wait_exponential(max=5),
        reraise=True,
    )
    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        response = self._http.request(method, path, **request)
        if response.status_code >= 500:  # SQLite may be locked for a moment
            response.raise_for_status()
        return response
