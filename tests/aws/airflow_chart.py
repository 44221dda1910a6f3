"""The keys of other people's charts that our values rely on, as their own files name them.

Airflow: `chart/values.yaml` of apache/airflow at d6ba4817823e8ffd2d3f676fc92aa7381e7d30f0 (chart 1.19, Airflow 3.1);
chart 1.22 says in its notes which it renames, and keeps these. MLflow: `charts/mlflow/values.schema.json` and README of
community-charts/helm-charts, chart 1.12.0. A `*` stands for any key below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SIZES = ("requests", "limits")
PARTS = ("scheduler", "dagProcessor", "triggerer", "apiServer", "workers", "migrateDatabaseJob", "cleanup")
AIRFLOW = {
    *("defaultAirflowRepository", "defaultAirflowTag", "airflowVersion", "airflowLocalSettings", "executor"),
    *("data.metadataSecretName", "fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"),
    *("postgresql.enabled", "redis.enabled", "createUserJob.enabled", "extraEnvFrom", "env", "volumes", "volumeMounts"),
    "config.*",
    *(f"{part}.resources.*" for part in (*PARTS, "statsd", "databaseCleanup")),
    *(f"{part}.securityContexts.{level}.*" for part in PARTS for level in ("pod", "container")),
    *(f"{part}.logGroomerSidecar.resources.*" for part in ("scheduler", "dagProcessor", "triggerer")),
    *(f"{part}.replicas" for part in ("scheduler", "dagProcessor", "triggerer", "apiServer")),
    *(f"{part}.podDisruptionBudget.enabled" for part in ("scheduler", "apiServer")),
    *(f"{part}.serviceAccount.name" for part in ("workers", "triggerer", "apiServer")),
    *(f"{part}.serviceAccount.annotations.*" for part in ("workers", "triggerer", "apiServer")),
    *("workers.nodeSelector.*", "workers.tolerations", "workers.terminationGracePeriodSeconds"),
    *("dagProcessor.enabled", "triggerer.enabled", "triggerer.persistence.enabled", "statsd.enabled"),
    *("cleanup.enabled", "cleanup.schedule", "databaseCleanup.enabled", "databaseCleanup.retentionDays"),
}
MLFLOW = {
    *("fullnameOverride", "replicaCount", "image.repository", "image.tag"),
    *("initImages.mlflowDbMigration.repository", "initImages.mlflowDbMigration.tag"),
    "backendStore.databaseMigration",
    *(f"backendStore.postgres.{name}" for name in ("enabled", "host", "port", "database")),
    "backendStore.existingDatabaseSecret.name",
    "artifactRoot.proxiedArtifactStorage",
    *(f"artifactRoot.s3.{name}" for name in ("enabled", "bucket", "path")),
    *("serverAllowedHosts", "extraArgs.*", "extraEnvVars.*", "telemetry.enabled"),
    *(f"serviceAccount.{name}" for name in ("create", "name", "automount", "annotations.*")),
    *("service.type", "service.port", "resources.*", "podSecurityContext.*", "securityContext.*", "nodeSelector.*"),
}


def paths(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Return where each value stands, dots between the keys."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from paths(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


def unknown(values: Mapping[str, Any], known: set[str]) -> list[str]:
    """Return the keys that the chart does not have."""
    free = tuple(key.removesuffix("*") for key in known if key.endswith(".*"))
    return [path for path in paths(values) if path not in known and not path.startswith(free)]
