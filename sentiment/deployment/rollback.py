"""Back to an earlier version: alias and release together."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sentiment.deployment.release import Release, deploy, serving
from sentiment.errors import ModelError
from sentiment.ledger import Ledger
from sentiment.model_records import ModelVersion
from sentiment.packaging import BentoPackage, package
from sentiment.promotions import Promotion, Promotions
from sentiment.registry import PREVIOUS, Registry
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.approval import REJECTED, last_word

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rollback:
    """What a rollback came to.

    Attributes
    ----------
    release : Release
        What is served now.
    left : str or None
        The version that was champion before; None if the champion stayed.
    said : str
        What was done, or that there was nothing to do, in plain words.
    changed : bool
        Whether the request changed anything, be it in an earlier attempt.
    """

    release: Release
    left: str | None
    said: str
    changed: bool


def rollback(
    settings: Settings, *, registry: Registry, to: str | None = None, reason: str = "", request: str | None = None
) -> Rollback:
    """Make an earlier version champion again and serve it.

    The version's files are loaded, checked and packaged before anything moves.

    Parameters
    ----------
    to : str, optional
        Version to go back to; the previous champion if not given.
    reason : str
        Why, for the ledger.
    request : str, optional
        Names this wish, so that called again it goes on where it was and never further back. Without one, a rollback
        that was not finished is finished first.

    Raises
    ------
    ModelError
        There is no earlier champion, or the gate did not agree to that version, or a person rejected it.
    IntegrityError
        Its files are not those that were registered. Nothing was moved.
    """
    storage, champion = Storage(settings), registry.champion()
    begun = _begun(storage, request=request, to=to)
    target = registry.version(begun.now) if begun else _target(registry, champion=champion, to=to)
    if begun and target.version != champion.version and Promotions(storage).last() != begun:
        raise ModelError(
            f"This rollback made version {target.version} champion, and version {champion.version} followed it since.",
            fix="Roll back anew: `sentiment rollback`, or a new run of the DAG.",
        )
    _refuse_unfit(storage, registry, target)
    packaged = package(settings, registry, version=target.version)  # before anything moves: it checks every file
    if begun is None and target.version == champion.version:
        return _serve_again(settings, packaged)
    name = begun.request if begun else request or f"by-hand-{uuid.uuid4().hex[:12]}"
    left = begun.was if begun else champion.version
    registry.promote(target.version, expected=left, reason=reason, rollback=True, request=name)
    release = deploy(settings, packaged, at_once=True, request=str(name))
    Ledger(storage).append(
        "rolled_back",
        model_version=target.version,
        run_id=target.run_id,
        snapshot=target.snapshot,
        digests={"model": target.digest, "bento": packaged.digest},
        reason=begun.reason if begun else reason,
        detail={"from": left, "release": release.id, "request": name, "revision": release.revision},
        key=tuple({_key(str(name)), _key(request or str(name))}),
    )
    log.info("rolled back from version %s to %s", left, target.version)
    return Rollback(release, left, f"Version {target.version} is champion again in place of {left}.", changed=True)


def give_back(
    settings: Settings,
    *,
    registry: Registry,
    version: str,
    to: str,
    reason: str,
    request: str,
    detail: Mapping[str, Any],
) -> str:
    """Make the version that serves champion again, after a newer one failed where it is served; say so in the ledger.

    The alias stays if the failed version is not the champion, or the other one never was.

    Parameters
    ----------
    version, to : str
        The failed version, and the one that serves.
    request : str
        Names the failure, so that called again it goes on where it was.
    detail : mapping
        What else the ledger shall keep: the release.

    Returns
    -------
    str
        Who is champion, in plain words.
    """
    storage, failed_reigns = Storage(settings), registry.is_champion(version)
    begun = Promotions(storage).requested(request)
    moves = begun is not None or (failed_reigns and bool(to) and registry.was_promoted(to))
    if moves and (begun is None or begun == Promotions(storage).last()):
        registry.promote(to, expected=version, reason=reason, rollback=True, request=request)
    Ledger(storage).append(
        "rolled_back",
        model_version=to,
        reason=reason,
        detail={**detail, "from": version, "request": request, "alias": moves},
        key=_key(request),
    )
    if moves:
        return f"Version {to} is champion again."
    if failed_reigns:
        return f"Version {version} is still the champion, version {to or 'unknown'} never was: `sentiment rollback`."
    return "The champion stays as it was."


def _serve_again(settings: Settings, packaged: BentoPackage) -> Rollback:
    """Serve the champion, which stays, if it is not served."""
    before = serving(settings)
    release = deploy(settings, packaged, at_once=True)
    served = release.id == before
    done = "is served: there is nothing to do" if served else "is served again"
    said = f"Version {packaged.model_version} is the champion already and {done}."
    return Rollback(release, None, said, changed=not served)


def _begun(storage: Storage, *, request: str | None, to: str | None) -> Promotion | None:
    """Return the rollback that this request has made or finished, or else the newest if nobody has finished it."""
    promotions, ledger = Promotions(storage), Ledger(storage)
    if request and (begun := promotions.requested(request)):
        return begun
    last = promotions.last()
    if last is None or not last.rollback or not last.request:
        return None
    if request and ledger.has(_key(request)):
        return last
    if ledger.has(_key(last.request)):
        return None
    return last if to is None or to.removeprefix("v") == last.now else None


def _target(registry: Registry, *, champion: ModelVersion, to: str | None) -> ModelVersion:
    if to is not None:
        return registry.version(to)
    if not any(PREVIOUS in version.aliases for version in registry.versions()):
        raise ModelError(
            f"Nothing to roll back to: there is no champion before version {champion.version}.",
            fix="Name a version with --to; `sentiment status` lists them.",
        )
    return registry.version(PREVIOUS)


def _refuse_unfit(storage: Storage, registry: Registry, target: ModelVersion) -> None:
    if not registry.was_promoted(target.version):
        raise ModelError(
            f"Version {target.version} cannot be rolled back to, it never was champion: "
            f"the gate said {target.decision or 'nothing'}.",
            fix="Choose one that was: `sentiment history` lists them.",
        )
    word = last_word(storage, target)
    if word and word.event == REJECTED:
        raise ModelError(
            f"Version {target.version} cannot be rolled back to: {word.actor} rejected it "
            f"({word.time:%Y-%m-%d %H:%M} UTC): {word.reason}",
            fix="Choose another one: `sentiment history` lists them.",
        )


def _key(request: str) -> str:
    return f"rolled_back-{request}"
