"""Texts as numbered tokens: read and cut into tokens once, counted and made into a matrix from there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentiment.errors import DataError
from sentiment.features.clean import clean
from sentiment.features.dictionary import Dictionary
from sentiment.features.spool import Spool
from sentiment.features.steps import Step
from sentiment.features.tokens import BATCH_CHARACTERS, ngram_keys

CHUNK_TOKENS: Final = 1 << 21
"""Tokens that are counted at a time: bounds memory."""

PIECE_TOKENS: Final = 1 << 15
"""Tokens that are worked on at a time: the working arrays stay in the cache."""


def in_batches(texts: Iterable[str], limit: int = BATCH_CHARACTERS) -> Iterator[list[str]]:
    """Gather texts, which may come one by one, into lists of at least `limit` characters; the last has fewer.

    Raises
    ------
    DataError
        Something among the texts is not a string.
    """
    if isinstance(texts, str):
        raise DataError("One text was given where a list of texts is needed.", fix="Pass [text].")
    batch, size = list[str](), 0
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"Text {position} is a {type(text).__name__}, not a string.",
                fix="Drop rows without text first.",
            )
        batch.append(text)
        size += len(text) + 1
        if size >= limit:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(frozen=True)
class Chunk:
    """A run of whole texts.

    Attributes
    ----------
    texts : slice
        Which texts of the corpus.
    length : int
        How many tokens they have.
    tokens : int
        Ticket of the numbers of their tokens, end to end (int32).
    rows : int
        Ticket of the text of each token, counted from 0 within the chunk (int32).
    """

    texts: slice
    length: int
    tokens: int
    rows: int

    def pieces(self, rows: NDArray[np.int32]) -> Iterator[tuple[slice, slice]]:
        """Cut the chunk into runs of whole texts: their tokens, and their texts within the chunk."""
        texts = self.texts.stop - self.texts.start
        borders = np.unique(np.append(rows[PIECE_TOKENS::PIECE_TOKENS], [0, texts]))
        cuts = np.searchsorted(rows, borders)
        for place in range(len(borders) - 1):
            yield slice(cuts[place], cuts[place + 1]), slice(int(borders[place]), int(borders[place + 1]))


class Corpus:
    """The texts seen so far, as numbered tokens: 8 bytes a token, in files when they are many."""

    def __init__(self, clean: Step = clean) -> None:
        self._clean = clean
        self.dictionary = Dictionary()
        self.spool = Spool()
        self.texts = 0
        self._chunks: list[Chunk] = []
        self._open: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = []
        self._begin = self._waiting = 0

    def add(self, texts: Sequence[str]) -> None:
        """Take in a batch of texts."""
        ngrams = ngram_keys(texts, 1, self._clean)
        rows = ngrams.rows.astype(np.int32) + np.int32(self.texts - self._begin)
        self._open.append((self.dictionary.numbers(ngrams), rows))
        self.texts += ngrams.texts
        self._waiting += len(rows)
        if self._waiting >= CHUNK_TOKENS:
            self._close()

    def chunks(self) -> list[Chunk]:
        """Return all texts, a chunk at a time."""
        if self._open:
            self._close()
        return self._chunks

    def _close(self) -> None:
        tokens, rows = (np.concatenate(arrays) for arrays in zip(*self._open, strict=True))
        texts = slice(self._begin, self.texts)
        self._chunks.append(Chunk(texts, len(tokens), self.spool.put(tokens), self.spool.put(rows)))
        self._open, self._begin, self._waiting = [], self.texts, 0
