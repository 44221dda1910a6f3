"""The MLflow runs of candidates: one for each training, counted only once it is complete."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment.errors import ModelError
from sentiment.mlflow_client import mlflow_errors
from sentiment.model_files import MODEL_FOLDER, RUN_FOLDER
from sentiment.model_records import Candidate, TrainedRecord, TrainingData
from sentiment.settings import Settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric, Param

_KEY, _BEGUN = "sentiment.key", "sentiment.begun"


class Runs:
    """The runs of candidates in the experiment ``registry.experiment``."""

    def __init__(self, settings: Settings, storage: Storage, client: MlflowClient) -> None:
        self._registry, self._address = settings.registry, settings.tracking_uri
        self._storage, self._client = storage, client

    def experiment_id(self, suffix: str = "") -> str:
        """Return the id of the experiment ``<registry.experiment><suffix>``, made if there is none."""
        name = self._registry.experiment + suffix
        with mlflow_errors(self._address, "find the experiment"):
            found = self._client.get_experiment_by_name(name)
            if found is not None:
                return str(found.experiment_id)
            location = None if self._registry.tracking_uri else self._artifact_root()
            return str(self._client.create_experiment(name, artifact_location=location))

    def find(self, key: str) -> Candidate | None:
        """Return the finished run with a training key, if there is one."""
        experiment = self.experiment_id()
        with mlflow_errors(self._address, "search runs"):
            runs = self._client.search_runs([experiment], f"tags.`{_KEY}` = '{key}' and attributes.status = 'FINISHED'")
        return self.candidate(runs[0].info.run_id) if runs else None

    def newest(self) -> Candidate:
        """Return the candidate that was trained last.

        Raises
        ------
        ModelError
            Nothing has been trained yet.
        """
        experiment = self.experiment_id()
        with mlflow_errors(self._address, "search runs"):
            runs = self._client.search_runs(
                [experiment],
                f"tags.`{_KEY}` != '' and attributes.status = 'FINISHED'",
                order_by=["attributes.start_time DESC"],
                max_results=1,
            )
        if not runs:
            raise ModelError("Nothing has been trained yet.", fix="`sentiment train`, or `sentiment run --data FILE`.")
        return self.candidate(runs[0].info.run_id)

    def candidate(self, run_id: str) -> Candidate:
        """Return the candidate that a run trained."""
        from mlflow.exceptions import MlflowException

        try:
            with mlflow_errors(self._address, f"read run {run_id}"):
                run = self._client.get_run(run_id)
        except ModelError as error:
            if isinstance(error.__cause__, MlflowException):
                raise ModelError(
                    f"There is no run {run_id}.", fix="`sentiment status` lists the versions; a run is named in full."
                ) from error
            raise
        tags = run.data.tags
        if "sentiment.digest" not in tags:
            raise ModelError(f"Run {run_id} holds no sentiment model.", fix="Train one: `sentiment train`.")
        return Candidate(
            run_id=run_id,
            snapshot=tags["sentiment.snapshot"],
            digest=tags["sentiment.digest"],
            labels=tuple(json.loads(tags["sentiment.labels"])),
            metrics=dict(run.data.metrics),
            train_rows=int(tags["sentiment.train_rows"]),
            test_rows=int(tags["sentiment.test_rows"]),
            pipeline_digest=tags.get("sentiment.pipeline_digest", ""),
            data_digest=tags.get("sentiment.data_digest", ""),
            cause=tags.get("sentiment.caused_by", "{}"),
            code=tags.get("sentiment.code", ""),
        )

    def log(self, record: TrainedRecord, folder: Path) -> Candidate:
        """Log a trained model that `write_model` wrote to a folder; it counts from its last tag on.

        What an earlier attempt left half done is marked as killed.
        """
        experiment = self.experiment_id()
        with mlflow_errors(self._address, "log the candidate"):
            self._end_begun(experiment, record.key)
            started = int(record.trained_at.timestamp() * 1000)
            tags = {**record.tags, _BEGUN: record.key, "mlflow.source.name": "sentiment train"}
            run_id = str(self._client.create_run(experiment, start_time=started, tags=tags).info.run_id)
            if record.dataset is not None:
                self._client.log_inputs(run_id, datasets=[_dataset(record.dataset)])
            self._client.log_artifacts(run_id, str(folder / RUN_FOLDER))
            model_id = self._log_model(experiment, run_id, record, folder / MODEL_FOLDER)
            self._client.log_batch(run_id, metrics=_metrics(record, model_id), params=_params(record))
            if (other := self.find(record.key)) is not None:  # two began at once
                self._client.set_terminated(run_id, status="KILLED")
                return other
            self._client.set_tag(run_id, _KEY, record.key)  # last but one: what `find` looks for
            self._client.set_terminated(run_id)
        return self.candidate(run_id)

    def _log_model(self, experiment: str, run_id: str, record: TrainedRecord, folder: Path) -> str:
        from mlflow.entities import LoggedModelOutput

        model = self._client.create_logged_model(
            experiment, name="model", source_run_id=run_id, params=dict(record.params), model_type="sentiment"
        )
        self._client.log_model_artifacts(model.model_id, str(folder))
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(run_id, models=[LoggedModelOutput(model.model_id, step=0)])
        return str(model.model_id)

    def _end_begun(self, experiment: str, key: str) -> None:
        begun = f"tags.`{_BEGUN}` = '{key}' and attributes.status = 'RUNNING'"
        for run in self._client.search_runs([experiment], begun):
            self._client.set_terminated(run.info.run_id, status="KILLED")

    def _artifact_root(self) -> str:
        root = self._storage.uri("mlflow/artifacts")
        return root if "://" in root else Path(root).as_uri()


def _metrics(record: TrainedRecord, model_id: str) -> list[Metric]:
    from mlflow.entities import Metric

    now = int(datetime.now(UTC).timestamp() * 1000)
    return [Metric(name, value, now, 0, model_id=model_id) for name, value in record.metrics.items()]


def _params(record: TrainedRecord) -> list[Param]:
    from mlflow.entities import Param

    counts = record.dataset.rows if record.dataset else {}
    rows = {f"rows_{name}": str(count) for name, count in counts.items()}
    return [Param(name, value) for name, value in {**record.params, **rows}.items()]


def _dataset(data: TrainingData) -> DatasetInput:
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = DeltaDatasetSource(path=data.uri, delta_table_version=int(data.snapshot.rsplit("v", 1)[-1]))
    named = MetaDataset(source, name=data.snapshot, digest=data.digest).to_dict()
    return DatasetInput(Dataset(**named), [InputTag("mlflow.data.context", "training")])
