"""The files of a trained model: fetched from MLflow once, checked, and read without unpickling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment.errors import IntegrityError
from sentiment.mlflow_client import mlflow_errors
from sentiment.model_records import Candidate, ModelVersion
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

SCORER_FILE, PIPELINE_FILE = "scorer.npz", "model.skops"


class ModelFiles:
    """Local copies of the files of models."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.tracking_uri
        self._model_name = settings.registry.model_name
        self._cache = settings.local_dir / "cache" / "models"

    def save_scorer(self, scorer: Scorer, *, run_id: str) -> Path:
        """Write the scorer of a run where `artifact` will find it."""
        path = self._cache / run_id / SCORER_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        scorer.save(path)
        return path

    def artifact(self, model: ModelVersion | Candidate, name: str) -> Path:
        """Return a local copy of one of the run's files, named by its path, fetched once."""
        from mlflow.artifacts import download_artifacts

        path = self._cache / model.run_id / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with mlflow_errors(self._address, f"fetch {name} of run {model.run_id}"):
                download_artifacts(run_id=model.run_id, artifact_path=name, dst_path=str(path.parent))
        return path

    def load_scorer(self, model: ModelVersion | Candidate) -> Scorer:
        """Load the scorer, checked against the registered digest."""
        return Scorer.load(self.artifact(model, SCORER_FILE), digest=model.digest)

    def load_pipeline(self, model: ModelVersion, *, trusted_types: Sequence[str]) -> Pipeline:
        """Load the scikit-learn pipeline with skops.

        Raises
        ------
        IntegrityError
            It holds types outside the allow-list.
        """
        import skops.io
        from mlflow.artifacts import download_artifacts
        from skops.io.exceptions import UntrustedTypesFoundException

        folder = self._cache / model.run_id / "pipeline"
        if not (folder / PIPELINE_FILE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            with mlflow_errors(self._address, f"fetch the pipeline of version {model.version}"):
                uri = f"models:/{self._model_name}/{model.version}/{PIPELINE_FILE}"
                download_artifacts(artifact_uri=uri, dst_path=str(folder))
        try:
            pipeline: Pipeline = skops.io.load(folder / PIPELINE_FILE, trusted=list(trusted_types))
        except UntrustedTypesFoundException as error:
            raise IntegrityError(
                f"The pipeline of version {model.version} holds types that are not ours: {error}.",
                fix="Do not load it; find out who wrote the file. Roll back: `sentiment rollback`.",
            ) from error
        return pipeline
