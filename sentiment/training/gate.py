"""The gate: may this challenger replace the champion? Pure: evidence and policy in, a decision out.

Both models answer the same held-out reviews of one snapshot, which neither learned from. What must be proved is that
the challenger is no worse by the margin; every other check can only object. The questions are in
`sentiment.training.checks`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sentiment.settings import GateMode, GatePolicy
from sentiment.training.checks.budgets import budgets
from sentiment.training.checks.data import data_guards
from sentiment.training.checks.quality import first_model, quality
from sentiment.training.checks.slices import behaviour_guards, slice_accuracies, slice_guards
from sentiment.training.checks.trust import trust
from sentiment.training.decision import Check, Decision, Outcome
from sentiment.training.evidence import Evidence

__all__ = ["Check", "Decision", "Evidence", "Outcome", "decide"]


def decide(evidence: Evidence, policy: GatePolicy) -> Decision:
    """Judge a challenger by the evidence under a policy."""
    checks = [_unjudged()] if policy.mode is GateMode.off else _checks(evidence, policy)
    return Decision(
        outcome=_overall(checks),
        champion=evidence.champion.version if evidence.champion else None,
        snapshot=evidence.snapshot,
        checks=tuple(checks),
        slices=slice_accuracies(evidence),
        mode=policy.mode,
        policy=policy.model_dump(mode="json"),
    )


def _checks(evidence: Evidence, policy: GatePolicy) -> list[Check]:
    champion = evidence.champion
    if champion is None:
        compared = [first_model(evidence, policy)]
    else:
        compared = [
            *quality(evidence, champion, policy),
            *trust(evidence, champion, policy),
            *slice_guards(evidence, champion, policy),
        ]
    return [
        *compared,
        *behaviour_guards(evidence, policy),
        *budgets(evidence, policy),
        *data_guards(evidence, policy),
    ]


def _unjudged() -> Check:
    return Check("mode", Outcome.promote, {}, "The gate is off (gate.mode): nothing was compared.")


def _overall(checks: Sequence[Check]) -> Outcome:
    outcomes = {check.outcome for check in checks}
    for outcome in (Outcome.reject, Outcome.inconclusive):
        if outcome in outcomes:
            return outcome
    return Outcome.promote
