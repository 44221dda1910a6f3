"""Where scores go: Parquet parts with names that follow from their content, and records of what is done.

::

    june-8c1f0f3be1d24c76-00000.parquet   the scores of some rows; a tool that reads the folder reads all of these
    _files/<id>.json                      a file of the input that is done, or why it cannot be read
    _manifest.json                        the job: input, model, and at the end the sums

The name of a part holds a hash of the job, the source and its content, and every write is atomic: a part is there and
complete, or not there. A run that was killed finds what is done, and what a clean run would not have written is removed
at the end.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from sentiment.errors import ModelError, SettingsError, StorageError
from sentiment.scoring.inputs import Source
from sentiment.storage import Storage

FORMAT = 1
MANIFEST, RECORDS = "_manifest.json", "_files"
RUNNING, COMPLETE = "running", "complete"

_PART = re.compile(r"[\w-]{0,40}-[0-9a-f]{16}-\d{5,}\.parquet", re.ASCII)
_FIXES = {
    "input": "Write to another folder, or begin anew with --anew.",
    "column": "Name the same column, or begin anew with --anew.",
    "keep": "Keep the same columns, or begin anew with --anew.",
}


@dataclass(frozen=True)
class Job:
    """What decides the scores, beside the content of the files."""

    input: str
    model_version: str
    model_digest: str
    column: str | None
    keep: tuple[str, ...]
    rows_per_part: int
    format: int = FORMAT

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> Job:
        """Read the job of a manifest."""
        said = {name: manifest[name] for name in cls.__dataclass_fields__}
        return cls(**{**said, "keep": tuple(said["keep"])})


@dataclass(frozen=True)
class FileScores:
    """What became of one file.

    Attributes
    ----------
    digest : str
        Of the content that was read.
    rows, unread : int
        All rows, and those without an answer: they hold no text or cannot be taken apart.
    labels : dict of str to int
        Answers by label.
    unsure : int
        Answers that are unsure.
    problem : str
        Why the file could not be read; empty if it could. Nothing of such a file is kept.
    """

    source: str
    fingerprint: str
    digest: str = ""
    parts: int = 0
    rows: int = 0
    unread: int = 0
    unsure: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    problem: str = ""

    def plus(self, *, rows: int, unread: int, unsure: int, labels: Counter[str]) -> FileScores:
        """Return what has become of it with one more part."""
        return replace(
            self,
            parts=self.parts + 1,
            rows=self.rows + rows,
            unread=self.unread + unread,
            unsure=self.unsure + unsure,
            labels=dict(sorted((Counter(self.labels) + labels).items())),
        )


class Target:
    """The folder or prefix of one job."""

    def __init__(self, storage: Storage, job: Job) -> None:
        self._storage, self.job = storage, job
        self._there: set[str] = set()

    @property
    def address(self) -> str:
        """Where it is."""
        return self._storage.root

    def begin(self, *, anew: bool) -> None:
        """Take the folder for the job, or go on with it.

        Parameters
        ----------
        anew : bool
            Remove what another job left there.

        Raises
        ------
        ModelError
            It was begun with another model.
        SettingsError
            It was begun for another input or with other columns, or holds files of somebody else.
        """
        manifest = self._storage.read_json(MANIFEST)
        names = {item.path for item in self._storage.objects("")}
        if manifest is None and any(not _is_ours(name) for name in names):
            raise SettingsError(f"{self.address} holds other files.", fix="Name an empty folder, or a new one.")
        if manifest is not None and not anew:
            self.job = _continued(self.job, Job.of(manifest), self.address)
        self._write(MANIFEST, {**asdict(self.job), "state": RUNNING})
        if anew:
            self._remove(names - {MANIFEST})
            names = set()
        self._there = names

    def record(self, source: Source) -> FileScores | None:
        """Return what is recorded of a file, if that is all there and the file has not changed since."""
        place = _record_path(source.name)
        if not source.fingerprint or place not in self._there:
            return None
        found = FileScores(**self._storage.read_json(place))
        same = (found.source, found.fingerprint, found.problem) == (source.name, source.fingerprint, "")
        return found if same and all(map(self.has, self.parts(found))) else None

    def part(self, scores: FileScores, number: int) -> str:
        """Return the name of a part of a file."""
        said = json.dumps([asdict(self.job), scores.source, scores.digest], sort_keys=True)
        stem = re.sub(r"[^\w-]", "-", PurePosixPath(scores.source).name.partition(".")[0], flags=re.ASCII)[:40]
        return f"{stem}-{hashlib.sha256(said.encode()).hexdigest()[:16]}-{number:05}.parquet"

    def parts(self, scores: FileScores) -> list[str]:
        """Return the names of all parts of a file that is done."""
        return [self.part(scores, number) for number in range(scores.parts)]

    def has(self, part: str) -> bool:
        """Return whether a part is there."""
        return part in self._there

    def read(self, part: str) -> bytes:
        """Read a part."""
        return self._storage.read(part)

    def add(self, part: str, content: bytes) -> None:
        """Write a part."""
        self._storage.check_room(len(content), part)
        self._storage.write(part, content)
        self._there.add(part)

    def finish_file(self, scores: FileScores) -> None:
        """Record what became of a file."""
        self._write(_record_path(scores.source), asdict(scores))

    def finish(self, files: Sequence[FileScores]) -> None:
        """Write down that the job is done, and remove what no clean run would have written.

        Raises
        ------
        StorageError
            Another job took the folder meanwhile.
        """
        manifest = self._storage.read_json(MANIFEST)
        if manifest is None or Job.of(manifest) != self.job:
            raise StorageError(
                f"{self.address} was taken by another job meanwhile.", fix="Let each job write to a folder of its own."
            )
        kept = {name for scores in files for name in (_record_path(scores.source), *self.parts(scores))}
        self._remove({item.path for item in self._storage.objects("")} - kept - {MANIFEST})
        self._write(MANIFEST, {**asdict(self.job), "state": COMPLETE, **sums(files)})

    def _write(self, path: str, content: dict[str, Any]) -> None:
        self._storage.write(path, json.dumps(content, indent=1).encode())

    def _remove(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            if _is_ours(name):
                self._storage.remove(name)


def sums(files: Sequence[FileScores]) -> dict[str, Any]:
    """Return what all files come to."""
    done = [scores for scores in files if not scores.problem]
    labels: Counter[str] = Counter()
    for scores in done:
        labels.update(scores.labels)
    return {
        "files": len(done),
        "parts": sum(scores.parts for scores in done),
        "rows": sum(scores.rows for scores in done),
        "unread": sum(scores.unread for scores in done),
        "unsure": sum(scores.unsure for scores in done),
        "labels": dict(sorted(labels.items())),
        "skipped": {scores.source: scores.problem for scores in files if scores.problem},
    }


def _continued(job: Job, begun: Job, address: str) -> Job:
    """Return the job as it was begun, unless it is another one."""
    if (job.model_version, job.model_digest) != (begun.model_version, begun.model_digest):
        raise ModelError(
            f"{address} holds scores of model version {begun.model_version}, not of version {job.model_version}.",
            fix=f"Go on with --version {begun.model_version}, write to another folder, or begin anew with --anew.",
        )
    for name, fix in _FIXES.items():
        was, now = getattr(begun, name), getattr(job, name)
        if was != now:
            raise SettingsError(f"{address} holds scores with {name} {was!r}, not {now!r}.", fix=fix)
    return replace(job, rows_per_part=begun.rows_per_part)


def _record_path(source: str) -> str:
    return f"{RECORDS}/{hashlib.sha256(source.encode(errors='surrogateescape')).hexdigest()[:16]}.json"


def _is_ours(name: str) -> bool:
    """Return whether a job writes such a file; a killed write leaves one with ``#`` and a number behind its name."""
    name = re.sub(r"#\d+$", "", name)
    return name == MANIFEST or name.startswith(f"{RECORDS}/") or _PART.fullmatch(name) is not None
