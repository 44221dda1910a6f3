"""The profile of a snapshot: class balance, lengths, scripts, look-alikes, telling words.

Counted in one pass in bounded memory. Words, scripts and look-alikes are counted over at most `SAMPLED` reviews,
which the hash in their ids chooses, so that the same snapshot always has the same profile.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sentiment.reviews.identity import normalise
from sentiment.reviews.versions import UNLABELLED, reviews_of, summarise, telling_words, words_of
from sentiment.storage import Storage

SAMPLED = 50_000
LENGTHS = (0, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800)
_BEGINNING = 60
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
class Profile:
    """What a snapshot looks like.

    Attributes
    ----------
    labels : dict of str to int
        Reviews by label.
    lengths : dict of str to int
        Reviews by length in characters, as ``from-to``.
    scripts : dict of str to int
        Sampled reviews by the script that most of their letters are in.
    look_alikes : int
        Sampled reviews that begin with the same 60 characters as another.
    words : dict of str to dict of str to float
        For each label the words that tell it from the others, with z-scores.
    sampled : int
        Reviews that were looked at for scripts, look-alikes and words.
    """

    snapshot: str
    digest: str
    rows: int
    labels: dict[str, int]
    sources: dict[str, int]
    lengths: dict[str, int]
    scripts: dict[str, int]
    look_alikes: int
    words: dict[str, dict[str, float]]
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
    chosen = format(min(16**8 - 1, SAMPLED * 16**8 // max(1, summary.rows)), "08x")
    lengths, scripts, beginnings = Counter[int](), Counter[str](), Counter[str]()
    words: dict[str, Counter[str]] = {label: Counter() for label in summary.labels}
    for batch in reviews_of(storage, version, columns=["review_id", "text", "label"]):
        columns = (batch[name].to_pylist() for name in ("review_id", "text", "label"))
        for review_id, text, label in zip(*columns, strict=True):
            lengths[bisect_right(LENGTHS, len(text)) - 1] += 1
            if review_id[-8:] <= chosen:  # the other end of the hash than the one that splits
                scripts[script_of(text)] += 1
                beginnings[normalise(text[: 2 * _BEGINNING])[:_BEGINNING]] += 1
                words[label or UNLABELLED].update(words_of(text))
    return Profile(
        snapshot=summary.snapshot,
        digest=summary.digest,
        rows=summary.rows,
        labels=summary.labels,
        sources=summary.sources,
        lengths={_span(place): lengths[place] for place in range(len(LENGTHS))},
        scripts=dict(scripts.most_common()),
        look_alikes=sum(count for count in beginnings.values() if count > 1),
        words=_words_by_label(words),
        sampled=sum(scripts.values()),
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
