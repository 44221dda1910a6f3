"""The drift checks in the Airflow UI: a timeline, a list to filter, each report, two side by side, any day told.

Registration and rendering only: what is shown was written by the drift stage under ``reports/drift/<id>/``
(``verdict.json`` and ``report.html``) and by all stages in the ledger. Whoever may read the DAG ``sentiment_drift`` may
read the pages.

A report carries scripts and text that strangers wrote, so it is served in a sandbox without the origin of the
Airflow UI: it cannot use the session of the person who reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, Response
from sentiment_drift_timeline import SHAPES, by_movement, draw
from sentiment_pages import EVENTS, HEADERS, answer_errors, document
from sentiment_pages import page as render

from sentiment.drift.records import REPORTS, STATES, WORDS, CheckRecord
from sentiment.drift.selection import NO_ACTION, Selection, Shelf, Wanted, neighbours, previous, read_record
from sentiment.errors import SentimentError
from sentiment.settings import load_settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    from sentiment.ledger import LedgerEntry

DAG_ID = "sentiment_drift"
PAGE_ROWS = 50
SIGNALS_AT_ONCE = 4

ACTIONS = {"retrain": "Retrain", "ask_for_labels": "Ask for labels", NO_ACTION: "Nothing to do"}
MEANINGS = {
    "drifted": "Something moved farther than chance and the policy allow. The policy says whether to retrain.",
    "watch": "Something moved, but not enough to act on. The next checks will tell.",
    "stable": "Nothing moved far enough to count.",
    "insufficient_data": "Too few rows to tell, which is not the same as stable. It becomes a verdict when more "
    "reviews are answered; drift.window_days looks farther back, drift.min_rows asks for fewer.",
}

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
class Record:
    """The ledger as the pages need it; `problem` says why there is none of it."""

    entries: Sequence[LedgerEntry] = ()
    problem: str = ""


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
        return render("checks.html", **_list_of(storage, found, wanted, int(page[:9]) if page.isdecimal() else 1))

    @app.get("/checks/{check_id}", response_class=HTMLResponse)
    def check(check_id: str) -> HTMLResponse:
        storage = Storage(load_settings())
        return render("check.html", **_viewed(storage, check_id))

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
        return render("compare.html", **_side_by_side(*(_known(storage, check_id) for check_id in chosen)))

    @app.get("/day", response_class=HTMLResponse)
    def day(on: str = "") -> HTMLResponse:
        storage = Storage(load_settings())
        return render("day.html", **_told(storage, shelf, _day(on) or datetime.now(UTC).date()))

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


def _ledger(storage: Storage) -> Record:
    """Return the ledger; one that cannot be read does not hide the checks."""
    from sentiment.ledger import Ledger

    try:
        return Record(Ledger(storage).entries())
    except SentimentError as error:
        return Record(problem=str(error))


def _caused(record: Record) -> dict[str, Any]:
    from sentiment.drift.aftermath import caused, retrainings

    return caused(retrainings(record.entries))


def _list_of(storage: Storage, found: Selection, wanted: Wanted, page: int) -> dict[str, Any]:
    record = _ledger(storage)
    pages = max(1, -(-len(found.found) // PAGE_ROWS))
    page = min(max(page, 1), pages)
    first = (page - 1) * PAGE_ROWS
    return {
        **_words(),
        "checks": found.found[first : first + PAGE_ROWS],
        "selection": found,
        "wanted": wanted,
        "first": first + 1,
        "page": page,
        "pages": pages,
        "link": lambda **changed: _link(wanted, **changed),
        "caused": _caused(record),
        "problem": record.problem,
        "newest": None if wanted else _newest(found.found),
        "pictures": _pictures(found, record),
    }


def _newest(found: Sequence[CheckRecord]) -> dict[str, Any] | None:
    """Return the newest check, how many in a row say the same, and since when."""
    if not found:
        return None
    same = next((number for number, check in enumerate(found) if check.state != found[0].state), len(found))
    return {
        "check": found[0],
        "same": same,
        "since": found[same - 1].end,
        "confirmed": _confirmed(found[0].confirmation) if found[0].state in ("watch", "drifted") else "",
    }


def _confirmed(confirmation: Mapping[str, Any] | None) -> str:
    """Return how often drift was found lately, in words."""
    if not confirmation or not {"found", "needed", "checks"} <= confirmation.keys():
        return ""
    return "Found in {found} of the last {checks} checks of this champion; {needed} confirm it.".format(**confirmation)


def _pictures(found: Selection, record: Record) -> list[list[Any]]:
    """Return the timeline, and the rest of its signals, each wide and for a phone."""
    from sentiment.drift.aftermath import retrainings
    from sentiment.history import reigns

    names = by_movement(found.found)
    parts = [names[:SIGNALS_AT_ONCE], names[SIGNALS_AT_ONCE:]]
    facts = {
        "times": found.times,
        "reigns": reigns(record.entries),
        "retrainings": retrainings(record.entries),
        "title": _title,
    }
    drawn = [
        [draw(found.found, names=part, whole=part is parts[0], narrow=narrow, **facts) for narrow in (False, True)]
        for part in parts
        if part or part is parts[0]
    ]
    return [pair for pair in drawn if pair[0]]


def _viewed(storage: Storage, check_id: str) -> dict[str, Any]:
    check = _known(storage, check_id)
    return {
        "check": check,
        "retraining": _caused(_ledger(storage)).get(check_id),
        "before": previous(storage, check),
        "shapes": SHAPES,
    }


def _side_by_side(one: CheckRecord, other: CheckRecord) -> dict[str, Any]:
    from sentiment.drift.check import show
    from sentiment.drift.comparison import compare_checks

    return {**_words(), "found": compare_checks(one, other, title=_title), "show": show}


def _told(storage: Storage, shelf: Shelf, day: date) -> dict[str, Any]:
    from sentiment.drift.aftermath import answer, day_of

    record = _ledger(storage)
    found = day_of(day, checks=shelf.select(storage, Wanted(since=day, until=day)).found, entries=record.entries)
    earlier, later = neighbours(storage, day, also=(entry.time for entry in record.entries))
    return {
        **_words(),
        "day": found,
        "answer": answer(found),
        "events": EVENTS,
        "problem": record.problem,
        "earlier": earlier,
        "later": later,
    }


def _words() -> dict[str, Any]:
    return {
        "states": STATES,
        "words": WORDS,
        "actions": ACTIONS,
        "meanings": MEANINGS,
        "shapes": SHAPES,
        "title": _title,
    }


def _title(name: str) -> str:
    from sentiment.drift.check import TITLES

    return TITLES.get(name, name.replace("_", " ").capitalize())


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise HTTPException(400, f"{text[:40]!r} is not a day. Write it like 2026-11-14.") from None


def _link(wanted: Wanted, **changed: object) -> str:
    """Return the address of the list with the same filter, but for what is changed."""
    asked: dict[str, Any] = {
        "state": sorted(wanted.states),
        "champion": wanted.champion,
        "since": wanted.since,
        "until": wanted.until,
        "action": wanted.action,
        **changed,
    }
    return "?" + urlencode({name: value for name, value in asked.items() if value}, doseq=True)


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
