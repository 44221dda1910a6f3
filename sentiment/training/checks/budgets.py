"""What a model may cost: megabytes, and milliseconds against the champion's."""

from __future__ import annotations

import numpy as np

from sentiment.settings import GatePolicy
from sentiment.training.decision import Check, Outcome
from sentiment.training.evidence import Evidence

SMALL_MB = 10.0  # a model that learns from ten times the reviews may well be five times as large


def budgets(evidence: Evidence, policy: GatePolicy) -> list[Check]:
    """Hold the challenger to its budgets."""
    checks = [_size(evidence, policy)]
    if evidence.champion is not None and len(evidence.challenger.milliseconds):
        checks.append(_latency(evidence.challenger.milliseconds, evidence.champion.milliseconds, policy))
    return checks


def _size(evidence: Evidence, policy: GatePolicy) -> Check:
    size = evidence.challenger.megabytes
    numbers, said = {"megabytes": size, "most": policy.max_model_mb}, f"The model file has {size:.1f} MB"
    if size > policy.max_model_mb:
        reason = f"{said}, more than the {policy.max_model_mb:g} MB allowed."
        return Check("model_size", Outcome.reject, numbers, reason)
    if evidence.champion is None:
        return Check("model_size", Outcome.promote, numbers, f"{said}.")
    before = evidence.champion.megabytes
    numbers["champion"] = before
    if size > SMALL_MB and size > policy.max_size_ratio * before:
        reason = f"{said}, more than {policy.max_size_ratio:g} times the champion's {before:.1f} MB."
        return Check("model_size", Outcome.reject, numbers, reason)
    return Check("model_size", Outcome.promote, numbers, f"{said}, the champion's {before:.1f} MB.")


def _latency(ours: np.ndarray, theirs: np.ndarray, policy: GatePolicy) -> Check:
    ratio = float(np.median(ours / np.maximum(theirs, 1e-9)))
    numbers = {"ratio": ratio, "most": policy.max_latency_ratio, "milliseconds": float(np.median(ours))}
    said = f"One prediction takes {np.median(ours):.2f} ms, {ratio:.2f} times the champion's"
    if ratio > policy.max_latency_ratio:
        return Check("latency", Outcome.reject, numbers, f"{said}; {policy.max_latency_ratio:g} times are allowed.")
    return Check("latency", Outcome.promote, numbers, f"{said}.")
