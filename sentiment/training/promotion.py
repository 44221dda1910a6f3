"""From a candidate to a champion: gather the evidence, ask the gate, register, move the alias."""

from __future__ import annotations

import json
import logging

import numpy as np

from sentiment.errors import ModelError
from sentiment.ledger import Ledger
from sentiment.model_records import Candidate, ModelVersion
from sentiment.registry import Registry
from sentiment.reviews.table import parse_snapshot, read_snapshot
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.card_files import publish_card
from sentiment.training.gate import Decision, Evidence, Outcome, decide
from sentiment.training.slices import Traits

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
    evidence = _evidence(settings, registry=registry, challenger=challenger, champion=champion)
    decision = decide(evidence, settings.gate)
    candidate = registry.candidate(challenger.run_id)
    registered = registry.register(candidate, decision=decision.outcome.value)
    ledger = Ledger(storage)
    ledger.append(
        "registered",
        model_version=registered.version,
        snapshot=registered.snapshot,
        detail={
            "run_id": registered.run_id,
            "digest": registered.digest,
            "pipeline_digest": registered.pipeline_digest,
        },
        key=f"registered-{registered.version}",
    )
    storage.write(
        f"reports/gate/v{registered.version}/decision.json",
        json.dumps(decision.to_dict(), indent=2).encode(),
    )
    ledger.append(
        "decided",
        model_version=registered.version,
        snapshot=registered.snapshot,
        reason=f"{decision.outcome}: {decision.reason}",
        detail={"champion": decision.champion, "outcome": decision.outcome.value},
        key=f"decided-{registered.version}-against-{decision.champion}",
    )
    publish_card(settings, registry=registry, version=registered, decision=decision)
    log.info("version %s: %s. %s", registered.version, decision.outcome, decision.reason)
    return registered, decision


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


def promote(settings: Settings, *, registry: Registry, version: str) -> ModelVersion:
    """Make a judged version the champion, if the gate said so and the champion is still the one judged against.

    Raises
    ------
    ModelError
        The gate did not say `promote`.
    PromotionConflictError
        Another version became champion since the decision.
    """
    storage = Storage(settings)
    target = registry.version(version)
    decision = read_decision(storage, target.version)
    if decision.outcome is not Outcome.promote:
        raise ModelError(
            f"Version {target.version} may not be promoted. The gate said {decision.outcome}: {decision.reason}",
            fix="Train a better one, or read the decision: `sentiment status`.",
        )
    promoted = registry.promote(target.version, expected=decision.champion, reason=decision.reason)
    Ledger(storage).append(
        "promoted",
        model_version=promoted.version,
        snapshot=promoted.snapshot,
        reason=decision.reason,
        detail={"from": decision.champion},
        key=f"promoted-{promoted.version}-from-{decision.champion}",
    )
    return promoted


def _evidence(
    settings: Settings,
    *,
    registry: Registry,
    challenger: Candidate | ModelVersion,
    champion: ModelVersion | None,
) -> Evidence:
    rows = read_snapshot(Storage(settings), parse_snapshot(challenger.snapshot), split="test")
    texts = rows["text"].tolist()
    if champion is not None and set(champion.labels) != set(challenger.labels):
        raise ModelError(
            f"Champion {champion.version} answers {champion.labels}, the challenger {challenger.labels}.",
            fix="Use another registry.model_name for another label scheme.",
        )
    return Evidence(
        snapshot=challenger.snapshot,
        labels=rows["label"].to_numpy(str),
        challenger=_answers(registry.load_scorer(challenger), texts),
        champion=_answers(registry.load_scorer(champion), texts) if champion else None,
        champion_version=champion.version if champion else None,
        slices=Traits.of(texts, labels=rows["label"].tolist(), sources=rows["source"].tolist()).slices(),
    )


def _answers(scorer: Scorer, texts: list[str]) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    answers: np.ndarray[tuple[int], np.dtype[np.str_]] = np.array(scorer.labels)[
        scorer.probabilities(texts).argmax(axis=1)
    ]
    return answers
