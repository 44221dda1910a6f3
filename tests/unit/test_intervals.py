"""The intervals hold what they promise: about 95 of 100 contain the true value."""

from collections import Counter

import numpy as np
import pytest

from sentiment.training.evaluate import evaluate, measure
from sentiment.training.intervals import bootstrap, share_interval

NAMES = ("negative", "positive")
SHARPNESS = 1.6  # of an overconfident model: its log-odds are that many times what they should be


def _draw(rng: np.random.Generator, rows: int) -> tuple[list[str], np.ndarray]:
    margins = rng.normal(0.3, 1.8, rows)
    positive = rng.random(rows) < 1 / (1 + np.exp(-margins))
    shown = 1 / (1 + np.exp(-SHARPNESS * margins))
    return [NAMES[int(label)] for label in positive], np.column_stack([1 - shown, shown])


def test_95_of_100_intervals_hold_the_true_value() -> None:
    rng, trials = np.random.default_rng(1), 200
    truth = evaluate(*_draw(rng, 200_000), NAMES, resamples=0)
    held: Counter[str] = Counter()
    for trial in range(trials):
        intervals = bootstrap(measure(*_draw(rng, 300), NAMES), resamples=200, seed=trial)
        held.update(name for name, (low, high) in intervals.items() if low <= truth[name] <= high)
    for name in (
        "accuracy",
        "macro_f1",
        "weighted_f1",
        "auc",
        "log_loss",
        "brier",
        "recall_positive",
        "precision_negative",
    ):
        assert 0.91 <= held[name] / trials <= 0.985, (name, held[name] / trials)
    assert held["expected_calibration_error"] / trials >= 0.93


def test_the_interval_of_a_calibrated_models_error_reaches_to_zero() -> None:
    rng, trials = np.random.default_rng(2), 100
    reached = 0
    for trial in range(trials):
        positive = rng.random(400)
        labels = [NAMES[int(label)] for label in rng.random(400) < positive]
        measures = measure(labels, np.column_stack([1 - positive, positive]), NAMES)
        reached += bootstrap(measures, resamples=100, seed=trial)["expected_calibration_error"][0] == 0
    assert 0.9 <= reached / trials < 1, "chance alone shows more than the interval allows now and then"


def test_all_right_is_not_certainty() -> None:
    found = evaluate(["positive"] * 50, [[0.1, 0.9]] * 50, NAMES)
    assert found["accuracy_low"] == pytest.approx(0.9289, abs=1e-4)
    assert found["accuracy_high"] == 1
    wrong = evaluate(["negative"] * 50, [[0.1, 0.9]] * 50, NAMES)
    assert (wrong["accuracy_low"], wrong["accuracy_high"]) == (0, pytest.approx(1 - 0.9289, abs=1e-4))


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    measures = measure(*_draw(np.random.default_rng(3), 500), NAMES)
    first, again, other = (bootstrap(measures, resamples=200, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["auc"] != other["auc"]


def test_more_rows_make_a_narrower_interval() -> None:
    rng = np.random.default_rng(4)
    few, many = (bootstrap(measure(*_draw(rng, rows), NAMES))["accuracy"] for rows in (200, 20_000))
    assert (few[1] - few[0]) / (many[1] - many[0]) == pytest.approx(10, rel=0.25)


def test_wilsons_interval_is_the_published_one() -> None:
    low, high = share_interval(np.array([81, 0, 10]), np.array([263, 20, 10]))  # Newcombe 1998, table 1
    assert low == pytest.approx([0.2553, 0.0, 0.7225], abs=1e-4)
    assert high == pytest.approx([0.3662, 0.1611, 1.0], abs=1e-4)
