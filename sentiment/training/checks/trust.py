"""Whether the labels of new reviews may be believed.

A poisoned delivery is held out in part, like any other, and flatters the challenger that learned from it. So the labels
of reviews that arrived since the champion learned are questioned by what was known before. Labels that contradict the
champion are refused. Where new reviews are much harder for the champion than the known ones, either the world has
changed or their labels are wrong. A changed world can be learned, wrong labels cannot: then the challenger must be
proved better on the new reviews, and no worse on the known ones than a slice may be.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from sentiment.settings import GatePolicy
from sentiment.training.checks.quality import points
from sentiment.training.decision import Check, Outcome
from sentiment.training.evidence import Bools, Evidence, ModelEvidence
from sentiment.training.paired import Pairs, holm

LEARNED = 0.25
"""Least share of the champion's gap between known and new reviews that a challenger closes if it has learned them."""


def trust(evidence: Evidence, champion: ModelEvidence, policy: GatePolicy) -> list[Check]:
    """Question the labels of the reviews that are new since the champion's snapshot; no new ones, no question."""
    if evidence.known.all():
        return []
    checks = [_new_labels(evidence, champion, policy)]
    if evidence.known.any():
        checks.append(_known_before(evidence, champion, policy))
    return checks


def _new_labels(evidence: Evidence, champion: ModelEvidence, policy: GatePolicy) -> Check:
    """Refuse labels that agree with the champion less than chance would: they look turned round."""
    new = ~evidence.known
    parts = {"all new reviews": new, **{f"delivery {name}": new & rows for name, rows in evidence.deliveries.items()}}
    judged = {name: rows for name, rows in parts.items() if int(rows.sum()) >= policy.min_slice_rows}
    answers = champion.probabilities.argmax(axis=1)
    found = {name: _agreement(evidence.truth[rows], answers[rows], policy) for name, rows in judged.items()}
    p_values = holm(np.array([p_value for _, p_value in found.values()]))
    worst = min(found, key=lambda name: found[name][0], default=None)
    if worst is None:
        reason = f"{int(new.sum()):,} new held-out reviews are too few to question their labels."
        return Check("new_labels", Outcome.promote, {"rows": int(new.sum())}, reason)
    contradicting = [name for name, p_value in zip(found, p_values, strict=True) if p_value <= policy.alpha]
    numbers = {"kappa": found[worst][0], "p_value": float(p_values.min()), "rows": int(new.sum())}
    if contradicting:
        rows = judged[contradicting[-1]]  # a delivery says more than all of them
        share = float((evidence.truth == answers)[rows].mean())
        reason = (
            f"Labels contradict what was known: of {int(rows.sum()):,} reviews in {contradicting[-1]} the champion "
            f"agrees with {share:.0%}, less than by chance. Look whether they are turned round."
        )
        return Check("new_labels", Outcome.reject, numbers, reason)
    return Check("new_labels", Outcome.promote, numbers, "The labels of new reviews do not contradict the champion.")


def _agreement(truth: np.ndarray, answers: np.ndarray, policy: GatePolicy) -> tuple[float, float]:
    """Return Cohen's kappa, and the p-value of "no less than what the policy bears"."""
    n, hits = len(truth), int((truth == answers).sum())
    size = int(max(truth.max(), answers.max())) + 1
    chance = float(np.bincount(truth, minlength=size) @ np.bincount(answers, minlength=size)) / n**2
    if chance >= 1:
        return 0.0, 1.0
    borne = max(0.0, chance - policy.max_contradiction * (1 - chance))
    return (hits / n - chance) / (1 - chance), float(stats.binom.cdf(hits, n, borne))


def _known_before(evidence: Evidence, champion: ModelEvidence, policy: GatePolicy) -> Check:
    """Refuse what lost on the known reviews; where new ones are harder, ask for proof, there and on the new ones."""
    known = evidence.known
    ours, theirs = evidence.right(evidence.challenger), evidence.right(champion)
    before = Pairs.of(challenger=ours[known], champion=theirs[known])
    after = Pairs.of(challenger=ours[~known], champion=theirs[~known])
    harder = _harder(theirs, known, policy)
    p_known, p_learned = before.p_not_worse(policy.slice_margin), after.p_better()
    numbers = {
        "difference": before.difference, "rows": before.rows, "margin": policy.slice_margin, "p_value": p_known,
        "new_difference": after.difference, "new_rows": after.rows, "p_learned": p_learned,
        "champion_known": float(theirs[known].mean()), "champion_new": float(theirs[~known].mean()),
        "harder": float(harder),
    }  # fmt: skip
    said = f"accuracy {points(before.difference)} on the {before.rows:,} held-out reviews that were known before"
    if before.difference < -policy.margin and before.p_worse(0.0) <= policy.alpha:
        return Check("known_before", Outcome.reject, numbers, f"Worse on what was known: {said}.")
    problem = ""
    learned = p_learned <= policy.alpha and after.difference >= LEARNED * (theirs[known].mean() - theirs[~known].mean())
    if harder and not learned:
        problem = f"the challenger has not learned them ({points(after.difference)} on {after.rows:,})"
    elif harder and p_known > policy.alpha:
        problem = f"it is not proved that what was known is kept ({said})"
    if problem:
        reason = (
            f"New reviews are harder for the champion ({theirs[~known].mean():.1%} right against "
            f"{theirs[known].mean():.1%}) and {problem}: their labels may be wrong. A person must look at them."
        )
        return Check("known_before", Outcome.inconclusive, numbers, reason)
    return Check("known_before", Outcome.promote, numbers, f"Keeps what was known: {said}.")


def _harder(right: Bools, known: Bools, policy: GatePolicy) -> bool:
    """Whether the champion is surely right less often on new reviews, by more than a slice may lose."""
    before, after = right[known], right[~known]
    if min(len(before), len(after)) < policy.min_slice_rows:
        return False
    shares = [(hits.sum() + 1) / (len(hits) + 2) for hits in (before, after)]  # no error seen is not no error
    error = math.sqrt(sum(p * (1 - p) / len(hits) for p, hits in zip(shares, (before, after), strict=True)))
    gap = float(before.mean() - after.mean()) - policy.slice_margin
    return gap / error > float(stats.norm.ppf(1 - policy.alpha))
