"""When a review was written, from whatever a file says about it.

Read are ISO 8601, Unix time in seconds to nanoseconds (by its size), and dates as people and shops write them
(``31-Jul-18``, ``07 31, 2018``, ``Reviewed in the United States on July 31, 2018``). A moment without a zone is UTC.
``07/08/2018`` is July 8, as in the United States, unless the file shows that its days come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

import pandas as pd

MOMENT = "datetime64[us, UTC]"

_UNIX = r"\d{9,19}(?:\.\d+)?"
_UNIX_UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (float("inf"), 1e-3))  # below so much: microseconds a unit
_ISO = r"\d{4}-\d{1,2}-\d{1,2}(?:[T ].*)?|\d{8}(?:T.*)?"
_EITHER_FIRST = r"^(\d{1,2})[/\- ](\d{1,2})[/\-, ]"  # with dots, days come first

_OLDEST = pd.Timestamp("1900-01-01", tz="UTC")  # before it are what programs write for "never", as 0001-01-01
_LONGEST = 80
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?(?: ?([ap])\.?m\b\.?)?")
_ZONE = re.compile(r"^ ?(?:utc|gmt|z|([+-])(\d{2}):?(\d{2}))(?= |$)")
_BEFORE = re.compile(r"^(?:.* on )?(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? +)?")
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?")
_DAY_NAME = re.compile(r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[ \-/.]*(?P<name>[a-z]{3,9})[ \-/.,']*(?P<year>\d{4}|\d{2})")
_NAME_DAY = re.compile(r"(?P<name>[a-z]{3,9})[ \-/.]*(?P<day>\d{1,2})(?:st|nd|rd|th)?[ ,]+(?P<year>\d{4})")
_NUMBERS = re.compile(r"(?P<first>\d{1,2})(?P<gap>[/.\- ])(?P<second>\d{1,2}),?(?P=gap)(?P<year>\d{4}|\d{2})")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)


def parse_moments(written: pd.Series, *, day_first: bool = False) -> pd.Series:
    """Return the moments (UTC, microseconds) that these strings mean; NaT for those that mean none.

    Parameters
    ----------
    written : Series
        Strings, or None.
    day_first : bool
        Whether 07/08/2018 is in August.
    """
    moments = pd.Series(pd.NaT, index=written.index, dtype=MOMENT)
    texts = written.dropna().astype("str").str.strip()
    if texts.empty:
        return moments
    unix = texts[texts.str.fullmatch(_UNIX)]
    iso = texts[texts.str.fullmatch(_ISO)].str.replace(r"(\.\d{6})\d+", r"\1", regex=True)  # no finer than MOMENT
    moments[unix.index] = _from_unix(unix)
    moments[iso.index] = pd.to_datetime(iso, format="ISO8601", errors="coerce", utc=True).astype(MOMENT)
    others = texts[moments[texts.index].isna()]
    if not others.empty:
        meant = {text: _from_words(text, day_first=day_first) for text in others.unique()}
        moments[others.index] = pd.to_datetime(others.map(meant), utc=True).astype(MOMENT)
    return moments.where(moments >= _OLDEST)


def days_come_first(parts: Iterable[pd.Series]) -> bool:
    """Return whether days come before months: the first date that can be read in one way only tells."""
    for written in parts:
        numbers = written.dropna().astype("str").str.strip().str.extract(_EITHER_FIRST).astype("float64")
        telling = numbers[(numbers > 12).sum(axis=1) == 1]
        if not telling.empty:
            return bool(telling[0].iloc[0] > 12)
    return False


def may_come_either_way(written: pd.Series) -> bool:
    """Return whether there is a date that is read by the order of its numbers."""
    return bool(written.dropna().astype("str").str.strip().str.contains(_EITHER_FIRST.replace("(", "(?:")).any())


def _from_unix(numbers: pd.Series) -> pd.Series:
    values = pd.to_numeric(numbers).astype("float64")
    factors = pd.Series(0.0, index=values.index)
    for limit, factor in reversed(_UNIX_UNITS):
        factors = factors.mask(values < limit, factor)
    micros = (values * factors).round().astype("int64")
    return pd.to_datetime(micros, unit="us", utc=True).astype(MOMENT)


def _from_words(text: str, *, day_first: bool) -> datetime | None:
    if len(text) > _LONGEST:
        return None
    rest = " ".join(text.lower().split())
    if not rest[:1].isdigit():
        rest = _BEFORE.sub("", rest)
    try:
        rest, clock, zone = _clock_apart(rest)
        date = _date(rest, day_first=day_first)
        return None if date is None else datetime(*date, *clock, tzinfo=zone)
    except (ValueError, OverflowError):  # the 30th of February, a quarter past 25
        return None


def _clock_apart(text: str) -> tuple[str, tuple[int, int, int], timezone]:
    """Return what is left of a text, the time of day in it (midnight if none) and the zone of that (UTC if none)."""
    found = _CLOCK.search(text)
    if found is None:
        return text, (0, 0, 0), UTC
    before, after, zone = text[: found.start()], text[found.end() :], UTC
    if after and (offset := _ZONE.search(after)):
        zone, after = _zone(offset), after[offset.end() :]
    return f"{before.removesuffix('at ').rstrip(' ,')} {after.strip(' ,')}".strip(), _clock(found), zone


def _clock(found: re.Match[str]) -> tuple[int, int, int]:
    hour = int(found[1])
    if found[4]:
        hour = hour % 12 + (12 if found[4] == "p" else 0)
    return hour, int(found[2]), int(found[3] or 0)


def _zone(found: re.Match[str]) -> timezone:
    if found[1] is None:
        return UTC
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)


@lru_cache(maxsize=10_000)  # moments repeat their days
def _date(text: str, *, day_first: bool) -> tuple[int, int, int] | None:
    if found := _YEAR_FIRST.fullmatch(text):
        return int(found["year"]), int(found["month"]), int(found["day"])
    if found := _DAY_NAME.fullmatch(text) or _NAME_DAY.fullmatch(text):
        return _year(found["year"]), _month(found["name"]), int(found["day"])
    if found := _NUMBERS.fullmatch(text):
        first, second = int(found["first"]), int(found["second"])
        if first > 12 or (second <= 12 and (day_first or found["gap"] == ".")):
            first, second = second, first
        return _year(found["year"]), first, second
    return None


def _month(name: str) -> int:
    """Return the number of a month; 0, which is none, for other words."""
    name = "sep" if name == "sept" else name
    return next((number for number, month in enumerate(_MONTHS, start=1) if month.startswith(name)), 0)


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (1900 if year >= 69 else 2000)  # as POSIX has it
