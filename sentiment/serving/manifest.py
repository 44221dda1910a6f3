"""What a Bento says about the model it carries, and the check that it carries that model.

A Bento's ``model`` folder holds ``scorer.npz`` and ``manifest.json``. The manifest names where the model came
from, the digests of the scorer and of the served code, and a few texts with the probabilities that the trained
pipeline gave them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from sentiment.errors import IntegrityError
from sentiment.labels import LabelScheme
from sentiment.serving.scorer import Scorer

SCORER_FILE, MANIFEST_FILE = "scorer.npz", "manifest.json"
SERVED_PACKAGES = ("bento", "sentiment")
TOLERANCE = 1e-9  # between the pipeline's probabilities and the scorer's


class Probe(BaseModel):
    """A text and the probabilities the trained pipeline gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    probabilities: tuple[float, ...]


class ReliabilityPoint(BaseModel):
    """Answers of about the same confidence, and how many of them were right, with its 95% interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float
    rows: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float


class CoveragePoint(BaseModel):
    """The surest answers: which share of all, down to which confidence, and how many of them were right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: float
    threshold: float
    accuracy: float


class Curves(BaseModel):
    """How sure the model may be believed to be, on held-out reviews."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reliability: tuple[ReliabilityPoint, ...]
    coverage: tuple[CoveragePoint, ...]


class Manifest(BaseModel):
    """Where the model of a Bento came from.

    Attributes
    ----------
    code_digest : str
        Of every file of the service and of the library that is served (see `digest_of_files`).
    bento_digest : str
        Of all that decides the answers; not of when it was built, promoted or why.
    promoted_at, promotion_reason : optional
        When the version last became champion and why, as far as that was known when the Bento was packaged.
    """

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
    curves: Curves | None = None
    bento_digest: str = ""
    built_at: datetime | None = None
    promoted_at: datetime | None = None
    promotion_reason: str | None = None

    def digest(self) -> str:
        """Return what `bento_digest` must be: that of the model, its facts and the served code."""
        facts = self.model_dump(mode="json", exclude=_CIRCUMSTANCES)
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

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


_CIRCUMSTANCES = {"bento_digest", "built_at", "promoted_at", "promotion_reason"}


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
        if manifest.digest() != manifest.bento_digest:
            raise IntegrityError(
                f"The manifest {folder / MANIFEST_FILE} was changed: its digest is {manifest.digest()}, "
                f"not {manifest.bento_digest}.",
                fix="Make the Bento again: `sentiment package`.",
            )
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


def check_code(root: Path, manifest: Manifest) -> None:
    """Check that the code under `root` is what was packaged: no file more, none less, none changed.

    Raises
    ------
    IntegrityError
        It is not.
    """
    found = digest_of_files(root, code_files(root))
    if found != manifest.code_digest:
        raise IntegrityError(
            f"The code in {root} is not what was packaged: its digest is {found}, not {manifest.code_digest}.",
            fix="Make the Bento again: `sentiment package`.",
        )


def code_files(root: Path) -> list[str]:
    """Return the files of the served code under `root`, those of the page included, as paths below it."""
    found = (file for package in SERVED_PACKAGES for file in (root / package).rglob("*") if file.is_file())
    return [str(file.relative_to(root)) for file in found if "__pycache__" not in file.parts]


def digest_of_files(root: Path, names: Iterable[str]) -> str:
    """Return the SHA-256 over the names and contents of files."""
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name} {hashlib.sha256((root / name).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


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
