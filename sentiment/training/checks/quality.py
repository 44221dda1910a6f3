"""Whether the challenger is as good as the champion on the held-out reviews, and a first model any good."""

from __future__ import annotations

import numpy as np
from scipy import stats

from sentiment.settings import GatePolicy
from sentiment.training.decision import Check, Outcome
from sentiment.training.evidence import Evidence, ModelEvidence
from sentiment.training.paired import Comparison, Pairs, compare


def first_model(evidence: Evidence, policy: GatePolicy) -> Check:
    """Ask of a model without a champion whether it is surely better than always guessing the commonest label."""
    right = evidence.right(evidence.challenger)
    n, hits = len(right), int(right.sum())
    baseline = float(np.bincount(evidence.truth).max() / n) if n else 1.0
    accuracy = hits / n if n else 0.0
    low = float(stats.beta.ppf(policy.alpha, hits, n - hits + 1)) if hits else 0.0  # Clopper and Pearson 1934
    needed = min(baseline + policy.min_accuracy_gain, (1 + baseline) / 2)
    numbers = {"accuracy": accuracy, "low": low, "baseline": baseline, "needed": needed, "rows": n}
    if low >= needed:
        text = f"First model: accuracy {accuracy:.1%} on {n:,} held-out reviews; always guessing gives {baseline:.1%}."
        return Check("first_model", Outcome.promote, numbers, text)
    if accuracy >= needed:
        text = (
            f"First model: accuracy {accuracy:.1%} is above the {needed:.1%} needed, "
            f"but {n:,} held-out reviews are too few to be sure."
        )
        return Check("first_model", Outcome.inconclusive, numbers, text)
    text = f"First model: accuracy {accuracy:.1%} on {n:,} held-out reviews does not reach the {needed:.1%} needed."
    return Check("first_model", Outcome.reject, numbers, text)


def quality(evidence: Evidence, champion: ModelEvidence, policy: GatePolicy) -> list[Check]:
    """Compare the two models by every metric."""
    pair = Pairs.of(challenger=evidence.right(evidence.challenger), champion=evidence.right(champion))
    checks = [_accuracy(pair, policy), _superiority(pair, policy)]
    if pair.rows:
        found = compare(evidence.truth, challenger=evidence.challenger.probabilities, champion=champion.probabilities)
        checks += [
            _macro_f1(found["macro_f1"], pair.rows, policy, judged=len(evidence.labels) > 2),
            _log_loss(found["log_loss"], policy),
            _calibration(found["expected_calibration_error"], policy),
        ]
    return checks


def _accuracy(pair: Pairs, policy: GatePolicy) -> Check:
    p_value, low = pair.p_not_worse(policy.margin), pair.low(policy.alpha)
    numbers = {
        "difference": pair.difference, "low": low, "margin": policy.margin, "p_value": p_value,
        "rows": pair.rows, "gained": pair.gained, "lost": pair.lost,
    }  # fmt: skip
    said = f"accuracy {points(pair.difference)} on {pair.rows:,} held-out reviews"
    if p_value <= policy.alpha:
        reason = f"No worse than the champion: {said}, at least {points(low)} with {1 - policy.alpha:.0%} confidence."
        return Check("non_inferiority", Outcome.promote, numbers, reason)
    more = pair.rows_needed(policy.margin, policy.alpha) - pair.rows
    if pair.rows and (pair.p_worse(0.0) <= policy.alpha or (more <= 0 and pair.difference < -policy.margin)):
        reason = f"Worse than the champion: {said}; at most {policy.margin * 100:.1f} points may be lost."
        return Check("non_inferiority", Outcome.reject, numbers, reason)
    reason = f"Not proved: {said}, possibly {points(low)}. Needs about {max(more, 1):,} more labelled reviews."
    return Check("non_inferiority", Outcome.inconclusive, {**numbers, "more_rows": max(more, 1)}, reason)


def _superiority(pair: Pairs, policy: GatePolicy) -> Check:
    """Report whether the challenger is better; it need not be."""
    p_value = pair.p_better()
    numbers = {"p_value": p_value, "gained": pair.gained, "lost": pair.lost}
    word = "Better" if p_value <= policy.alpha else "Not shown to be better"
    reason = f"{word}: right on {pair.gained:,} reviews the champion gets wrong, wrong on {pair.lost:,} it gets right."
    return Check("superiority", Outcome.promote, numbers, reason)


def _macro_f1(found: Comparison, rows: int, policy: GatePolicy, *, judged: bool) -> Check:
    """Test macro-F1 where accuracy could hide a rare label; with two labels the slices of the labels do that."""
    margin = policy.macro_f1_margin
    numbers = _numbers(found, policy, margin)
    said = f"Macro-F1 {found.challenger:.3f} against {found.champion:.3f}"
    if not judged:
        return Check("macro_f1", Outcome.promote, numbers, f"{said}.")
    if found.p_not_worse(margin) <= policy.alpha:
        reason = f"{said}, at least {points(found.low(policy.alpha))}."
        return Check("macro_f1", Outcome.promote, numbers, reason)
    more = found.rows_needed(rows, margin, policy.alpha) - rows
    gain = found.challenger - found.champion
    if found.p_worse(0.0) <= policy.alpha or (more <= 0 and gain < -margin):
        reason = f"Worse: {said}; at most {margin * 100:.1f} points may be lost."
        return Check("macro_f1", Outcome.reject, numbers, reason)
    reason = f"Not proved: {said}. Needs about {max(more, 1):,} more labelled reviews."
    return Check("macro_f1", Outcome.inconclusive, {**numbers, "more_rows": max(more, 1)}, reason)


def _log_loss(found: Comparison, policy: GatePolicy) -> Check:
    numbers = _numbers(found, policy, policy.log_loss_margin)
    said = f"Log-loss {found.challenger:.3f} against {found.champion:.3f}"
    if found.p_worse(policy.log_loss_margin) <= policy.alpha:
        return Check("log_loss", Outcome.reject, numbers, f"{said}; it may rise by {policy.log_loss_margin:g}.")
    return Check("log_loss", Outcome.promote, numbers, f"{said}.")


def _calibration(found: Comparison, policy: GatePolicy) -> Check:
    # noise only adds to a calibration error, in a resample once more: the interval is turned round (basic bootstrap)
    surely = 2 * found.challenger - float(np.quantile(found.challengers, 1 - policy.alpha))
    numbers = {**_numbers(found, policy, policy.calibration_margin), "at_least": max(surely, 0.0)}
    said = f"Calibration error {found.challenger:.1%} against {found.champion:.1%}"
    if found.p_worse(policy.calibration_margin) <= policy.alpha:
        reason = f"{said}; it may rise by {policy.calibration_margin * 100:g} points."
        return Check("calibration", Outcome.reject, numbers, reason)
    if surely > policy.max_calibration_error:
        reason = f"{said}; it may be {policy.max_calibration_error:.0%} at the most."
        return Check("calibration", Outcome.reject, numbers, reason)
    return Check("calibration", Outcome.promote, numbers, f"{said}.")


def _numbers(found: Comparison, policy: GatePolicy, margin: float) -> dict[str, float]:
    return {
        "challenger": found.challenger, "champion": found.champion, "low": found.low(policy.alpha), "margin": margin,
        "p_not_worse": found.p_not_worse(margin), "p_worse": found.p_worse(margin), "p_better": found.p_better(),
    }  # fmt: skip


def points(difference: float) -> str:
    """Return a difference of shares in points."""
    return f"{difference * 100:+.1f} points"
