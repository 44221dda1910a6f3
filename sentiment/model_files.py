"""The files of a trained model: written without pickle, fetched from MLflow once, and checked against the ledger.

Two records say what a file must be: the tags in MLflow, and the ledger's entry about the training. Who can write to
MLflow can change a file together with its tag; the ledger then disagrees, and the file is not opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment.errors import IntegrityError, ModelError
from sentiment.ledger import Ledger
from sentiment.mlflow_client import mlflow_errors
from sentiment.model_folder import PIPELINE_FILE, write_model_folder
from sentiment.model_records import Candidate, Digests, ModelVersion
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sklearn.pipeline import Pipeline

SCORER_FILE = "scorer.npz"
MODEL_FOLDER, RUN_FOLDER = "model", "run"
"""Of a trained model on disk: MLflow's model folder, and the other files of its run."""

_BACK = "Do not load it; find out who wrote it, then train again or roll back: `sentiment rollback`."


def write_model(
    folder: Path,
    *,
    pipeline: Pipeline,
    scorer: Scorer,
    trusted_types: Sequence[str],
    files: Mapping[str, bytes],
) -> Digests:
    """Write everything that a run holds: `MODEL_FOLDER` with the pipeline, `RUN_FOLDER` with scorer and files."""
    for name, content in files.items():
        path = folder / RUN_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    scorer.save(folder / RUN_FOLDER / SCORER_FILE)
    write_model_folder(folder / MODEL_FOLDER, pipeline, trusted_types=trusted_types)
    return Digests(scorer=scorer.digest, pipeline=_digest(folder / MODEL_FOLDER / PIPELINE_FILE))


class ModelFiles:
    """Local copies of the files of models."""

    def __init__(self, settings: Settings, storage: Storage, client: MlflowClient) -> None:
        self._storage, self._client = storage, client
        self._address = settings.tracking_uri
        self._model_name = settings.registry.model_name
        self._cache = cache_folder(settings)

    def remember(self, run_id: str, folder: Path) -> None:
        """Copy the files that `write_model` wrote to where they would be fetched to."""
        for source, target in (
            (folder / RUN_FOLDER / SCORER_FILE, self._cache / run_id / SCORER_FILE),
            (folder / MODEL_FOLDER / PIPELINE_FILE, self._pipeline_path(run_id)),
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
                shutil.copyfile(source, Path(temporary, target.name)).replace(target)

    def artifact(self, model: ModelVersion | Candidate, name: str) -> Path:
        """Return a local copy of one of the run's files, named by its path, fetched once."""
        path = self._cache / model.run_id / name
        if not path.exists():
            with mlflow_errors(self._address, f"fetch {name} of run {model.run_id}"):
                source = self._client.get_run(model.run_id).info.artifact_uri
                self._fetch(f"{source}/{name}", path)
        return path

    def load_scorer(self, model: ModelVersion | Candidate) -> Scorer:
        """Load the scorer, checked against the ledger.

        Raises
        ------
        IntegrityError
            The ledger does not know the model, or knows other digests than MLflow or the file has.
        """
        digest = self._recorded(model).scorer
        return Scorer.load(self.artifact(model, SCORER_FILE), digest=digest)

    def load_pipeline(self, model: ModelVersion, *, trusted_types: Sequence[str]) -> Pipeline:
        """Load the scikit-learn pipeline with skops, checked against the ledger before it is opened.

        Raises
        ------
        IntegrityError
            The ledger knows another file, or it holds types outside the allow-list, or it is no skops file.
        """
        import skops.io
        from skops.io.exceptions import UntrustedTypesFoundException

        digest = self._recorded(model).pipeline
        path = self._pipeline_path(model.run_id)
        if not path.exists():
            with mlflow_errors(self._address, f"fetch the pipeline of version {model.version}"):
                source = self._client.get_model_version_download_uri(self._model_name, model.version)
                self._fetch(f"{source}/{PIPELINE_FILE}", path)
        if (found := _digest(path)) != digest:
            raise IntegrityError(
                f"{path} is not the pipeline of version {model.version}: its digest is {found}, not {digest}.",
                fix=_BACK,
            )
        try:
            pipeline: Pipeline = skops.io.load(path, trusted=list(trusted_types))
        except UntrustedTypesFoundException as error:
            raise IntegrityError(
                f"The pipeline of version {model.version} holds types that are not ours: {error}.", fix=_BACK
            ) from error
        except Exception as error:  # what is no skops file fails in many ways
            raise IntegrityError(
                f"The pipeline of version {model.version} is no skops file: {type(error).__name__}.", fix=_BACK
            ) from error
        return pipeline

    def _recorded(self, model: ModelVersion | Candidate) -> Digests:
        """Return the digests that the ledger wrote down first, with which MLflow must agree."""
        what = f"run {model.run_id}"
        if isinstance(model, ModelVersion):
            what = f"version {model.version} ({what})"
        entries = (entry for entry in Ledger(self._storage).entries() if entry.event in ("trained", "registered"))
        first = next((entry.digests for entry in entries if entry.run_id == model.run_id), None)
        if first is None:
            raise IntegrityError(
                f"The ledger knows no training behind {what}, so its files cannot be checked.",
                fix="`sentiment train` writes the entry of a run that was interrupted; any other model is not ours.",
            )
        recorded = Digests(scorer=first.get("model", ""), pipeline=first.get("pipeline", ""))
        for name in ("scorer", "pipeline"):
            said, known = getattr(model.digests, name), getattr(recorded, name)
            if said != known or not known:
                raise IntegrityError(
                    f"MLflow says that the {name} of {what} has the digest {said or '(none)'}, but the ledger wrote "
                    f"down {known or '(none)'} when it was trained.",
                    fix=_BACK,
                )
        return recorded

    def _pipeline_path(self, run_id: str) -> Path:
        return self._cache / run_id / "pipeline" / PIPELINE_FILE

    def _fetch(self, source: str, target: Path) -> None:
        """Copy a file to this machine, whole or not at all; what lies in our storage, the way everything else does."""
        from mlflow.artifacts import download_artifacts

        target.parent.mkdir(parents=True, exist_ok=True)
        root = f"{self._storage.root}/"
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            if "://" in root and source.startswith(root):
                try:
                    self._storage.fetch(source.removeprefix(root), Path(folder, target.name))
                except FileNotFoundError as error:
                    raise ModelError(f"There is no file {source}.", fix="It may never have been logged.") from error
            else:
                download_artifacts(artifact_uri=source, dst_path=folder)
            Path(folder, target.name).replace(target)


def cache_folder(settings: Settings) -> Path:
    """Return the folder of the local copies; it may be emptied at any time."""
    return settings.local_dir / "cache" / "models"


def forget_copies(settings: Settings, *, before: datetime, dry_run: bool) -> tuple[int, int]:
    """Remove the local copies that were fetched before a moment; return how many files, and their bytes."""
    files = size = 0
    for path in sorted(cache_folder(settings).rglob("*"), reverse=True):  # what is in a folder before the folder
        with contextlib.suppress(OSError):  # removed meanwhile, or a folder that is not empty
            stat = path.stat()
            if stat.st_mtime >= before.timestamp():  # a new folder may be waiting for its file
                continue
            if path.is_dir():
                if not dry_run:
                    path.rmdir()
                continue
            if not dry_run:
                path.unlink()
            files, size = files + 1, size + stat.st_size
    return files, size


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
