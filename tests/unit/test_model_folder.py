"""The model folder that we write is MLflow's own, and MLflow reads it."""

from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from mlflow.models import Model, infer_signature
from sklearn.pipeline import Pipeline

from sentiment.labels import LabelScheme
from sentiment.model_folder import requirements, write_model_folder
from sentiment.reviews.sample import generate
from sentiment.settings import TrainingSettings
from sentiment.training.model import TRUSTED_TYPES, fit

TEXTS = ["A dull film.", "I loved every minute of it!"]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    reviews = list(generate("film", 300, seed=1))
    texts, labels = [review.text for review in reviews], [str(review.label) for review in reviews]
    return fit(texts, labels, settings=TrainingSettings(max_ngram=1), scheme=LabelScheme.binary)


@pytest.fixture(scope="module")
def ours(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ours") / "model"
    write_model_folder(folder, pipeline, trusted_types=TRUSTED_TYPES)
    return folder


def test_it_says_what_mlflow_would_have_written(ours: Path, pipeline: Pipeline, tmp_path: Path) -> None:
    import mlflow.sklearn

    theirs = tmp_path / "model"
    mlflow.sklearn.save_model(
        pipeline,
        theirs,
        serialization_format="skops",
        skops_trusted_types=TRUSTED_TYPES,
        signature=infer_signature(["a review"], ["positive"]),
        pip_requirements=requirements(),
    )
    assert {path.name for path in ours.iterdir()} == {path.name for path in theirs.iterdir()}
    for name in ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"):
        assert _said(ours / name) == _said(theirs / name)


def _said(path: Path) -> Any:
    content: Any = yaml.safe_load(path.read_text()) if path.name != "requirements.txt" else path.read_text()
    if path.name == "MLmodel":
        for differs in ("model_uuid", "utc_time_created", "model_size_bytes"):
            assert content.pop(differs)
    return content


def test_mlflow_loads_and_asks_it(ours: Path, pipeline: Pipeline) -> None:
    assert mlflow.sklearn.load_model(str(ours)).predict(TEXTS).tolist() == pipeline.predict(TEXTS).tolist()
    assert str(mlflow.pyfunc.load_model(str(ours)).metadata.get_input_schema()) == "[string (required)]"
    assert Model.load(ours).model_size_bytes == (ours / "model.skops").stat().st_size


def test_types_that_could_not_be_loaded_again_are_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    from skops.io.exceptions import UntrustedTypesFoundException

    with pytest.raises(UntrustedTypesFoundException, match="NgramVectorizer"):
        write_model_folder(tmp_path / "model", pipeline, trusted_types=[])
