"""Taking back a version that failed in the cluster: its traffic first, then the alias, then the ledger.

What is to be done follows from the ledger's entry of the failure alone. Until an entry ``rolled_back`` follows it, it
is unfinished, and whoever deploys or looks next finishes it.
"""

from __future__ import annotations

from typing import NoReturn

from sentiment.deployment.cluster import ClusterRelease
from sentiment.deployment.helm import FailedUpgradeError
from sentiment.deployment.rollback import give_back
from sentiment.deployment.shipping import Shipped
from sentiment.deployment.tracks import Version, retreat
from sentiment.errors import TakenBackError
from sentiment.ledger import Ledger, LedgerEntry
from sentiment.registry import Registry
from sentiment.settings import Settings
from sentiment.storage import Storage


def unfinished(settings: Settings, name: str, version: str) -> LedgerEntry | None:
    """Return the failure of a version in a release that nobody has followed up yet."""
    for entry in reversed(Ledger(Storage(settings)).entries()):
        if entry.event == "rolled_back" and entry.detail.get("from") == version:
            return None
        if entry.model_version != version or name not in (entry.detail.get("release"), entry.detail.get("cluster")):
            continue
        if entry.event in ("canary", "deployed"):
            return entry if entry.detail.get("verdict") == "failed" else None
    return None


def record_failure(settings: Settings, cluster: ClusterRelease, shipped: Shipped, error: FailedUpgradeError) -> bool:
    """Write down that the pods of a version did not become ready; False if there is none to go back to."""
    state = cluster.state()
    stable = state.tracks.serving
    if stable is None or stable == Version.of(shipped):
        return False
    Ledger(Storage(settings)).append(
        "canary",
        model_version=shipped.model_version,
        digests={"bento": shipped.bento_digest},
        reason=f"failed: {error.message.splitlines()[0]}",
        detail={
            "release": cluster.name,
            "verdict": "failed",
            "stable": stable.model_version,
            "revision": state.revision,
        },
        key=f"canary-failed-{state.id}",
    )
    return True


def take_back(settings: Settings, registry: Registry, cluster: ClusterRelease, failed: LedgerEntry) -> NoReturn:
    """Let the version before serve alone and, if the failed one is champion, be champion again.

    Raises
    ------
    TakenBackError
        When all of it is done.
    """
    version, stable = str(failed.model_version), str(failed.detail["stable"])
    with cluster.alone() as state:
        while state.tracks.canary and state.tracks.canary.model_version == version:
            step = retreat(state.tracks)
            if step is None:
                break
            state = cluster.apply(step)
    alias = give_back(
        settings,
        registry=registry,
        version=version,
        to=stable,
        reason=failed.reason,
        request=f"taken-back-{failed.sequence}",
        detail={"release": state.id, "cluster": state.name, "revision": state.revision},
    )
    raise TakenBackError(
        f"Version {version} was taken back from {cluster.name}: {failed.reason} It serves {state.tracks}.",
        fix=alias,
    )
