"""The chain of the ledger: each entry carries the hash of the one before it, so that no change goes unseen. Pure.

The hash of an entry is SHA-256 over its canonical JSON: all columns but the hash itself, keys sorted, no spaces, UTF-8,
times in UTC with microseconds. Entries from before there was a chain come first, ordered by time; they get numbers and
hashes when they are read, and the first entry after them carries the last of these, which seals them too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

GENESIS = "0" * 64
"""What the first entry carries as the hash before it."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Head:
    """The newest entry: its number (0 if there is none) and its hash."""

    sequence: int = 0
    hash: str = GENESIS


@dataclass(frozen=True)
class Verification:
    """What a look at the whole chain found.

    Attributes
    ----------
    entries : int
        How many there are.
    head : str
        Hash of the newest; whoever keeps it can later tell that nothing was cut off.
    problem : str
        The first thing that is wrong, naming the entry; empty if all is well.
    bad : int or None
        Number of that entry.
    """

    entries: int
    head: str
    problem: str = ""
    bad: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as JSON types."""
        return {**asdict(self), "intact": not self.problem}


def entry_hash(row: Row) -> str:
    """Return the hash of an entry's columns, ``previous`` and ``sequence`` among them."""
    facts = {name: _plain(value) for name, value in row.items() if name != "hash"}
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", errors="surrogatepass")).hexdigest()


def follow(row: Row, head: Head) -> dict[str, Any]:
    """Return an entry as the one after `head`."""
    linked = {**row, "sequence": head.sequence + 1, "previous": head.hash}
    return {**linked, "hash": entry_hash(linked)}


def in_order(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return entries in the order of the chain; those from before the chain first, with numbers and hashes."""
    before: list[dict[str, Any]] = []
    chained: list[dict[str, Any]] = []
    for row in rows:
        (before if row["hash"] is None else chained).append(dict(row))
    ordered: list[dict[str, Any]] = []
    for row in sorted(before, key=lambda row: (row["time"], entry_hash(row))):
        ordered.append(follow(row, head_of(ordered)))
    return ordered + sorted(chained, key=lambda row: (row["sequence"] or 0, row["hash"]))


def head_of(ordered: Sequence[Row]) -> Head:
    """Return the head of entries in order."""
    return Head(int(ordered[-1]["sequence"]), str(ordered[-1]["hash"])) if ordered else Head()


def verify(rows: Iterable[Row], *, remembered: str | None = None) -> Verification:
    """Look for the first entry that was edited, removed, put in or moved.

    Parameters
    ----------
    rows : iterable of mapping
        All entries as stored.
    remembered : str, optional
        A head seen earlier, which must still be the hash of an entry: without it, entries cut off at the end are
        not missed.
    """
    ordered = in_order(rows)
    entries, head = len(ordered), head_of(ordered)
    bad, problem = _first_bad(ordered)
    if not problem and remembered and remembered not in {GENESIS, *(row["hash"] for row in ordered)}:
        bad = entries + 1
        problem = (
            f"No entry has the remembered hash {remembered}: entries after {_name(head.sequence, ordered)} are gone"
        )
        problem += ", or the chain was written anew."
    return Verification(entries, head.hash, problem, bad)


def _first_bad(ordered: Sequence[Row]) -> tuple[int | None, str]:
    head = Head()
    for sequence, same in groupby(ordered, key=lambda row: row["sequence"] or 0):
        found, number = list(same), head.sequence + 1
        if sequence != number:
            return number, f"Entry {number} is missing: after {_name(head.sequence, ordered)} comes entry {sequence}."
        if len(found) > 1:
            return number, f"There are {len(found)} entries {number}; one of them was put in."
        row = found[0]
        if row["hash"] != entry_hash(row):
            return number, f"{_name(number, ordered)} was changed: its content does not have the hash that it carries."
        if row["previous"] != head.hash:
            why = f"it does not follow {_name(head.sequence, ordered)}, which was replaced, or is of another chain."
            return number, f"{_name(number, ordered)} is out of place: {why}"
        head = Head(number, row["hash"])
    return None, ""


def _name(number: int, ordered: Sequence[Row]) -> str:
    if not number:
        return "the beginning"
    row = next(row for row in ordered if row["sequence"] == number)
    version = f", version {row['model_version']}" if row["model_version"] else ""
    return f"Entry {number} ({row['event']}{version}, {_plain(row['time'])})"


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value
