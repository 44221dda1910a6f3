"""A drift check between two files, with the champion where there is one and without where there is none."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment.drift.archive import DriftCheck, fingerprint, publish_check
from sentiment.drift.calibration import calibrate
from sentiment.drift.check import judge_samples
from sentiment.drift.run import scored
from sentiment.drift.sample import Sample, measure
from sentiment.drift.words import crossed_unknown_share
from sentiment.labels import label_of_word
from sentiment.reviews.sources import read_batches
from sentiment.settings import Settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    from sentiment.registry import Registry

Row = tuple[str, str | None]


def compare_files(
    settings: Settings,
    *,
    reference: Path,
    current: Path,
    registry: Registry | None = None,
    text: str | None = None,
    label: str | None = None,
    publish: bool = True,
) -> DriftCheck:
    """Compare the texts of two files.

    With a champion, its scores, answers and vocabulary are compared as in `check_drift`. Without one, the
    labels are compared if every row has one, and unknown words are those the reference does not use.
    Of a file larger than the policy's sample, an unbiased and repeatable part is taken.

    Parameters
    ----------
    settings : Settings
    reference, current : Path
        Files of any form that `read_batches` reads.
    registry : Registry, optional
        Where to look for a champion.
    text, label : str, optional
        Names of the columns, in both files.
    publish : bool
        Write the report and the verdict to the storage.

    Raises
    ------
    SourceError
        A file is missing, empty, not readable or lacks a column.
    """
    policy = settings.drift
    old = _sample(settings, reference, text=text, label=label, rows=policy.reference_rows)
    new = _sample(settings, current, text=text, label=label, rows=policy.current_rows)
    champion = registry.champion_or_none() if registry else None
    if registry and champion:
        scorer = registry.load_scorer(champion)
        sides = [scored([row[0] for row in rows], scorer) for rows in (old, new)]
    else:
        sides = _unscored(old, new)
    verdict = judge_samples(
        reference=sides[0],
        current=sides[1],
        policy=policy,
        calibration=calibrate(
            sides[0], current_rows=len(new), days=policy.false_alarm_days, decisive=frozenset(policy.decisive)
        ),
    )
    check = DriftCheck(
        id=f"files-{fingerprint(old, new, champion.digest if champion else None, policy.model_dump())}",
        verdict=verdict,
        champion=champion.version if champion else None,
        snapshot=champion.snapshot if champion else None,
    )
    facts = {
        "Reference": reference.name,
        "Current": current.name,
        "Champion": f"version {champion.version}" if champion else "none yet",
    }
    if not publish:
        return check
    return publish_check(Storage(settings), check, facts=facts, reference=sides[0], current=sides[1])


def _sample(settings: Settings, path: Path, *, text: str | None, label: str | None, rows: int) -> list[Row]:
    """Take the rows whose text has the smallest hash: the same ones every time, whatever their order."""
    return heapq.nsmallest(rows, _rows(settings, path, text=text, label=label), key=_position)


def _rows(settings: Settings, path: Path, *, text: str | None, label: str | None) -> Iterator[Row]:
    for batch in read_batches(path, text=text, label=label, batch_rows=settings.data.batch_rows):
        for value, word in zip(batch["text"], batch["label"], strict=True):
            if isinstance(value, str) and value.strip():
                yield value, label_of_word(word, settings.data.scheme)


def _position(row: Row) -> bytes:
    return hashlib.blake2b(row[0].encode(errors="replace"), digest_size=8).digest()


def _unscored(old: list[Row], new: list[Row]) -> list[Sample]:
    texts = [[row[0] for row in rows] for rows in (old, new)]
    unknown = crossed_unknown_share(reference=texts[0], current=texts[1])
    labels = [[word for _, word in rows if word is not None] for rows in (old, new)]
    labelled = all(len(words) == len(rows) for words, rows in zip(labels, (old, new), strict=True))
    return [
        measure(side, predictions=labels[i] if labelled else None, unknown_share=unknown[i])
        for i, side in enumerate(texts)
    ]
