"""The drift checks in the Airflow UI: a timeline, a list to filter, each report, two side by side, any day told.

Registration and rendering only: what is shown was written by the drift stage under ``reports/drift/<id>/``
(``verdict.json`` and ``report.html``) and by all stages in the ledger. Whoever may read the DAG ``sentiment_drift`` may
read the pages.

A report carries scripts and text that strangers wrote, so it is served in a sandbox without the origin of the
Airflow UI: it cannot use the session of the person who reads it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, Response
from sentiment_drift_views import ACTIONS, view_check, view_day, view_list, view_two
from sentiment_pages import HEADERS, answer_errors, document
from sentiment_pages import page as render

from sentiment.drift.records import REPORTS, WORDS, CheckRecord
from sentiment.drift.selection import Shelf, Wanted, read_record
from sentiment.settings import load_settings
from sentiment.storage import Storage

DAG_ID = "sentiment_drift"

_REFUSALS = {
    401: ("Not logged in", "Log in to Airflow, then open this page again."),
    403: ("No access", f"These reports are for those who may read the DAG {DAG_ID}."),
    404: ("No such drift check", "It may have been cleaned up. Drift reports lists those that are there."),
}

_ICON = (  # a plate of its own colour: Airflow draws it on a light, a dark and a selected background
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='white' "
    "stroke-width='2' stroke-linecap='round' stroke-linejoin='round'%3E"
    "%3Crect x='1' y='1' width='22' height='22' rx='5' fill='%232f78c4' stroke='none'/%3E"
    "%3Cpath d='M6 6v12h12.5'/%3E%3Cpath d='M9 14.5c1.8 0 1.8-4.5 3.6-4.5s1.5 2 3 2 1.5-4 3-4'/%3E%3C/svg%3E"
)


def create_app() -> FastAPI:
    """Build the pages; what only the API server needs is imported here."""
    from airflow.api_fastapi.core_api.security import requires_access_dag

    may_read = Depends(requires_access_dag(method="GET", param_dag_id=DAG_ID))
    app = FastAPI(dependencies=[may_read], docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(app, refusals=_REFUSALS, failure="Cannot read the drift checks")
    shelf = Shelf()

    @app.get("/", response_class=HTMLResponse)
    def checks(
        state: list[str] = Query([]),  # noqa: B008
        champion: str = "",
        since: str = "",
        until: str = "",
        action: str = "",
        page: str = "1",
    ) -> HTMLResponse:
        wanted = Wanted(
            states=frozenset(state) & WORDS.keys(),
            champion=champion[:9],
            since=_day(since),
            until=_day(until),
            action=action if action in ACTIONS else "",
        )
        storage = Storage(load_settings())
        found = shelf.select(storage, wanted)
        return render("checks.html", **view_list(storage, found, wanted, int(page[:9]) if page.isdecimal() else 1))

    @app.get("/checks/{check_id}", response_class=HTMLResponse)
    def check(check_id: str) -> HTMLResponse:
        storage = Storage(load_settings())
        return render("check.html", **view_check(storage, _known(storage, check_id)))

    @app.get("/reports/{check_id}", response_class=HTMLResponse)
    def report(check_id: str) -> HTMLResponse:
        return document(_file(check_id, "report.html"))

    @app.get("/json/{check_id}")
    def verdict(check_id: str) -> Response:
        return Response(_file(check_id, "verdict.json"), media_type="application/json", headers=dict(HEADERS))

    @app.get("/compare", response_class=HTMLResponse)
    def compare(check: list[str] = Query([])) -> HTMLResponse:  # noqa: B008
        chosen = list(dict.fromkeys(check))
        if len(chosen) != 2:
            raise HTTPException(400, f"Go back and tick two checks to compare; {len(chosen) or 'none'} was ticked.")
        storage = Storage(load_settings())
        return render("compare.html", **view_two(*(_known(storage, check_id) for check_id in chosen)))

    @app.get("/day", response_class=HTMLResponse)
    def day(on: str = "") -> HTMLResponse:
        storage = Storage(load_settings())
        return render("day.html", **view_day(storage, shelf, _day(on) or datetime.now(UTC).date()))

    return app


def _known(storage: Storage, check_id: str) -> CheckRecord:
    check = read_record(storage, check_id)
    if check is None:
        raise HTTPException(404)
    return check


def _file(check_id: str, name: str) -> bytes:
    storage = Storage(load_settings())
    try:
        return storage.read(f"{REPORTS}/{_known(storage, check_id).id}/{name}")
    except FileNotFoundError:
        raise HTTPException(404) from None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise HTTPException(400, f"{text[:40]!r} is not a day. Write it like 2026-11-14.") from None


class SentimentDriftPage(AirflowPlugin):
    """Puts *Drift reports* into the navigation of the Airflow UI."""

    name = "sentiment_drift_page"
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Drift reports",
            "href": "sentiment/",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "sentiment-drift-reports",
            "icon": _ICON,
        },
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The pages, built when the API server asks for them: other Airflow processes load plugins too."""
        return [{"app": create_app(), "url_prefix": "/sentiment", "name": "Sentiment drift reports"}]
