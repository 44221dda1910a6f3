"""What is: champion, release, data, the last drift check, what happened last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sentiment.deployment.cluster_status import ClusterStatus, cluster_status
from sentiment.deployment.release import status as deployment_status
from sentiment.deployment.state import Status as DeploymentStatus
from sentiment.drift.archive import DriftCheck, list_checks, read_check
from sentiment.ledger import Ledger, LedgerEntry
from sentiment.model_records import ModelVersion
from sentiment.platform import Addresses, running_addresses
from sentiment.registry import CHAMPION, Registry
from sentiment.reviews.table import Snapshot, latest_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage

NEWEST = 10


@dataclass(frozen=True)
class PlatformStatus:
    """Everything worth a look, read at one moment.

    Attributes
    ----------
    cluster : ClusterStatus or None
        With ``deployment.target`` kubernetes; `deployment` is what this machine serves.
    """

    root: str
    mlflow: str
    addresses: Addresses | None
    deployment: DeploymentStatus
    snapshot: Snapshot | None
    versions: tuple[ModelVersion, ...]
    last_check: DriftCheck | None
    entries: tuple[LedgerEntry, ...]
    cluster: ClusterStatus | None = None

    @property
    def champion(self) -> ModelVersion | None:
        """The champion, if there is one."""
        return next((version for version in self.versions if CHAMPION in version.aliases), None)

    def facts(self) -> dict[str, str]:
        """Return the answers to the first questions, as text."""
        champion, check = self.champion, self.last_check
        return {
            "Champion": f"version {champion.version}, accuracy {champion.metrics.get('accuracy', 0):.1%}, "
            f"learned from {champion.snapshot}"
            if champion
            else "none yet: `sentiment run --data FILE`",
            "Serving": self._serving(),
            "Reviews": f"{self.snapshot}, {self.snapshot.rows:,} rows"
            if self.snapshot
            else "none yet: `sentiment ingest FILE`",
            "Last drift check": f"{check.verdict.state}: {check.verdict.reasons[0]} ({check.id})"
            if check
            else "none yet",
            "Airflow": self.addresses.airflow if self.addresses else "not running: `sentiment up`",
            "MLflow": self.addresses.mlflow if self.addresses else self.mlflow,
            "Storage": self.root,
        }

    def version_rows(self) -> list[tuple[object, ...]]:
        """Return the newest model versions as table rows."""
        return [
            (v.version, ", ".join(v.aliases), v.decision, f"{v.metrics.get('accuracy', 0):.1%}", v.snapshot)
            for v in self.versions[:NEWEST]
        ]

    def ledger_rows(self) -> list[tuple[object, ...]]:
        """Return the newest ledger entries as table rows."""
        return [
            (f"{e.time:%Y-%m-%d %H:%M:%S}", e.event, e.model_version or "", e.reason)
            for e in reversed(self.entries[-NEWEST:])
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the status as JSON types."""
        return {
            "root": self.root,
            "champion": self.champion.to_dict() if self.champion else None,
            "deployment": self.deployment.to_dict(),
            "cluster": self.cluster.to_dict() if self.cluster else None,
            "snapshot": str(self.snapshot) if self.snapshot else None,
            "rows": self.snapshot.rows if self.snapshot else 0,
            "versions": [version.to_dict() for version in self.versions],
            "last_check": self.last_check.to_dict() if self.last_check else None,
            "airflow": self.addresses.airflow if self.addresses else None,
            "mlflow": self.addresses.mlflow if self.addresses else self.mlflow,
            "ledger": [entry.to_dict() for entry in self.entries[-NEWEST:]],
        }

    def _serving(self) -> str:
        if self.cluster:
            return str(self.cluster)
        if (release := self.deployment.release) and self.deployment.alive:
            return f"version {release.model_version} at {self.deployment.url} ({release.tag})"
        return "nothing: `sentiment deploy`" if not self.deployment.alive else "no release yet: `sentiment deploy`"


def platform_status(settings: Settings, registry: Registry) -> PlatformStatus:
    """Read the state of the platform on one storage root."""
    storage = Storage(settings)
    checks = list_checks(storage)
    return PlatformStatus(
        root=storage.root,
        mlflow=registry.address,
        addresses=running_addresses(settings),
        deployment=deployment_status(settings),
        snapshot=latest_snapshot(storage),
        versions=tuple(registry.versions()),
        last_check=read_check(storage, checks[0]) if checks else None,
        entries=tuple(Ledger(storage).entries()),
        cluster=cluster_status(settings) if settings.deployment.target == "kubernetes" else None,
    )
