"""Where answers and models come from, in the Airflow UI: who was champion when, one answer or version, model cards.

Registration and rendering only: what is shown is what `sentiment.why` and `sentiment.history` read. Whoever may read
the DAG ``sentiment_retrain`` may read the pages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from sentiment_pages import EVENTS, answer_errors, document, page

from sentiment.settings import load_settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    from sentiment.history import Reign
    from sentiment.ledger import LedgerEntry
    from sentiment.why import Why

DAG_ID = "sentiment_retrain"
FILES_SHOWN = 12

TONES = {
    "approved": "stable",
    "promoted": "stable",
    "deployed": "stable",
    "rejected": "drifted",
    "rolled_back": "watch",
    "promote": "stable",
    "reject": "drifted",
    "inconclusive": "watch",
}

_VERSION = re.compile(r"\d{1,9}")
_REFUSALS = {
    401: ("Not logged in", "Log in to Airflow, then open this page again."),
    403: ("No access", f"These pages are for those who may read the DAG {DAG_ID}."),
    404: ("No such model card", "The card of a version is written when it is judged."),
}

_ICON = (  # a plate of its own colour: Airflow draws it on a light, a dark and a selected background
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='white' "
    "stroke-width='2' stroke-linecap='round' stroke-linejoin='round'%3E"
    "%3Crect x='1' y='1' width='22' height='22' rx='5' fill='%23198754' stroke='none'/%3E"
    "%3Cpath d='M6.5 12h8a3 3 0 0 0 0-6H12'/%3E%3Cpath d='M9.5 9l-3 3 3 3'/%3E%3Cpath d='M12 18h5'/%3E%3C/svg%3E"
)


@dataclass(frozen=True)
class Step:
    """One ledger entry as the page shows it."""

    word: str
    tone: str
    time: datetime
    actor: str
    reason: str


def create_app() -> FastAPI:
    """Build the pages; what only the API server needs is imported here."""
    from airflow.api_fastapi.core_api.security import requires_access_dag

    may_read = Depends(requires_access_dag(method="GET", param_dag_id=DAG_ID))
    app = FastAPI(dependencies=[may_read], docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(app, refusals=_REFUSALS, failure="Cannot read the ledger")

    @app.get("/", response_class=HTMLResponse)
    def home(q: str = "") -> HTMLResponse:
        asked = q.strip()[:200]
        return _story(asked) if asked else _champions()

    @app.get("/cards/{version}", response_class=HTMLResponse)
    def card(version: str) -> HTMLResponse:
        _read_card(version)
        return page("card.html", version=version)

    @app.get("/documents/{version}", response_class=HTMLResponse)
    def document_of_card(version: str) -> HTMLResponse:
        return document(_read_card(version))

    return app


def _read_card(version: str) -> bytes:
    if not _VERSION.fullmatch(version):
        raise HTTPException(404)
    try:
        return Storage(load_settings()).read(f"reports/gate/v{version}/card.html")
    except FileNotFoundError:
        raise HTTPException(404) from None


def _champions() -> HTMLResponse:
    from sentiment.history import reigns
    from sentiment.ledger import Ledger

    found = reigns(Ledger(Storage(load_settings())).entries())
    return page("champions.html", asked="", reigns=found[::-1], length=_length)


def _story(asked: str) -> HTMLResponse:
    from sentiment.errors import ModelError
    from sentiment.why import why

    try:
        found = why(load_settings(), asked)
    except ModelError as error:
        return page("nothing.html", status_code=404, asked=asked, said=error.message, fix=error.fix)
    return page(
        "why.html",
        asked=asked,
        why=found,
        outcome=str(found.decision.get("outcome", "")),
        tones=TONES,
        steps=steps(found.entries),
        files=found.files[:FILES_SHOWN],
        more_files=max(0, len(found.files) - FILES_SHOWN),
        checks=_checks(found),
        answered=_time(found.answer.predicted_at) if found.answer else None,
    )


def steps(entries: Sequence[LedgerEntry]) -> list[Step]:
    """Return ledger entries as the page shows them, oldest first."""
    return [
        Step(EVENTS.get(e.event, e.event), TONES.get(e.event, "unknown"), e.time, e.actor, e.reason) for e in entries
    ]


def _checks(found: Why) -> list[dict[str, Any]]:
    """Return the checks of the decision, those that objected first."""
    checks = found.decision.get("checks", [])
    return sorted(checks, key=lambda check: ("reject", "inconclusive", "promote").index(check["outcome"]))


def _length(reign: Reign) -> str:
    """Return how long a champion was one, in words."""
    hours = ((reign.until or datetime.now(UTC)) - reign.since).total_seconds() / 3600
    if hours < 1:
        count, unit = max(1, round(hours * 60)), "minute"
    else:
        count, unit = (round(hours / 24), "day") if hours >= 48 else (round(hours), "hour")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class SentimentWhyPage(AirflowPlugin):
    """Puts *Why* into the navigation of the Airflow UI."""

    name = "sentiment_why_page"
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Why",
            "href": "sentiment-why/",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "sentiment-why",
            "icon": _ICON,
        },
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The pages, built when the API server asks for them: other Airflow processes load plugins too."""
        return [{"app": create_app(), "url_prefix": "/sentiment-why", "name": "Sentiment: why this model"}]
