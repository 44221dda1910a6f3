"""Which column is which: found by name (case, spaces, hyphens and underscores do not count) or named by the caller.

A label column wins over a rating column; without either the reviews are unlabelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sentiment.errors import SourceError

TEXT_NAMES = (
    *("text", "review", "reviewtext", "reviewbody", "body", "content", "comment", "comments"),
    *("verifiedreviews", "sentence", "message", "reviewcontent"),
)
LABEL_NAMES = ("label", "sentiment", "class", "target", "polarity")
RATING_NAMES = ("rating", "overall", "stars", "score", "starrating", "reviewrating", "reviewscore")
SOURCE_NAMES = ("source", "domain", "category")
TIME_NAMES = (
    *("timestamp", "unixreviewtime", "reviewtime", "reviewdate", "reviewedat", "writtenat", "createdat", "createdon"),
    *("createdtime", "creationdate", "publishedat", "publisheddate", "postedat", "submittedat", "submissiontime"),
    *("datetime", "date", "time"),
)
SHOWN = 20
"""Names or values that a message lists at the most."""


@dataclass(frozen=True)
class Columns:
    """The names that a file gives to its columns; None for what it lacks."""

    text: str
    label: str | None
    rating: str | None
    source: str | None
    written: str | None


def find_columns(
    path: Path, found: Sequence[str], *, text: str | None, label: str | None, time: str | None = None
) -> Columns:
    """Return which of the columns found are text, label, rating, source and the moment of writing.

    Raises
    ------
    SourceError
        There is no text column, or a column named by the caller is absent. Names the columns found.
    """
    text_column = _named(path, found, text, "text") if text else _usual(found, TEXT_NAMES)
    if text_column is None:
        raise SourceError(
            f"{path} has no column of review texts; its columns are {_listed(found)}.",
            fix="Name the column of the texts with --text (text=), that of the labels with --label (label=).",
        )
    label_column = _named(path, found, label, "label") if label else _usual(found, LABEL_NAMES)
    rating_column = None if label else _usual(found, RATING_NAMES)
    if label and label_column is not None and _plain(label_column) in RATING_NAMES:
        label_column, rating_column = None, label_column
    time_column = _named(path, found, time, "time") if time else _usual(found, TIME_NAMES)
    if not time and time_column is not None and list(found).count(time_column) > 1:
        time_column = None  # nobody asked for it: no reason to refuse the file
    others = {text_column, label_column}
    columns = Columns(
        text=text_column,
        label=label_column if label_column != text_column else None,
        rating=rating_column if label_column is None and rating_column not in others else None,
        source=_usual([name for name in found if name not in others], SOURCE_NAMES),
        written=time_column if time_column not in others else None,
    )
    check_single(path, found, [name for name in vars(columns).values() if name is not None])
    return columns


def find_text(path: Path, found: Sequence[str], *, named: str | None = None) -> str:
    """Return which of the columns found holds the texts, for what reads nothing else.

    Raises
    ------
    SourceError
        There is none, or more than one of that name. Names the columns found.
    """
    column = _named(path, found, named, "column") if named else _usual(found, TEXT_NAMES)
    if column is None:
        raise SourceError(
            f"{path} has no column of texts; its columns are {_listed(found)}.",
            fix="Name the column of the texts with --column (column=).",
        )
    check_single(path, found, [column])
    return column


def find_named(path: Path, found: Sequence[str], names: Sequence[str], *, option: str) -> list[str]:
    """Return what the file calls these columns; `SourceError` says by which `option` they were named."""
    columns = [_named(path, found, name, option) for name in names]
    check_single(path, found, columns)
    return columns


def check_single(path: Path, found: Sequence[str], names: Iterable[str]) -> None:
    """Raise `SourceError` if the file has more than one column of any of these names."""
    for name in names:
        if list(found).count(name) > 1:
            raise SourceError(
                f"{path} has {list(found).count(name)} columns named {name!r}.", fix="Rename or remove all but one."
            )


def _usual(found: Sequence[str], names: Sequence[str]) -> str | None:
    plain = {_plain(name): name for name in reversed(found)}
    return next((plain[name] for name in names if name in plain), None)


def _named(path: Path, found: Sequence[str], name: str, role: str) -> str:
    if name in found:
        return name
    if match := next((other for other in found if _plain(other) == _plain(name)), None):
        return match
    raise SourceError(
        f"{path} has no column {name!r}; its columns are {_listed(found)}.",
        fix=f"Name one of these with --{role} ({role}=).",
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "(none)") + more


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
