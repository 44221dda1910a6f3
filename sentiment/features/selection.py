"""Which of the frequent n-grams become columns, and their keys and words, put together from their tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentiment.features.counts import Level, chi_squared
from sentiment.features.dictionary import Dictionary
from sentiment.features.tokens import longer_keys
from sentiment.features.vocabulary import UNKNOWN, Vocabulary

_BLOCK: Final = 1 << 20  # n-grams that are judged at a time: bounds memory


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

    Among equals the least key wins, so that the choice does not depend on the order of the texts. The columns
    are in order of frequency: what most texts have in common lies together in memory, whoever looks it up.
    """
    chosen = _best(levels, most, class_sizes) if most is not None else [np.arange(len(level)) for level in levels]
    tokens = np.concatenate([_tokens(levels, number, rows) for number, rows in enumerate(chosen)])
    keys = _keys(tokens, dictionary)
    order = np.argsort(keys)
    if most is not None and len(keys) > most:  # some are as good as the last one
        value = np.concatenate([_value(level, class_sizes, rows) for level, rows in zip(levels, chosen, strict=True)])
        order = order[np.argsort(-value[order], kind="stable")[:most]]
    frequency = np.concatenate([level.counts[:, rows].sum(axis=0) for level, rows in zip(levels, chosen, strict=True)])
    order = order[np.lexsort((keys[order], -frequency[order]))]
    columns = np.full(len(keys), UNKNOWN, np.int32)
    columns[order] = np.arange(len(order), dtype=np.int32)
    text, ends = _words(tokens[order], dictionary)
    parts = np.split(columns, np.cumsum([len(rows) for rows in chosen])[:-1])
    spread = [_spread(part, rows, level) for part, rows, level in zip(parts, chosen, levels, strict=True)]
    return Selection(Vocabulary(keys[order], text, ends), spread)


def _best(levels: Sequence[Level], most: int, class_sizes: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Return, of each level, the n-grams that are among the best, with all that are as good as the last."""
    values = [
        np.concatenate([np.empty(0), *(_value(level, class_sizes, rows) for rows in _blocks(len(level)))])
        for level in levels
    ]
    total = sum(map(len, values))
    least = np.partition(np.concatenate(values), total - most)[total - most] if most < total else -np.inf
    return [np.flatnonzero(value >= least) for value in values]


def _blocks(rows: int) -> Iterator[NDArray[np.intp]]:
    return (np.arange(begin, min(begin + _BLOCK, rows)) for begin in range(0, rows, _BLOCK))


def _value(level: Level, class_sizes: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    counts = level.counts[:, rows]
    return chi_squared(counts, class_sizes) if len(class_sizes) > 1 else counts[0].astype(np.float64)


def _tokens(levels: Sequence[Level], number: int, rows: NDArray[np.intp]) -> NDArray[np.int32]:
    """Return the numbers in the dictionary of the tokens of some n-grams, padded with `UNKNOWN`."""
    tokens = np.full((len(rows), len(levels)), UNKNOWN, np.int32)
    for length in range(number, 0, -1):
        tokens[:, length] = levels[0].prefixes[levels[length].lasts[rows]]
        rows = levels[length].prefixes[rows].astype(np.intp)
    tokens[:, 0] = levels[0].prefixes[rows]
    return tokens


def _keys(tokens: NDArray[np.int32], dictionary: Dictionary) -> NDArray[np.uint64]:
    """Return the keys that the kernel gives to the n-grams of these tokens."""
    keys = dictionary.keys[tokens[:, 0]]
    for last in tokens.T[1:]:
        longer = np.flatnonzero(last != UNKNOWN)
        keys[longer] = longer_keys(keys[longer], dictionary.keys[last[longer]])
    return keys


def _spread(columns: NDArray[np.int32], rows: NDArray[np.intp], level: Level) -> NDArray[np.int32]:
    spread = np.full(len(level) + 1, UNKNOWN, np.int32)
    spread[rows] = columns
    return spread


def _words(tokens: NDArray[np.int32], dictionary: Dictionary) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the words of n-grams end to end in UTF-8, and where each ends."""
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
