"""The vectorizer without a vocabulary: the key of an n-gram says its column."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval

from sentiment.features.cells import cells
from sentiment.features.corpus import in_batches
from sentiment.features.estimator import TextTransformer, matrix
from sentiment.features.tokens import NO_NGRAM, ngram_keys
from sentiment.features.vocabulary import UNKNOWN


def hashed_columns(keys: NDArray[np.uint64], n_features: int) -> NDArray[np.int32]:
    """Return the column of each key: its leading 32 bits, scaled to the number of columns."""
    columns = ((keys >> np.uint64(32)) * np.uint64(n_features) >> np.uint64(32)).astype(np.int32)
    columns[keys == NO_NGRAM] = UNKNOWN
    return columns


class HashedNgramVectorizer(TextTransformer):
    """Word n-grams in a fixed number of columns, with nothing to learn, to store or to look up.

    Different n-grams can share a column, and then count as one. With n distinct n-grams in d columns, an
    n-gram meets another with probability ``1 - exp(-n / d)``: a million n-grams in the default million
    columns, 63 in 100; in 2**24 columns, 6 in 100. Unlike ``HashingVectorizer``, no count is negative, so that
    naive-Bayes ratios can be taken, and rows are not normalised.

    Parameters
    ----------
    max_ngram : int
        Longest n-gram, in tokens.
    n_features : int
        Number of columns, up to 2**31 - 1.
    binary : bool
        True for ones where an n-gram is present, False for how often it is.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_ngram": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, 1, np.iinfo(np.int32).max, closed="both")],
        "binary": ["boolean"],
    }

    def __init__(self, max_ngram: int = 3, n_features: int = 1 << 20, binary: bool = True) -> None:
        self.max_ngram = max_ngram
        self.n_features = n_features
        self.binary = binary

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def fit(self, texts: Iterable[str], y: object = None) -> Self:
        """Check the parameters; there is nothing to learn."""
        self._validate_params()
        return self

    def partial_fit(self, texts: Iterable[str], y: object = None) -> Self:
        """Check the parameters; there is nothing to learn."""
        self._validate_params()
        return self

    def transform(self, texts: Iterable[str]) -> sparse.csr_matrix:
        """Return a CSR matrix, shape (texts, n_features)."""
        self._validate_params()
        batches = (ngram_keys(batch, self.max_ngram) for batch in in_batches(texts))
        found = (
            cells(
                ngrams.rows,
                hashed_columns(ngrams.keys, self.n_features),
                height=ngrams.texts,
                width=self.n_features,
            )
            for ngrams in batches
        )
        return matrix(found, self.n_features, binary=self.binary)
