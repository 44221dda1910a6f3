"""Files that are not what was trained are refused, wherever they were changed, and if the tags with them."""

import hashlib
import pickle
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from sentiment.errors import IntegrityError
from sentiment.labels import LabelScheme
from sentiment.ledger import Ledger
from sentiment.model_files import cache_folder
from sentiment.model_records import ModelVersion
from sentiment.registry import Registry
from sentiment.reviews.sample import generate
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training.model import TRUSTED_TYPES, compile_scorer, fit


class Shelf(NamedTuple):
    """A registered version and where MLflow keeps its files."""

    settings: Settings
    registry: Registry
    version: ModelVersion
    scorer: Path
    pipeline: Path

    def load(self) -> tuple[Any, Any]:
        """Load both files as another machine would, which has no copies yet."""
        shutil.rmtree(cache_folder(self.settings), ignore_errors=True)
        version = self.registry.version(self.version.version)
        return self.registry.load_scorer(version), self.registry.load_pipeline(version, trusted_types=TRUSTED_TYPES)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    settings = load_settings(storage={"root": str(tmp_path_factory.mktemp("files"))})
    registry = Registry(settings)
    reviews = list(generate("film", 300, seed=1))
    texts, labels = [review.text for review in reviews], [review.label for review in reviews]
    pipeline = fit(texts, labels, settings=settings.training, scheme=LabelScheme.binary)
    tags = {"labels": '["negative", "positive"]', "snapshot": "reviews@v1", "train_rows": "240", "test_rows": "60"}
    candidate = registry.log_candidate(
        key="key",
        pipeline=pipeline,
        scorer=compile_scorer(pipeline),
        trusted_types=TRUSTED_TYPES,
        params={},
        metrics={"accuracy": 0.9},
        tags={f"sentiment.{name}": value for name, value in tags.items()},
    )
    _write_down(settings, candidate.run_id, candidate.digest, candidate.pipeline_digest)
    version = registry.register(candidate, decision="promote")
    [scorer] = Path(settings.storage.root, "mlflow").rglob("scorer.npz")
    [kept] = Path(settings.storage.root, "mlflow").rglob("model.skops")
    return Shelf(settings, registry, version, scorer, kept)


@pytest.fixture
def shelf(trained: Shelf) -> Any:
    """The files as they were trained; put back afterwards."""
    kept = {path: path.read_bytes() for path in (trained.scorer, trained.pipeline)}
    yield trained
    for path, content in kept.items():
        path.write_bytes(content)
    for name, digest in (("digest", trained.version.digest), ("pipeline_digest", trained.version.pipeline_digest)):
        _tag(trained, name, digest)


def test_what_was_trained_is_loaded(shelf: Shelf) -> None:
    scorer, pipeline = shelf.load()
    assert scorer.digest == shelf.version.digest
    assert pipeline.predict(["a dull film"]).shape == (1,)
    assert not any(
        path.suffix in (".pkl", ".pickle", ".joblib") for path in Path(shelf.settings.storage.root).rglob("*")
    )


