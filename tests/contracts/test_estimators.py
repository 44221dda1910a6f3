"""The vectorizers keep scikit-learn's contract for estimators."""

from typing import Any, Self

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags, get_tags
from sklearn.utils.estimator_checks import (
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_get_params_invariance,
    check_mixin_order,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
    check_valid_tag_types,
    parametrize_with_checks,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from sentiment.features.hashed import HashedNgramVectorizer
from sentiment.features.ngrams import NgramVectorizer

VECTORIZERS = [NgramVectorizer(), NgramVectorizer(binary=False), HashedNgramVectorizer()]
OF_CLASSES = (
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_get_params_invariance,
    check_mixin_order,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
    check_valid_tag_types,
)
"""The checks that need no data; scikit-learn makes up numbers for the others."""


class OfRows:
    """Lets a vectorizer read the rows of numbers that scikit-learn's checks make up: a word for each number."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = False, True
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        return super().fit(self._texts(X, reset=True), y)

    def transform(self, X: Any) -> sparse.csr_matrix:  # noqa: N803
        if get_tags(self).requires_fit:
            check_is_fitted(self)
        return super().transform(self._texts(X, reset=False))

    def _texts(self, X: Any, *, reset: bool) -> list[str]:  # noqa: N803
        rows = validate_data(self, X, reset=reset)
        return [" ".join(f"c{column}v{value:.0f}" for column, value in enumerate(row)) for row in rows.tolist()]


class LearningOfRows(OfRows, NgramVectorizer):
    def fit_transform(self, X: Any, y: Any = None) -> sparse.csr_matrix:  # noqa: N803
        return super().fit_transform(self._texts(X, reset=True), y)

    def partial_fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        return super().partial_fit(self._texts(X, reset=not hasattr(self, "n_features_in_")), y)


class HashingOfRows(OfRows, HashedNgramVectorizer):
    def partial_fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        return super().partial_fit(self._texts(X, reset=not hasattr(self, "n_features_in_")), y)


def _not_kept(estimator: Any) -> dict[str, str]:
    if isinstance(estimator, HashingOfRows):
        return {}
    forgotten = "it calls partial_fit after fit, which has let go of its texts and says so instead of starting anew"
    return {"check_fit_score_takes_y": forgotten}


@parametrize_with_checks(
    [LearningOfRows(min_documents=1), HashingOfRows(max_ngram=2)], expected_failed_checks=_not_kept, xfail_strict=True
)
def test_scikit_learn_finds_nothing_wrong_on_rows_made_into_texts(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("vectorizer", VECTORIZERS, ids=repr)
@pytest.mark.parametrize("check", OF_CLASSES, ids=lambda check: check.__name__)
def test_scikit_learn_finds_nothing_wrong_with_the_classes(vectorizer: Any, check: Any) -> None:
    check(type(vectorizer).__name__, clone(vectorizer))


@pytest.mark.parametrize("vectorizer", VECTORIZERS, ids=repr)
def test_tags_say_that_texts_are_read(vectorizer: Any) -> None:
    tags = get_tags(vectorizer)
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.requires_fit == isinstance(vectorizer, NgramVectorizer)


def test_an_unfitted_vectorizer_says_so() -> None:
    for ask in (lambda new: new.transform(["a"]), lambda new: new.get_feature_names_out()):
        with pytest.raises(NotFittedError):
            ask(NgramVectorizer())


@pytest.mark.parametrize("parameter", [{"max_ngram": 0}, {"min_documents": 0}, {"max_features": 0}, {"binary": 2}])
def test_parameters_out_of_bounds_are_named(parameter: dict[str, Any]) -> None:
    (name,) = parameter
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        NgramVectorizer(**parameter).fit(["a", "a"])
    with pytest.raises(ValueError, match="'n_features' parameter"):
        HashedNgramVectorizer(n_features=0).transform(["a"])


def test_texts_can_be_an_array() -> None:
    texts = np.array(["good film", "good"], dtype=object)
    assert (NgramVectorizer().fit_transform(texts) != NgramVectorizer().fit_transform(texts.tolist())).nnz == 0
