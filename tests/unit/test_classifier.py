"""The classifier: what lengthens, shortens, balances and sharpens its answers, and that it is reproducible."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from sentiment.training.calibration import folds_of, held_out_parts
from sentiment.training.classifier import SHORT_NGRAMS, NaiveBayesLogisticRegression, _shortened
from sentiment.training.evaluate import evaluate

BINARY = ["negative", "positive"]


def _rows(seed: int, rows: int, share: float, columns: int = 200) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Texts in which each n-gram is present by chance and pulls to one side."""
    pull = np.random.default_rng(1).normal(size=columns)
    rng = np.random.default_rng(seed)
    X = sparse.csr_matrix((rng.random((rows, columns)) < share).astype(float))  # noqa: N806
    return X, np.where(X @ pull + rng.normal(size=rows) > pull.sum() * share, "positive", "negative")


@pytest.fixture(scope="module")
def fitted() -> NaiveBayesLogisticRegression:
    return NaiveBayesLogisticRegression(BINARY).fit(*_rows(2, 1500, 0.15))


def test_held_out_probabilities_are_calibrated_and_likelier_than_unsharpened(
    fitted: NaiveBayesLogisticRegression,
) -> None:
    X, y = _rows(3, 3000, 0.15)  # noqa: N806
    evidence = (fitted.decision_function(X) - fitted.intercepts_) / fitted.sharpness_
    raw = 1 / (1 + np.exp(-evidence - fitted.intercepts_))
    before = evaluate(y.tolist(), np.column_stack([1 - raw, raw]), BINARY)
    after = evaluate(y.tolist(), fitted.predict_proba(X), BINARY)
    assert after["log_loss"] < before["log_loss"]
    assert after["expected_calibration_error"] < 0.04
    assert after["accuracy"] > 0.8


def test_evidence_grows_with_the_square_root_of_the_length(fitted: NaiveBayesLogisticRegression) -> None:
    best = np.argsort(-fitted.weights_[0])[:1]
    one = sparse.csr_matrix((np.ones(1), best, [0, 1]), shape=(1, 200))
    assert fitted.decision_function(one)[0] - fitted.intercepts_[0] == pytest.approx(fitted.weights_[0].max())
    every = sparse.csr_matrix(np.ones((1, 200)))
    evidence = fitted.decision_function(every)[0] - fitted.intercepts_[0]
    assert evidence == pytest.approx(fitted.weights_.sum(dtype=float) / np.sqrt(200))


def test_a_text_without_known_words_has_the_odds_of_the_training_rows() -> None:
    X, y = _rows(4, 1000, 0.15)  # noqa: N806
    keep = (y == "positive") | (np.arange(1000) % 4 == 0)
    X, y = X[keep], y[keep]  # noqa: N806
    share, nothing = (y == "positive").mean(), sparse.csr_matrix((1, 200))
    model = NaiveBayesLogisticRegression(BINARY).fit(X, y)
    assert model.predict_proba(nothing)[0, 1] == pytest.approx(share, abs=0.002)
    balanced = NaiveBayesLogisticRegression(BINARY, balanced=True).fit(X, y)
    assert balanced.predict_proba(nothing)[0, 1] == pytest.approx(0.5, abs=0.002)


def test_balancing_finds_more_of_a_rare_label() -> None:
    X, y = _rows(5, 3000, 0.15)  # noqa: N806
    keep = (y == "positive") | (np.arange(3000) % 10 == 0)
    X, y = X[keep], y[keep]  # noqa: N806
    half = len(y) // 2
    scores = {}
    for balanced in (False, True):
        model = NaiveBayesLogisticRegression(BINARY, balanced=balanced).fit(X[:half], y[:half])
        scores[balanced] = (model.predict(X[half:])[y[half:] == "negative"] == "negative").mean()
    assert scores[True] > scores[False] + 0.05


def test_shortened_copies_keep_a_random_part_of_long_rows_only() -> None:
    sizes = [5, 2 * SHORT_NGRAMS - 1, 2 * SHORT_NGRAMS, 1900]
    X = sparse.csr_matrix(np.arange(2000) < np.array(sizes)[:, None], dtype=float)  # noqa: N806
    copies = _shortened(X, np.random.default_rng(0))
    assert copies.of.tolist() == [2, 3]
    kept = copies.X.toarray() > 0
    assert not np.any(kept & (X[[2, 3]].toarray() == 0))
    np.testing.assert_allclose(kept.sum(axis=1), SHORT_NGRAMS, atol=4 * SHORT_NGRAMS**0.5)
    assert not np.array_equal(copies.X.indices, _shortened(X, np.random.default_rng(1)).X.indices)


@pytest.mark.parametrize("rows", [12, 249, 2501])
def test_folds_hold_neighbours_and_the_same_share_of_each_label(rows: int) -> None:
    codes = (np.arange(rows) % 3 == 0).astype(np.intp)
    folds = folds_of(codes)
    for label in (0, 1):
        counts = np.bincount(folds[codes == label], minlength=5)
        assert counts.max() - counts.min() <= max(1, rows // 50)
    if rows > 2000:
        of_label = folds[codes == 0]
        assert np.mean(of_label[1:] == of_label[:-1]) > 0.9


def test_a_warm_start_ends_where_a_cold_one_does_and_sees_no_held_out_row() -> None:
    X, y = _rows(6, 1500, 0.15)  # noqa: N806
    solutions = NaiveBayesLogisticRegression(BINARY, inverse_regularization=10.0).fit_after(X, y, ())
    warm, cold = (NaiveBayesLogisticRegression(BINARY, inverse_regularization=20.0) for _ in range(2))
    warm.fit_after(X, y, solutions)
    cold.fit(X, y)
    np.testing.assert_allclose(warm.predict_proba(X), cold.predict_proba(X), atol=0.02)  # of the solver's tolerance
    assert not np.array_equal(warm.weights_, cold.weights_), "it began elsewhere"
    parts = len(list(held_out_parts((y == "positive").astype(np.intp), 5_000)))
    assert len(solutions) == parts + 1, "each held-out part goes on from a solution that has not seen it"


SIZED_FIT = """
import numpy as np
from scipy import sparse
from sentiment.training.classifier import NaiveBayesLogisticRegression
X = sparse.random(2000, 60_000, density=0.004, format="csr", rng=np.random.default_rng(0))
X.data[:] = 1.0
y = np.where(X @ np.random.default_rng(1).normal(size=60_000) > 0, "positive", "negative")
model = NaiveBayesLogisticRegression().fit(X, y)
print(hash((model.weights_.tobytes(), model.intercepts_.tobytes())))
"""


def test_the_model_is_the_same_to_the_bit_on_any_number_of_cores() -> None:
    found = set()
    for threads in ("1", "7"):
        number = {f"{library}_NUM_THREADS": threads for library in ("OMP", "OPENBLAS", "MKL")}
        done = subprocess.run(
            [sys.executable, "-c", SIZED_FIT],
            env={**os.environ, "PYTHONHASHSEED": "0", **number},
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout.strip())
    assert len(found) == 1
    assert found != {""}
