"""The drift reports in the Airflow UI: a list of the checks, and each check's report.

Registration and rendering only: what is shown was written by the drift stage under ``reports/drift/<id>/``
(``verdict.json`` and ``report.html``). Whoever may read the DAG ``sentiment_drift`` may read the page.

A report carries scripts and text that strangers wrote, so it is served in a sandbox without the origin of the
Airflow UI: it cannot use the session of the person who reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from sentiment_pages import answer_errors, document
from sentiment_pages import page as render

from sentiment.settings import load_settings
from sentiment.storage import Storage

DAG_ID = "sentiment_drift"
REPORTS = "reports/drift"  # as in sentiment.drift.archive, whose import would cost every Airflow process seconds
PAGE_ROWS = 50
READERS = 16

STATES = {
    "stable": "Stable",
    "watch": "Watch",
    "drifted": "Drifted",
    "insufficient_data": "Not enough data",
}

_ID = re.compile(r"[0-9A-Za-z-]{1,128}")

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


@dataclass(frozen=True)
class Check:
    """One drift check as the pages show it; what its file does not say is None, zero or empty."""

    id: str
    state: str
    word: str
    reasons: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    champion: str | None = None
    snapshot: str | None = None
    current_rows: int | None = None
    reference_rows: int | None = None

    @property
    def window(self) -> str:
        """Length of the window of live traffic, in words."""
        if not (self.start and self.end):
            return ""
        hours = round((self.end - self.start).total_seconds() / 3600)
        count, unit = (round(hours / 24), "day") if hours >= 48 else (hours, "hour")
        return f"{count} {unit}{'' if count == 1 else 's'}"


def parse_check(check_id: str, data: object) -> Check:
    """Return what a ``verdict.json`` says, whatever of it is there."""
    check = data if isinstance(data, Mapping) else {}
    verdict = check.get("verdict")
    verdict = verdict if isinstance(verdict, Mapping) else {}
    state, reasons = str(verdict.get("state")), verdict.get("reasons")
    return Check(
        id=check_id,
        state=state if state in STATES else "unknown",
        word=STATES.get(state, "Unreadable"),
        reasons=tuple(map(str, reasons)) if isinstance(reasons, list) else (),
        start=_time(check.get("start")),
        end=_time(check.get("checked_at") or check.get("end")),
        champion=check.get("champion") and str(check["champion"]),
        snapshot=check.get("snapshot") and str(check["snapshot"]),
        current_rows=_count(verdict.get("current_rows")),
        reference_rows=_count(verdict.get("reference_rows")),
    )


def list_ids(storage: Storage) -> list[str]:
    """Return the ids of the complete checks, newest first; those of files, which have no time, come last."""
    found = (path.split("/") for path in storage.list(REPORTS))
    ids = (parts[-2] for parts in found if parts[-1] == "verdict.json" and _ID.fullmatch(parts[-2]))
    return sorted(ids, key=lambda check_id: (check_id[:1].isdigit(), check_id), reverse=True)


def read_check(storage: Storage, check_id: str) -> Check | None:
    """Read one check; None if there is none of that id."""
    try:
        data = storage.read_json(f"{REPORTS}/{check_id}/verdict.json")
    except ValueError:  # not JSON: shown as unreadable, so that one bad file does not hide the others
        return parse_check(check_id, None)
    return None if data is None else parse_check(check_id, data)


def create_app() -> FastAPI:
    """Build the pages; what only the API server needs is imported here."""
    from airflow.api_fastapi.core_api.security import requires_access_dag

    may_read = Depends(requires_access_dag(method="GET", param_dag_id=DAG_ID))
    app = FastAPI(dependencies=[may_read], docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(app, refusals=_REFUSALS, failure="Cannot read the drift checks")

    def known(check_id: str) -> Check:
        check = read_check(Storage(load_settings()), check_id) if _ID.fullmatch(check_id) else None
        if check is None:
            raise HTTPException(404)
        return check

    @app.get("/", response_class=HTMLResponse)
    def checks(page: str = "1") -> HTMLResponse:
        storage = Storage(load_settings())
        return render("checks.html", **_page_of(storage, int(page[:9]) if page.isdecimal() else 1))

    @app.get("/checks/{check_id}", response_class=HTMLResponse)
    def check(check_id: str) -> HTMLResponse:
        return render("check.html", check=known(check_id))

    @app.get("/reports/{check_id}", response_class=HTMLResponse)
    def report(check_id: str) -> HTMLResponse:
        try:
            html = Storage(load_settings()).read(f"{REPORTS}/{known(check_id).id}/report.html")
        except FileNotFoundError:
            raise HTTPException(404) from None
        return document(html)

    return app


def _page_of(storage: Storage, page: int) -> dict[str, Any]:
    ids = list_ids(storage)
    pages = max(1, -(-len(ids) // PAGE_ROWS))
    page = min(max(page, 1), pages)
    first = (page - 1) * PAGE_ROWS
    with ThreadPoolExecutor(READERS) as readers:
        read = list(readers.map(partial(read_check, storage), ids[first : first + PAGE_ROWS]))
    shown = [check for check in read if check is not None]
    return {"checks": shown, "total": len(ids), "first": first + 1, "page": page, "pages": pages}


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


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
