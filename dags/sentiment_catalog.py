"""What the DAGs share: the assets that chain them, their defaults, and how a stage's errors end a task."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher
from airflow.sdk.exceptions import AirflowFailException
from sentiment_alerts import FailureNotifier
from sentiment_inbox import InboxTrigger

INBOX = Asset(
    name="inbox", uri="sentiment://inbox", watchers=[AssetWatcher(name="sentiment_inbox", trigger=InboxTrigger())]
)
REVIEWS = Asset(name="reviews", uri="sentiment://reviews")
PREDICTIONS = Asset(name="predictions", uri="sentiment://predictions")
DRIFT_DETECTED = Asset(name="drift_detected", uri="sentiment://drift_detected")
CHAMPION = Asset(name="champion", uri="sentiment://champion")
RELEASE = Asset(name="release", uri="sentiment://release")

DEFAULTS: dict[str, Any] = {
    "owner": "sentiment",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": FailureNotifier(),
}

DAG: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,
    "default_args": DEFAULTS,
    "tags": ["sentiment"],
}


def task_settings() -> Any:
    """Return the settings of a task; on S3, the AWS connection of Airflow becomes that of the task's process."""
    from sentiment_aws import connected_settings

    settings, session = connected_settings()
    if session is not None:
        from sentiment.s3 import use_session

        use_session(session, settings.storage)
    return settings


def cause_of(dag_run: Any, events: Any) -> Any:
    """Return why a run retrains: the newest drift check that triggered it, the schedule, or a person."""
    from sentiment.training.cause import BY_HAND, SCHEDULE, Cause

    found = list((events or {}).get(DRIFT_DETECTED, ()))
    if found:
        return Cause.of_drift(found[-1].extra["check"], found[-1].extra.get("reasons", ()))
    return Cause(SCHEDULE if dag_run.run_type == "scheduled" else BY_HAND)


def window_of(params: Any, dag_run: Any) -> dict[str, Any]:
    """Return the window that a run of the drift check is about; never up to now, so a retry asks the same again.

    The end is the form's, else that of the data interval; a run that was triggered by assets has none, and looks at
    what there was when the newest of them came; one that was triggered without a date, when it was triggered.
    """
    start, end = (params[name] and datetime.fromisoformat(params[name]) for name in ("start", "end"))
    came = max((event.timestamp for event in dag_run.consumed_asset_events or ()), default=None)
    return {"start": start, "end": end or dag_run.data_interval_end or came or dag_run.run_after}


@contextmanager
def clear_failures() -> Iterator[None]:
    """Fail at once, without retries, where trying again cannot help: bad rows, models or settings."""
    from sentiment.errors import DataError, ModelError, SettingsError

    try:
        yield
    except (DataError, ModelError, SettingsError) as error:
        raise AirflowFailException(str(error)) from error
