"""A fair part of many rows, taken in one pass: every row is as likely as any other, and always the same ones are.

Each row has a place that a hash of its identity gives (its number in the file, its request id), and the rows with
the first places are kept. What a row says plays no part: of a text that was sent a thousand times, as many copies
are kept as its share of the rows asks for.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class LoggedAnswer(NamedTuple):
    """What a server logged that a model version answered; `unknown_share` is None where it did not say."""

    version: str
    label: str
    score: float
    unknown_share: float | None = None


class Row(NamedTuple):
    """A text, its label if somebody gave it one, where it comes from, and what it was answered if it was."""

    text: str
    label: str | None = None
    source: str | None = None
    answer: LoggedAnswer | None = None


class SampledRows(NamedTuple):
    """The rows that were kept, in the order of their places, and of how many."""

    rows: tuple[Row, ...]
    of: int


def sample(rows: Iterable[tuple[str, Row]], *, most: int, salt: str = "") -> SampledRows:
    """Keep at most so many of the rows; no more than those are held in memory.

    Parameters
    ----------
    rows : iterable of (str, Row)
        With what identifies each of them; two that share it keep their order.
    most : int
        How many to keep.
    salt : str
        Another one takes another part, so that two sides of a comparison do not take the same places.
    """
    seen = 0

    def placed() -> Iterator[tuple[bytes, int, Row]]:
        nonlocal seen
        key = salt.encode()[: hashlib.blake2b.MAX_KEY_SIZE]
        for identity, row in rows:
            seen += 1
            place = hashlib.blake2b(identity.encode(errors="replace"), digest_size=8, key=key).digest()
            yield place, seen, row

    kept = heapq.nsmallest(most, placed())
    return SampledRows(tuple(row for _, _, row in kept), seen)


def digest(kept: SampledRows) -> str:
    """Return 16 hexadecimal digits that name the rows kept, in their order, whatever they were answered."""
    whole = hashlib.blake2b(str(kept.of).encode(), digest_size=8)
    for row in kept.rows:
        for value in row[:3]:
            part = b"" if value is None else value.encode(errors="surrogatepass")
            whole.update((-1 if value is None else len(part)).to_bytes(5, "big", signed=True) + part)
    return whole.hexdigest()
