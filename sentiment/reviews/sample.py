"""Generated reviews: as many as you like, from a seed, for trying everything without data of your own.

They are made to be as hard as real ones, not only to look like them. A review makes several judgements, some
of them against its own verdict; judgements are negated ("not wooden at all") and intensified; words are
misspelt; some reviews could mean either, and some labels are wrong. On film reviews a good model of word
pairs is right for 92 to 96% of the held-out ones. Each domain has its own words
(:mod:`sentiment.reviews.vocabulary`), so that a model of one domain is of little use in another.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO
from uuid import uuid4

from sentiment.errors import DataError, SourceError, storage_errors
from sentiment.reviews.vocabulary import SHARED, VOCABULARIES, Vocabulary

DOMAINS: tuple[str, ...] = tuple(VOCABULARIES)
"""The domains that reviews can be generated for."""

WRONG_LABELS = 0.03
"""Share of reviews whose label contradicts their text."""

AMBIGUOUS = 0.015
"""Share of reviews whose text says nothing about their label."""

_MIXED = 0.25  # reviews that concede something before, or after, their verdict
_NEGATIONS = 0.08
_MISSPELT = 0.25
_SHARED_WORDS = 0.2  # judgements in words that every domain uses
_LENGTHS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
_LENGTH_WEIGHTS = (6, 14, 18, 16, 13, 11, 8, 6, 4, 2, 2)

_INTENSIFIERS = (
    *("", "", "", "", "very ", "really ", "so ", "quite "),
    *("rather ", "incredibly ", "a bit ", "pretty "),
)
_PLAIN = (
    "{s} was {i}{a}",
    "{s} is {i}{a}",
    "I found {s} {i}{a}",
    "{s} felt {i}{a} to me",
    "honestly, {s} was {i}{a}",
    "we all agreed that {s} was {a}",
    "what stays is how {a} {s} was",
    "{s} turned out {i}{a}",
    "for me {s} seemed {i}{a}",
    "{s} could not have been more {a}",
)
_NEGATED = (
    "{s} was not {a} at all",
    "there is nothing {a} about {s}",
    "{s} was never {a}",
    "I would not call {s} {a}",
    "{s} is hardly {a}",
    "nobody could say that {s} is {a}",
    "{s} isn't {a}",
)
_LINKS = (
    *("", "", "", "", "", "", "And ", "Also, "),
    *("Besides, ", "By the way, ", "To be fair, ", "For what it's worth, "),
)
_TURNS = ("But ", "However, ", "Then again, ", "Still, ", "Even so, ", "On the other hand, ")
_PROPER = {"I"}
_STOPS = (".", ".", ".", ".", ".", "!", "...")


@dataclass(frozen=True)
class SampleReview:
    """One generated review."""

    text: str
    label: str
    rating: int
    source: str


def generate(domain: str, rows: int, *, seed: int = 0, positive_share: float = 0.5) -> Iterator[SampleReview]:
    """Generate labelled reviews one at a time, in constant memory.

    Parameters
    ----------
    domain : str
        One of `DOMAINS`.
    rows : int
        How many. A longer run begins with the reviews of a shorter one.
    seed : int
        Another seed, other reviews.
    positive_share : float
        Probability that a review is labelled positive.

    Raises
    ------
    DataError
        The domain is unknown, or `positive_share` is not between 0 and 1.
    """
    if domain not in VOCABULARIES:
        raise DataError(f"There is no domain {domain!r}.", fix=f"Choose from {', '.join(DOMAINS)}.")
    if not 0 <= positive_share <= 1:
        raise DataError(f"positive_share is {positive_share}.", fix="Give a number between 0 and 1.")
    return _reviews(domain, rows, random.Random(f"{domain}/{seed}"), positive_share)


def write_sample(path: Path, domain: str, rows: int, *, seed: int = 0) -> Path:
    """Write generated reviews to a ``.csv`` or ``.jsonl`` file, atomically, and return its path.

    Raises
    ------
    SourceError
        The suffix is neither.
    """
    writer = {".csv": _write_csv, ".jsonl": _write_jsonl}.get(path.suffix.lower())
    if writer is None:
        raise SourceError(f"Cannot write {path.name}: unknown suffix.", fix="Name it .csv or .jsonl.")
    reviews = generate(domain, rows, seed=seed)
    partial_path = path.with_name(f".{path.name}.{uuid4().hex}")
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial_path.open("w", encoding="utf-8", newline="") as file:
                writer(file, reviews)
            partial_path.replace(path)
        finally:
            partial_path.unlink(missing_ok=True)
    return path


def _write_csv(file: IO[str], reviews: Iterator[SampleReview]) -> None:
    writer = csv.DictWriter(file, [field.name for field in fields(SampleReview)])
    writer.writeheader()
    writer.writerows(map(asdict, reviews))


def _write_jsonl(file: IO[str], reviews: Iterator[SampleReview]) -> None:
    file.writelines(json.dumps(asdict(review), ensure_ascii=False) + "\n" for review in reviews)


def _reviews(domain: str, rows: int, rng: random.Random, positive_share: float) -> Iterator[SampleReview]:
    words = VOCABULARIES[domain]
    for _ in range(rows):
        positive = rng.random() < positive_share
        opinion = positive != (rng.random() < WRONG_LABELS)
        opposed, text = _text(words, opinion, rng)
        yield SampleReview(text, "positive" if positive else "negative", _rating(positive, opposed, rng), domain)


def _rating(positive: bool, opposed: bool, rng: random.Random) -> int:
    if rng.random() < 0.03:
        return 3
    distance = 1 if rng.random() < (0.7 if opposed else 0.3) else 2
    return 3 + distance if positive else 3 - distance


def _text(words: Vocabulary, opinion: bool, rng: random.Random) -> tuple[bool, str]:
    """Return whether the review also speaks against its opinion, and its text."""
    length = rng.choices(_LENGTHS, _LENGTH_WEIGHTS)[0]
    ambiguous = rng.random() < AMBIGUOUS
    stances = _opinions(length, opinion, ambiguous, rng)
    text = _joined(words, stances, rng)
    if rng.random() < _MISSPELT:
        text = _misspell(text, rng)
    return (not opinion) in stances, text


def _opinions(length: int, opinion: bool, ambiguous: bool, rng: random.Random) -> list[bool | None]:
    """Return what each sentence is: for (True), against (False), or a mere fact (None)."""
    judgements = max(1, round(length * rng.uniform(0.6, 0.95)))
    against = 0
    if ambiguous:
        judgements -= judgements % 2  # as many for as against; none at all in the shortest
        against = judgements // 2
    elif judgements > 3 and rng.random() < _MIXED:
        against = rng.randint(1, max(1, (judgements - 1) // 3))
    stances: list[bool | None] = [None] * (length - judgements)
    stances += [opinion] * (judgements - against) + [not opinion] * against
    rng.shuffle(stances)
    return stances


def _joined(words: Vocabulary, stances: list[bool | None], rng: random.Random) -> str:
    parts = []
    before: bool | None = None
    for stance in stances:
        sentence = _sentence(words, stance, rng)
        turns = stance is not None and before is not None and stance != before
        link = rng.choice(_TURNS if turns else _LINKS)
        if not link:
            sentence = sentence[0].upper() + sentence[1:]
        elif sentence.split(" ", 1)[0] not in _PROPER:
            sentence = sentence[0].lower() + sentence[1:]
        parts.append(f"{link}{sentence}{rng.choice(_STOPS)}")
        before = before if stance is None else stance
    return " ".join(parts)


def _sentence(words: Vocabulary, stance: bool | None, rng: random.Random) -> str:
    if stance is None:
        facts = words.facts if rng.random() < 0.8 else SHARED.facts
        return rng.choice(facts).format(n=rng.randint(2, 180))
    adjectives = SHARED if rng.random() < _SHARED_WORDS else words
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(adjectives.joys if stance else adjectives.woes)
    subject = rng.choice(words.subjects if kind < 0.8 else words.names if kind < 0.92 else SHARED.subjects)
    negated = rng.random() < _NEGATIONS
    adjective = rng.choice(adjectives.praise if stance != negated else adjectives.blame)
    template = rng.choice(_NEGATED if negated else _PLAIN)
    return template.format(s=subject, a=adjective, i=rng.choice(_INTENSIFIERS))


def _misspell(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(words))
        word = words[place]
        if len(word) < 5:
            continue
        at = rng.randrange(1, len(word) - 2)
        kind = rng.randrange(3)
        if kind == 0:
            words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        elif kind == 1:
            words[place] = word[:at] + word[at + 1 :]
        else:
            words[place] = word[: at + 1] + word[at:]
    return " ".join(words)
