"""Whether the data is fit to learn from and to judge by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from sentiment.settings import GatePolicy
from sentiment.training.decision import Check, Outcome
from sentiment.training.evidence import Evidence


def data_guards(evidence: Evidence, policy: GatePolicy) -> list[Check]:
    """Question the snapshot: its age, its split, its labels, its size."""
    checks = [_age(evidence, policy), _leakage(evidence, policy), _balance(evidence, policy)]
    if evidence.champion is not None:
        checks.append(_training_size(evidence.challenger.train_rows, evidence.champion.train_rows, policy))
    return checks


def _age(evidence: Evidence, policy: GatePolicy) -> Check:
    days = evidence.age_days
    numbers, said = {"days": days, "most": policy.max_snapshot_days}, f"The newest review is {days:.1f} days old"
    if days > policy.max_snapshot_days:
        reason = f"{said}, more than the {policy.max_snapshot_days:g} of gate.max_snapshot_days. Ingest newer ones."
        return Check("snapshot_age", Outcome.reject, numbers, reason)
    return Check("snapshot_age", Outcome.promote, numbers, f"{said}.")


def _leakage(evidence: Evidence, policy: GatePolicy) -> Check:
    rows = len(evidence.truth)
    numbers = {"leaked": evidence.leaked, "rows": rows, "most": policy.max_leaked_share}
    said = f"{evidence.leaked:,} of {rows:,} held-out reviews are among the training reviews"
    if evidence.leaked > policy.max_leaked_share * rows:
        reason = f"{said}, so the comparison says too much. Was data.test_share changed?"
        return Check("leakage", Outcome.reject, numbers, reason)
    return Check("leakage", Outcome.promote, numbers, f"{said}.")


def _balance(evidence: Evidence, policy: GatePolicy) -> Check:
    held_out = np.bincount(evidence.truth, minlength=len(evidence.labels)).tolist()
    sides = {
        "training": {name: evidence.train_labels.get(name, 0) for name in evidence.labels},
        "held-out": dict(zip(evidence.labels, held_out, strict=True)),
    }
    numbers = {
        f"{side} {name}": count / max(1, sum(counts.values()))
        for side, counts in sides.items()
        for name, count in counts.items()
    }
    problems = [found for side, counts in sides.items() if (found := _unbalanced(side, counts, policy))]
    if problems:
        return Check("label_balance", Outcome.reject, numbers, " ".join(problems))
    return Check("label_balance", Outcome.promote, numbers, "Every label has its share of the reviews.")


def _unbalanced(side: str, counts: Mapping[str, int], policy: GatePolicy) -> str:
    """Say which label is surely too rare or too common: of a few reviews a share says little."""
    rows = sum(counts.values())
    rarest, commonest = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if stats.binom.cdf(counts[rarest], rows, policy.min_label_share) <= policy.alpha:
        return (
            f"Only {counts[rarest]:,} of {rows:,} {side} reviews are {rarest!r}; "
            f"gate.min_label_share is {policy.min_label_share:.1%}."
        )
    if stats.binom.sf(counts[commonest] - 1, rows, policy.max_label_share) <= policy.alpha:
        return (
            f"{counts[commonest]:,} of {rows:,} {side} reviews are {commonest!r}; "
            f"gate.max_label_share is {policy.max_label_share:.1%}."
        )
    return ""


def _training_size(ours: int, theirs: int, policy: GatePolicy) -> Check:
    numbers = {"challenger": ours, "champion": theirs, "least": policy.min_train_ratio}
    said = f"The challenger learned from {ours:,} reviews, the champion from {theirs:,}"
    if ours < policy.min_train_ratio * theirs:
        reason = f"{said}; less than {policy.min_train_ratio:.0%} of that is a loss of data. Look at the snapshot."
        return Check("training_size", Outcome.reject, numbers, reason)
    return Check("training_size", Outcome.promote, numbers, f"{said}.")
