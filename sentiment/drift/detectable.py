"""What a drift check of its size could have seen, in plain words: silence of a small check proves little."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import norm

from sentiment.drift.accuracy import Accuracy
from sentiment.drift.calibration import POWER
from sentiment.drift.signals import LABEL_MIX, PREDICTION_MIX, TEXT
from sentiment.drift.verdict import JudgedSignal
from sentiment.settings import DriftPolicy

OTHER_KIND = 0.5
"""Distance of the words of two kinds of text: film reviews, one-sentence judgements and product remarks had that."""


def detectable_shifts(
    signals: Sequence[JudgedSignal], *, live: Accuracy | None, reference: Accuracy | None, policy: DriftPolicy
) -> tuple[str, ...]:
    """Return the smallest shifts that would be found in 95 of 100 checks of this size."""
    found = {signal.name: signal.detectable for signal in signals if signal.detectable is not None}
    said = []
    for name, what in ((PREDICTION_MIX, "answers"), (LABEL_MIX, "labels")):
        if (distance := found.get(name)) is not None:
            said.append(f"A shift of {100 * distance:.0f} points in the mix of {what}.")
    if (distance := found.get(TEXT)) is not None:
        share = min(1.0, distance / OTHER_KIND)
        said.append(f"Texts of another kind, from about {100 * share:.0f} in 100 on.")
    if live and reference and min(live.rows, reference.rows) >= policy.min_labelled:
        said.append(f"A loss of accuracy from about {100 * _loss(live, reference, policy):.0f} points on.")
    return tuple(said)


def _loss(live: Accuracy, reference: Accuracy, policy: DriftPolicy) -> float:
    error = math.sqrt(sum(side.value * (1 - side.value) / side.rows for side in (live, reference)))
    return policy.max_accuracy_loss + (POWER + float(norm.isf(1 / policy.false_alarm_days))) * error
