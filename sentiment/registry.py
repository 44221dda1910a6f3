"""Models in MLflow: runs, versions, the aliases ``champion``, ``challenger`` and ``previous_champion``.

Promotion is a compare-and-swap. MLflow has none, so each promotion first claims the next number of
`sentiment.promotions`, which only one caller can win; the aliases follow the claim.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment.errors import ModelError, NoChampionError, PromotionConflictError, ServiceError
from sentiment.mlflow_client import connect, mlflow_errors
from sentiment.model_files import ModelFiles
from sentiment.model_records import Candidate, ModelVersion, TrainingData
from sentiment.promotions import Promotion, Promotions
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sklearn.pipeline import Pipeline

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous_champion"


class Registry:
    """The registered models of one platform."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._storage = Storage(settings)
        self._promotions = Promotions(self._storage)
        self._name = settings.registry.model_name
        self._storage.share_with_mlflow()
        self._client = connect(settings)
        self._files = ModelFiles(settings, self._storage, self._client)

    @property
    def address(self) -> str:
        """Where MLflow keeps its records."""
        return self._settings.tracking_uri

    @contextmanager
    def client(self, what: str) -> Iterator[MlflowClient]:
        """Give MLflow's client for runs that are not of candidates; its errors become ours, about `what`."""
        with mlflow_errors(self.address, what):
            yield self._client

    def experiment_id(self, suffix: str = "") -> str:
        """Return the id of the experiment ``<registry.experiment><suffix>``, made if there is none."""
        with mlflow_errors(self.address, "find the experiment"):
            return self._experiment_id(suffix)

    # -- runs ------------------------------------------------------------------------------------------

    def find_run(self, key: str) -> Candidate | None:
        """Return the finished run with a training key, if there is one."""
        with mlflow_errors(self.address, "search runs"):
            runs = self._client.search_runs(
                [self._experiment_id()], f"tags.`sentiment.key` = '{key}' and attributes.status = 'FINISHED'"
            )
        return self.candidate(runs[0].info.run_id) if runs else None

    def candidate(self, run_id: str) -> Candidate:
        """Return the candidate that a run trained."""
        from mlflow.exceptions import MlflowException

        try:
            with mlflow_errors(self.address, f"read run {run_id}"):
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
        )

    def newest_candidate(self) -> Candidate:
        """Return the candidate that was trained last.

        Raises
        ------
        ModelError
            Nothing has been trained yet.
        """
        with mlflow_errors(self.address, "search runs"):
            runs = self._client.search_runs(
                [self._experiment_id()],
                "tags.`sentiment.key` != '' and attributes.status = 'FINISHED'",
                order_by=["attributes.start_time DESC"],
                max_results=1,
            )
        if not runs:
            raise ModelError("Nothing has been trained yet.", fix="`sentiment train`, or `sentiment run --data FILE`.")
        return self.candidate(runs[0].info.run_id)

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
        """Log a trained model as one MLflow run; the run counts only once it is complete.

        `files` are kept with it, by their path among its artifacts.
        """
        import mlflow
        import mlflow.sklearn
        from mlflow.models import infer_signature

        with mlflow_errors(self.address, "log the candidate"):
            mlflow.set_experiment(experiment_id=self._experiment_id())
            with mlflow.start_run() as run:
                mlflow.set_tags({**tags, "sentiment.digest": scorer.digest})
                if dataset is not None:
                    _log_dataset(dataset)
                mlflow.log_params(dict(params))
                mlflow.log_metrics(dict(metrics))
                _log_files(files or {})
                mlflow.log_artifact(str(self._files.save_scorer(scorer, run_id=run.info.run_id)))
                mlflow.sklearn.log_model(
                    pipeline,
                    name="model",
                    serialization_format="skops",
                    skops_trusted_types=list(trusted_types),
                    signature=infer_signature(["a review"], ["positive"]),
                    pip_requirements=_requirements(),
                )
                mlflow.set_tag("sentiment.key", key)  # last: what find_run looks for
        return self.candidate(run.info.run_id)

    # -- versions --------------------------------------------------------------------------------------

    def register(self, candidate: Candidate, *, decision: str) -> ModelVersion:
        """Register a candidate as the challenger; the same run is registered once."""
        with mlflow_errors(self.address, "register the challenger"):
            self._ensure_model()
            found = self._client.search_model_versions(f"name='{self._name}' and run_id='{candidate.run_id}'")
            version = str(found[0].version) if found else str(self._create_version(candidate))
            self._client.set_model_version_tag(self._name, version, "decision", decision)
            self._set_alias(CHALLENGER, version)
        return self.version(version)

    def version(self, version: str) -> ModelVersion:
        """Return a version by number (``3`` or ``v3``) or alias."""
        from mlflow.exceptions import MlflowException

        wanted = version.removeprefix("v")
        try:
            with mlflow_errors(self.address, f"read version {version}"):
                if wanted.isdigit():
                    found = self._client.get_model_version(self._name, wanted)
                else:
                    found = self._client.get_model_version_by_alias(self._name, wanted)
                metrics = self._client.get_run(str(found.run_id)).data.metrics
        except ModelError as error:
            if isinstance(error.__cause__, MlflowException):
                raise ModelError(
                    f"There is no model {self._name} {version}.", fix="`sentiment status` lists the versions."
                ) from error
            raise
        return _model_version(found, metrics)

    def versions(self) -> list[ModelVersion]:
        """Return all registered versions, newest first."""
        with mlflow_errors(self.address, "list versions"):
            self._ensure_model()
            model = self._client.get_registered_model(self._name)
            found = list(self._client.search_model_versions(f"name='{self._name}'", max_results=200))
            by_version: dict[str, list[str]] = {}
            for alias, number in model.aliases.items():
                by_version.setdefault(str(number), []).append(alias)
            for item in found:  # a search answers without the aliases
                item._aliases = by_version.get(str(item.version), [])
            metrics = {item.run_id: self._client.get_run(str(item.run_id)).data.metrics for item in found}
        listed = [_model_version(item, metrics[item.run_id]) for item in found]
        return sorted(listed, key=lambda item: -int(item.version))

    def snapshots_named(self) -> dict[tuple[str, str], str]:
        """Return the snapshot that each registered version of any model names, by model and version.

        Raises
        ------
        ModelError
            MLflow does not know the champion: it is not the one that this platform registered its models in.
        """
        named: dict[tuple[str, str], str] = {}
        with mlflow_errors(self.address, "list the registered models"):
            page = None
            while page != "":
                found = self._client.search_model_versions("", max_results=1_000, page_token=page)
                named |= {(str(item.name), str(item.version)): item.tags.get("snapshot", "") for item in found}
                page = found.token or ""
        last = self._promotions.last()
        if last is not None and (self._name, last.now) not in named:
            raise ModelError(
                f"MLflow at {self.address} does not know version {last.now} of {self._name}, which was made champion.",
                fix="Correct registry.tracking_uri: this MLflow is another one, or lost its records.",
            )
        return named

    def champion(self) -> ModelVersion:
        """Return the champion.

        Raises
        ------
        NoChampionError
            Nothing has been promoted yet.
        """
        try:
            return self.version(CHAMPION)
        except ServiceError:
            raise
        except ModelError as error:
            raise NoChampionError(
                "There is no champion yet.",
                fix="Train and promote a first model: `sentiment run --data FILE`, or the DAG sentiment_retrain.",
            ) from error

    def champion_or_none(self) -> ModelVersion | None:
        """Return the champion, or None before the first promotion."""
        try:
            return self.champion()
        except NoChampionError:
            return None

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
        target = self.version(version)
        last = self._promotions.last()
        if last is None or last.now != target.version:
            current = self._current(last)
            if current == target.version:
                return target
            if current != expected:
                raise _conflict(target.version, expected=expected, current=current)
            last = self._promotions.claim(
                Promotion(
                    number=last.number + 1 if last else 1,
                    was=current,
                    now=target.version,
                    previous=self._promotions.replaced_by(target.version) if rollback else current,
                    rollback=rollback,
                    reason=reason,
                    at=datetime.now(UTC).isoformat(timespec="seconds"),
                    request=request,
                )
            )
            if last.now != target.version:
                raise _conflict(target.version, expected=expected, current=last.now)
        with mlflow_errors(self.address, f"move the alias {CHAMPION}"):
            self._set_alias(CHAMPION, target.version)
            if CHALLENGER in target.aliases:
                self._client.delete_registered_model_alias(self._name, CHALLENGER)
            if last.previous:
                self._set_alias(PREVIOUS, last.previous)
            else:
                self._client.delete_registered_model_alias(self._name, PREVIOUS)
        return self.version(target.version)

    def was_promoted(self, version: str) -> bool:
        """Whether a version was champion once, by the gate."""
        return self._promotions.won(version)

    def taken_back(self, candidate: Candidate) -> str | None:
        """Return the version of a candidate if the champion was rolled back from it, else None."""
        with mlflow_errors(self.address, "find the version of a run"):
            found = self._client.search_model_versions(f"name='{self._name}' and run_id='{candidate.run_id}'")
        return next((str(item.version) for item in found if self._promotions.taken_back(str(item.version))), None)

    def ended_in_rollback(self) -> bool:
        """Whether the champion got there by a rollback."""
        last = self._promotions.last()
        return last is not None and last.rollback

    def _set_alias(self, alias: str, version: str) -> None:
        """Move an alias, again if two callers made it at once: MLflow lets the second of them fail."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_registered_model_alias(self._name, alias, version)
        except MlflowException as error:
            if "registered_model_aliases" not in str(error):
                raise
            self._client.set_registered_model_alias(self._name, alias, version)

    def _current(self, last: Promotion | None) -> str | None:
        """Return the champion, counting a claimed promotion whose alias has not followed yet."""
        champion = self.champion_or_none()
        alias = champion.version if champion else None
        return last.now if last and alias == last.was else alias

    # -- files -----------------------------------------------------------------------------------------

    def artifact(self, model: ModelVersion | Candidate, name: str) -> Path:
        """Return a local copy of one of the run's files, fetched once."""
        return self._files.artifact(model, name)

    def load_scorer(self, model: ModelVersion | Candidate) -> Scorer:
        """Load the scorer, checked against the registered digest."""
        return self._files.load_scorer(model)

    def load_pipeline(self, model: ModelVersion, *, trusted_types: Sequence[str]) -> Pipeline:
        """Load the scikit-learn pipeline with skops; types outside the allow-list are refused."""
        return self._files.load_pipeline(model, trusted_types=trusted_types)

    # -- inside ----------------------------------------------------------------------------------------

    def _experiment_id(self, suffix: str = "") -> str:
        name = self._settings.registry.experiment + suffix
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = None if self._settings.registry.tracking_uri else self._artifact_root()
        return str(self._client.create_experiment(name, artifact_location=location))

    def _artifact_root(self) -> str:
        root = self._storage.uri("mlflow/artifacts")
        return root if "://" in root else Path(root).as_uri()

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _create_version(self, candidate: Candidate) -> int:
        run = self._client.get_run(candidate.run_id)
        model_id = run.outputs.model_outputs[0].model_id
        created = self._client.create_model_version(
            self._name,
            source=f"models:/{model_id}",
            run_id=candidate.run_id,
            model_id=model_id,
            tags={
                "snapshot": candidate.snapshot,
                "digest": candidate.digest,
                "labels": json.dumps(candidate.labels),
            },
        )
        return int(created.version)


