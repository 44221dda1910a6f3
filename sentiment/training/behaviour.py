"""What any model of sentiment should do, as short cases: text in, expectation out (Ribeiro et al., 2020).

The cases are generated from templates in words that suit any kind of review; a file may add others. Nobody passes them
all: what counts is whether a challenger fails more of a kind than the champion.

A file has one case a line, as JSON::

    {"text": "The kettle whistled for joy.", "expect": "positive", "kind": "kettles"}
    {"text": "It works.", "variant": "It works, says Noor.", "expect": "same", "kind": "names"}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sentiment.errors import SettingsError
from sentiment.serving.scorer import Scorer

SAME, STEP = 0.1, 0.05
"""How far the score may move where nothing was said, and how far against what was said."""

MOST_CASES = 20_000

Expectation = Literal["positive", "negative", "same", "flips", "up", "down"]
"""On which side of 0.5 the score is, or what becomes of it: stays, changes sides, does not fall, does not rise."""

Filled = Annotated[str, Field(min_length=1, max_length=5_000)]


class Case(BaseModel):
    """One case; cases of one group share what they turn on, and so fail together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Filled
    expect: Expectation
    variant: Filled | None = None
    kind: Annotated[str, Field(min_length=1, max_length=60)] = "own"
    group: str = ""

    @model_validator(mode="after")
    def _has_its_variant(self) -> Self:
        alone = self.expect in {"positive", "negative"}
        if alone and self.variant is not None:
            raise ValueError(f"expect {self.expect!r} is about one text: leave the variant out")
        if not alone and self.variant is None:
            raise ValueError(f"expect {self.expect!r} compares two texts: give the variant")
        return self


@dataclass(frozen=True)
class Cases:
    """Cases with their kinds and groups as arrays."""

    cases: tuple[Case, ...]

    @property
    def kinds(self) -> NDArray[np.str_]:
        """Kind of each case."""
        return np.array([case.kind for case in self.cases], dtype=np.str_)

    @property
    def groups(self) -> NDArray[np.intp]:
        """Number of the group of each case; a case without a group is one."""
        names = [(case.kind, case.group or str(place)) for place, case in enumerate(self.cases)]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return np.array([numbers[name] for name in names], dtype=np.intp)

    def failures(self, scorer: Scorer) -> NDArray[np.bool_]:
        """Return which cases a model fails."""
        scores = scorer.scores([case.text for case in self.cases])
        variants = scorer.scores([case.variant or case.text for case in self.cases])
        moved, expect = variants - scores, np.array([case.expect for case in self.cases], dtype=np.str_)
        failed = {
            "positive": scores <= 0.5,
            "negative": scores >= 0.5,
            "same": np.abs(moved) > SAME,
            "flips": (scores > 0.5) == (variants > 0.5),
            "up": moved < -STEP,
            "down": moved > STEP,
        }
        found: NDArray[np.bool_] = np.select([expect == name for name in failed], list(failed.values()), default=False)
        return found


def behaviour_cases(file: str = "") -> Cases:
    """Return the built-in cases and those of a file.

    Raises
    ------
    SettingsError
        The file is missing, or a line of it is no case. Says which line, and what is wrong.
    """
    return Cases((*_built_in(), *(_read(Path(file)) if file else ())))


