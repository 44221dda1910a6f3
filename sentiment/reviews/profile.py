"""The profile of a snapshot: class balance, lengths, languages, near copies, telling words, and what was refused.

Counted in bounded memory. Words, scripts and languages are counted over samples that the hash in the ids chooses,
so that the same reviews always have the same profile; only what was refused is as of now.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from sentiment.reviews.language import languages_of
from sentiment.reviews.near_copies import Copies, NearCopies
from sentiment.reviews.table import Quarantine, Reviews
from sentiment.reviews.versions import UNLABELLED, hash_limit, reviews_of, summarise, telling_words, words_of
from sentiment.storage import Storage

SAMPLED = 50_000
LANGUAGES_SAMPLED = 5_000
LENGTHS = (0, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800)
EXAMPLES = 5
_SHOWN_CHARACTERS = 180
_SCRIPTS = (
    ("Latin", "A-Za-zÀ-ɏ\u1e00-\u1eff"),
    ("Cyrillic", "Ѐ-ӿ"),
    ("Greek", "Ͱ-Ͽ"),
    ("Arabic", "؀-ۿ"),
    ("Hebrew", "֐-׿"),
    ("Devanagari", "ऀ-ॿ"),
    ("Thai", "฀-๿"),
    ("Hangul", "가-힯"),
    ("Kana", "぀-ヿ"),
    ("Han", "一-鿿"),
)
_SCRIPT_PATTERNS = tuple((name, re.compile(f"[{letters}]")) for name, letters in _SCRIPTS)


@dataclass(frozen=True)
class Example:
    """Two reviews that are nearly the same, shortened."""

    one: str
    other: str
    labels: tuple[str, str]
    similarity: float


@dataclass(frozen=True)
class Profile:
    """What a snapshot looks like.

    Attributes
    ----------
    labels, splits, sources : dict of str to int
        Reviews by label, side of the split, source.
    lengths : dict of str to int
        Reviews by length in characters, as ``from to``.
    scripts : dict of str to int
        Sampled reviews by the script that most of their letters are in.
    languages : dict of str to int
        Reviews of a smaller sample by language, as ISO 639-1 codes or ``unknown``.
    near_copies, compared, disagreeing : int
        Reviews that have a near copy, of how many that were compared; pairs of them with different labels.
    examples : tuple of Example
        Some of the pairs.
    words : dict of str to dict of str to float
        For each label the words that tell it from the others, with z-scores.
    refused : dict of str to dict of str to int
        Rows in the quarantine now, by source and reason.
    sampled : int
        Reviews that were looked at for scripts and words.
    """

    snapshot: str
    digest: str
    rows: int
    labels: dict[str, int]
    splits: dict[str, int]
    sources: dict[str, int]
    lengths: dict[str, int]
    scripts: dict[str, int]
    languages: dict[str, int]
    near_copies: int
    compared: int
    disagreeing: int
    examples: tuple[Example, ...]
    words: dict[str, dict[str, float]]
    refused: dict[str, dict[str, int]]
    sampled: int

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON types."""
        return asdict(self)


def profile_snapshot(storage: Storage, version: int) -> Profile:
    """Look through a snapshot.

    Raises
    ------
    DataError
        There is no such snapshot.
    """
    summary = summarise(storage, version)
    counts = _Counts(summary.rows, list(summary.labels))
    for batch in reviews_of(storage, version, columns=["review_id", "text", "label"]):
        counts.add(*(batch[name].to_pylist() for name in ("review_id", "text", "label")))
    copies = counts.copies.found()
    return Profile(
        snapshot=summary.snapshot,
        digest=summary.digest,
        rows=summary.rows,
        labels=summary.labels,
        splits=summary.splits,
        sources=summary.sources,
        lengths={_span(place): counts.lengths[place] for place in range(len(LENGTHS))},
        scripts=dict(counts.scripts.most_common()),
        languages=dict(counts.languages.most_common()),
        near_copies=copies.reviews,
        compared=copies.looked_at,
        disagreeing=copies.disagreeing,
        examples=_examples(storage, version, copies),
        words=_words_by_label(counts.words),
        refused=_refused(storage),
        sampled=counts.scripts.total(),
    )


