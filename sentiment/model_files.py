"""The files of a trained model: fetched from MLflow once, checked, and read without unpickling."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment.errors import IntegrityError
from sentiment.mlflow_client import mlflow_errors
from sentiment.model_records import Candidate, ModelVersion
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sklearn.pipeline import Pipeline

SCORER_FILE, PIPELINE_FILE = "scorer.npz", "model.skops"


class ModelFiles:
    """Local copies of the files of models."""

    def __init__(self, settings: Settings, storage: Storage, client: MlflowClient) -> None:
        self._storage, self._client = storage, client
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
        path = self._cache / model.run_id / name
        if not path.exists():
            with mlflow_errors(self._address, f"fetch {name} of run {model.run_id}"):
                source = self._client.get_run(model.run_id).info.artifact_uri
                self._fetch(f"{source}/{name}", path)
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
        from skops.io.exceptions import UntrustedTypesFoundException

        path = self._cache / model.run_id / "pipeline" / PIPELINE_FILE
        if not path.exists():
            with mlflow_errors(self._address, f"fetch the pipeline of version {model.version}"):
                source = self._client.get_model_version_download_uri(self._model_name, model.version)
                self._fetch(f"{source}/{PIPELINE_FILE}", path)
        try:
            pipeline: Pipeline = skops.io.load(path, trusted=list(trusted_types))
        except UntrustedTypesFoundException as error:
            raise IntegrityError(
                f"The pipeline of version {model.version} holds types that are not ours: {error}.",
                fix="Do not load it; find out who wrote the file. Roll back: `sentiment rollback`.",
            ) from error
        return pipeline

    def _fetch(self, source: str, target: Path) -> None:
        """Copy a file to this machine, whole or not at all; what lies in our storage, the way everything else does."""
        from mlflow.artifacts import download_artifacts

        target.parent.mkdir(parents=True, exist_ok=True)
        root = f"{self._storage.root}/"
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            if "://" in root and source.startswith(root):
                self._storage.fetch(source.removeprefix(root), Path(folder, target.name))
            else:
                download_artifacts(artifact_uri=source, dst_path=folder)
            Path(folder, target.name).replace(target)
