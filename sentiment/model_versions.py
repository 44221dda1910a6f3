"""The registered versions of a model, and their aliases ``champion``, ``challenger`` and ``previous_champion``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sentiment.errors import ModelError, NoChampionError, ServiceError
from sentiment.mlflow_client import mlflow_errors
from sentiment.model_folder import requirements
from sentiment.model_records import Candidate, ModelVersion
from sentiment.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous_champion"


class Versions:
    """The versions of the registered model ``registry.model_name``."""

    def __init__(self, settings: Settings, client: MlflowClient) -> None:
        self._name, self._address, self._client = settings.registry.model_name, settings.tracking_uri, client

    def register(self, candidate: Candidate, *, decision: str) -> ModelVersion:
        """Register a candidate as the challenger; the same run is registered once."""
        with mlflow_errors(self._address, "register the challenger"):
            self._ensure_model()
            found = self._of_run(candidate.run_id)
            version = str(found[0].version) if found else self._create(candidate)
            self._client.set_model_version_tag(self._name, version, "decision", decision)
            self.set_alias(CHALLENGER, version)
        return self.get(version)

    def describe(self, version: str, text: str) -> None:
        """Write what people read on the page of a version, in Markdown."""
        with mlflow_errors(self._address, f"describe version {version}"):
            self._client.update_model_version(self._name, version, text)

    def get(self, version: str) -> ModelVersion:
        """Return a version by number (``3`` or ``v3``) or alias."""
        from mlflow.exceptions import MlflowException

        wanted = version.removeprefix("v")
        try:
            with mlflow_errors(self._address, f"read version {version}"):
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

    def all(self) -> list[ModelVersion]:
        """Return all registered versions, newest first."""
        with mlflow_errors(self._address, "list versions"):
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

    def champion(self) -> ModelVersion | None:
        """Return the version with the alias; None if no version has it."""
        try:
            return self.get(CHAMPION)
        except ServiceError:
            raise
        except ModelError:
            return None

    def numbers_of_run(self, run_id: str) -> list[str]:
        """Return the versions that were made of a run."""
        with mlflow_errors(self._address, "find the version of a run"):
            return [str(item.version) for item in self._of_run(run_id)]

    def snapshots_named(self) -> dict[tuple[str, str], str]:
        """Return the snapshot that each registered version of any model names, by model and version."""
        named: dict[tuple[str, str], str] = {}
        with mlflow_errors(self._address, "list the registered models"):
            page = None
            while page != "":
                found = self._client.search_model_versions("", max_results=1_000, page_token=page)
                named |= {(str(item.name), str(item.version)): item.tags.get("snapshot", "") for item in found}
                page = found.token or ""
        return named

    def crown(self, target: ModelVersion, *, previous: str | None) -> ModelVersion:
        """Set the aliases of a promotion that was won."""
        with mlflow_errors(self._address, f"move the alias {CHAMPION}"):
            self.set_alias(CHAMPION, target.version)
            if CHALLENGER in target.aliases:
                self._client.delete_registered_model_alias(self._name, CHALLENGER)
            if previous:
                self.set_alias(PREVIOUS, previous)
            else:
                self._client.delete_registered_model_alias(self._name, PREVIOUS)
        return self.get(target.version)

    def set_alias(self, alias: str, version: str) -> None:
        """Move an alias, again if two callers made it at once: MLflow lets the second of them fail."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_registered_model_alias(self._name, alias, version)
        except MlflowException as error:
            if "registered_model_aliases" not in str(error):
                raise
            self._client.set_registered_model_alias(self._name, alias, version)

    def _of_run(self, run_id: str) -> list[Any]:
        return list(self._client.search_model_versions(f"name='{self._name}' and run_id='{run_id}'"))

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _create(self, candidate: Candidate) -> str:
        run = self._client.get_run(candidate.run_id)
        model_id = run.outputs.model_outputs[0].model_id
        created = self._client.create_model_version(
            self._name,
            source=f"models:/{model_id}",
            run_id=candidate.run_id,
            model_id=model_id,
            tags={
                "snapshot": candidate.snapshot,
                "data_digest": run.data.tags.get("sentiment.data_digest", ""),
                "digest": candidate.digest,
                "pipeline_digest": candidate.pipeline_digest,
                "labels": json.dumps(candidate.labels),
                "code": candidate.code,
                "requirements": run.data.tags.get("sentiment.requirements", " ".join(requirements())),
                "accuracy": f"{candidate.metrics['accuracy']:.4f}" if "accuracy" in candidate.metrics else "",
            },
        )
        return str(created.version)


def required(champion: ModelVersion | None) -> ModelVersion:
    """Return the champion.

    Raises
    ------
    NoChampionError
        Nothing has been promoted yet.
    """
    if champion is None:
        raise NoChampionError(
            "There is no champion yet.",
            fix="Train and promote a first model: `sentiment run --data FILE`, or the DAG sentiment_retrain.",
        )
    return champion


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
        pipeline_digest=tags.get("pipeline_digest", ""),
        code=tags.get("code", ""),
    )
