"""What each snapshot holds, and what changed between two of them: rows, labels, sources, words.

The digest of a snapshot is a sum over its reviews of a hash of id, label and split. It depends neither on the
order in which they arrived nor on the form of the files, so the same reviews have the same digest anywhere.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from sentiment.reviews.known import KnownReviews
from sentiment.reviews.table import MADE_BY, MADE_FROM, UNDER_CONTRACT, UPKEEP, Reviews, check_version
from sentiment.storage import Storage

UNLABELLED = "(none)"
WORDS_SHOWN = 15
_WORD_ROWS = 20_000
_WORD = re.compile(r"[^\W\d_]{3,}")
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class SnapshotSummary:
    """One snapshot in numbers.

    Attributes
    ----------
    rows : int
        Reviews; a text that was labelled later counts once.
    labels, splits, sources, contracts : dict of str to int
        Rows by label, side of the split, source, version of the contract that let them in.
    digest : str
        32 hexadecimal digits, see the module.
    """

    snapshot: str
    rows: int
    labels: dict[str, int]
    splits: dict[str, int]
    sources: dict[str, int]
    contracts: dict[str, int]
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Commit:
    """How one version came to be.

    Attributes
    ----------
    made_by : str
        ``ingest``, ``replay``, ``release``, ``feedback``, ``compaction``, or what Delta Lake calls the operation.
    made_from : str
        The file or batch, as far as there was one.
    contract : int or None
        The version of the contract that let the rows in.
    same_reviews : bool
        It only tidied up: it holds the reviews of the version before.
    """

    snapshot: str
    committed_at: str
    rows_added: int
    made_by: str
    made_from: str
    contract: int | None
    same_reviews: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the commit as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class SnapshotDiff:
    """What the newer of two snapshots has more of; negative numbers are what it has less of.

    Attributes
    ----------
    words : dict of str to float
        Words that tell the added reviews from the older ones, most telling first, with their z-score.
    before, after : SnapshotSummary
        What each of them holds.
    """

    old: str
    new: str
    rows: int
    labels: dict[str, int]
    splits: dict[str, int]
    sources: dict[str, int]
    words: dict[str, float]
    same_reviews: bool
    before: SnapshotSummary
    after: SnapshotSummary

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON types."""
        return asdict(self)


def snapshot_log(storage: Storage) -> list[Commit]:
    """Return the snapshots there are, newest first."""
    return [
        Commit(
            snapshot=f"reviews@v{entry['version']}",
            committed_at=datetime.fromtimestamp(entry["timestamp"] / 1000, UTC).isoformat(timespec="seconds"),
            rows_added=int(entry.get("operationMetrics", {}).get("num_added_rows", 0)),
            made_by=str(entry.get(MADE_BY) or entry["operation"].lower()),
            made_from=str(entry.get(MADE_FROM, "")),
            contract=int(entry[UNDER_CONTRACT]) if UNDER_CONTRACT in entry else None,
            same_reviews=entry["operation"] in UPKEEP,
        )
        for entry in Reviews(storage).commits()
    ]


def summarise(storage: Storage, version: int) -> SnapshotSummary:
    """Count what a snapshot holds, in bounded memory.

    Raises
    ------
    DataError
        There is no such snapshot.
    """
    counts = {name: Counter[str]() for name in ("label", "split", "source", "contract")}
    rows = total = 0
    for batch in reviews_of(storage, version, columns=["review_id", *counts]):
        for name, counter in counts.items():
            for item in batch[name].value_counts().to_pylist():
                counter[str(item["values"] or UNLABELLED)] += item["counts"]
        rows += batch.num_rows
        total += sum(_hashes(batch))
    return SnapshotSummary(
        snapshot=f"reviews@v{version}",
        rows=rows,
        labels=_sorted(counts["label"]),
        splits=_sorted(counts["split"]),
        sources=_sorted(counts["source"]),
        contracts=_sorted(counts["contract"]),
        digest=f"{total % 256**_DIGEST_BYTES:032x}",
    )


