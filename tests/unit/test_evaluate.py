"""The figures of an evaluation are those of scikit-learn, and never NaN."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from sentiment.errors import DataError, NotEnoughDataError
from sentiment.labels import LABELS, LabelScheme
from sentiment.training.evaluate import evaluate, measure

BINARY = LABELS[LabelScheme.binary]
STARS = LABELS[LabelScheme.five_star]


def _example(names: tuple[str, ...], rows: int = 400) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(len(names)), size=rows)
    return [names[rng.choice(len(names), p=row)] for row in probabilities], probabilities


@pytest.mark.parametrize("names", [BINARY, STARS])
def test_the_figures_are_those_of_scikit_learn(names: tuple[str, ...]) -> None:
    labels, probabilities = _example(names)
    predicted = [names[column] for column in probabilities.argmax(axis=1)]
    found = evaluate(labels, probabilities, names)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert found["weighted_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="weighted"))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, probabilities, labels=list(names)))
    per_label = metrics.precision_recall_fscore_support(labels, predicted, labels=list(names))
    for kind, expected in zip(("precision", "recall", "f1"), per_label, strict=False):
        assert [found[f"{kind}_{name}"] for name in names] == pytest.approx(expected.tolist())
    truth = np.array(labels)[:, None] == np.array(names)
    if len(names) == 2:
        assert found["brier"] == pytest.approx(metrics.brier_score_loss(truth[:, 1], probabilities[:, 1]))
        assert found["auc"] == pytest.approx(metrics.roc_auc_score(truth[:, 1], probabilities[:, 1]))
    else:
        assert found["brier"] == pytest.approx(((truth - probabilities) ** 2).sum(axis=1).mean())
        auc = metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
        assert found["auc"] == pytest.approx(auc)


def test_rows_that_count_several_times_count_as_with_sample_weights() -> None:
    labels, probabilities = _example(BINARY)
    counts = np.random.default_rng(5).integers(0, 4, (3, len(labels))).astype(float)
    probabilities = probabilities.round(1)  # with ties
    found = measure(labels, probabilities, BINARY).of(counts)
    predicted = [BINARY[column] for column in probabilities.argmax(axis=1)]
    truth = np.array(labels) == "positive"
    for sample, weights in enumerate(counts):
        auc = metrics.roc_auc_score(truth, probabilities[:, 1], sample_weight=weights)
        assert found["auc"][sample] == pytest.approx(auc)
        macro = metrics.f1_score(labels, predicted, average="macro", sample_weight=weights)
        assert found["macro_f1"][sample] == pytest.approx(macro)
        brier = metrics.brier_score_loss(truth, probabilities[:, 1], sample_weight=weights)
        assert found["brier"][sample] == pytest.approx(brier)


def test_what_is_not_defined_is_absent() -> None:
    found = evaluate(["1", "1", "2"], np.eye(5)[[0, 1, 1]], STARS)
    assert {"precision_2", "recall_1", "f1_1"} <= set(found)
    assert not {"precision_3", "recall_3", "f1_3", "precision_1_x"} & set(found)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2), "over the labels that occur or were predicted"


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    labels = ["positive"] * 6 + ["negative"] * 4
    sure = evaluate(labels, [[0.1, 0.9]] * 10, BINARY)
    fair = evaluate(labels, [[0.4, 0.6]] * 10, BINARY)
    assert sure["expected_calibration_error"] == pytest.approx(0.3)
    assert fair["expected_calibration_error"] == pytest.approx(0.0)


def test_opposite_errors_in_different_bins_do_not_cancel() -> None:
    labels = ["positive"] * 4
    found = evaluate(labels, [[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.4, 0.6]], BINARY)
    assert found["expected_calibration_error"] == pytest.approx((0.8 + 0.4) / 2)


def test_a_certain_mistake_costs_much_but_not_infinitely_much() -> None:
    found = evaluate(["positive", "negative"], [[1.0, 0.0], [1.0, 0.0]], BINARY)
    assert 10 < found["log_loss"] < 100


def test_auc_is_absent_when_one_label_occurs() -> None:
    found = evaluate(["positive"] * 3, [[0.2, 0.8]] * 3, BINARY)
    assert "auc" not in found
    assert found["accuracy"] == 1


def test_auc_is_over_the_labels_that_occur() -> None:
    probabilities = np.array([[0.7, 0.1, 0.1, 0.05, 0.05], [0.05, 0.05, 0.1, 0.1, 0.7]])
    assert evaluate(["1", "5"], probabilities, STARS)["auc"] == 1


@given(
    st.sampled_from([BINARY, STARS]).flatmap(
        lambda names: st.tuples(
            st.just(names),
            st.lists(
                st.tuples(
                    st.sampled_from(names),
                    st.lists(st.floats(0, 1), min_size=len(names), max_size=len(names)).filter(
                        lambda row: sum(row) > 0.01
                    ),
                ),
                min_size=1,
                max_size=20,
            ),
        )
    )
)
@settings(deadline=None, max_examples=60)
def test_no_figure_is_ever_nan(case: tuple[tuple[str, ...], list[tuple[str, list[float]]]]) -> None:
    names, rows = case
    probabilities = np.array([row for _, row in rows])
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = evaluate([label for label, _ in rows], probabilities, names, resamples=20)
    assert all(type(value) is float and math.isfinite(value) for value in found.values())
    bounded = {name for name in found if not name.startswith(("log_loss", "brier"))}
    assert all(-1e-9 <= found[name] <= 1 + 1e-9 for name in bounded)
    for name in [name for name in found if f"{name}_low" in found]:
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="no rows"):
        evaluate([], np.empty((0, 2)), BINARY)
    with pytest.raises(DataError, match="Unknown labels: meh"):
        evaluate(["meh"], [[0.5, 0.5]], BINARY)
    with pytest.raises(DataError, match=r"shape \(1, 3\), not \(1, 2\)"):
        evaluate(["positive"], [[0.2, 0.3, 0.5]], BINARY)
    for row in ([math.nan, 0.5], [0.9, 0.9], [-0.5, 1.5]):
        with pytest.raises(DataError, match="not probabilities"):
            evaluate(["positive"], [row], BINARY)
