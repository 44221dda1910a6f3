"""Scoring of a whole table: every row of every file answered by one model, in bounded memory, restartable.

Killed at any moment and run again it goes on where it was, and what there is at the end is what one clean run leaves.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sentiment.errors import SettingsError, SourceError
from sentiment.registry import Registry
from sentiment.reviews.columns import find_named, find_text
from sentiment.reviews.formats import reader_of
from sentiment.reviews.sources import digest, readable, unchanged
from sentiment.scoring.inputs import SNAPSHOT, SNAPSHOT_KEEPS, Source, pinned, sources_of, storage_at
from sentiment.scoring.target import FileScores, Job, Target, sums
from sentiment.serving.scorer import Scorer
from sentiment.settings import Settings

NO_TEXT, MALFORMED = "no text", "malformed row"
KEPT = "input_"
"""What the names of kept columns start with."""

_NAMED = 5  # files that an error names


@dataclass(frozen=True)
class Progress:
    """How far a run is: files that are done, of how many; rows that are done; the file at hand."""

    file: int
    files: int
    rows: int
    source: str


@dataclass(frozen=True)
class ScoreResult:
    """What a run wrote.

    Attributes
    ----------
    unread, unsure : int
        Rows without an answer, because they hold no text or cannot be taken apart; answers that are unsure.
    skipped : dict of str to str
        Files that could not be read, and why.
    """

    output: str
    input: str
    model_version: str
    files: int
    parts: int
    rows: int
    unread: int
    unsure: int
    labels: dict[str, int]
    skipped: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


def score(
    settings: Settings,
    given: str,
    output: str,
    *,
    registry: Registry,
    version: str | None = None,
    column: str | None = None,
    keep: Sequence[str] = (),
    anew: bool = False,
    tell: Callable[[Progress], None] = lambda _: None,
) -> ScoreResult:
    """Score every row of an input with one model version and write the answers as Parquet.

    Parameters
    ----------
    settings : Settings
    given : str
        A file or folder, an ``s3://`` object or prefix, an ``https://`` address, or ``reviews@v12``.
    output : str
        A folder or ``s3://bucket/prefix`` of its own; one that this job began before is gone on with.
    version : str, optional
        The model version; the champion if not given.
    column : str, optional
        The column of the texts; found by its usual names if not given.
    keep : sequence of str
        Columns of the input to carry along, as text.
    anew : bool
        Remove what another job left at the output.
    tell : callable
        Is called after every part.

    Raises
    ------
    NoChampionError, ModelError
        There is no such model, or the output was begun with another.
    SettingsError
        The output is within the input, or holds what is not of this job.
    SourceError
        Some files cannot be read. All others are scored; ``error.result`` says what was.
    """
    model = registry.version(version) if version else registry.champion()
    scorer = registry.load_scorer(model)
    given = pinned(settings, given)
    keeps = (*SNAPSHOT_KEEPS, *keep) if given.startswith(SNAPSHOT) else tuple(keep)
    job = Job(
        input=given,
        model_version=model.version,
        model_digest=model.digest,
        column=column,
        keep=tuple(dict.fromkeys(keeps)),
        rows_per_part=settings.data.batch_rows,
    )
    _refuse_overlap(given, pinned(settings, output))
    sources = sources_of(settings, given)
    target = Target(storage_at(settings, output), job)
    target.begin(anew=anew)
    files = _Run(target, scorer, tell, len(sources)).all(sources)
    target.finish(files)
    result = ScoreResult(output=target.address, input=given, model_version=model.version, **sums(files))
    if result.skipped:
        raise _skipped(result)
    return result


class _Run:
    """One run over the files of a job."""

    def __init__(self, target: Target, scorer: Scorer, tell: Callable[[Progress], None], files: int) -> None:
        self._target, self._scorer, self._tell = target, scorer, tell
        self._files, self._rows = files, 0
        self._schema = _schema(scorer.labels, target.job.keep)

    def all(self, sources: Sequence[Source]) -> list[FileScores]:
        """Score all files; one that cannot be read gets a reason and keeps no other from being scored."""
        return [self._file(number, source) for number, source in enumerate(sources)]

    def _file(self, number: int, source: Source) -> FileScores:
        scores = self._target.record(source)
        if scores is not None:
            self._told(number, source, scores.rows)
            return scores
        scores = FileScores(source.name, source.fingerprint)
        try:
            with source.opened() as path, unchanged(path):
                scores = FileScores(source.name, source.fingerprint, digest(path))
                for batch in self._batches(path):
                    scores = self._part(scores, batch)
                    self._told(number, source, len(batch))
        except SourceError as error:
            scores = FileScores(source.name, source.fingerprint, problem=str(error))
        self._target.finish_file(scores)
        return scores

    def _batches(self, path: Path) -> Iterator[pd.DataFrame]:
        job = self._target.job

        def pick(found: Sequence[str]) -> list[str]:
            return [find_text(path, found, named=job.column), *find_named(path, found, job.keep, option="keep")]

        with readable(path):
            yield from reader_of(path)(path, job.rows_per_part, pick)

    def _part(self, scores: FileScores, batch: pd.DataFrame) -> FileScores:
        """Score a part, unless it is there from an earlier run; return what the file has come to."""
        name = self._target.part(scores, scores.parts)
        if self._target.has(name):
            answers = pq.read_table(io.BytesIO(self._target.read(name)), columns=["label", "abstained", "problem"])
        else:
            answers = self._answered(scores.source, batch)
            buffer = io.BytesIO()
            pq.write_table(answers, buffer, compression="zstd")
            self._target.add(name, buffer.getvalue())
        labels = answers["label"].drop_null().to_pylist()
        unsure = sum(answers["abstained"].drop_null().to_pylist())
        return scores.plus(rows=len(answers), unread=len(answers) - len(labels), unsure=unsure, labels=Counter(labels))

    def _answered(self, source: str, batch: pd.DataFrame) -> pa.Table:
        problems = [
            MALFORMED if malformed else None if text and text.strip() else NO_TEXT
            for text, malformed in zip(batch[0], batch["malformed"], strict=True)
        ]
        good = [place for place, problem in enumerate(problems) if problem is None]
        answers = _answers(self._scorer, batch[0].iloc[good].tolist())
        places = pa.array(_places(problems), pa.int64())
        kept = {
            f"{KEPT}{name}": pa.array(batch[number], pa.string())
            for number, name in enumerate(self._target.job.keep, start=1)
        }
        columns = {
            "source": pa.repeat(pa.scalar(source), len(batch)),
            "row_number": pa.array(batch["row_number"]),
            **{name: values.take(places) for name, values in answers.items()},
            "model_version": pa.repeat(pa.scalar(self._target.job.model_version), len(batch)),
            "problem": pa.array(problems, pa.string()),
            **kept,
        }
        return pa.table([columns[name] for name in self._schema.names], schema=self._schema)

    def _told(self, number: int, source: Source, rows: int) -> None:
        self._rows += rows
        self._tell(Progress(number + 1, self._files, self._rows, source.name))


def _answers(scorer: Scorer, texts: Sequence[str]) -> dict[str, Any]:
    """Return what the scorer answers, as columns."""
    table = scorer.probabilities(texts)
    shares = [pa.array(table[:, column]) for column in range(len(scorer.labels))]
    return {
        "label": pa.DictionaryArray.from_arrays(table.argmax(axis=1), list(scorer.labels)).cast(pa.string()),
        "score": pa.array(scorer.scores_of(table)),
        "probabilities": pa.StructArray.from_arrays(shares, names=list(scorer.labels)),
        "abstained": pa.array(scorer.abstains(table)),
    }


def _places(problems: Sequence[str | None]) -> Iterator[int | None]:
    """Yield where the answer to each row is among the answers; None for a row without one."""
    answered = 0
    for problem in problems:
        yield None if problem else answered
        answered += problem is None


def _schema(labels: Sequence[str], keep: Sequence[str]) -> pa.Schema:
    return pa.schema(
        [
            ("source", pa.string()),
            ("row_number", pa.int64()),
            ("label", pa.string()),
            ("score", pa.float64()),
            ("probabilities", pa.struct([(label, pa.float64()) for label in labels])),
            ("abstained", pa.bool_()),
            ("model_version", pa.string()),
            ("problem", pa.string()),
            *((f"{KEPT}{name}", pa.string()) for name in keep),
        ]
    )


def _refuse_overlap(given: str, output: str) -> None:
    """Raise `SettingsError` if scores would be written among what is scored."""
    if output == given or output.startswith(f"{given}/"):
        raise SettingsError(f"The output {output} is within the input.", fix="Name a folder outside of it.")


def _skipped(result: ScoreResult) -> SourceError:
    reasons = list(result.skipped.values())
    more = f" And {len(reasons) - _NAMED:,} more, see the manifest." if len(reasons) > _NAMED else ""
    error = SourceError(
        f"{len(reasons):,} of {result.files + len(reasons):,} files could not be scored: "
        f"{' '.join(reasons[:_NAMED])}{more}",
        fix="All others are scored. Correct or remove these and run the same again: only they are read.",
    )
    error.result = result
    return error
