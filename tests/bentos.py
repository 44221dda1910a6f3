"""Two trained models that disagree, behind the part of the registry that packaging needs."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sklearn.pipeline import Pipeline

from sentiment.errors import ModelError
from sentiment.labels import LabelScheme
from sentiment.model_records import ModelVersion
from sentiment.packaging import BentoPackage
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings, load_settings

GOOD = ("wonderful", "moving", "brilliant", "charming", "superb")
BAD = ("dreadful", "boring", "clumsy", "tedious", "awful")
THINGS = ("film", "plot", "kettle", "acting", "handle", "story", "lid", "music")
UNSURE = 0.9  # so few texts prove no limit
PATTERNS = ("a {} {}", "the {} was not {}", "what a {} {}!", "{} {} and nothing else")


class Shelf:
    """Registered models on a shelf: the methods of `Registry` that packaging calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pipelines: dict[str, Pipeline] = {}
        self._versions: dict[str, ModelVersion] = {}

    def add(self, version: str, pipeline: Pipeline, scorer: Scorer) -> ModelVersion:
        path = self._folder / version / "scorer.npz"
        scorer.save(path)
        self.add_evaluation(version)
        self._pipelines[version] = pipeline
        self._versions[version] = ModelVersion(
            version=version,
            run_id=f"run-{version}",
            snapshot="reviews@v1",
            digest=scorer.digest,
            labels=scorer.labels,
            metrics={"accuracy": 0.9},
            decision="promote",
            aliases=(),
            created_at=datetime(2030, 1, 1, tzinfo=UTC),
        )
        return self._versions[version]

    def add_evaluation(self, version: str) -> None:
        """Put what packaging reads of an evaluation beside the model."""
        share = {"rows": 50, "right": 45, "accuracy": 0.9, "accuracy_low": 0.79, "accuracy_high": 0.96}
        found = {
            "calibration": [{"confidence": 0.88, "share": share}],
            "coverage": [{"coverage": 1.0, "threshold": 0.5, "share": share}],
        }
        path = self._folder / version / "evaluation" / "evaluation.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(found))

    def version(self, version: str) -> ModelVersion:
        return self._versions[version]

    def champion(self) -> ModelVersion:
        return self._versions[max(self._versions)]

    def load_scorer(self, model: ModelVersion) -> Scorer:
        return Scorer.load(self.artifact(model, "scorer.npz"), digest=model.digest)

    def load_pipeline(self, model: ModelVersion, *, trusted_types: object) -> Pipeline:
        return self._pipelines[model.version]

    def artifact(self, model: ModelVersion, name: str) -> Path:
        path = self._folder / model.version / name
        if not path.exists():
            raise ModelError(f"Run {model.run_id} has no file {name}.")
        return path


@dataclass(frozen=True)
class BuiltBentos:
    """The shelf, and the Bentos of its versions 1 and 2, which give every text opposite labels."""

    settings: Settings
    shelf: Shelf
    first: BentoPackage
    second: BentoPackage


def stock(folder: Path, settings: Settings) -> Shelf:
    """Return a shelf with versions 1 and 2, which give every text opposite labels."""
    from sentiment.training.model import compile_scorer, fit

    texts = [pattern.format(thing, word) for pattern, thing, word in itertools.product(PATTERNS, THINGS, (*GOOD, *BAD))]
    labels = ["positive" if any(word in text for word in GOOD) else "negative" for text in texts]
    opposite = ["negative" if label == "positive" else "positive" for label in labels]
    shelf = Shelf(folder)
    for version, taught in (("1", labels), ("2", opposite)):
        pipeline = fit(texts, taught, settings=settings.training, scheme=LabelScheme.binary)
        shelf.add(version, pipeline, replace(compile_scorer(pipeline), min_confidence=UNSURE))
    return shelf


def build(folder: Path) -> BuiltBentos:
    from sentiment.packaging import package

    settings = load_settings(storage={"root": str(folder / "var")}, training={"min_documents": 1})
    shelf = stock(folder / "shelf", settings)
    first, second = package(settings, shelf, "1"), package(settings, shelf, "2")
    return BuiltBentos(settings, shelf, first, second)


def altered(package: BentoPackage, path: Path, tag: str) -> BentoPackage:
    return replace(package, path=str(path), tag=tag, version=tag.split(":")[1])
