"""A person's word on a decision of the gate: who must say yes, who did, and whether it still counts.

What was said is in the ledger (``approved``, ``rejected``). An approval is bound to what was decided: this model,
judged against this champion, with this outcome. A rejection stands until somebody approves. Nobody can approve what
the gate rejected.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentiment.errors import ModelError, PromotionConflictError
from sentiment.ledger import Ledger, LedgerEntry
from sentiment.model_records import ModelVersion
from sentiment.registry import CHAMPION, Registry
from sentiment.settings import GateMode, GatePolicy, Settings
from sentiment.storage import Storage
from sentiment.training.gate import Decision, Outcome

APPROVED, REJECTED = "approved", "rejected"
NOBODY = "nobody"
"""The actor of a rejection that nobody made: the time to answer was over."""


@dataclass(frozen=True)
class Standing:
    """Whether a judged version may become champion.

    Attributes
    ----------
    allowed : bool
        It may.
    waiting : bool
        It may not yet: somebody has to say yes.
    reason : str
        Why, in plain words.
    word : LedgerEntry or None
        What a person said of it last.
    """

    allowed: bool
    waiting: bool
    reason: str
    word: LedgerEntry | None = None


def needs_approval(decision: Decision, policy: GatePolicy) -> bool:
    """Whether the policy wants a person's yes to a decision."""
    if decision.mode is GateMode.dry_run:
        return False
    if decision.outcome is Outcome.inconclusive:
        return policy.approval != "never"
    return decision.outcome is Outcome.promote and policy.approval == "always"


def standing(storage: Storage, *, version: ModelVersion, decision: Decision, policy: GatePolicy) -> Standing:
    """Return what the gate and the people together say about a version."""
    said, word = f"The gate said {decision.outcome}: {decision.reason}", last_word(storage, version)
    if CHAMPION in version.aliases:
        return Standing(allowed=True, waiting=False, reason="It is the champion.", word=word)
    if decision.outcome is Outcome.reject:
        return Standing(allowed=False, waiting=False, reason=said, word=word)
    if word and word.event == REJECTED:
        return Standing(allowed=False, waiting=False, reason=f"{_who(word)} rejected it: {word.reason}", word=word)
    if not needs_approval(decision, policy):
        return Standing(allowed=decision.permits, waiting=False, reason=said, word=word)
    if word is None:
        return Standing(allowed=False, waiting=True, reason=f"{said} It waits for approval.")
    if word.detail != _bound_to(decision):
        was = word.detail
        reason = (
            f"{_who(word)} approved it as {was['outcome']} against {_champion(was['champion'])}, "
            f"but it is {decision.outcome} against {_champion(decision.champion)} by now."
        )
        return Standing(allowed=False, waiting=True, reason=reason, word=word)
    return Standing(allowed=True, waiting=False, reason=f"{_who(word)} approved it. {said}", word=word)


def last_word(storage: Storage, version: ModelVersion) -> LedgerEntry | None:
    """Return what a person said last of a version, if anybody did."""
    words = (
        entry
        for entry in reversed(Ledger(storage).entries())
        if entry.event in (APPROVED, REJECTED)
        and entry.model_version == version.version
        and entry.digests.get("model") == version.digest
        and entry.actor != NOBODY
    )
    return next(words, None)


def approve(
    settings: Settings,
    *,
    registry: Registry,
    version: ModelVersion,
    decision: Decision,
    reason: str = "",
    actor: str | None = None,
    key: str | None = None,
) -> None:
    """Write down that a person lets a version become champion.

    Parameters
    ----------
    reason : str, optional
        Why, for the ledger.
    actor : str, optional
        Who; the user of this process if not given.
    key : str, optional
        Names the question, so that its answer is written once.

    Raises
    ------
    ModelError
        The gate rejected it, or nobody has to approve it.
    PromotionConflictError
        The champion is no longer the one that it was judged against.
    """
    storage = Storage(settings)
    if CHAMPION in version.aliases or (key and Ledger(storage).has(key)):
        return
    now = standing(storage, version=version, decision=decision, policy=settings.gate)
    rejected = now.word is not None and now.word.event == REJECTED
    if decision.outcome is Outcome.reject:
        raise ModelError(
            f"Version {version.version} cannot be approved. The gate said {decision.outcome}: {decision.reason}",
            fix="Train a better one; a person cannot overrule a rejection.",
        )
    if not now.waiting and not rejected:
        raise ModelError(
            f"Version {version.version} needs no approval: it is {decision.outcome}, and gate.approval is "
            f"{settings.gate.approval}.",
            fix=f"`sentiment promote {version.version}`."
            if now.allowed
            else "To let people decide what the gate cannot, set gate.approval = when_inconclusive.",
        )
    champion = registry.champion_or_none()
    current = champion.version if champion else None
    if current != decision.champion:
        raise PromotionConflictError(
            f"Version {version.version} was judged against {_champion(decision.champion)}, "
            f"but there is {_champion(current)} by now.",
            fix=f"Judge it again: `sentiment promote {version.version}`.",
        )
    _write(storage, APPROVED, version=version, decision=decision, reason=reason, actor=actor, key=key)


def reject(
    settings: Settings,
    *,
    version: ModelVersion,
    decision: Decision,
    reason: str,
    actor: str | None = None,
    key: str | None = None,
) -> None:
    """Write down that a version shall not become champion, by the gate or by a rollback, until it is approved.

    Parameters
    ----------
    reason : str
        Why, for the ledger.
    actor : str, optional
        Who; the user of this process if not given. `NOBODY`: the time to answer was over, which binds no one.
    key : str, optional
        Names the question, so that its answer is written once.

    Raises
    ------
    ModelError
        It is the champion.
    """
    if CHAMPION in version.aliases:
        raise ModelError(
            f"Version {version.version} is the champion.",
            fix=f"Roll back first: `sentiment rollback`, then `sentiment reject {version.version}` bars the way back.",
        )
    _write(Storage(settings), REJECTED, version=version, decision=decision, reason=reason, actor=actor, key=key)


def _write(
    storage: Storage,
    event: str,
    *,
    version: ModelVersion,
    decision: Decision,
    reason: str,
    actor: str | None,
    key: str | None,
) -> None:
    Ledger(storage).append(
        event,
        model_version=version.version,
        run_id=version.run_id,
        snapshot=version.snapshot,
        digests={"model": version.digest},
        reason=reason or "no reason given",
        detail=_bound_to(decision),
        actor=actor,
        key=key,
    )


def _bound_to(decision: Decision) -> dict[str, str | None]:
    return {"outcome": decision.outcome.value, "champion": decision.champion}


def _who(word: LedgerEntry) -> str:
    return f"{word.actor} ({word.time:%Y-%m-%d %H:%M} UTC)"


def _champion(version: str | None) -> str:
    return f"champion {version}" if version else "no champion"
