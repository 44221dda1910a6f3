"""Which signals count: more than chance over all of them, and far enough to matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sentiment.drift.calibration import Calibration, holm
from sentiment.drift.signals import TEXT, WORD, Signal
from sentiment.drift.verdict import JudgedSignal
from sentiment.settings import DriftPolicy


def judge_signals(
    signals: Sequence[Signal],
    *,
    policy: DriftPolicy,
    level: float,
    calibration: Calibration | None = None,
    enough: bool = True,
) -> tuple[JudgedSignal, ...]:
    """Return the signals with Holm-adjusted p-values, thresholds, and whether each counts.

    The calibrated level holds for signals that decide; of the others, whose alarms it does not count, none counts
    above one in ``policy.false_alarm_days``. A threshold is what the signal's distance had to reach given what else
    counts; `enough` False lets none count.
    """
    adjusted = holm([signal.p_value for signal in signals])
    strict = min(level, 1 / policy.false_alarm_days)
    judged = []
    for signal, p_value in zip(signals, adjusted.tolist(), strict=True):
        smallest = smallest_distance(signal.name, policy)
        own = level if signal.name in policy.decisive else strict
        significant = p_value <= own
        counts = enough and significant and signal.distance >= smallest
        threshold = detectable = None
        if calibration and signal.name in calibration.noise:
            clearer = int(((adjusted <= own) & (adjusted < p_value)).sum())
            chance = calibration.noise[signal.name].distance(own / (len(signals) - clearer))
            agreeing = min(chance, signal.distance) if significant else max(chance, signal.distance)
            threshold = max(smallest, agreeing)  # the curve may differ from the test at the margin: the test decides
            detectable = calibration.detectable(signal.name, threshold)
        judged.append(
            JudgedSignal(
                **asdict(signal), adjusted_p=p_value, counts=counts, threshold=threshold, detectable=detectable
            )
        )
    return tuple(judged)


def smallest_distance(name: str, policy: DriftPolicy) -> float:
    """Return the smallest distance of a signal that matters."""
    return {TEXT: policy.min_text_distance, WORD: policy.min_word_distance}.get(name, policy.min_distance)
