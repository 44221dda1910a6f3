"""Which files of Bentos nothing needs any more: neither a registered model nor a release, here or in a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sentiment.deployment.shipping import BY_DIGEST
from sentiment.deployment.state import DeploymentFiles
from sentiment.ledger import Ledger, LedgerEntry
from sentiment.packaging import BENTO_NAME, BENTOS
from sentiment.settings import Settings
from sentiment.storage import Object, Storage

HELM_REVISIONS = 10
"""Releases that `helm rollback` can go back to: Helm forgets older ones."""

_RELEASED = ("shipped", "deployed", "rolled_back")


def old_bentos(settings: Settings, storage: Storage, registered: set[str], before: datetime) -> list[Object]:
    """Return the old Bentos but the newest of each registered version and those that are, or shall be, served."""
    status, files = DeploymentFiles(settings).status(), DeploymentFiles(settings)
    served = {wanted.tag.rsplit(":", 1)[-1] for wanted in (files.wanted(), status.release, status.failed) if wanted}
    newest: dict[str, Object] = {}
    found = {item.path: item for item in storage.objects(BENTOS) if _is_named(item)}
    for item in found.values():
        version = bento_name(item).removeprefix("v").partition("-")[0]
        if version in registered and (version not in newest or newest[version].modified < item.modified):
            newest[version] = item
    needed = {item.path for item in newest.values()}
    return [
        item
        for path, item in found.items()
        if item.modified < before and path not in needed and bento_name(item) not in served
    ]


def old_shipped(storage: Storage, registered: set[str], before: datetime) -> list[Object]:
    """Return the old files by digest but those of registered versions and of the last releases.

    The ledger says which file is which Bento; one that it does not know was shipped by somebody who was killed, and
    is shipped again before it is deployed.
    """
    old = [item for item in storage.objects(BY_DIGEST) if item.modified < before]
    if not old:
        return []
    entries = Ledger(storage).entries()
    released = _last_released(entries)
    needed = {
        entry.digests.get("file")
        for entry in entries
        if entry.event == "shipped" and (entry.model_version in registered or entry.digests.get("bento") in released)
    }
    return [item for item in old if bento_name(item) not in needed]


def _last_released(entries: Iterable[LedgerEntry]) -> set[str]:
    """Return the digests of the Bentos that were released last, as many as Helm remembers."""
    digests = (entry.digests["bento"] for entry in entries if entry.event in _RELEASED and "bento" in entry.digests)
    newest = dict.fromkeys(reversed(list(digests)))
    return set(list(newest)[:HELM_REVISIONS])


def _is_named(item: Object) -> bool:
    return item.path.endswith(".bento") and not item.path.startswith(f"{BY_DIGEST}/")


def bento_name(item: Object) -> str:
    """Return the version of a Bento, or the digest of its file, by the name of that."""
    return item.path.rsplit("/", 1)[-1].removeprefix(f"{BENTO_NAME}-").removesuffix(".bento")
