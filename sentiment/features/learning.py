"""Texts that are learnt from: taken in a batch at a time, then counted, chosen from and made into cells."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from sentiment.cleaning import Cleaning
from sentiment.errors import DataError, NotEnoughDataError
from sentiment.features.cells import Cells, cells
from sentiment.features.chain import cleaner
from sentiment.features.corpus import Chunk, Corpus, in_batches
from sentiment.features.counts import Counter, Level
from sentiment.features.normal import learning_forms
from sentiment.features.selection import Selection, select


class Learner:
    """The texts of one vocabulary, with labels or without, and what cleaning learns of their words (`forms`)."""

    def __init__(self, cleaning: Cleaning) -> None:
        self.forms = learning_forms(cleaning)
        self._corpus = Corpus(cleaner(cleaning, self.forms))
        self._labels: list[Any] | None = None
        self._levels: list[Level] = []

    def add(self, texts: Iterable[str], labels: Sequence[Any] | None) -> None:
        """Take in texts.

        Raises
        ------
        DataError
            Something among the texts is not a string, there are not as many labels as texts, or some calls
            gave labels and others did not.
        """
        labels = None if labels is None else np.ravel(np.asarray(labels)).tolist()
        before = self._corpus.texts
        if before and (labels is None) != (self._labels is None):
            raise DataError("Some batches have labels and others have none.", fix="Pass labels always, or never.")
        if isinstance(texts, Sized):
            _agree(len(texts), labels)
        for batch in in_batches(texts):
            self._corpus.add(batch)
        _agree(self._corpus.texts - before, labels)
        if labels is not None:
            self._labels = [*(self._labels or ()), *labels]

    def select(self, *, longest: int, least: int, most: int | None, by_label: bool = True) -> Selection:
        """Choose the n-grams (see `NgramVectorizer`).

        Raises
        ------
        NotEnoughDataError
            No n-gram is in `least` texts.
        """
        texts = self._corpus.texts
        if most is None or self._labels is None or not by_label:
            sizes, classes = np.array([texts]), np.zeros(texts, np.intp)
        else:
            _, classes, sizes = np.unique(np.asarray(self._labels), return_inverse=True, return_counts=True)
        counter = Counter(self._corpus, classes, len(sizes), least=least)
        self._levels = counter.levels(longest)
        if not len(self._levels[0]):
            raise NotEnoughDataError(
                f"No word or word sequence occurs in {least} of the {texts} texts.",
                fix="Deliver more texts, or lower training.min_documents.",
            )
        return select(self._levels, self._corpus.dictionary, most=most, class_sizes=sizes)

    def cells(self, selection: Selection) -> Iterator[Cells]:
        """Return the cells of the matrix of the texts, some texts at a time."""
        for number, chunk in enumerate(self._corpus.chunks()):
            yield from self._chunk_cells(number, chunk, selection)

    def _chunk_cells(self, number: int, chunk: Chunk, selection: Selection) -> Iterator[Cells]:
        get = self._corpus.spool.get
        rows, numbers = get(chunk.rows), [get(level.numbers[number]) for level in self._levels]
        for piece, texts in chunk.pieces(rows):
            columns = np.stack([column[each[piece]] for column, each in zip(selection.columns, numbers, strict=True)])
            height = texts.stop - texts.start
            yield cells(rows[piece] - texts.start, columns, height=height, width=len(selection.vocabulary))


def _agree(texts: int, labels: Sequence[Any] | None) -> None:
    if labels is not None and len(labels) != texts:
        raise DataError(f"There are {texts} texts but {len(labels)} labels.", fix="Pass one label a text.")
