"""What the vectorizers share: their tags, and the way from cells to a matrix."""

from collections.abc import Iterable

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from sentiment.features.cells import Cells


class TextTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer that reads texts, as scikit-learn knows it."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags


def matrix(found: Iterable[Cells], width: int, *, binary: bool) -> sparse.csr_matrix:
    """Put the cells of runs of rows together: ones if `binary`, else counts, as float64."""
    columns, counts, ends, size = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.zeros(1, np.int64)], 0
    for cells in found:
        columns.append(cells.columns)
        if not binary:
            counts.append(cells.counts)
        ends.append(cells.ends + size)
        size += len(cells.columns)
    data = np.ones(size) if binary else np.concatenate(counts).astype(np.float64)
    indptr = np.concatenate(ends)
    return sparse.csr_matrix((data, np.concatenate(columns), indptr), shape=(len(indptr) - 1, width))
