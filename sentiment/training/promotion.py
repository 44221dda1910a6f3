"""From a candidate to a champion: gather the evidence, ask the gate, register, move the alias."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime

from sentiment.errors import ModelError
from sentiment.ledger import Ledger
from sentiment.model_records import Candidate, ModelVersion
from sentiment.promotions import Promotions
from sentiment.registry import Registry
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.approval import Standing, standing
from sentiment.training.card_files import publish_card
from sentiment.training.evidence_gathering import gather_evidence
from sentiment.training.gate import Decision, decide

log = logging.getLogger(__name__)


def judge(
    settings: Settings, *, registry: Registry, challenger: Candidate | ModelVersion
) -> tuple[ModelVersion, Decision]:
    """Ask the gate about a candidate and register it with the decision.

    Champion and challenger answer the held-out reviews of the challenger's snapshot; a review is held out by
    a hash of its text, so neither has learned from them.

    Returns
    -------
    (ModelVersion, Decision)
        The challenger, and whether it may become champion.
    """
    storage = Storage(settings)
    champion = registry.champion_or_none()
    if champion is not None and champion.run_id == challenger.run_id:
        return champion, read_decision(storage, champion.version)  # it has already won
    evidence = gather_evidence(
        settings, registry=registry, challenger=challenger, champion=champion, now=datetime.now(UTC)
    )
    decision = decide(evidence, settings.gate)
    candidate = registry.candidate(challenger.run_id)
    registered = registry.register(candidate, decision=decision.outcome.value)
    ledger = Ledger(storage)
    ledger.append(
        "registered",
        model_version=registered.version,
        run_id=registered.run_id,
        snapshot=registered.snapshot,
        digests={"model": registered.digest, "pipeline": registered.pipeline_digest},
        key=f"registered-{registered.version}",
    )
    storage.write(f"reports/gate/v{registered.version}/evidence.npz", evidence.to_bytes())
    written = json.dumps(decision.to_dict(), indent=2).encode()
    storage.write(f"reports/gate/v{registered.version}/decision.json", written)
    digest = hashlib.sha256(written).hexdigest()
    ledger.append(
        "decided",
        model_version=registered.version,
        run_id=registered.run_id,
        snapshot=registered.snapshot,
        digests={"model": registered.digest, "decision": digest},
        reason=f"{decision.outcome}: {decision.reason}",
        detail={"champion": decision.champion, "outcome": decision.outcome.value},
        key=f"decided-{registered.version}-{digest}",
    )
    publish_card(settings, registry=registry, version=registered, decision=decision)
    log.info("version %s: %s. %s", registered.version, decision.outcome, decision.reason)
    return registered, decision


def nothing_new(registry: Registry, candidate: Candidate) -> str:
    """Say why a candidate need not be judged again by itself: it is champion, or was rolled back from; else empty."""
    champion = registry.champion_or_none()
    if champion is not None and champion.run_id == candidate.run_id:
        return f"Nothing new to learn: champion {champion.version} has learned from {candidate.snapshot}."
    if left := registry.taken_back(candidate):
        return (
            f"Nothing new to learn: version {left} has learned from {candidate.snapshot} and was rolled back from. "
            f"It comes back only by hand: sentiment promote {left}."
        )
    return ""


def read_decision(storage: Storage, version: str) -> Decision:
    """Return the decision recorded for a version.

    Raises
    ------
    ModelError
        The version was never judged.
    """
    found = storage.read_json(f"reports/gate/v{version}/decision.json")
    if found is None:
        raise ModelError(f"Version {version} was never judged.", fix=f"`sentiment promote {version}` judges it.")
    return Decision.from_dict(found)


def standing_of(settings: Settings, version: ModelVersion, decision: Decision) -> Standing:
    """Return whether a judged version may become champion under today's policy, see `sentiment.training.approval`."""
    return standing(Storage(settings), version=version, decision=decision, policy=settings.gate)


def promote(settings: Settings, *, registry: Registry, version: str) -> ModelVersion:
    """Make a judged version the champion, if gate and people agree and the champion is still the one judged against.

    Raises
    ------
    ModelError
        The gate did not permit it, a person said no, or the approval that `gate.approval` wants is missing.
    PromotionConflictError
        Another version became champion since the decision.
    """
    storage = Storage(settings)
    target = registry.version(version)
    decision = read_decision(storage, target.version)
    now = standing_of(settings, target, decision)
    if not now.allowed:
        raise ModelError(
            f"Version {target.version} may not be promoted. {now.reason}",
            fix=f"`sentiment approve {target.version}`, or `sentiment reject {target.version} --reason WHY`."
            if now.waiting
            else f"Train a better one, or read the decision: `sentiment why {target.version}`.",
        )
    promoted = registry.promote(target.version, expected=decision.champion, reason=decision.reason)
    made = Promotions(storage).made(promoted.version)
    if made is None or made.rollback:  # it was champion already, and not by this promotion
        return promoted
    approver = {"approved_by": now.word.actor} if now.word else {}
    Ledger(storage).append(
        "promoted",
        model_version=promoted.version,
        run_id=promoted.run_id,
        snapshot=promoted.snapshot,
        digests={"model": promoted.digest},
        reason=decision.reason,
        detail={"from": decision.champion, "outcome": decision.outcome.value, **approver},
        key=f"promoted-{made.number}",
    )
    return promoted
