"""Back to an earlier version: alias and release together."""

from __future__ import annotations

import logging

from sentiment.deployment.release import Release, deploy, status
from sentiment.errors import ModelError
from sentiment.ledger import Ledger
from sentiment.model_records import ModelVersion
from sentiment.packaging import package
from sentiment.registry import PREVIOUS, Registry
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.gate import Outcome

log = logging.getLogger(__name__)


def rollback(settings: Settings, *, registry: Registry, to: str | None = None, reason: str = "") -> Release:
    """Make an earlier version champion again and serve it.

    Parameters
    ----------
    to : str, optional
        Version to go back to; the previous champion if not given.
    reason : str
        Why, for the ledger.

    Returns
    -------
    Release
        What is served now. Going back to the champion serves it again and changes nothing else. Called again
        after an interruption, it finishes what was begun.

    Raises
    ------
    ModelError
        There is no earlier champion, or the gate did not agree to that version.
    """
    champion = registry.champion()
    target = _target(settings, registry=registry, champion=champion, to=to)
    if target.decision != Outcome.promote and not registry.was_promoted(target.version):
        raise ModelError(
            f"Version {target.version} cannot be rolled back to: the gate said {target.decision or 'nothing'}.",
            fix="Choose a version that was promoted once; `sentiment status` lists them.",
        )
    packaged = package(settings, registry, version=target.version)  # before anything moves
    if target.version != champion.version:
        registry.promote(target.version, expected=champion.version, reason=reason, rollback=True)
    release = deploy(settings, packaged)
    if target.version != champion.version:
        Ledger(Storage(settings)).append(
            "rolled_back",
            model_version=target.version,
            snapshot=target.snapshot,
            reason=reason,
            detail={"from": champion.version, "release": release.id},
        )
    log.info("rolled back from version %s to %s", champion.version, target.version)
    return release


def _target(settings: Settings, *, registry: Registry, champion: ModelVersion, to: str | None) -> ModelVersion:
    if to is not None:
        return registry.version(to)
    served = status(settings).release
    if registry.ended_in_rollback() and (served is None or served.model_version != champion.version):
        return champion  # a rollback was interrupted between alias and release: finish it
    if not any(PREVIOUS in version.aliases for version in registry.versions()):
        raise ModelError(
            f"Nothing to roll back to: there is no champion before version {champion.version}.",
            fix="Name a version with --to; `sentiment status` lists them.",
        )
    return registry.version(PREVIOUS)
