"""The plan of a search and its choice, both pure, and the features that its variants share."""

import pytest

from sentiment.errors import SettingsError
from sentiment.features.ngrams import NgramVectorizer
from sentiment.labels import LabelScheme
from sentiment.reviews.identity import review_id_of
from sentiment.reviews.sample import generate
from sentiment.settings import TrainingSettings
from sentiment.training.crossval import FOLDS, Rows, TrialResult, count_rows, gathered
from sentiment.training.search import STRENGTHS, Variant, choose, cross_validate_path, search, selected
from sentiment.training.studies import Study

TRAINING = TrainingSettings(max_features=600)
PRESENT = Variant.of(TRAINING)


@pytest.fixture(scope="module")
def study() -> Study[Variant]:
    return search(TRAINING, LabelScheme.binary, ["logistic"])


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str]]:
    return [(review.text, review.label) for review in generate("film", 300, seed=4)]


@pytest.fixture(scope="module")
def rows(texts: list[tuple[str, str]], study: Study[Variant]) -> Rows:
    said, labels = zip(*texts, strict=True)
    return count_rows(said, labels, [review_id_of(text) for text in said], study)


def result(variant: Variant, *accuracies: float) -> TrialResult:
    mean = sum(accuracies) / len(accuracies)
    return TrialResult(variant.name, 100, {"accuracy": mean}, {"accuracy": 0.0}, {"accuracy": list(accuracies)}, 1.0)


def judged(study: Study[Variant], of: dict[str, tuple[float, ...]]) -> list[TrialResult]:
    return [result(variant, *of.get(variant.name, (0.5, 0.5, 0.5))) for variant in study.trials]


def test_the_settings_in_force_are_tried_and_their_neighbours_one_change_at_a_time(study: Study[Variant]) -> None:
    assert PRESENT in study.trials
    names = Variant.__dataclass_fields__
    for variant in study.trials:
        if variant.model == PRESENT.model:
            changed = {name for name in names if getattr(variant, name) != getattr(PRESENT, name)}
            assert len(changed - {"inverse_regularization"}) <= 1
    assert {variant.max_ngram for variant in study.trials} == {2, 3}
    assert {variant.max_features for variant in study.trials} == {600, 1200}
    assert len({variant.name for variant in study.trials}) == len(study.trials)


def test_a_path_ascends_in_one_parameter_only(study: Study[Variant]) -> None:
    for path in study.paths().values():
        strengths = [variant.inverse_regularization for variant in path]
        assert strengths == sorted(strengths)
        assert len(strengths) == len(STRENGTHS)
        assert len({variant.path for variant in path}) == 1
    with pytest.raises(SettingsError, match="does not try 'logistic C=1' under the settings of now"):
        study.path("logistic C=1")


def test_another_model_is_tried_with_what_suits_it() -> None:
    [bag] = [
        path for name, path in search(TRAINING, LabelScheme.binary, ["bag_of_words"]).paths().items() if "bag" in name
    ]
    assert {variant.max_ngram for variant in bag} == {1}
    assert (
        bag[STRENGTHS.index(1.0)].inverse_regularization
        == TrainingSettings(model="bag_of_words").inverse_regularization
    )
    again = search(TRAINING, LabelScheme.binary, [PRESENT.model])
    assert again == search(TRAINING, LabelScheme.binary), "the model in force is tried once"


def test_imbalanced_labels_are_judged_by_macro_f1() -> None:
    assert search(TRAINING, LabelScheme.five_star).metric == "macro_f1"
    assert search(TRAINING, LabelScheme.binary).metric == "accuracy"


def test_the_best_is_chosen_when_it_gains_more_than_chance(study: Study[Variant]) -> None:
    best = study.trials[3]
    found = judged(study, {best.name: (0.72, 0.83, 0.91), PRESENT.name: (0.70, 0.80, 0.90)})
    verdict = choose(study, found, PRESENT)
    assert (verdict.chosen, verdict.better) == (best, True)
    assert verdict.gain == pytest.approx(0.02)
    assert verdict.error == pytest.approx(0.01 / 3**0.5)
    assert f"{best.name} gains 0.0200 ± 0.0058 in accuracy" in verdict.reason


def test_the_settings_in_force_stay_when_the_gain_may_be_chance(study: Study[Variant]) -> None:
    best = study.trials[3]
    found = judged(study, {best.name: (0.80, 0.70, 0.91), PRESENT.name: (0.70, 0.80, 0.90)})
    verdict = choose(study, found, PRESENT)
    assert (verdict.chosen, verdict.better) == (PRESENT, False)
    assert "stay" in verdict.reason
    alone = choose(study, judged(study, {PRESENT.name: (0.9, 0.9, 0.9)}), PRESENT)
    assert (alone.chosen, alone.gain) == (PRESENT, 0.0)


def test_shared_features_are_those_that_a_vectorizer_would_choose(
    texts: list[tuple[str, str]], rows: Rows, study: Study[Variant]
) -> None:
    said = [text for text, _ in texts]
    for path in study.paths().values():
        variant = path[0]
        own = NgramVectorizer(
            max_ngram=variant.max_ngram, min_documents=variant.min_documents, max_features=variant.max_features
        ).fit_transform(said)
        shared = selected(rows, variant)
        assert shared.shape == own.shape
        assert (shared != own).nnz == 0


def test_the_first_variant_of_a_path_is_what_training_would_make(rows: Rows) -> None:
    from sentiment.training.model import build_classifier

    first = Variant.of(TRAINING)
    [found] = cross_validate_path(rows, [first], training=TRAINING, scheme=LabelScheme.binary)
    shared, right = selected(rows, first), []
    for fold in range(FOLDS):
        out = rows.folds == fold
        model = build_classifier(TRAINING, LabelScheme.binary).fit(shared[~out], rows.labels[~out])
        right.append((model.predict(shared[out]) == rows.labels[out]).mean())
    assert found.folds["accuracy"] == pytest.approx(right)


def test_chosen_settings_replace_only_their_own(study: Study[Variant]) -> None:
    training = TrainingSettings(balanced=True, seed=7, cleaning={"urls": "mark"})
    applied = study.trials[-1].applied(training)
    assert (applied.balanced, applied.seed, applied.cleaning) == (True, 7, training.cleaning)
    assert Variant.of(applied) == study.trials[-1]


def test_what_is_not_defined_in_every_fold_is_left_out() -> None:
    found = gathered("one", 10, [{"accuracy": 0.8, "precision_positive": 1.0}, {"accuracy": 0.6}], [1.0, 2.0])
    assert found.metrics == {"accuracy": pytest.approx(0.7)}
    assert found.errors == {"accuracy": pytest.approx(0.1)}
    assert found.folds == {"accuracy": [0.8, 0.6]}
