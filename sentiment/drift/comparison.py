"""A drift check between any two sides, with the champion where there is one and without where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sentiment.drift.accuracy import Accuracy
from sentiment.drift.archive import DriftCheck, check_page, fingerprint, publish_check
from sentiment.drift.calibration import calibrate
from sentiment.drift.check import judge_samples
from sentiment.drift.reading import read_side, with_labels_of
from sentiment.drift.run import accuracy_of, how_many
from sentiment.drift.sample import Sample, measure
from sentiment.drift.sampling import SampledRows, digest
from sentiment.drift.scoring import sample_of, sources_of
from sentiment.drift.sides import Side, SnapshotSide, WindowSide, parse_side
from sentiment.drift.words import crossed_unknown_share
from sentiment.errors import DataError
from sentiment.labels import LABELS
from sentiment.reviews.identity import split_of
from sentiment.settings import Settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    from sentiment.registry import Registry


@dataclass(frozen=True)
class Comparison:
    """Two sides that were compared, and the outcome; nothing is written until it is published."""

    check: DriftCheck
    facts: Mapping[str, str]
    reference: Sample
    current: Sample

    def page(self) -> str:
        """Return the HTML report."""
        return check_page(self.check, facts=self.facts, reference=self.reference, current=self.current)

    def publish(self, storage: Storage) -> DriftCheck:
        """Write the report and the verdict; return the check with the report's path."""
        return publish_check(storage, self.check, facts=self.facts, reference=self.reference, current=self.current)


def compare_sides(
    settings: Settings, *, reference: Side, current: Side, registry: Registry | None = None
) -> Comparison:
    """Compare any two sides.

    With a champion, its scores, answers and vocabulary are compared as in `check_drift`, and its accuracy on the
    labelled rows that no model of this platform can have learned from. Without one, labels are compared if there
    are any, and unknown words are those the reference does not use. Of a side that is larger than the policy's
    sample, a fair and repeatable part is taken.

    Parameters
    ----------
    settings : Settings
    reference, current : Side
        A window holds all that was asked in it, whoever answered.
    registry : Registry, optional
        Where to look for a champion.

    Raises
    ------
    SourceError
        A file is missing, empty, not readable or lacks a column.
    DataError
        There is no such snapshot, or a side is labelled in another scheme than the champion's.
    """
    policy = settings.drift
    old = read_side(settings, reference, most=policy.reference_rows, role="reference")
    new = read_side(settings, current, most=policy.current_rows, role="current")
    champion = registry.champion_or_none() if registry else None
    scorer = registry.load_scorer(champion) if registry and champion else None
    sides = [
        sample_of(kept, scorer, side=side, version=champion.version)
        if scorer and champion
        else _unscored(kept, settings, side=side)
        for kept, side in ((old, reference), (new, current))
    ]
    if scorer is None:
        sides = _with_unknown_words(*sides)
    days, decisive = policy.false_alarm_days, frozenset(policy.decisive)
    verdict = judge_samples(
        reference=sides[0],
        current=sides[1],
        live_accuracy=_unlearned(sides[1], settings),
        reference_accuracy=_unlearned(sides[0], settings),
        policy=policy,
        calibration=calibrate(sides[0], current_rows=len(new.rows), days=days, decisive=decisive),
    )
    key = fingerprint(
        str(reference), str(current), digest(old), digest(new), champion and champion.digest, policy.model_dump()
    )
    check = DriftCheck(
        id=f"sides-{key}",
        verdict=verdict,
        champion=champion.version if champion else None,
        snapshot=champion.snapshot if champion else None,
        reference_name=str(reference),
        current_name=str(current),
    )
    facts = {
        "Reference": str(reference),
        "Current": str(current),
        "Champion": f"version {champion.version}, learned from {champion.snapshot}" if champion else "none",
        **how_many(reference=old, current=new),
    }
    return Comparison(check, facts, *sides)


def check_sides(settings: Settings, reference: str | None, current: str | None, *, registry: Registry) -> DriftCheck:
    """Compare two snapshots or windows that somebody named, and publish the outcome.

    Raises
    ------
    DataError
        One is not named, or is neither a snapshot nor a window.
    """
    sides = [parse_side(name) if name else None for name in (reference, current)]
    if not all(isinstance(side, SnapshotSide | WindowSide) for side in sides):
        raise DataError(
            "A comparison needs two snapshots or windows, reference and current.",
            fix="Fill in both, or neither. Files are compared by `sentiment drift`.",
        )
    old, new = (side for side in sides if side is not None)
    return compare_sides(settings, reference=old, current=new, registry=registry).publish(Storage(settings))


def _unscored(kept: SampledRows, settings: Settings, *, side: Side) -> Sample:
    labels = with_labels_of(kept.rows, LABELS[settings.data.scheme], side=side, must_know=False)
    return measure([row.text for row in kept.rows], labels=labels if any(labels) else None, sources=sources_of(kept))


def _with_unknown_words(reference: Sample, current: Sample) -> list[Sample]:
    shares = crossed_unknown_share(reference=reference.texts, current=current.texts)
    return [replace(side, unknown_share=share) for side, share in zip((reference, current), shares, strict=True)]


def _unlearned(side: Sample, settings: Settings) -> Accuracy | None:
    """Return the accuracy on the rows that are held out, whatever snapshot they were in: a model knows the others."""
    share = settings.data.test_share
    held_out = [split_of(text, share) == "test" for text in side.texts]
    labels = [label if out else None for label, out in zip(side.labels or (), held_out, strict=False)]
    return accuracy_of(labels, side.predictions)
