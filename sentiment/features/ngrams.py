"""The scikit-learn vectorizers on the kernel: texts to a sparse matrix of the n-grams they contain."""

from collections.abc import Iterable, Sequence
from itertools import chain
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sentiment.cleaning import Cleaning
from sentiment.errors import ModelError
from sentiment.features.cells import cells
from sentiment.features.chain import Chain
from sentiment.features.corpus import in_batches
from sentiment.features.estimator import TextTransformer, matrix
from sentiment.features.learning import Learner
from sentiment.features.selection import Selection
from sentiment.features.tokens import ngram_keys
from sentiment.features.vocabulary import Vocabulary

_LEARNT = ("keys_", "word_text_", "word_ends_", "forms_")
_AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")


class NgramVectorizer(TextTransformer):
    """Word n-grams, as ``CountVectorizer`` has them, many times faster.

    Parameters
    ----------
    max_ngram : int
        Longest n-gram, in tokens.
    min_documents : int
        N-grams in fewer texts are dropped.
    max_features : int, optional
        How many n-grams are kept: those whose presence has the highest chi-squared statistic against the
        labels if there are labels, else those in most texts. None keeps all.
    by_label : bool
        False to keep those in most texts even if there are labels.
    binary : bool
        True for ones where an n-gram is present, False for how often it is.
    cleaning : Cleaning, optional
        What is done to the texts first; None does what ``Cleaning()`` says.

    Attributes
    ----------
    forms_ : ndarray of uint8
        What words become in cleaning (see `Forms`).
    keys_, word_text_, word_ends_ : ndarray
        The vocabulary in column order (see `Vocabulary`): plain arrays, which skops stores at once. After
        `partial_fit` they are worked out when they are first asked for.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_ngram": [_AT_LEAST_ONE],
        "min_documents": [_AT_LEAST_ONE],
        "max_features": [_AT_LEAST_ONE, None],
        "by_label": ["boolean"],
        "binary": ["boolean"],
        "cleaning": [Cleaning, None],
    }

    def __init__(
        self,
        max_ngram: int = 3,
        min_documents: int = 2,
        max_features: int | None = None,
        by_label: bool = True,
        binary: bool = True,
        cleaning: Cleaning | None = None,
    ) -> None:
        self.max_ngram = max_ngram
        self.min_documents = min_documents
        self.max_features = max_features
        self.by_label = by_label
        self.binary = binary
        self.cleaning = cleaning

    def fit(self, texts: Iterable[str], y: Sequence[Any] | None = None) -> Self:
        """Choose the n-grams. The texts are read once: a generator will do.

        Raises
        ------
        NotEnoughDataError
            No n-gram is in `min_documents` texts.
        DataError
            Something among the texts is not a string, or there are not as many labels as texts.
        """
        self._learn(self._read(texts, y))
        return self

    def fit_transform(self, texts: Iterable[str], y: Sequence[Any] | None = None) -> sparse.csr_matrix:
        """Choose the n-grams and return the matrix of the same texts, which are read once."""
        learner = self._read(texts, y)
        return matrix(learner.cells(self._learn(learner)), len(self.keys_), binary=self.binary)

    def partial_fit(self, texts: Iterable[str], y: Sequence[Any] | None = None) -> Self:
        """Take in some texts; what is learnt is what `fit` would learn from all of them at once.

        The tokens wait, as numbers, in temporary files once they are many, so memory does not grow with the
        texts. They are not stored with the vectorizer: a copy or a stored one knows the vocabulary but takes
        in no more.

        Raises
        ------
        ModelError
            The vectorizer was fitted in another way.
        DataError
            As `fit`.
        """
        self._validate_params()
        if "_learner" not in self.__dict__:
            if _LEARNT[0] in self.__dict__:
                raise ModelError(
                    "This vectorizer has forgotten the texts it was fitted on, so it cannot take in more.",
                    fix="Begin with sklearn.base.clone(vectorizer).partial_fit(...), with all texts.",
                )
            self._learner = Learner(self.cleaning or Cleaning())
        checked = list(chain.from_iterable(in_batches(texts)))  # a bad batch is refused whole: it can be sent again
        self._learner.add(checked, y)
        for name in _LEARNT:
            self.__dict__.pop(name, None)
        return self

    def transform(self, texts: Iterable[str]) -> sparse.csr_matrix:
        """Return a CSR matrix, shape (texts, n-grams), columns in the order of `keys_`."""
        vocabulary, clean = self.vocabulary, self.chain.clean
        batches = (ngram_keys(batch, self.max_ngram, clean) for batch in in_batches(texts))
        found = (
            cells(ngrams.rows, vocabulary.columns(ngrams.keys), height=ngrams.texts, width=len(vocabulary))
            for ngrams in batches
        )
        return matrix(found, len(vocabulary), binary=self.binary)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the n-grams in column order, tokens joined by a space."""
        return np.array(self.vocabulary.words(), dtype=object)

    @property
    def vocabulary(self) -> Vocabulary:
        """The chosen n-grams."""
        check_is_fitted(self, "word_ends_")
        kept: Vocabulary | None = self.__dict__.get("_vocabulary")  # with its table, which takes a while to make
        return kept or Vocabulary(self.keys_, self.word_text_, self.word_ends_)

    @property
    def chain(self) -> Chain:
        """The cleaning, with the words it has learned."""
        check_is_fitted(self, "word_ends_")
        return Chain(self.cleaning or Cleaning(), self.forms_)

    def __getattr__(self, name: str) -> Any:
        if name in _LEARNT and "_learner" in self.__dict__:
            self._learn(self._learner)
            return self.__dict__[name]
        if name in ("vocabulary", "chain"):  # asked again, because the property ended in scikit-learn's NotFittedError
            check_is_fitted(self, "word_ends_")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        if "_learner" in self.__dict__:
            self.vocabulary  # noqa: B018  worked out now, because the texts stay behind
        left_behind = ("_learner", "_vocabulary")
        return {name: value for name, value in super().__getstate__().items() if name not in left_behind}

    def _learn(self, learner: Learner) -> Selection:
        selection = learner.select(
            longest=self.max_ngram, least=self.min_documents, most=self.max_features, by_label=self.by_label
        )
        vocabulary = self._vocabulary = selection.vocabulary
        self.keys_, self.word_text_, self.word_ends_ = vocabulary.keys, vocabulary.text, vocabulary.ends
        self.forms_ = learner.forms.to_array(vocabulary.words() if learner.forms else ())
        return selection

    def _read(self, texts: Iterable[str], y: Sequence[Any] | None) -> Learner:
        self._validate_params()
        self.__dict__.pop("_learner", None)
        learner = Learner(self.cleaning or Cleaning())
        learner.add(texts, y)
        return learner
