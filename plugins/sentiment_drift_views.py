"""What the drift pages show: checks and ledger, put together for their templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sentiment_drift_timeline import SHAPES, by_movement, draw
from sentiment_pages import EVENTS

from sentiment.drift.records import STATES, WORDS, CheckRecord
from sentiment.drift.selection import NO_ACTION, Selection, Shelf, Wanted, neighbours, previous
from sentiment.drift.titles import TITLES, written
from sentiment.errors import SentimentError
from sentiment.storage import Storage

if TYPE_CHECKING:
    from sentiment.ledger import LedgerEntry

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


@dataclass(frozen=True)
class Record:
    """The ledger as the pages need it; `problem` says why there is none of it."""

    entries: Sequence[LedgerEntry] = ()
    problem: str = ""


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


def view_list(storage: Storage, found: Selection, wanted: Wanted, page: int) -> dict[str, Any]:
    """Return what the list shows: one page of the checks, and the timeline of all of them."""
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
    found = [check for check in found if check.end]  # two sides that somebody compared are not the traffic of today
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


def view_check(storage: Storage, check: CheckRecord) -> dict[str, Any]:
    """Return what the page of one report shows."""
    return {
        "check": check,
        "retraining": _caused(_ledger(storage)).get(check.id),
        "before": previous(storage, check),
        "shapes": SHAPES,
    }


def view_two(one: CheckRecord, other: CheckRecord) -> dict[str, Any]:
    """Return what the comparison shows."""
    from sentiment.drift.difference import differ

    return {**_words(), "found": differ(one, other, title=_title), "written": written}


def view_day(storage: Storage, shelf: Shelf, day: date) -> dict[str, Any]:
    """Return what a day shows."""
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
    return TITLES.get(name, name.replace("_", " ").capitalize())


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