def _read(path: Path) -> list[Case]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"gate.behaviour_file {path} cannot be read: {error}.", fix="Correct the path, or leave it empty."
        ) from error
    cases = [_case(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if len(cases) > MOST_CASES:
        raise SettingsError(f"{path} has {len(cases):,} cases.", fix=f"Keep the {MOST_CASES:,} that matter most.")
    return cases


def _case(path: Path, number: int, line: str) -> Case:
    try:
        return Case.model_validate(json.loads(line))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'case'}: {e['msg']}" for e in error.errors())
    except ValueError as error:
        problems = f"not JSON, {error}"
    raise SettingsError(
        f"Line {number} of gate.behaviour_file {path} is no case: {problems}.",
        fix='Write it like {"text": "...", "expect": "positive"}; expect is one of '
        f"{', '.join(get_args(Expectation))}.",
    )


_PRAISING = (
    "good",
    "great",
    "excellent",
    "wonderful",
    "lovely",
    "superb",
    "delightful",
    "fantastic",
    "perfect",
    "amazing",
)
_DAMNING = ("bad", "awful", "terrible", "horrible", "dreadful", "poor", "boring", "disappointing", "worthless", "dull")
_JUDGEMENTS = (*((word, "positive") for word in _PRAISING), *((word, "negative") for word in _DAMNING))
_PLAIN = (
    "It was {}.",
    "This is {}.",
    "All in all, I found it {}.",
    "We thought that the whole thing was {}.",
    "To put it shortly: {}.",
)
_NEGATIONS = (
    ("It was {}.", "It was not {}."),
    ("I would call it {}.", "I would not call it {}."),
    ("This is {}.", "This isn't {} at all."),
)
_NAMES = ("Anna", "Kofi", "Mei", "Fatima", "Diego", "Olga", "Raj", "Aisha", "John", "Noor")
_NAMED = (
    "{name} lent it to me and I found it {word}.",
    "My neighbour {name} had told me about it. It is {word}.",
    "I was there with {name}, and it was {word}.",
)
_SENTENCES = (
    ("We waited a week for it and it was {} in the end.", "waited", "wiated"),
    ("Everybody in the family agreed that it was {}.", "Everybody", "Evreybody"),
    ("I bought it in the spring, and so far it has been {}.", "bought", "boguht"),
    ("The beginning was {} and the rest of it was the same.", "beginning", "begninning"),
    ("My brother, who knows about these things, found it {}.", "brother", "borther"),
    ("After the third evening, I still think that it is {}.", "evening", "evenign"),
    ("You can tell within minutes that this is {}.", "minutes", "mintues"),
    ("Compared with the other one, it is {}.", "Compared", "Comapred"),
)
"""A sentence, a word of it that judges nothing, and the same word misspelt."""
_MARKS = ((".", ""), (".", "..."), (",", " -"), (".", " ."))
_OPENINGS = (
    "I got it on a Tuesday and opened it the same evening.",
    "There were four of us, and it took about two hours.",
    "It comes in two colours. We took the green one.",
)
_PRAISE = (
    "I loved it.", "It is the best I have ever had.", "An excellent choice.", "I was delighted.", "Highly recommended.",
    "It was wonderful.", "I enjoyed every minute of it.", "Everything about it is great.",
)  # fmt: skip
_COMPLAINTS = (
    "I hated it.", "It is the worst I have ever had.", "A terrible choice.", "I was disappointed.", "A waste of money.",
    "It was awful.", "I regret every minute of it.", "Everything about it is bad.",
)  # fmt: skip


def _built_in() -> Iterator[Case]:
    for word, expect in _JUDGEMENTS:
        for plain in _PLAIN:
            yield Case(text=plain.format(word), expect=expect, kind="plain judgements", group=word)
        for plain, negated in _NEGATIONS:
            yield _pair("negation", word, plain.format(word), negated.format(word), "flips")
    for place, (word, _) in enumerate(_JUDGEMENTS):
        yield from _invariances(place, word)
    for said, expect in (*((praise, "up") for praise in _PRAISE), *((complaint, "down") for complaint in _COMPLAINTS)):
        for opening in _OPENINGS:
            kind = "added praise" if expect == "up" else "added complaint"
            yield _pair(kind, said, opening, f"{opening} {said}", expect)


def _invariances(place: int, word: str) -> Iterator[Case]:
    """Yield what must not matter: who, a slip of the pen, marks, capitals."""
    one, other = _NAMES[place % len(_NAMES)], _NAMES[(place + 3) % len(_NAMES)]
    for named in _NAMED:
        yield _pair("names", one, named.format(name=one, word=word), named.format(name=other, word=word))
    for number, (sentence, right, wrong) in enumerate(_SENTENCES):
        if (number + place) % 2:
            continue
        text, (mark, another) = sentence.format(word), _MARKS[(number + place // 2) % len(_MARKS)]
        yield _pair("typos", wrong, text, text.replace(right, wrong))
        if mark in text:
            yield _pair("punctuation", word, text, text.replace(mark, another))
        yield _pair("case", word, text, text.upper() if number % 4 < 2 else text.title())


def _pair(kind: str, group: str, text: str, variant: str, expect: str = "same") -> Case:
    return Case(text=text, variant=variant, expect=expect, kind=kind, group=group)
