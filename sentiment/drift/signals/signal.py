"""The outcome of comparing one property of two samples."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Signal:
    """How far one property of the current texts is from the reference.

    Attributes
    ----------
    name : str
        One of the names in `sentiment.drift.signals`.
    p_value : float
        Chance of a difference this large between two samples of the same texts.
    distance : float
        0 (the same) to 1 (nothing in common).
    reference, current : float
        The mean of each side; for a mix, the share of the category that moved most; for the text, how alike two
        texts of the reference are, and a text of each side.
    description : str
        What `reference` and `current` are, in plain words.
    """

    name: str
    p_value: float
    distance: float
    reference: float
    current: float
    description: str


def unit(value: float) -> float:
    """Return a value within 0 and 1 that rounding took out of it."""
    return min(1.0, max(0.0, value))