def compare(storage: Storage, old: int, new: int) -> SnapshotDiff:
    """Tell what changed between two snapshots.

    Raises
    ------
    DataError
        One of them does not exist.
    """
    before, after = summarise(storage, old), summarise(storage, new)
    known = KnownReviews()
    for batch in reviews_of(storage, old, columns=["review_id", "label"]):
        known.update(batch["review_id"].to_pylist(), batch["label"].to_pylist())
    ours, theirs = Counter[str](), Counter[str]()
    chosen = {True: hash_limit(before.rows, _WORD_ROWS), False: hash_limit(after.rows - before.rows, _WORD_ROWS)}
    for batch in reviews_of(storage, new, columns=["review_id", "label", "text"]):
        ids = batch["review_id"].to_pylist()
        there = known.among(ids)
        for review_id, text in zip(ids, batch["text"].to_pylist(), strict=True):
            is_old = review_id in there
            if review_id[-8:] <= chosen[is_old]:
                (theirs if is_old else ours).update(words_of(text))
    return SnapshotDiff(
        old=before.snapshot,
        new=after.snapshot,
        rows=after.rows - before.rows,
        labels=_difference(before.labels, after.labels),
        splits=_difference(before.splits, after.splits),
        sources=_difference(before.sources, after.sources),
        words=telling_words(ours, theirs) if ours and theirs else {},
        same_reviews=before.digest == after.digest,
        before=before,
        after=after,
    )


def words_of(text: str) -> set[str]:
    """Return the distinct words of a text: three letters or more, lower case."""
    return set(_WORD.findall(text.casefold()))


def telling_words(ours: Mapping[str, int], theirs: Mapping[str, int], *, most: int = WORDS_SHOWN) -> dict[str, float]:
    """Return the words that are more usual in one set of texts than in another, by z-score of the log-odds.

    The log-odds ratio with an informative Dirichlet prior of Monroe, Colaresi and Quinn (2008).
    """
    n, m = sum(ours.values()), sum(theirs.values())
    scores = {}
    for word, a in ours.items():
        b = theirs.get(word, 0)
        if a + b < 5:
            continue
        prior = (a + b) / (n + m) * 100
        delta = math.log((a + prior) / (n + 100 - a - prior)) - math.log((b + prior) / (m + 100 - b - prior))
        scores[word] = delta / math.sqrt(1 / (a + prior) + 1 / (b + prior))
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:most]
    return {word: round(score, 2) for word, score in best if score > 2}


def reviews_of(storage: Storage, version: int, *, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the reviews of a snapshot in bounded batches; a text that was labelled later only with its label.

    ``review_id`` and ``label`` must be among the columns.
    """
    reviews = Reviews(storage)
    check_version(reviews, version)
    unlabelled = pads.field("label").is_null()
    late = KnownReviews()
    for batch in reviews.read_batches(columns=["review_id"], where=unlabelled, version=version):
        late.update(batch["review_id"].to_pylist(), [None] * batch.num_rows)
    if len(late):
        for batch in reviews.read_batches(columns=["review_id", "label"], where=~unlabelled, version=version):
            ids, labels = batch["review_id"].to_pylist(), batch["label"].to_pylist()
            there = late.among(ids)
            both = [(review_id, label) for review_id, label in zip(ids, labels, strict=True) if review_id in there]
            late.update([review_id for review_id, _ in both], [label for _, label in both])
    for batch in reviews.read_batches(columns=columns, version=version):
        if len(late):
            there = late.among(batch["review_id"].to_pylist())
            superseded = [review_id for review_id, label in there.items() if label is not None]
            gone = pc.is_in(batch["review_id"], value_set=pa.array(superseded, pa.string()))
            batch = batch.filter(pc.invert(pc.and_(pc.is_null(batch["label"]), gone)))
        yield batch


def hash_limit(rows: int, most: int) -> str:
    """Return the last 8 digits up to which a review id is one of about `most` among `rows`.

    They are the other end of the hash than the one that splits; the same reviews are chosen in any order.
    """
    return format(min(16**8 - 1, most * 16**8 // max(1, rows)), "08x")


def _hashes(batch: pa.RecordBatch) -> Iterator[int]:
    columns = (batch[name].to_pylist() for name in ("review_id", "label", "split"))
    for review_id, label, split in zip(*columns, strict=True):
        raw = f"{review_id}\0{label or ''}\0{split}".encode()
        yield int.from_bytes(hashlib.sha256(raw).digest()[:_DIGEST_BYTES], "big")


def _difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    both = {name: after.get(name, 0) - before.get(name, 0) for name in sorted({*before, *after})}
    return {name: count for name, count in both.items() if count}


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))
