"""What was measured on labelled rows, kept with the champion that answered them, so that it is measured once.

The reference of a champion is the same in every check, and labelled rows change only when new ones come. An entry is
an ``.npz`` of plain numbers beside the champion's calibrations: its answers, counts, shares, and for each text which of
`COLUMNS` columns its words fall into, by an open hash. No text is in it, nor the order of its words. Who has a
dictionary can try which words a text may have had; so entries are few, and maintenance removes them after a month.

An entry is named by everything it depends on: the champion, the texts, and how the champion and this version of the
code measure a few probes. One that is missing, damaged or of another version is measured anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sentiment.drift.sample import COLUMNS, LANGUAGE_ROWS, TEXT_ROWS, Sample, rows_of_length_one
from sentiment.storage import Storage

FOLDER = "drift/calibrations"
KEPT = 3
"""Entries of a champion and a role; the oldest go."""

Role = Literal["reference", "labelled"]

logger = logging.getLogger(__name__)

_LARGEST = 32 << 20  # bytes of an entry; what takes more is not kept
_NUMBERS = ("scores", "confidence", "unknown_share", "words", "markup")
_NAMES = ("predictions", "scripts", "languages")
_PROBES = (
    "Not bad at all; I'd watch it again!",
    "<p>Das war <b>leider</b> nichts f\u00fcr mich &amp; meine Freunde\u2026</p> https://films.example/1",
    "\u042d\u0442\u043e\u0442 \u0444\u0438\u043b\u044c\u043c \u043c\u043d\u0435 \u043f\u043e\u043d\u0440\u0430"
    "\u0432\u0438\u043b\u0441\u044f, \u043d\u043e \u043d\u0435 \u043e\u0447\u0435\u043d\u044c.",
)


def measured_once(
    storage: Storage,
    texts: Sequence[str],
    *,
    identity: str,
    champion: str,
    role: Role,
    measured: Callable[[Sequence[str]], Sample],
) -> Sample:
    """Return the measures of texts, as `measured` gives them, from an earlier check of the same champion if there was.

    Parameters
    ----------
    storage : Storage
    texts : sequence of str
    identity : str
        What names them, in this order; see `sentiment.drift.sampling.digest`.
    champion : str
        The digest of the model that answers.
    role : {"reference", "labelled"}
        What the texts are; each role has so many entries.
    measured : callable
        Measures texts, with the champion's answers; it is asked for a few short ones in any case.

    Returns
    -------
    Sample
        Without labels and sources, but with everything else.
    """
    folder = f"{FOLDER}/{champion}"
    path = f"{folder}/{role}-{_key(identity, measured(_PROBES))}.npz"
    found = _read(storage, path, texts)
    if found is not None:
        return found
    sample = measured(texts)
    data = _packed(sample)
    if len(data) <= _LARGEST:
        storage.write(path, data)
        entries = [item for item in storage.objects(folder) if item.path.startswith(f"{folder}/{role}-")]
        for item in sorted(entries, key=lambda item: item.modified)[:-KEPT]:
            storage.remove(item.path)
    return sample


def _key(identity: str, probes: Sample) -> str:
    whole = hashlib.blake2b(repr((identity, TEXT_ROWS, LANGUAGE_ROWS, COLUMNS)).encode(), digest_size=16)
    for name, value in _arrays(probes).items():
        stable = value.round(6) if value.dtype.kind == "f" else value  # sums may be added in another order
        whole.update(f"{name} {value.dtype.str} {value.shape}".encode() + stable.tobytes())
    return whole.hexdigest()


def _packed(sample: Sample) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **_arrays(sample))
    return file.getvalue()


def _arrays(sample: Sample) -> dict[str, NDArray[Any]]:
    """Return what was measured as arrays: numbers, numbers of names with the names, columns of words."""
    found: dict[str, NDArray[Any]] = {name: getattr(sample, name) for name in _NUMBERS}
    names: dict[str, list[str]] = {}
    for name in _NAMES:
        values = getattr(sample, name)
        names[name] = sorted(set(values))
        found[name] = np.array([names[name].index(value) for value in values], np.uint8)
    found["names"] = np.frombuffer(json.dumps(names).encode(), np.uint8)
    found["columns"] = sample.features.indices.astype(np.uint16)
    found["sizes"] = np.diff(sample.features.indptr).astype(np.int32)
    return found


def _read(storage: Storage, path: str, texts: Sequence[str]) -> Sample | None:
    try:
        data = storage.read(path)
    except FileNotFoundError:
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:  # the zip has a checksum of each array
            return _unpacked(dict(found), texts)
    except Exception as error:  # a damaged zip or array fails in many ways
        logger.warning("%s is damaged and made anew: %s", storage.uri(path), error)
        return None


def _unpacked(arrays: dict[str, NDArray[Any]], texts: Sequence[str]) -> Sample:
    """Return the measures of texts; any exception if they are not those."""
    names = json.loads(arrays["names"].tobytes())
    named = {name: tuple(names[name][number] for number in arrays[name].tolist()) for name in _NAMES}
    numbers = {name: arrays[name].astype(np.float64, casting="safe") for name in _NUMBERS}
    bounds = np.append(0, np.cumsum(arrays["sizes"], dtype=np.int64))
    columns = arrays["columns"].astype(np.int32)
    wanted = dict.fromkeys((*_NUMBERS, *_NAMES), len(texts)) | {
        "languages": min(len(texts), LANGUAGE_ROWS),
        "sizes": min(len(texts), TEXT_ROWS),
        "columns": int(bounds[-1]),
    }
    if any(arrays[name].shape != (size,) for name, size in wanted.items()):
        raise ValueError("it is not of as many rows")
    if not all(np.isfinite(numbers[name]).all() for name in _NUMBERS) or (columns >= COLUMNS).any():
        raise ValueError("its numbers are out of bounds")
    sample = Sample(
        texts=tuple(texts),
        scores=numbers["scores"],
        predictions=named["predictions"],
        unknown_share=numbers["unknown_share"],
        confidence=numbers["confidence"],
    )
    sample.__dict__.update(
        words=numbers["words"],
        markup=numbers["markup"],
        scripts=named["scripts"],
        languages=named["languages"],
        features=rows_of_length_one(columns, bounds),
    )
    return sample
