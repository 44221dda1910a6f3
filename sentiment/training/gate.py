"""The gate: may this challenger replace the champion? Pure: evidence and policy in, a decision out.

Both models answer the same held-out reviews of one snapshot, which neither learned from. The main test is
paired non-inferiority of accuracy: the difference of two accuracies on the same rows has the variance of the
discordant pairs only (Tango 1998; here the Wald interval with a continuity correction). Slices are guarded by
the same test with a margin of their own, under Holm's correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy import stats

from sentiment.settings import GatePolicy

SLICE = "slice "


class Outcome(StrEnum):
    """What the gate says."""

    promote = "promote"
    reject = "reject"
    inconclusive = "inconclusive"


@dataclass(frozen=True)
class Check:
    """One question the gate asked.

    Attributes
    ----------
    outcome : Outcome
        ``promote`` means that this check has no objection.
    numbers : Mapping[str, float]
        What it was decided on.
    reason : str
        The answer in plain words.
    """

    name: str
    outcome: Outcome
    numbers: Mapping[str, float]
    reason: str


@dataclass(frozen=True)
class Decision:
    """The outcome, every check behind it, and the accuracy per slice for whoever reads it."""

    outcome: Outcome
    champion: str | None
    snapshot: str
    checks: tuple[Check, ...]
    slices: Mapping[str, Mapping[str, float]]

    @property
    def reason(self) -> str:
        """The reasons that decided, in one line; of a promotion, the main tests without the slices."""
        decisive = [check for check in self.checks if check.outcome is self.outcome]
        if self.outcome is Outcome.promote:
            decisive = [check for check in decisive if not check.name.startswith(SLICE)]
        return " ".join(check.reason for check in decisive)

    def to_dict(self) -> dict[str, Any]:
        """Return the decision as JSON types."""
        return {**asdict(self), "reason": self.reason}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Decision:
        """Read a decision back from what `to_dict` returned."""
        decision: Decision = TypeAdapter(cls).validate_python({k: v for k, v in data.items() if k != "reason"})
        return decision


@dataclass(frozen=True)
class Evidence:
    """Answers to the same held-out reviews, as arrays of one length.

    Attributes
    ----------
    labels, challenger : ndarray of str, shape (n,)
        The right labels and the challenger's.
    champion : ndarray of str, shape (n,), or None
        The champion's labels; None before there is a champion.
    slices : Mapping[str, ndarray of bool, shape (n,)]
        Named groups of rows that must not suffer.
    """

    snapshot: str
    labels: NDArray[np.str_]
    challenger: NDArray[np.str_]
    champion: NDArray[np.str_] | None
    champion_version: str | None
    slices: Mapping[str, NDArray[np.bool_]]


def decide(evidence: Evidence, policy: GatePolicy) -> Decision:
    """Judge a challenger by the evidence under a policy."""
    challenger_right = evidence.challenger == evidence.labels
    if evidence.champion is None:
        checks: list[Check] = [_first_model(evidence.labels, challenger_right, policy)]
        champion_right = None
    else:
        champion_right = evidence.champion == evidence.labels
        checks = [
            _non_inferiority(challenger_right, champion_right, policy),
            _superiority(challenger_right, champion_right),
            *_slice_guards(evidence.slices, challenger_right, champion_right, policy),
        ]
    return Decision(
        outcome=_overall(checks),
        champion=evidence.champion_version,
        snapshot=evidence.snapshot,
        checks=tuple(checks),
        slices=_slice_accuracies(evidence.slices, challenger_right, champion_right),
    )


def _overall(checks: Sequence[Check]) -> Outcome:
    outcomes = {check.outcome for check in checks}
    for outcome in (Outcome.reject, Outcome.inconclusive):
        if outcome in outcomes:
            return outcome
    return Outcome.promote


def _first_model(labels: NDArray[np.str_], right: NDArray[np.bool_], policy: GatePolicy) -> Check:
    n = len(labels)
    _, counts = np.unique(labels, return_counts=True)
    baseline = float(counts.max() / n) if n else 1.0
    accuracy = float(right.mean()) if n else 0.0
    hits = int(right.sum())
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


@dataclass(frozen=True)
class _Paired:
    """The difference of two accuracies on the same rows, and its standard error."""

    rows: int
    gained: int
    lost: int

    @classmethod
    def of(cls, challenger: NDArray[np.bool_], champion: NDArray[np.bool_]) -> _Paired:
        return cls(
            rows=len(challenger),
            gained=int((challenger & ~champion).sum()),
            lost=int((~challenger & champion).sum()),
        )

    @property
    def difference(self) -> float:
        return (self.gained - self.lost) / self.rows if self.rows else 0.0

    @property
    def error(self) -> float:
        """Standard error, with one pair added to each side so that no pairs at all is not certainty."""
        n, discordant = max(self.rows, 1), self.gained + self.lost + 2
        return math.sqrt(discordant - (self.gained - self.lost) ** 2 / n) / n

    def p_not_worse(self, margin: float) -> float:
        """P-value of "worse by the margin or more"; small means proved no worse."""
        return float(stats.norm.sf((self.difference + margin) / self.error))

    def p_worse(self, margin: float) -> float:
        """P-value of "no worse than the margin"; small means proved worse."""
        return float(stats.norm.cdf((self.difference + margin) / self.error))


def _non_inferiority(challenger: NDArray[np.bool_], champion: NDArray[np.bool_], policy: GatePolicy) -> Check:
    pair = _Paired.of(challenger, champion)
    p_value = pair.p_not_worse(policy.margin)
    low = pair.difference - float(stats.norm.ppf(1 - policy.alpha)) * pair.error
    numbers = {
        "difference": pair.difference, "low": low, "margin": policy.margin, "p_value": p_value,
        "rows": pair.rows, "gained": pair.gained, "lost": pair.lost,
    }  # fmt: skip
    said = f"accuracy {_points(pair.difference)} on {pair.rows:,} held-out reviews"
    if p_value <= policy.alpha:
        reason = f"No worse than the champion: {said}, at least {_points(low)} with {1 - policy.alpha:.0%} confidence."
        return Check("non_inferiority", Outcome.promote, numbers, reason)
    more = _rows_needed(pair, policy) - pair.rows
    if pair.p_worse(0.0) <= policy.alpha or (more <= 0 and pair.difference < -policy.margin):
        reason = f"Worse than the champion: {said}; at most {policy.margin * 100:.1f} points may be lost."
        return Check("non_inferiority", Outcome.reject, numbers, reason)
    reason = f"Not proved: {said}, possibly {_points(low)}. Needs about {max(more, 1):,} more labelled reviews."
    return Check("non_inferiority", Outcome.inconclusive, {**numbers, "more_rows": max(more, 1)}, reason)


def _rows_needed(pair: _Paired, policy: GatePolicy) -> int:
    """Rows with which an equal challenger is proved no worse four times in five."""
    z = float(stats.norm.ppf(1 - policy.alpha) + stats.norm.ppf(0.8))
    discordant = (pair.gained + pair.lost + 2) / max(pair.rows, 1)
    return math.ceil(discordant * (z / max(policy.margin, 1e-6)) ** 2)


def _superiority(challenger: NDArray[np.bool_], champion: NDArray[np.bool_]) -> Check:
    """Report whether the challenger is better (exact McNemar); it need not be."""
    pair = _Paired.of(challenger, champion)
    n = pair.gained + pair.lost
    p_value = float(stats.binomtest(pair.gained, n, alternative="greater").pvalue) if n else 1.0
    numbers = {"p_value": p_value, "gained": pair.gained, "lost": pair.lost}
    word = "Better" if p_value <= 0.05 else "Not shown to be better"
    reason = f"{word}: right on {pair.gained:,} reviews the champion gets wrong, wrong on {pair.lost:,} it gets right."
    return Check("superiority", Outcome.promote, numbers, reason)


def _slice_guards(
    slices: Mapping[str, NDArray[np.bool_]],
    challenger: NDArray[np.bool_],
    champion: NDArray[np.bool_],
    policy: GatePolicy,
) -> list[Check]:
    judged = {name: rows for name, rows in slices.items() if int(rows.sum()) >= policy.min_slice_rows}
    pairs = {name: _Paired.of(challenger[rows], champion[rows]) for name, rows in judged.items()}
    ranked = sorted(pairs, key=lambda name: pairs[name].p_worse(policy.slice_margin))
    checks, still_rejecting = [], True
    for rank, name in enumerate(ranked):
        pair = pairs[name]
        p_value = min(1.0, pair.p_worse(policy.slice_margin) * (len(ranked) - rank))
        still_rejecting = still_rejecting and p_value <= policy.alpha
        numbers = {"difference": pair.difference, "p_value": p_value, "rows": pair.rows}
        said = f"{name}: accuracy {_points(pair.difference)} on {pair.rows:,} reviews"
        if still_rejecting:
            reason = f"{said}; a slice may lose {policy.slice_margin:.0%} at the most."
            checks.append(Check(f"{SLICE}{name}", Outcome.reject, numbers, reason))
        else:
            checks.append(Check(f"{SLICE}{name}", Outcome.promote, numbers, f"{said}."))
    return checks


def _slice_accuracies(
    slices: Mapping[str, NDArray[np.bool_]],
    challenger: NDArray[np.bool_],
    champion: NDArray[np.bool_] | None,
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, rows in {"all": np.ones(len(challenger), dtype=bool), **slices}.items():
        if rows.any():
            found[name] = {"rows": int(rows.sum()), "challenger": float(challenger[rows].mean())}
            if champion is not None:
                found[name]["champion"] = float(champion[rows].mean())
    return found


def _points(difference: float) -> str:
    return f"{difference * 100:+.1f} points"
