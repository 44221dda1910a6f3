"""Which of the frequent n-grams become columns, and their keys and words, put together from their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentiment.features.counts import Level, chi_squared
from sentiment.features.dictionary import Dictionary
from sentiment.features.tokens import longer_keys
from sentiment.features.vocabulary import UNKNOWN, Vocabulary


@dataclass(frozen=True)
class Selection:
    """The chosen n-grams.

    Attributes
    ----------
    vocabulary : Vocabulary
        Their keys and words, in column order.
    columns : list of ndarray of int32
        Of each level, the column of each of its n-grams, `UNKNOWN` if it was not chosen; one more entry at the
        end, so that `UNKNOWN` leads to `UNKNOWN`.
    """

    vocabulary: Vocabulary
    columns: list[NDArray[np.int32]]


def select(
    levels: Sequence[Level], dictionary: Dictionary, *, most: int | None, class_sizes: NDArray[np.intp]
) -> Selection:
    """Choose at most `most` n-grams: the highest chi-squared against the classes, with one class the most frequent.

    Among equals the least key wins, so that the choice does not depend on the order of the texts.
    """
    keys = np.concatenate(_keys(levels, dictionary))
    order = np.argsort(keys)
    if most is not None and len(keys) > most:
        counts = np.concatenate([level.counts for level in levels], axis=1)
        value = chi_squared(counts, class_sizes) if len(class_sizes) > 1 else counts[0]
        order = order[np.sort(np.argsort(-value[order], kind="stable")[:most])]
    columns = np.full(len(keys), UNKNOWN, np.int32)
    columns[order] = np.arange(len(order), dtype=np.int32)
    text, ends = _words(levels, dictionary, order)
    parts = np.split(columns, np.cumsum([len(level) for level in levels])[:-1])
    return Selection(Vocabulary(keys[order], text, ends), [np.append(part, np.int32(UNKNOWN)) for part in parts])


def _keys(levels: Sequence[Level], dictionary: Dictionary) -> list[NDArray[np.uint64]]:
    """Key of each n-gram of each level."""
    keys = [dictionary.keys[levels[0].prefixes]]
    for level in levels[1:]:
        keys.append(longer_keys(keys[-1][level.prefixes], keys[0][level.lasts]))
    return keys


def _words(
    levels: Sequence[Level], dictionary: Dictionary, chosen: NDArray[np.intp]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Words of the chosen n-grams end to end in UTF-8, and where each ends."""
    tokens = _tokens(levels)[chosen]
    encoded = [word.encode() + b" " for word in dictionary.words]
    sizes = np.array([len(word) for word in encoded], np.int64)
    begins = np.cumsum(sizes) - sizes
    is_token = tokens != UNKNOWN
    pieces = tokens[is_token]
    lengths = sizes[pieces]
    lasts = np.cumsum(is_token.sum(axis=1)) - 1
    lengths[lasts] -= 1  # no space after the last token
    ends = np.cumsum(lengths)
    source = np.repeat(begins[pieces] - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)
    return np.frombuffer(b"".join(encoded), np.uint8)[source], ends[lasts]


def _tokens(levels: Sequence[Level]) -> NDArray[np.int32]:
    """Return the numbers in the dictionary of the tokens of each n-gram, padded with `UNKNOWN`."""
    first, stacked = levels[0].prefixes, [levels[0].prefixes[:, None]]
    for level in levels[1:]:
        stacked.append(np.column_stack([stacked[-1][level.prefixes], first[level.lasts]]))
    tokens = np.full((sum(map(len, levels)), len(levels)), UNKNOWN, np.int32)
    begin = 0
    for length, rows in enumerate(stacked, start=1):
        tokens[begin : begin + len(rows), :length] = rows
        begin += len(rows)
    return tokens
