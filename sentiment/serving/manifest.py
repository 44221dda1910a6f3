"""What a Bento says about the model it carries, and the check that it carries that model.

A Bento's ``model`` folder holds ``scorer.npz`` and ``manifest.json``. The manifest names where the model came
from, the digest of the scorer, and a few texts with the probabilities that the trained pipeline gave them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from sentiment.errors import IntegrityError
from sentiment.labels import LabelScheme
from sentiment.serving.scorer import Scorer

SCORER_FILE, MANIFEST_FILE = "scorer.npz", "manifest.json"
TOLERANCE = 1e-9  # between the pipeline's probabilities and the scorer's


class Probe(BaseModel):
    """A text and the probabilities the trained pipeline gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    probabilities: tuple[float, ...]


class Manifest(BaseModel):
    """Where the model of a Bento came from."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str
    model_version: str
    run_id: str
    snapshot: str
    scorer_digest: str
    scheme: LabelScheme
    labels: tuple[str, ...]
    metrics: dict[str, float]
    code_version: str
    code_digest: str
    recipe_digest: str
    probes: tuple[Probe, ...]
    bento_digest: str = ""
    built_at: datetime | None = None

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest.

        Raises
        ------
        IntegrityError
            It is missing or not a manifest.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be used: {error}"
            raise IntegrityError(
                f"The manifest {path} {reason}.", fix="Make the Bento again: `sentiment package`."
            ) from error


@dataclass(frozen=True)
class ServedModel:
    """A scorer that has been checked against its manifest."""

    scorer: Scorer
    manifest: Manifest

    @classmethod
    def load(cls, folder: Path) -> ServedModel:
        """Load a Bento's model.

        Raises
        ------
        IntegrityError
            A file is missing, is not the one that was registered, or answers a probe differently.
        """
        manifest = Manifest.read(folder / MANIFEST_FILE)
        scorer = Scorer.load(folder / SCORER_FILE, digest=manifest.scorer_digest)
        if tuple(scorer.labels) != manifest.labels:
            raise IntegrityError(
                f"{folder / SCORER_FILE} knows the labels {', '.join(scorer.labels)}, "
                f"its manifest {', '.join(manifest.labels)}.",
                fix="Make the Bento again: `sentiment package`.",
            )
        expected = np.array([probe.probabilities for probe in manifest.probes], dtype=np.float64)
        check_same(scorer.probabilities([probe.text for probe in manifest.probes]), expected, what=str(folder))
        return cls(scorer, manifest)


def check_same(actual: np.ndarray, expected: np.ndarray, *, what: str) -> None:
    """Check that two tables of probabilities are equal within `TOLERANCE`.

    Raises
    ------
    IntegrityError
        They are not; says by how much and in which row.
    """
    if actual.shape != expected.shape:
        raise IntegrityError(
            f"The scorer of {what} gives {actual.shape} probabilities, the pipeline {expected.shape}.",
            fix="Train and register the model again.",
        )
    distance = np.abs(actual - expected)
    if not np.all(distance <= TOLERANCE):  # also when something is NaN
        row = int(np.nanargmax(distance.max(axis=1, initial=0.0)))
        raise IntegrityError(
            f"The scorer of {what} does not reproduce the trained pipeline: "
            f"probe {row} differs by {distance[row].max():.2g}.",
            fix="Train and register the model again.",
        )
