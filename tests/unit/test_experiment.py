"""Studies: every trial once, on the same folds of the training split, as nested runs that can be taken up again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentiment.errors import NotEnoughDataError, SettingsError
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.reviews.table import read_snapshot
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training import experiment as module
from sentiment.training.classifiers import CLASSIFIERS, classifier
from sentiment.training.comparison import draw_grid
from sentiment.training.crossval import FOLDS, Rows, TrialResult, count_rows, cross_validate
from sentiment.training.experiment import Comparison, conclude, experiment, plan, try_one
from sentiment.training.studies import STUDIES, Trial, study_named


@dataclass(frozen=True)
class Studied:
    """A platform on which a study was begun, interrupted after one trial, and run to its end."""

    settings: Settings
    registry: Registry
    first: TrialResult
    interrupted: str
    whole: Comparison
    said: list[str]


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    folder = tmp_path_factory.mktemp("studied")
    settings = load_settings(storage={"root": str(folder / "var")}, data={"settle_seconds": 0})
    ingest(settings, paths=[write_sample(folder / "films.csv", "film", 400, seed=3)])
    registry = Registry(settings)
    begun = plan(settings, registry=registry, study="baseline")
    first = try_one(settings, begun, begun.trials[1], registry=registry)
    with pytest.raises(NotEnoughDataError) as caught:
        conclude(settings, begun, registry=registry)
    said: list[str] = []
    whole = experiment(settings, registry=registry, study="baseline", announce=said.append)
    return Studied(settings, registry, first, caught.value.message, whole, said)


@pytest.fixture
def rows(studied: Studied) -> Rows:
    reviews = read_snapshot(Storage(studied.settings), 1, split="train")
    texts, labels, ids = (reviews[name].tolist() for name in ("text", "label", "review_id"))
    return count_rows(texts, labels, ids, STUDIES["features"])


def test_a_study_leaves_a_run_a_trial_and_the_comparison_with_their_parent(studied: Studied) -> None:
    found = studied.whole
    scores = [result.metrics["macro_f1"] for result in found.results]
    assert scores == sorted(scores, reverse=True)
    with studied.registry.client("look") as client:
        parent = client.get_run(found.run_id)
        below = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{found.run_id}'")
        files = {file.path for file in client.list_artifacts(found.run_id)}
        table = client.download_artifacts(found.run_id, "comparison.md")
    assert parent.info.status == "FINISHED"
    assert files == {"comparison.md", "comparison.csv", "comparison.png"}
    assert sorted(run.data.tags["sentiment.trial"] for run in below) == sorted(
        trial.name for trial in STUDIES["baseline"].trials
    )
    assert all(run.data.metrics["accuracy_standard_error"] > 0 for run in below)
    assert f"**{found.results[0].trial}**" in Path(table).read_text()


def test_an_interrupted_study_names_what_is_missing_and_goes_on_there(studied: Studied) -> None:
    assert "no result of counts logistic C=0.1" in studied.interrupted
    assert studied.first in studied.whole.results
    assert "2 trials" in studied.said[0]
    assert studied.said[-1].startswith("3 of 3: ")


def test_a_finished_study_is_not_repeated(studied: Studied, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("it was run before")

    monkeypatch.setattr(module, "cross_validate", never)
    assert experiment(studied.settings, registry=studied.registry, study="baseline") == studied.whole


def test_only_the_training_split_is_looked_at(studied: Studied) -> None:
    assert studied.whole.rows == len(read_snapshot(Storage(studied.settings), 1, split="train")) < 400


def test_the_results_are_the_same_however_many_trials_run_at_a_time(studied: Studied) -> None:
    again = experiment(studied.settings, registry=studied.registry, study="baseline", newest=10_000, jobs=2)
    assert again.run_id != studied.whole.run_id
    assert [replace(result, seconds=0.0) for result in again.results] == [
        replace(result, seconds=0.0) for result in studied.whole.results
    ]


def test_the_grid_is_drawn_with_a_line_for_each_penalty(rows: Rows) -> None:
    study = STUDIES["regularization"]
    one = cross_validate(rows, Trial("tfidf", "logistic"))
    figure = draw_grid(study, [replace(one, trial=trial.name) for trial in study.trials])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["penalty=l1", "penalty=l2"]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_learns_and_tells_probabilities(name: str, rows: Rows) -> None:
    model = classifier(name).fit(rows.counts, rows.labels)
    probabilities = model.predict_proba(rows.counts)
    assert np.allclose(probabilities.sum(axis=1), 1.0)
    assert (model.classes_[probabilities.argmax(axis=1)] == rows.labels).mean() > 0.8


def test_a_penalty_takes_more_than_two_labels() -> None:
    counts = np.eye(30)
    labels = np.array(["1", "3", "5"] * 10)
    model = classifier("logistic", penalty="l1", C=10.0).fit(counts, labels)
    assert model.classes_.tolist() == ["1", "3", "5"]


def test_folds_follow_the_hash_of_the_text_and_need_every_label(rows: Rows) -> None:
    assert set(rows.folds) == set(range(FOLDS))
    ids = [f"{number:032x}" for number in range(20)]
    with pytest.raises(NotEnoughDataError, match="too few to be cut into 5 parts"):
        count_rows(["a b"] * 20, ["positive"] * 19 + ["negative"], ids, STUDIES["baseline"])


def test_the_names_of_trials_tell_them_apart() -> None:
    for study in STUDIES.values():
        assert len({trial.name for trial in study.trials}) == len(study.trials)
    assert Trial("tfidf", "logistic", {"penalty": "l1", "C": 0.3}).name == "tfidf logistic C=0.3 penalty=l1"


def test_an_unknown_study_is_named_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match="no study 'all'") as caught:
        study_named("all")
    assert "baseline, features, regularization" in caught.value.fix