@pytest.mark.parametrize("change", ["another model", "cut off", "not a model", "a pickle"])
def test_a_changed_scorer_is_refused(shelf: Shelf, change: str) -> None:
    good = shelf.scorer.read_bytes()
    other = compile_scorer(_another_pipeline(shelf.settings))
    if change == "another model":
        other.save(shelf.scorer)
    else:
        bad = {"cut off": good[: len(good) // 2], "not a model": b"?", "a pickle": pickle.dumps(["scorer"])}
        shelf.scorer.write_bytes(bad[change])
    with pytest.raises(IntegrityError, match=r"scorer\.npz is not"):
        shelf.load()


@pytest.mark.parametrize("change", ["another model", "one byte", "a pickle"])
def test_a_changed_pipeline_is_refused_before_it_is_opened(
    shelf: Shelf, change: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = shelf.pipeline.read_bytes()
    if change == "another model":
        skops.io.dump(_another_pipeline(shelf.settings), shelf.pipeline)
    else:
        shelf.pipeline.write_bytes(good + b"!" if change == "one byte" else pickle.dumps(_Trap(tmp_path / "sprung")))
    monkeypatch.setattr(skops.io, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(IntegrityError, match=r"model\.skops is not the pipeline of version 1: its digest is"):
        shelf.load()


def test_a_file_that_was_changed_together_with_its_tag_is_refused_by_the_ledger(shelf: Shelf) -> None:
    other = compile_scorer(_another_pipeline(shelf.settings))
    other.save(shelf.scorer)
    _tag(shelf, "digest", other.digest)
    with pytest.raises(IntegrityError, match=rf"scorer of version 1 .* {other.digest}, but the ledger wrote down"):
        shelf.load()
    _tag(shelf, "digest", shelf.version.digest)
    _tag(shelf, "pipeline_digest", "0" * 64)
    with pytest.raises(IntegrityError, match=r"pipeline of version 1 .*0000, but the ledger wrote down"):
        shelf.load()


def test_a_version_that_the_ledger_does_not_know_is_refused(shelf: Shelf) -> None:
    import mlflow

    client = mlflow.MlflowClient(shelf.settings.tracking_uri)
    run = client.create_run(shelf.registry.experiment_id())
    tags = {"digest": shelf.version.digest, "pipeline_digest": shelf.version.pipeline_digest}
    smuggled = client.create_model_version("sentiment", shelf.scorer.parent.as_uri(), run.info.run_id, tags=tags)
    with pytest.raises(IntegrityError, match=rf"The ledger knows no training behind version {smuggled.version}"):
        shelf.registry.load_scorer(shelf.registry.version(str(smuggled.version)))


@pytest.mark.parametrize("kind", ["foreign type", "pickle"])
def test_even_a_file_that_the_ledger_names_may_hold_our_types_only(trained: Shelf, kind: str, tmp_path: Path) -> None:
    """Who could write to the ledger too still gets no code to run."""
    root = tmp_path / "var"
    shutil.copytree(trained.settings.storage.root, root)
    settings = load_settings(storage={"root": str(root)})
    version = trained.version
    evil = cache_folder(settings) / version.run_id / "pipeline" / "model.skops"
    evil.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pickle":
        evil.write_bytes(pickle.dumps(_Trap(tmp_path / "sprung")))
    else:
        skops.io.dump(Pipeline([("steps", _Trap(tmp_path / "sprung")), ("model", LogisticRegression())]), evil)
    digest = hashlib.sha256(evil.read_bytes()).hexdigest()
    shutil.rmtree(root / "tables" / "ledger")
    _write_down(settings, version.run_id, version.digest, digest)
    client_side = Registry(settings)
    changed = ModelVersion(**{**vars(version), "pipeline_digest": digest})
    with pytest.raises(IntegrityError, match="types that are not ours" if kind == "foreign type" else "no skops file"):
        client_side.load_pipeline(changed, trusted_types=TRUSTED_TYPES)
    assert not (tmp_path / "sprung").exists()


class _Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


def _another_pipeline(settings: Settings) -> Pipeline:
    reviews = list(generate("film", 300, seed=2))
    texts, labels = [review.text for review in reviews], [review.label for review in reviews]
    return fit(texts, labels, settings=settings.training, scheme=LabelScheme.binary)


def _tag(shelf: Shelf, name: str, value: str) -> None:
    with shelf.registry.client("tamper") as client:
        client.set_model_version_tag("sentiment", shelf.version.version, name, value)


def _write_down(settings: Settings, run_id: str, digest: str, pipeline_digest: str) -> None:
    digests = {"model": digest, "pipeline": pipeline_digest}
    Ledger(Storage(settings)).append("trained", run_id=run_id, digests=digests)
