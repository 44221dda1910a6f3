"""The search on a real platform: training rows only, nested runs, taken up again, the same on any number of cores."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentiment.cli import main
from sentiment.errors import NotEnoughDataError
from sentiment.registry import Registry
from sentiment.reviews.identity import split_of
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import SampleReview, generate
from sentiment.reviews.table import read_snapshot
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training import tune as module
from sentiment.training.crossval import Rows, TrialResult
from sentiment.training.linear import LinearClassifier
from sentiment.training.model import TRUSTED_TYPES
from sentiment.training.proof import MANIFEST_PROBES, prove
from sentiment.training.train import train
from sentiment.training.tune import TuneResult, conclude, plan, try_path, tune, tuned

POOR = {"inverse_regularization": 0.002, "max_ngram": 1, "max_features": 2_000, "learning_curve": False}
"""Settings from which there is something to gain: single words do not tell `not bad` from `bad`."""


def _platform(folder: Path, label_of: Callable[[SampleReview], str] = lambda review: review.label) -> Settings:
    settings = load_settings(storage={"root": str(folder / "var")}, data={"settle_seconds": 0}, training=POOR)
    with (folder / "films.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        table.writerows((review.text, label_of(review)) for review in generate("film", 500, seed=3))
    ingest(settings, paths=[folder / "films.csv"])
    return settings


@dataclass(frozen=True)
class Tuned:
    """A platform on which a search was begun, interrupted after one path, and run to its end."""

    settings: Settings
    registry: Registry
    first: list[TrialResult]
    interrupted: str
    whole: TuneResult
    said: list[str]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    settings = _platform(tmp_path_factory.mktemp("tuned"))
    registry = Registry(settings)
    begun = plan(settings, registry=registry)
    first = try_path(settings, begun, begun.trials[1], registry=registry)
    with pytest.raises(NotEnoughDataError) as caught:
        conclude(settings, begun, registry=registry)
    said: list[str] = []
    whole = tune(settings, registry=registry, announce=said.append)
    return Tuned(settings, registry, first, caught.value.message, whole, said)


def timeless(results: list[TrialResult]) -> list[TrialResult]:
    return [replace(result, seconds=0.0) for result in results]


def test_better_settings_are_found_and_say_what_they_gain(found: Tuned) -> None:
    whole = found.whole
    assert whole.better
    assert whole.gain > whole.error > 0
    assert whole.results[0].metrics["accuracy"] == max(result.metrics["accuracy"] for result in whole.results)
    assert whole.training != {name: POOR.get(name) for name in whole.training}
    assert whole.lines_to_keep()[0] == "[training]"
    assert f"max_ngram = {whole.training['max_ngram']}" in whole.lines_to_keep()
    assert 'model = "naive_bayes_logistic"' in whole.lines_to_keep()


def test_each_variant_is_a_run_below_that_of_the_search(found: Tuned) -> None:
    with found.registry.client("look") as client:
        parent = client.get_run(found.whole.run_id)
        below = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{found.whole.run_id}'")
        files = {file.path for file in client.list_artifacts(found.whole.run_id)}
        table = Path(client.download_artifacts(found.whole.run_id, "comparison.md")).read_text()
    assert parent.info.status == "FINISHED"
    assert files == {"comparison.md", "comparison.csv", "comparison.png"}
    assert sorted(run.data.tags["sentiment.trial"] for run in below) == sorted(
        result.trial for result in found.whole.results
    )
    [chosen] = [run for run in below if run.data.tags["sentiment.trial"] == parent.data.tags["sentiment.chosen"]]
    assert {name: str(value) for name, value in found.whole.training.items()} == chosen.data.params
    assert found.whole.reason in table


def test_an_interrupted_search_names_what_is_missing_and_goes_on_there(found: Tuned) -> None:
    assert "The study tune has no result of naive_bayes_logistic 1-1 grams" in found.interrupted
    assert all(result in found.whole.results for result in found.first)
    trials = len(found.whole.results)
    assert found.said[0].endswith(f"{trials - len(found.first)} trials")
    assert found.said[-1].startswith(f"{trials} of {trials}: ")


def test_a_finished_search_is_not_repeated(found: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("it was run before")

    monkeypatch.setattr(module, "cross_validate_path", never)
    assert tune(found.settings, registry=found.registry) == found.whole


def test_the_result_is_the_same_on_any_number_of_cores(found: Tuned) -> None:
    again = tune(found.settings, registry=found.registry, newest=10_000, jobs=2)  # as many reviews, but asked anew
    assert again.run_id != found.whole.run_id
    assert timeless(again.results) == timeless(found.whole.results)
    assert again.training == found.whole.training


def _rows(settings: Settings, registry: Registry) -> Rows:
    begun = plan(settings, registry=registry)
    return module._conductor(settings, registry).rows(begun)


def test_held_out_reviews_are_never_looked_at(found: Tuned, tmp_path: Path) -> None:
    share = found.settings.data.test_share
    other = {"positive": "negative", "negative": "positive"}

    def turned(review: SampleReview) -> str:
        return other[review.label] if split_of(review.text, share) == "test" else review.label

    lied_to = _platform(tmp_path, turned)
    truth, lies = (read_snapshot(Storage(of), 1, split="test") for of in (found.settings, lied_to))
    assert len(truth) > 50
    assert (truth["label"].to_numpy() != lies["label"].to_numpy()).all(), "every held-out label is wrong"
    seen, unseen = _rows(found.settings, found.registry), _rows(lied_to, Registry(lied_to))
    assert found.whole.rows == seen.counts.shape[0] == len(read_snapshot(Storage(lied_to), 1, split="train"))
    assert (seen.counts != unseen.counts).nnz == 0
    assert np.array_equal(seen.labels, unseen.labels)
    assert np.array_equal(seen.folds, unseen.folds)


def test_a_model_is_trained_with_what_was_chosen_and_only_once(found: Tuned) -> None:
    settings = tuned(found.settings, found.whole.training)
    registry = Registry(settings)
    first = train(settings, registry=registry, searched=found.whole.run_id)
    with registry.client("look") as client:
        run = client.get_run(first.run_id)
    assert {name: run.data.params[name] for name in found.whole.training} == {
        name: str(value) for name, value in found.whole.training.items()
    }
    assert run.data.params["learning_curve"] == "False", "what was not searched stays"
    assert run.data.tags["sentiment.searched"] == found.whole.run_id
    assert train(settings, registry=registry) == first
    assert train(found.settings, registry=registry).digest != first.digest


def test_an_alternative_is_trained_registered_and_proved_to_be_what_is_served(found: Tuned) -> None:
    settings = tuned(found.settings, {"model": "bag_of_words", "inverse_regularization": 0.03})
    registry = Registry(settings)
    version = registry.register(train(settings, registry=registry), decision="promote")
    assert len(prove(settings, registry, version)) == MANIFEST_PROBES
    stored = registry.load_pipeline(version, trusted_types=TRUSTED_TYPES)
    assert isinstance(stored[-1], LinearClassifier)
    assert not registry.load_scorer(version).length_normalised


def test_the_command_prints_the_lines_to_keep_and_trains(
    found: Tuned, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", found.settings.storage.root)
    for name, value in POOR.items():
        monkeypatch.setenv(f"SENTIMENT_TRAINING__{name.upper()}", str(value))
    with pytest.raises(SystemExit) as ended:
        main(["tune"])
    said = capsys.readouterr().out
    assert not ended.value.code
    assert "\n".join(found.whole.lines_to_keep()) in said
    assert found.whole.reason in said
    with pytest.raises(SystemExit):
        main(["tune", "--train", "--json"])
    data = json.loads(capsys.readouterr().out)
    assert data["training"] == found.whole.training
    assert found.registry.candidate(data["candidate"]["run_id"]).snapshot == "reviews@v1"
    with pytest.raises(SystemExit) as ended:
        main(["tune", "--model", "random_forest"])
    assert ended.value.code == 2
    assert "tune.models" in capsys.readouterr().err
