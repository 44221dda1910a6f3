"""Trained models that MLflow does not have yet, under ``candidates/`` of the storage root.

Training takes long and MLflow may be down when it is done. So a trained model is first written here, as one object
and therefore whole or not at all, then logged, then removed; whoever trains next logs what is still here.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from sentiment.errors import storage_errors
from sentiment.model_records import TrainedRecord
from sentiment.storage import Storage

log = logging.getLogger(__name__)

FOLDER = "candidates"
_RECORD, _DIGESTS = "candidate.json", "sha256.json"
_RECORDS, _SUMS = TypeAdapter(TrainedRecord), TypeAdapter(dict[str, str])


class KeptCandidates:
    """The trained models that are kept under one storage root."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def waiting(self) -> list[str]:
        """Return the training keys of the models that are kept."""
        return [PurePosixPath(path).stem for path in self._storage.list(FOLDER) if path.endswith(".zip")]

    def keep(self, record: TrainedRecord, folder: Path) -> None:
        """Write a trained model: what its run shall say, and the files of a folder, which may be of any name."""
        sums = {name: _sum(folder / name) for name in _names(folder)}
        with tempfile.TemporaryDirectory() as temporary, storage_errors(temporary):
            packed = Path(temporary, "candidate.zip")
            with zipfile.ZipFile(packed, "w") as archive:
                for name in sums:
                    archive.write(folder / name, f"files/{name}")
                archive.writestr(_DIGESTS, _SUMS.dump_json(sums))
                archive.writestr(_RECORD, _RECORDS.dump_json(record))
            self._storage.upload(packed, self.path(record.key))

    @contextmanager
    def opened(self, key: str) -> Iterator[tuple[TrainedRecord, Path] | None]:
        """Unpack a model that is kept: its record and the folder of its files; None if there is none that is whole.

        One that is damaged is removed, so that it is trained again.
        """
        with tempfile.TemporaryDirectory() as temporary:
            packed = Path(temporary, "candidate.zip")
            try:
                self._storage.fetch(self.path(key), packed)
            except FileNotFoundError:
                yield None
                return
            try:
                found = _unpack(packed, Path(temporary))
            except (zipfile.BadZipFile, ValidationError, KeyError, ValueError) as error:
                log.warning("the trained model in %s is damaged and is removed: %s", self.path(key), error)
                self.drop(key)
                found = None
            yield found

    def drop(self, key: str) -> None:
        """Remove a model that is kept."""
        self._storage.delete(self.path(key))

    def path(self, key: str) -> str:
        """Return where a model is kept, under the storage root."""
        return f"{FOLDER}/{key}.zip"


def _unpack(packed: Path, folder: Path) -> tuple[TrainedRecord, Path]:
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
        record, sums = _RECORDS.validate_json(archive.read(_RECORD)), _SUMS.validate_json(archive.read(_DIGESTS))
    files = folder / "files"
    if {name: _sum(files / name) for name in _names(files)} != sums:
        raise ValueError("a file is not what was written")
    return record, files


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
