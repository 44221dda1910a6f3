"""What the gate decides on, as values that can be kept: numbers and names, no texts, no pickle."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.errors import DataError
from sentiment.training.measures import Floats

FORMAT = 1

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ModelEvidence:
    """One model: its answers to the held-out reviews, and what it costs.

    Attributes
    ----------
    probabilities : ndarray of shape (n, labels)
        Probability of each label for each held-out review.
    failures : ndarray of bool, shape (cases,)
        Behavioural cases that it fails.
    megabytes : float
        Size of the model file.
    milliseconds : ndarray of shape (texts,)
        Time of one prediction for each of some texts, measured in turn with the other model.
    train_rows : int
        Reviews it learned from.
    """

    version: str | None
    probabilities: Floats
    failures: Bools
    megabytes: float
    milliseconds: Floats
    train_rows: int


@dataclass(frozen=True, eq=False)
class Evidence:
    """Answers to the same held-out reviews of one snapshot, as arrays of one length, and what belongs to them.

    Attributes
    ----------
    labels : tuple of str
        What the columns of the probabilities stand for.
    truth : ndarray of int, shape (n,)
        Column of the right label.
    champion : ModelEvidence or None
        None before there is a champion.
    slices, deliveries : Mapping[str, ndarray of bool, shape (n,)]
        Groups of reviews that must not suffer, and groups that were delivered together.
    known : ndarray of bool, shape (n,)
        Reviews that the champion's snapshot holds too.
    kinds, groups : ndarray of str and of int, shape (cases,)
        Kind of each behavioural case; cases of one group are not independent of each other.
    train_labels : Mapping[str, int]
        Training reviews by label.
    leaked : int
        Held-out reviews whose text is among the training reviews of either model.
    age_days : float
        Age of the newest review.
    """

    snapshot: str
    labels: tuple[str, ...]
    truth: NDArray[np.intp]
    challenger: ModelEvidence
    champion: ModelEvidence | None
    known: Bools
    slices: Mapping[str, Bools] = field(default_factory=dict)
    deliveries: Mapping[str, Bools] = field(default_factory=dict)
    kinds: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, np.str_))
    groups: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    train_labels: Mapping[str, int] = field(default_factory=dict)
    leaked: int = 0
    age_days: float = 0.0

    def right(self, model: ModelEvidence) -> Bools:
        """Return which held-out reviews a model answers rightly."""
        found: Bools = model.probabilities.argmax(axis=1) == self.truth
        return found

    def to_bytes(self) -> bytes:
        """Return the evidence as an ``.npz``: about a byte and eight more for each label and model, a review."""
        models = {"challenger": self.challenger, **({"champion": self.champion} if self.champion else {})}
        header = {
            "format": FORMAT,
            "snapshot": self.snapshot,
            "labels": self.labels,
            "rows": len(self.truth),
            "slices": list(self.slices),
            "deliveries": list(self.deliveries),
            "train_labels": dict(self.train_labels),
            "leaked": self.leaked,
            "age_days": self.age_days,
            "models": {
                name: {"version": model.version, "megabytes": model.megabytes, "train_rows": model.train_rows}
                for name, model in models.items()
            },
        }
        arrays: dict[str, NDArray[Any]] = {
            "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
            "truth": self.truth.astype(np.uint8),
            "known": np.packbits(self.known),
            "slices": _packed(self.slices),
            "deliveries": _packed(self.deliveries),
            "kinds": np.asarray(self.kinds, np.str_),
            "groups": self.groups.astype(np.int32),
        }
        for name, model in models.items():
            arrays[f"{name}.probabilities"] = model.probabilities
            arrays[f"{name}.failures"] = model.failures
            arrays[f"{name}.milliseconds"] = model.milliseconds
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, *, where: str) -> Evidence:
        """Read what `to_bytes` wrote.

        Raises
        ------
        DataError
            It is damaged, or of another format.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            header = json.loads(arrays["header"].tobytes())
            if header["format"] != FORMAT:
                raise ValueError(f"format {header['format']}, but this version reads format {FORMAT}")
            return cls._from_arrays(header, arrays)
        except Exception as error:  # a damaged zip or array fails in many ways
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{where} is no readable evidence: {reason}.", fix="Judge the version again.") from error

    @classmethod
    def _from_arrays(cls, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Evidence:
        rows = int(header["rows"])

        def model(name: str) -> ModelEvidence:
            parts: dict[str, Any] = {
                part: arrays[f"{name}.{part}"] for part in ("probabilities", "failures", "milliseconds")
            }
            return ModelEvidence(**header["models"][name], **parts)

        return cls(
            snapshot=header["snapshot"],
            labels=tuple(header["labels"]),
            truth=arrays["truth"].astype(np.intp),
            challenger=model("challenger"),
            champion=model("champion") if "champion" in header["models"] else None,
            known=np.unpackbits(arrays["known"], count=rows).astype(bool),
            slices=_unpacked(header["slices"], arrays["slices"], rows),
            deliveries=_unpacked(header["deliveries"], arrays["deliveries"], rows),
            kinds=arrays["kinds"],
            groups=arrays["groups"].astype(np.intp),
            train_labels=header["train_labels"],
            leaked=header["leaked"],
            age_days=header["age_days"],
        )


def _packed(masks: Mapping[str, Bools]) -> NDArray[np.uint8]:
    return np.packbits(np.stack(list(masks.values())), axis=1) if masks else np.empty((0, 0), np.uint8)


def _unpacked(names: list[str], bits: NDArray[np.uint8], rows: int) -> dict[str, Bools]:
    return {name: np.unpackbits(row, count=rows).astype(bool) for name, row in zip(names, bits, strict=True)}
