"""Answering only when sure: thresholds follow the calibration, the curve follows the labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.errors import DataError, NotEnoughDataError
from sentiment.training.coverage import coverage_curve

NAMES = ("negative", "positive")
LABELS = ["positive", "positive", "negative", "negative"]
POSITIVE = np.array([0.9, 0.7, 0.3, 0.6])


def test_the_curve_goes_from_the_surest_text_to_all() -> None:
    curve = coverage_curve(LABELS, np.column_stack([1 - POSITIVE, POSITIVE]), NAMES)
    np.testing.assert_allclose(curve.thresholds, [0.9, 0.7, 0.6])
    np.testing.assert_allclose(curve.coverage, [0.25, 0.75, 1.0])
    np.testing.assert_allclose(curve.expected, [0.9, 2.3 / 3, 2.9 / 4])
    np.testing.assert_allclose(curve.accuracy, [1.0, 1.0, 0.75])
    assert curve.threshold(0.75) == pytest.approx(0.7)
    assert curve.threshold(0.1) == pytest.approx(0.6)
    assert curve.threshold(0.95) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.5, 1))
def test_at_the_threshold_the_answered_texts_promise_the_accuracy(positive: list[float], accuracy: float) -> None:
    matrix = np.column_stack([1 - np.array(positive), positive])
    curve = coverage_curve(["positive"] * len(positive), matrix, NAMES)
    confidence = matrix.max(axis=1)
    assert curve.coverage[-1] == 1.0
    assert np.all(np.diff(curve.thresholds) < 0)
    threshold = curve.threshold(accuracy)
    if threshold is None:
        assert confidence.max() <= accuracy + 1e-9
    else:
        assert confidence[confidence >= threshold].mean() >= accuracy - 1e-9


def test_no_rows_and_other_shapes_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="no rows"):
        coverage_curve([], np.empty((0, 2)), NAMES)
    with pytest.raises(DataError, match=r"shape \(3, 2\), not \(4, 2\)"):
        coverage_curve(LABELS, np.full((3, 2), 0.5), NAMES)
