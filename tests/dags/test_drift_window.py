"""Which window a run of the drift DAG is about, and whether its verdict is news."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EMPTY: dict[str, Any] = {"start": None, "end": None}


def run(run_type: DagRunType, *, interval_end: datetime | None = None, events: tuple[datetime, ...] = ()) -> Any:
    """A run as a task sees it; it was queued at noon and started much later."""
    found = DagRun(
        dag_id="sentiment_drift",
        run_id="one",
        logical_date=interval_end,
        data_interval_start=interval_end,
        data_interval_end=interval_end,
        run_after=NOON,
        start_date=NOON + timedelta(hours=5),
        end_date=None,
        run_type=run_type,
        state=DagRunState.RUNNING,
        consumed_asset_events=[],
        partition_key=None,
    )
    return found.model_copy(
        update={"consumed_asset_events": [SimpleNamespace(timestamp=moment, extra={"rows": 3}) for moment in events]}
    )


@pytest.mark.parametrize(
    ("found", "end"),
    [
        (run(DagRunType.SCHEDULED, interval_end=NOON - 2 * MINUTE), NOON - 2 * MINUTE),
        (run(DagRunType.BACKFILL, interval_end=NOON - timedelta(days=30)), NOON - timedelta(days=30)),
        (run(DagRunType.ASSET_TRIGGERED, events=(NOON - 9 * MINUTE, NOON - MINUTE)), NOON - MINUTE),
        (run(DagRunType.MANUAL, interval_end=NOON - timedelta(days=3)), NOON - timedelta(days=3)),
        (run(DagRunType.MANUAL), NOON),
    ],
    ids=["scheduled", "backfill", "assets", "by hand with a date", "by hand"],
)
def test_a_run_is_about_its_own_interval_and_never_about_now(found: Any, end: datetime) -> None:
    from sentiment_catalog import window_of

    assert window_of(EMPTY, found) == {"start": None, "end": end}
    asked = {"start": "2026-11-01T00:00:00+00:00", "end": "2026-11-08T00:00:00+00:00"}
    assert window_of(asked, found) == {
        "start": datetime(2026, 11, 1, tzinfo=UTC),
        "end": datetime(2026, 11, 8, tzinfo=UTC),
    }


def test_what_a_backfill_or_a_comparison_finds_is_no_news() -> None:
    from sentiment_alerts import is_news

    traffic = {"start": "2026-11-01T00:00:00+00:00"}
    assert is_news(traffic, run(DagRunType.SCHEDULED, interval_end=NOON))
    assert is_news(traffic, run(DagRunType.ASSET_TRIGGERED, events=(NOON,)))
    assert not is_news(traffic, run(DagRunType.BACKFILL, interval_end=NOON))
    assert not is_news({"start": None}, run(DagRunType.MANUAL))


def test_the_tasks_that_are_about_a_check_have_a_button_to_its_report() -> None:
    from pathlib import Path

    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    dags = DagBag(dag_folder=str(Path(__file__).resolve().parents[2] / "dags")).dags
    buttons = {
        (dag_id, task.task_id)
        for dag_id in ("sentiment_drift", "sentiment_retrain")
        for task in DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags[dag_id])).tasks
        if "Drift report" in task.extra_links
    }
    assert buttons == {("sentiment_drift", "check"), ("sentiment_retrain", "train")}
