"""Which drift checks somebody wants to see, and reading them: in parallel, never more than a bound, each once.

Names carry the time and the champion's version, so most checks are told apart without being opened. What was read is
kept in memory until its file changes; there is no index that could be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from sentiment.drift.records import REPORTS, CheckRecord, is_id, parse_check, time_in, version_in
from sentiment.storage import Object, Storage

LOOKED_AT = 1_000
"""Checks that one request opens at most: six weeks of hourly ones, almost three years of daily ones."""

NO_ACTION = "none"
_READERS = 16
_KEPT = 4 * LOOKED_AT


@dataclass(frozen=True)
class Wanted:
    """What checks to show; empty means all.

    Attributes
    ----------
    states : frozenset of str
    champion : str
        Version of the champion that was checked.
    since, until : date or None
        First and last day, in UTC, of the end of the window; of the writing where there is none.
    action : str
        ``retrain``, ``ask_for_labels``, or ``none`` for checks that asked for nothing.
    """

    states: frozenset[str] = frozenset()
    champion: str = ""
    since: date | None = None
    until: date | None = None
    action: str = ""

    def __bool__(self) -> bool:
        return self != Wanted()

    def may_be(self, check_id: str) -> bool:
        """Whether the name of a check leaves it possible that it is wanted."""
        time, version = time_in(check_id), version_in(check_id)
        return (time is None or self._in_time(time)) and (
            version is None or not self.champion or version == self.champion
        )

    def is_met_by(self, check: CheckRecord) -> bool:
        """Whether a check is wanted."""
        asked = check.actions or (NO_ACTION,)
        return (
            (not self.states or check.state in self.states)
            and (not self.champion or check.champion == self.champion)
            and (not self.action or self.action in asked)
            and ((self.since is None and self.until is None) or (check.time is not None and self._in_time(check.time)))
        )

    def _in_time(self, time: datetime) -> bool:
        day = time.astimezone(UTC).date()
        return (self.since is None or day >= self.since) and (self.until is None or day <= self.until)


@dataclass(frozen=True)
class Selection:
    """The checks that were asked for, newest first.

    Attributes
    ----------
    found : tuple of CheckRecord
    states : dict of str to int
        How many there are of each state, whatever states were asked for.
    total : int
        All checks that there are.
    champions : tuple of str
        All versions that were checked, newest first.
    unread : int
        Older checks that may be wanted and were not opened, because there are too many.
    oldest : datetime or None
        The time of the oldest that was opened, if some were not.
    times : tuple of datetime
        Of all checks of those days, whatever else was asked for, as far back as they were opened.
    """

    found: tuple[CheckRecord, ...]
    states: dict[str, int]
    total: int
    champions: tuple[str, ...]
    unread: int = 0
    oldest: datetime | None = None
    times: tuple[datetime, ...] = ()


class Shelf:
    """The checks of a storage, remembered while their files stay the same."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Object, CheckRecord]] = {}

    def select(self, storage: Storage, wanted: Wanted, *, most: int = LOOKED_AT) -> Selection:
        """Return the wanted ones of the newest `most` checks that may be wanted by their names."""
        files = list_files(storage)
        may_be = [file for file in files if wanted.may_be(_id(file))]
        read = self._read(storage, may_be[:most])
        of_any_state = [check for check in read if replace(wanted, states=frozenset()).is_met_by(check)]
        states: dict[str, int] = {}
        for check in of_any_state:
            states[check.state] = states.get(check.state, 0) + 1
        unread = len(may_be) - len(may_be[:most])
        oldest = time_in(_id(may_be[most - 1])) if unread else None
        versions = {version for file in files if (version := version_in(_id(file)))}
        return Selection(
            found=tuple(check for check in of_any_state if wanted.is_met_by(check)),
            states=states,
            total=len(files),
            champions=tuple(sorted(versions, key=int, reverse=True)),
            unread=unread,
            oldest=oldest,
            times=_times(files, wanted, oldest),
        )

    def _read(self, storage: Storage, files: Sequence[Object]) -> list[CheckRecord]:
        unknown = [file for file in files if self._kept.get(storage.uri(file.path), (None,))[0] != file]
        with ThreadPoolExecutor(_READERS) as readers:
            for file, check in zip(unknown, readers.map(lambda f: read_record(storage, _id(f)), unknown), strict=True):
                if check:
                    self._kept[storage.uri(file.path)] = (file, replace(check, made=file.modified))
        found = [self._kept.get(storage.uri(file.path)) for file in files]
        for uri in list(self._kept)[:-_KEPT]:
            self._kept.pop(uri, None)
        return [kept[1] for kept in found if kept]


def neighbours(storage: Storage, day: date, *, also: Iterable[datetime] = ()) -> tuple[date | None, date | None]:
    """Return the nearest days before and after one on which there is a check, or one of some other times."""
    times = [time for file in list_files(storage) if (time := time_in(_id(file)))]
    days = {time.astimezone(UTC).date() for time in (*times, *also)}
    return max((d for d in days if d < day), default=None), min((d for d in days if d > day), default=None)


def previous(storage: Storage, check: CheckRecord) -> str | None:
    """Return the id of the check before one, of the same champion."""
    ids = [_id(file) for file in list_files(storage)]
    older = ids[ids.index(check.id) + 1 :] if check.id in ids else []
    return next((found for found in older if check.end and version_in(found) == check.champion), None)


def list_files(storage: Storage) -> list[Object]:
    """Return the verdicts of the complete checks, newest first, by their windows or when they were written."""
    found = (item for item in storage.objects(REPORTS) if item.path.endswith("/verdict.json") and is_id(_id(item)))
    return sorted(found, key=lambda item: (time_in(_id(item)) or item.modified, _id(item)), reverse=True)


def read_record(storage: Storage, check_id: str) -> CheckRecord | None:
    """Read one check; None if there is none of that id."""
    if not is_id(check_id):
        return None
    try:
        data = storage.read_json(f"{REPORTS}/{check_id}/verdict.json")
    except ValueError:  # not JSON: shown as unreadable, so that one bad file does not hide the others
        return parse_check(check_id, None)
    return None if data is None else parse_check(check_id, data)


def _times(files: Iterable[Object], wanted: Wanted, oldest: datetime | None) -> tuple[datetime, ...]:
    days = Wanted(since=wanted.since, until=wanted.until)
    times = [time for file in files if days.may_be(_id(file)) and (time := time_in(_id(file)))]
    return tuple(time for time in times if oldest is None or time >= oldest)


def _id(file: Object) -> str:
    return file.path.split("/")[-2]