def _log_files(files: Mapping[str, bytes]) -> None:
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        mlflow.log_artifacts(folder)


def _model_version(found: Any, metrics: Mapping[str, float]) -> ModelVersion:
    tags = found.tags
    return ModelVersion(
        version=str(found.version),
        run_id=found.run_id,
        snapshot=tags.get("snapshot", ""),
        digest=tags.get("digest", ""),
        labels=tuple(json.loads(tags.get("labels", "[]"))),
        metrics=dict(metrics),
        decision=tags.get("decision", ""),
        aliases=tuple(sorted(found.aliases or ())),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
    )


def _log_dataset(dataset: TrainingData) -> None:
    import mlflow
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    version = int(dataset.snapshot.rsplit("v", 1)[-1])
    source = DeltaDatasetSource(path=dataset.uri, delta_table_version=version)
    mlflow.log_input(MetaDataset(source, name=dataset.snapshot, digest=dataset.digest), context="training")
    mlflow.set_tag("sentiment.data_digest", dataset.digest)
    mlflow.log_params({f"rows_{name}": count for name, count in dataset.rows.items()})


def _conflict(version: str, *, expected: str | None, current: str | None) -> PromotionConflictError:
    return PromotionConflictError(
        f"Version {version} was judged against {_name(expected)}, but the champion is {_name(current)} by now.",
        fix=f"Judge it again against the champion of today: `sentiment promote {version}`.",
    )


def _name(version: str | None) -> str:
    return f"version {version}" if version else "no champion"


def _requirements() -> list[str]:
    """Return the installed versions that the stored pipeline needs."""
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("numpy", "scikit-learn", "scipy", "skops")]
