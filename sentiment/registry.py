"""Models in MLflow: one door to runs, versions, files and promotions.

`model_runs` has the runs of candidates, `model_versions` the registered versions and aliases, `champions` the
compare-and-swap of a promotion, `model_files` the files and their digests, `kept_candidates` what MLflow does not
have yet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment.champions import Champions
from sentiment.errors import ModelError, SentimentError
from sentiment.kept_candidates import KeptCandidates
from sentiment.mlflow_client import connect, mlflow_errors
from sentiment.model_files import ModelFiles, write_model
from sentiment.model_folder import requirements
from sentiment.model_records import Candidate, ModelVersion, TrainedRecord, TrainingData
from sentiment.model_runs import Runs
from sentiment.model_versions import CHALLENGER, CHAMPION, PREVIOUS, Versions, required
from sentiment.promotions import Promotions
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sklearn.pipeline import Pipeline

__all__ = ["CHALLENGER", "CHAMPION", "PREVIOUS", "Registry"]


class Registry:
    """The registered models of one platform."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        storage = Storage(settings)
        storage.share_with_mlflow()
        self._client = connect(settings)
        self._promotions = Promotions(storage)
        self._kept = KeptCandidates(storage)
        self._runs = Runs(settings, storage, self._client)
        self._versions = Versions(settings, self._client)
        self._champions = Champions(self._versions, self._promotions)
        self._files = ModelFiles(settings, storage, self._client)

    @property
    def address(self) -> str:
        """Where MLflow keeps its records."""
        return self._settings.tracking_uri

    @contextmanager
    def client(self, what: str) -> Iterator[MlflowClient]:
        """Give MLflow's client for what is not of candidates; its errors become ours, about `what`."""
        with mlflow_errors(self.address, what):
            yield self._client

    def experiment_id(self, suffix: str = "") -> str:
        """Return the id of the experiment ``<registry.experiment><suffix>``, made if there is none."""
        return self._runs.experiment_id(suffix)

    # -- candidates ------------------------------------------------------------------------------------

    def find_run(self, key: str) -> Candidate | None:
        """Return the finished run with a training key, if there is one."""
        return self._runs.find(key)

    def candidate(self, run_id: str) -> Candidate:
        """Return the candidate that a run trained."""
        return self._runs.candidate(run_id)

    def newest_candidate(self) -> Candidate:
        """Return the candidate that was trained last; `ModelError` if nothing has been trained yet."""
        return self._runs.newest()

    def log_candidate(
        self,
        *,
        key: str,
        pipeline: Pipeline,
        scorer: Scorer,
        trusted_types: Sequence[str],
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        dataset: TrainingData | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> Candidate:
        """Keep a trained model in the storage, then log it as one MLflow run, which counts only once it is complete.

        `files` are kept with it, by their path among its artifacts.

        Raises
        ------
        ServiceError, ModelError, StorageError
            MLflow, or the store of its artifacts, did not take it. It is kept, and `log_kept` logs it.
        """
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            digests = write_model(
                folder, pipeline=pipeline, scorer=scorer, trusted_types=trusted_types, files=files or {}
            )
            facts = {
                "sentiment.digest": digests.scorer,
                "sentiment.pipeline_digest": digests.pipeline,
                "sentiment.requirements": " ".join(requirements()),
                **({"sentiment.data_digest": dataset.digest} if dataset else {}),
            }
            record = TrainedRecord(
                key=key,
                trained_at=datetime.now(UTC),
                params={name: str(value) for name, value in params.items()},
                metrics=metrics,
                tags={**tags, **facts},
                dataset=dataset,
            )
            self._kept.keep(record, folder)
            return self._log(record, folder)

    def log_kept(self) -> list[Candidate]:
        """Log the trained models that MLflow did not take when they were trained.

        Raises
        ------
        ServiceError, ModelError, StorageError
            It still does not take them.
        """
        logged = []
        for key in self._kept.waiting():
            with self._kept.opened(key) as found:
                if found is not None:
                    logged.append(self._log(*found))
        return logged

    def _log(self, record: TrainedRecord, folder: Path) -> Candidate:
        try:
            candidate = self._runs.find(record.key)
            if candidate is None:
                candidate = self._runs.log(record, folder)
                self._files.remember(candidate.run_id, folder)
        except SentimentError as error:
            raise type(error)(
                f"{error.message} The trained model is kept in {self._kept.path(record.key)}.",
                fix=f"{error.fix} Then `sentiment train`, or the retried task, logs it without training again; "
                "removing the file gives it up.",
            ) from error
        self._kept.drop(record.key)
        return candidate

    # -- versions --------------------------------------------------------------------------------------

    def register(self, candidate: Candidate, *, decision: str) -> ModelVersion:
        """Register a candidate as the challenger; the same run is registered once."""
        return self._versions.register(candidate, decision=decision)

    def describe(self, version: str, text: str) -> None:
        """Write what people read on the page of a version in MLflow, in Markdown."""
        self._versions.describe(version, text)

    def version(self, version: str) -> ModelVersion:
        """Return a version by number (``3`` or ``v3``) or alias; `ModelError` if there is none."""
        return self._versions.get(version)

    def versions(self) -> list[ModelVersion]:
        """Return all registered versions, newest first."""
        return self._versions.all()

    def snapshots_named(self) -> dict[tuple[str, str], str]:
        """Return the snapshot that each registered version of any model names, by model and version.

        Raises
        ------
        ModelError
            MLflow does not know the champion: it is not the one that this platform registered its models in.
        """
        named, name = self._versions.snapshots_named(), self._settings.registry.model_name
        last = self._promotions.last()
        if last is not None and (name, last.now) not in named:
            raise ModelError(
                f"MLflow at {self.address} does not know version {last.now} of {name}, which was made champion.",
                fix="Correct registry.tracking_uri: this MLflow is another one, or lost its records.",
            )
        return named

    def champion(self) -> ModelVersion:
        """Return the champion; `NoChampionError` before the first promotion."""
        return required(self._versions.champion())

    def champion_or_none(self) -> ModelVersion | None:
        """Return the champion, or None before the first promotion."""
        return self._versions.champion()

    def champion_at(self, moment: datetime) -> ModelVersion:
        """Return who was champion just before a moment; `NoChampionError` before the first promotion."""
        return self._champions.at(moment)

    # -- promotion -------------------------------------------------------------------------------------

    def promote(
        self, version: str, *, expected: str | None, reason: str, rollback: bool = False, request: str | None = None
    ) -> ModelVersion:
        """Move the ``champion`` alias to `version` if the champion is still `expected`.

        Parameters
        ----------
        version : str
            The version to promote.
        expected : str or None
            The champion that the decision was taken against; None for a first model.
        rollback : bool
            Going back: `previous_champion` becomes what it was when `version` was promoted, so that a second
            rollback goes further back and never forward to what was just left.
        request : str, optional
            What asked for a rollback; kept with it.

        Raises
        ------
        PromotionConflictError
            The champion is another one by now. Of two concurrent callers exactly one gets through.
        """
        return self._champions.promote(version, expected=expected, reason=reason, rollback=rollback, request=request)

    def was_promoted(self, version: str) -> bool:
        """Whether a version was champion once, by the gate."""
        return self._promotions.won(version)

    def taken_back(self, candidate: Candidate) -> str | None:
        """Return the version of a candidate if the champion was rolled back from it, else None."""
        numbers = self._versions.numbers_of_run(candidate.run_id)
        return next((number for number in numbers if self._promotions.taken_back(number)), None)

    # -- files -----------------------------------------------------------------------------------------

    def artifact(self, model: ModelVersion | Candidate, name: str) -> Path:
        """Return a local copy of one of the run's files, fetched once."""
        return self._files.artifact(model, name)

    def load_scorer(self, model: ModelVersion | Candidate) -> Scorer:
        """Load the scorer, checked against the ledger."""
        return self._files.load_scorer(model)

    def load_pipeline(self, model: ModelVersion, *, trusted_types: Sequence[str]) -> Pipeline:
        """Load the scikit-learn pipeline with skops, checked against the ledger; foreign types are refused."""
        return self._files.load_pipeline(model, trusted_types=trusted_types)