class _Counts:
    """What is counted in the one pass over the texts."""

    def __init__(self, rows: int, labels: Sequence[str]) -> None:
        self.lengths, self.scripts, self.languages = Counter[int](), Counter[str](), Counter[str]()
        self.words: dict[str, Counter[str]] = {label: Counter() for label in labels}
        self.copies = NearCopies(rows, most=SAMPLED)
        self._chosen, self._few = hash_limit(rows, SAMPLED), hash_limit(rows, LANGUAGES_SAMPLED)

    def add(self, ids: Sequence[str], texts: Sequence[str], labels: Sequence[str | None]) -> None:
        self.copies.add(ids, labels, texts)
        for review_id, text, label in zip(ids, texts, labels, strict=True):
            self.lengths[bisect_right(LENGTHS, len(text)) - 1] += 1
            if review_id[-8:] <= self._chosen:
                self.scripts[script_of(text)] += 1
                self.words[label or UNLABELLED].update(words_of(text))
        self.languages.update(
            languages_of(text for review_id, text in zip(ids, texts, strict=True) if review_id[-8:] <= self._few)
        )


def script_of(text: str) -> str:
    """Return the script that most letters of a text are in; ``none`` if it has no letters that we know."""
    best, most = "none", 0
    for name, pattern in _SCRIPT_PATTERNS:
        found = len(pattern.findall(text))
        if found > most:
            best, most = name, found
        if 2 * most > len(text):
            break
    return best


def _examples(storage: Storage, version: int, copies: Copies) -> tuple[Example, ...]:
    """Return some pairs; those that are not quite the same tell more than those that are."""
    pairs = sorted(copies.pairs, key=lambda pair: (pair[2] == 1, -pair[2], pair[:2]))[:EXAMPLES]
    wanted = pads.field("review_id").isin(pa.array([name for pair in pairs for name in pair[:2]], pa.string()))
    texts: dict[str, tuple[str, str]] = {}
    for batch in Reviews(storage).read_batches(columns=["review_id", "text", "label"], where=wanted, version=version):
        for row in batch.to_pylist():
            if row["review_id"] not in texts or row["label"] is not None:
                texts[row["review_id"]] = (row["text"], row["label"] or UNLABELLED)
    return tuple(
        Example(*_around_difference(texts[one][0], texts[other][0]), (texts[one][1], texts[other][1]), round(score, 2))
        for one, other, score in pairs
    )


def _around_difference(one: str, other: str) -> tuple[str, str]:
    """Shorten two texts to where they begin to differ."""
    one, other = " ".join(one.split()), " ".join(other.split())
    same = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    start = one.rfind(" ", 0, max(0, same - _SHOWN_CHARACTERS // 2)) + 1
    return _cut(one, start), _cut(other, start)


def _cut(text: str, start: int) -> str:
    end = start + _SHOWN_CHARACTERS
    shown = text[start:end]
    if end < len(text):
        shown = shown.rsplit(" ", 1)[0] + " …"
    return ("… " if start else "") + shown.strip()


def _refused(storage: Storage) -> dict[str, dict[str, int]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    names = ["source", "source_file", "reason"]
    for rows in Quarantine(storage).read_batches(columns=names):
        parts = pa.Table.from_batches([rows]).group_by(names).aggregate([([], "count_all")])
        for part in parts.to_pylist():
            found[part["source"] or part["source_file"]][part["reason"]] += part["count_all"]
    return {source: dict(found[source].most_common()) for source in sorted(found)}


def _words_by_label(words: Mapping[str, Counter[str]]) -> dict[str, dict[str, float]]:
    labelled = {label: counter for label, counter in words.items() if label != UNLABELLED}
    if len(labelled) < 2:
        return {}
    total = Counter[str]()
    for counter in labelled.values():
        total.update(counter)
    return {
        label: telling_words(counter, {word: total[word] - count for word, count in counter.items()})
        for label, counter in labelled.items()
    }


def _span(place: int) -> str:
    last = place + 1 == len(LENGTHS)
    return f"{LENGTHS[place]:,} and more" if last else f"{LENGTHS[place]:,} to {LENGTHS[place + 1] - 1:,}"
