"""Calibrations, kept with the champion they belong to: one costs seconds, and serves every check of about its size."""

from __future__ import annotations

import hashlib
import json
import logging

from sentiment.drift.calibration import Calibration, calibrate
from sentiment.drift.kept_measures import FOLDER
from sentiment.drift.sample import Sample
from sentiment.settings import DriftPolicy
from sentiment.storage import Storage

logger = logging.getLogger(__name__)

_VERSION = 2  # of the signals and how they are resampled: another one makes all of them anew
_SMALLEST = 25


def calibrated(
    storage: Storage, reference: Sample, *, identity: str, champion: str, current_rows: int, policy: DriftPolicy
) -> Calibration | None:
    """Return the calibration for a check of `current_rows` rows, made once and then read.

    Parameters
    ----------
    storage : Storage
    reference : Sample
    identity : str
        What names its rows; see `sentiment.drift.sampling.digest`.
    champion : str
        The digest of the model that gave the reference its scores.
    current_rows : int
    policy : DriftPolicy

    Returns
    -------
    Calibration or None
        None where a side has too few rows to be compared.
    """
    if min(len(reference), current_rows) < policy.min_rows:
        return None
    size = nearest_size(current_rows)
    path = f"{FOLDER}/{champion}/{_key(identity, size, policy)}.json"
    kept = _read(storage, path)
    if kept is None:
        made = calibrate(
            reference, current_rows=size, days=policy.false_alarm_days, decisive=frozenset(policy.decisive)
        )
        if made is None:
            return None
        kept = made
        storage.write(path, json.dumps(kept.to_dict()).encode())
    return kept.at(current_rows)


def _read(storage: Storage, path: str) -> Calibration | None:
    try:
        kept = storage.read_json(path)
        return Calibration.from_dict(kept) if kept else None
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # it is no JSON, or of another form
        logger.warning("%s is damaged and made anew: %s", storage.uri(path), error)
        return None


def nearest_size(rows: int) -> int:
    """Return the size, of 25, 50, 100, 200 and so on, that is nearest in proportion."""
    size = _SMALLEST
    while size * 2**0.5 < rows:
        size *= 2
    return size


def _key(identity: str, size: int, policy: DriftPolicy) -> str:
    parts = repr((_VERSION, identity, size, policy.false_alarm_days, sorted(policy.decisive)))
    return f"{size}-{hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()}"
