"""Alerts by e-mail, a Slack-compatible webhook and SNS, through Airflow's notifiers and connections.

Whom to tell what is in the settings (``alerts``), which are read when there is something to tell. An alert that cannot
be sent is logged and fails nothing; the next attempt of the task, or the next check of the day, tries again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from sentiment_links import report_link, task_link

if TYPE_CHECKING:
    from sentiment.alerts import Alert
    from sentiment.settings import AlertSettings, Settings

logger = logging.getLogger(__name__)

DRIFT = "sentiment_drift"
_SUBJECT_CHARACTERS = 100  # as SNS has it


class WebhookNotifier(BaseNotifier):
    """Posts ``{"text": ...}`` to a webhook, as Slack, Mattermost and others take it.

    The connection's host (with scheme and path) is the address; what is secret of it is the password, which is
    appended as the end of the path. Tries again where nothing can have arrived, or the server asks to.

    Parameters
    ----------
    webhook_conn_id : str
    text : str
        A template, rendered with the context.
    timeout_seconds : float
        Of one attempt.
    attempts : int
        The most there are.
    """

    template_fields = ("text",)

    def __init__(self, *, webhook_conn_id: str, text: str, timeout_seconds: float, attempts: int) -> None:
        super().__init__()
        self.webhook_conn_id = webhook_conn_id
        self.text, self.timeout_seconds, self.attempts = text, timeout_seconds, attempts

    def notify(self, context: Any) -> None:
        """Post the text; what is raised does not name the address."""
        import httpx
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

        url = self._url()
        trying = Retrying(
            retry=retry_if_exception_type(_AgainError),
            stop=stop_after_attempt(self.attempts),
            wait=wait_exponential(multiplier=0.5, max=10),
            reraise=True,
        )
        for attempt in trying:
            with attempt:
                try:
                    answer = httpx.post(url, json={"text": _plain(self.text)}, timeout=self.timeout_seconds)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    raise _AgainError(f"cannot connect: {type(error).__name__}") from None
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    raise _WebhookError(type(error).__name__) from None
                if answer.status_code == 429 or answer.status_code >= 500:
                    raise _AgainError(f"the webhook answers {answer.status_code}")
                if not answer.is_success:
                    raise _WebhookError(f"the webhook answers {answer.status_code}")

    def _url(self) -> str:
        from airflow.sdk import Connection

        found = Connection.get(self.webhook_conn_id)
        host = found.host or ""
        if "://" not in host:
            host = f"{found.schema or 'https'}://{host}{f':{found.port}' if found.port else ''}"
        return f"{host.rstrip('/')}/{found.password.lstrip('/')}" if found.password else host


class _WebhookError(Exception):
    """The webhook did not take the alert."""


class _AgainError(_WebhookError):
    """It may take it at another attempt."""


class FailureNotifier(BaseNotifier):
    """Tells that a task failed for good, if the settings want to hear of this DAG."""

    def notify(self, context: Any) -> None:
        """Tell it, at most once a day for the same error of the same task."""
        try:
            _tell_failure(context)
        except Exception:
            logger.exception("The failure could not be told")


def is_news(found: Any, dag_run: Any) -> bool:
    """Return whether a check is about live traffic, and not one of those that a backfill makes of the past."""
    return bool(found["start"]) and dag_run.run_type != "backfill"


def tell_check(found: Mapping[str, Any]) -> dict[str, Any]:
    """Tell of a drift check what the settings want to hear; return which channels were told, and which could not be.

    Parameters
    ----------
    found : mapping
        What `DriftCheck.to_dict` gives.
    """
    from sentiment_catalog import task_settings

    from sentiment.alerts import alert_of_check, remember
    from sentiment.drift.archive import DriftCheck
    from sentiment.storage import Storage

    settings = task_settings()
    check = DriftCheck.from_dict(found)
    link = report_link(check.id, settings.alerts.base_url)
    alert = alert_of_check(check, link=link, moment=datetime.now(UTC))
    if {check.verdict.state, *check.verdict.actions}.isdisjoint(settings.alerts.on):
        remember(Storage(settings), alert, ())  # so that it is news when it comes back
        return {"told": [], "not_told": {}}
    return _tell(settings, alert)


def _tell_failure(context: Mapping[str, Any]) -> None:
    from sentiment_catalog import task_settings

    from sentiment.alerts import alert_of_failure
    from sentiment.settings import load_settings

    task = context["ti"]
    wanted = load_settings().alerts
    if wanted.failures == "none" or (wanted.failures == "drift" and task.dag_id != DRIFT) or not _channels(wanted):
        return
    alert = alert_of_failure(
        dag=task.dag_id,
        task=task.task_id,
        error=str(context.get("exception") or ""),
        link=task_link(task.dag_id, task.run_id, task.task_id, wanted.base_url),
        moment=datetime.now(UTC),
    )
    _tell(task_settings(), alert)


def _tell(settings: Settings, alert: Alert) -> dict[str, Any]:
    from sentiment.alerts import remember, untold
    from sentiment.errors import SentimentError
    from sentiment.storage import Storage

    channels = _channels(settings.alerts)
    try:
        waiting = untold(Storage(settings), alert, list(channels))
    except SentimentError as error:  # what is wrong may be the storage itself
        logger.warning("Cannot look what was told before: %s", error)
        waiting = list(channels)
    told, failed = [], {}
    for name in waiting:
        try:
            channels[name]({"alert": alert})
        except Exception as error:
            logger.error("The alert %r could not be sent by %s: %s", alert.title, name, error)
            failed[name] = type(error).__name__
        else:
            told.append(name)
    try:
        remember(Storage(settings), alert, told)
    except SentimentError as error:
        logger.warning("Cannot keep that this was told, it may be told again: %s", error)
    return {"told": told, "not_told": failed}


def _channels(wanted: AlertSettings) -> dict[str, BaseNotifier]:
    """Return the notifiers that are set, by name; what they say they render from the alert."""
    found: dict[str, BaseNotifier] = {}
    if wanted.email_to:
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        found["email"] = SmtpNotifier(
            smtp_conn_id=wanted.smtp_conn_id,
            from_email=wanted.email_from or None,
            to=list(wanted.email_to),
            subject="{{ alert.title }}",
            html_content="{{ alert.html }}",
        )
    if wanted.webhook_conn_id:
        found["webhook"] = WebhookNotifier(
            webhook_conn_id=wanted.webhook_conn_id,
            text="{{ alert.title }}\n{{ alert.text }}",
            timeout_seconds=wanted.timeout_seconds,
            attempts=wanted.attempts,
        )
    if wanted.sns_topic_arn:
        from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

        found["sns"] = SnsNotifier(
            aws_conn_id=wanted.sns_conn_id,
            region_name=wanted.sns_topic_arn.split(":")[3],
            target_arn=wanted.sns_topic_arn,
            subject=f"{{{{ alert.title[:{_SUBJECT_CHARACTERS}] }}}}",
            message="{{ alert.text }}",
        )
    return found


def _plain(text: str) -> str:
    """Return a text in which a webhook sees no markup; that is all that Slack asks to be escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
