"""The cleaning chain: the one function that turns a text into what is counted, in training and in serving.

What NLTK knows about words is asked once for each word, while a model learns, and kept as a table: the fitted
pipeline and the scorer compiled from it clean by the same table with the same code. A server needs neither NLTK
nor WordNet, and another version of them cannot change an answer. A word that training never saw stays as it is.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sentiment.cleaning import Cleaning
from sentiment.features.clean import clean, straight
from sentiment.features.steps import (
    NEGATED,
    Step,
    negated,
    without_addresses,
    without_marks,
    without_markup,
    without_numbers,
    without_tags,
)

_WORD = re.compile(r"(\w[\w']*)")


class Forms(dict[str, str]):
    """What words become: another word, or nothing. A word that is not in here stays as it is."""

    def __missing__(self, word: str) -> str:
        return word

    @classmethod
    def from_array(cls, array: NDArray[np.uint8]) -> "Forms":
        """Read the table from the array that `to_array` makes; ValueError if it is none."""
        lines = array.tobytes().decode().split("\n")
        return cls(line.split(" ") for line in lines if line)

    def to_array(self, known: Iterable[str] | None = None) -> NDArray[np.uint8]:
        """Return the table as UTF-8 lines of word, space and form.

        Parameters
        ----------
        known : iterable of str, optional
            The n-grams that count, if not all do. A word is left out if neither it nor its form is in one.
        """
        units = None if known is None else {unit for ngram in known for unit in ngram.split(" ")}
        if units is not None:
            units |= {unit.removesuffix(NEGATED) for unit in units}
        lines = [
            f"{word} {form}\n"
            for word, form in sorted(self.items())
            if word != form and (units is None or not form or word in units or form in units)
        ]
        return np.frombuffer("".join(lines).encode(), np.uint8)


class LearningForms(Forms):
    """A table that asks for each word it does not have, once, and keeps the answer."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, word: str) -> str:
        form = self[word] = self._ask(word)
        return form


def cleaner(cleaning: Cleaning, forms: Forms) -> Step:
    """Return the function that does all chosen steps, one after another."""
    if cleaning == Cleaning():
        return clean
    words = _words(forms) if cleaning.changes_words else _unchanged
    chosen: list[tuple[bool, Step]] = [
        (cleaning.html == "full", without_markup),
        (cleaning.case == "lower", str.lower),
        (cleaning.html != "keep", without_tags),
        (cleaning.urls != "keep", without_addresses(cleaning.urls == "mark")),
        (cleaning.numbers != "keep", without_numbers(cleaning.numbers == "mark")),
        (cleaning.changes_words and cleaning.negation == "keep", words),
        (cleaning.negation == "mark", negated(words)),
        (cleaning.punctuation == "drop", without_marks),
    ]
    steps = [straight, *(step for wanted, step in chosen if wanted)]

    def chain(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return chain


def _words(forms: Forms) -> Step:
    """Look every word up; what is between the words (emoji too) stays."""

    def step(text: str) -> str:
        parts = _WORD.split(text)
        parts[1::2] = map(forms.__getitem__, parts[1::2])
        return "".join(parts)

    return step


def _unchanged(text: str) -> str:
    return text


@dataclass(frozen=True, eq=False)
class Chain:
    """A chain that has learned its words.

    Attributes
    ----------
    cleaning : Cleaning
        The steps.
    forms : ndarray of uint8
        What words become (see `Forms`).
    """

    cleaning: Cleaning = Cleaning()  # noqa: RUF009, it is frozen
    forms: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))

    @classmethod
    def checked(cls, cleaning: Cleaning, forms: NDArray[np.uint8]) -> "Chain":
        """Make a chain of what was read from a file; ValueError if `forms` is no table."""
        if forms.ndim != 1 or forms.dtype != np.uint8:
            raise ValueError(f"forms has shape {forms.shape} and type {forms.dtype}, not (bytes,) and uint8")
        chain = cls(cleaning, forms)
        _ = chain.clean
        return chain

    @cached_property
    def clean(self) -> Step:
        """Text in, text out."""
        return cleaner(self.cleaning, Forms.from_array(self.forms))
