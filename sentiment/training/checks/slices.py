"""Whether any group of reviews suffers, or any kind of behaviour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sentiment.settings import GatePolicy
from sentiment.training.checks.quality import points
from sentiment.training.decision import BEHAVIOUR, SLICE, Check, Outcome
from sentiment.training.evidence import Bools, Evidence, ModelEvidence
from sentiment.training.paired import Pairs, holm, p_worse_by_group


def slice_guards(evidence: Evidence, champion: ModelEvidence, policy: GatePolicy) -> list[Check]:
    """Refuse a challenger that surely loses more than the margin on some slice (Holm over all of them)."""
    ours, theirs = evidence.right(evidence.challenger), evidence.right(champion)
    pairs = {
        name: Pairs.of(challenger=ours[rows], champion=theirs[rows])
        for name, rows in evidence.slices.items()
        if int(rows.sum()) >= policy.min_slice_rows
    }
    p_values = holm(np.array([pair.p_worse(policy.slice_margin) for pair in pairs.values()]))
    checks = []
    for (name, pair), p_value in zip(pairs.items(), p_values.tolist(), strict=True):
        numbers = {"difference": pair.difference, "margin": policy.slice_margin, "p_value": p_value, "rows": pair.rows}
        said = f"{name}: accuracy {points(pair.difference)} on {pair.rows:,} reviews"
        if p_value <= policy.alpha:
            reason = f"{said}; a slice may lose {policy.slice_margin:.0%} at the most."
            checks.append(Check(f"{SLICE}{name}", Outcome.reject, numbers, reason))
        else:
            checks.append(Check(f"{SLICE}{name}", Outcome.promote, numbers, f"{said}."))
    return checks


def slice_accuracies(evidence: Evidence) -> dict[str, dict[str, float]]:
    """Return rows and accuracies of each slice, and of all reviews."""
    everything: Mapping[str, Bools] = {"all": np.ones(len(evidence.truth), dtype=bool), **evidence.slices}
    sides = {"challenger": evidence.challenger, **({"champion": evidence.champion} if evidence.champion else {})}
    right = {side: evidence.right(model) for side, model in sides.items()}
    return {
        name: {"rows": int(rows.sum()), **{side: float(hits[rows].mean()) for side, hits in right.items()}}
        for name, rows in everything.items()
        if rows.any()
    }


def behaviour_guards(evidence: Evidence, policy: GatePolicy) -> list[Check]:
    """Refuse a challenger that surely fails more behavioural cases of some kind than the champion and the margin."""
    kinds = list(dict.fromkeys(evidence.kinds.tolist()))
    ours = evidence.challenger.failures.astype(float)
    if evidence.champion is None:
        return [_behaviour(kind, ours[evidence.kinds == kind], None, 1.0, policy) for kind in kinds]
    theirs = evidence.champion.failures.astype(float)
    chosen = [evidence.kinds == kind for kind in kinds]
    p_values = holm(
        np.array([p_worse_by_group((ours - theirs)[c], evidence.groups[c], policy.behaviour_margin) for c in chosen])
    )
    return [
        _behaviour(kind, ours[rows], theirs[rows], p_value, policy)
        for kind, rows, p_value in zip(kinds, chosen, p_values.tolist(), strict=True)
    ]


def _behaviour(kind: str, ours: np.ndarray, theirs: np.ndarray | None, p_value: float, policy: GatePolicy) -> Check:
    numbers = {"challenger": float(ours.mean()), "cases": len(ours), "p_value": p_value}
    said = f"{kind}: fails {ours.mean():.0%} of {len(ours):,} cases"
    if theirs is None:
        return Check(f"{BEHAVIOUR}{kind}", Outcome.promote, numbers, f"{said}.")
    numbers |= {"champion": float(theirs.mean()), "margin": policy.behaviour_margin}
    said = f"{said}, the champion {theirs.mean():.0%}"
    if p_value <= policy.alpha:
        reason = f"{said}; it may fail {policy.behaviour_margin:.0%} more at the most."
        return Check(f"{BEHAVIOUR}{kind}", Outcome.reject, numbers, reason)
    return Check(f"{BEHAVIOUR}{kind}", Outcome.promote, numbers, f"{said}.")
