"""Sources of reviews: what the values of a file mean, whatever its format, in bounded batches.

Columns are found by name or named by the caller (see `sentiment.reviews.columns`). What depends on the whole file is
looked up once, ahead of the rows. The rating scale, 5 or 10 (see `sentiment.reviews.contract.rating_scale`). Whether
labels that are numbers are labels: 0 and 1 are, 1 to 5 are ratings, and what could be either is refused, since a 1 is
the best in the one and the worst in the other. And whether days come before months.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from sentiment.errors import SentimentError, SourceError
from sentiment.labels import plain_label
from sentiment.reviews.columns import SHOWN, Columns, find_columns
from sentiment.reviews.contract import rating_numbers, rating_scale
from sentiment.reviews.formats import COMPRESSIONS, reader_of
from sentiment.reviews.moments import days_come_first, may_come_either_way, parse_moments

UNLABELLED_FOLDERS = ("unsup", "unlabelled", "unlabeled")
_CHUNK = 1 << 20
_STRAY_SHARE = 0.01  # numbers as rare as this are slips of the pen and say nothing about the others


def read_batches(
    path: Path,
    *,
    text: str | None = None,
    label: str | None = None,
    time: str | None = None,
    words: Collection[str] = (),
    batch_rows: int,
) -> Iterator[pd.DataFrame]:
    """Read a file, or a folder with a subfolder of ``.txt`` files a label, in batches.

    Parameters
    ----------
    path : Path
        csv, tsv, jsonl, json (one object a line), each also ``.gz`` or ``.zst``; parquet; xlsx; a folder.
    text, label, time : str, optional
        Names of these columns; found by their usual names otherwise. A `label` that is one of `RATING_NAMES`
        is read as a rating.
    words : collection of str, optional
        Labels that somebody has given a meaning, whether or not they are numbers.
    batch_rows : int
        Most rows of a batch.

    Yields
    ------
    DataFrame
        ``text``, ``label``, ``rating``, ``source``, ``written`` as delivered (strings or None); ``row_number``,
        from 1; ``stars``, the rating scale; ``malformed``, whether the row could not be taken apart; ``written_at``,
        the moment that ``written`` means, or NaT.

    Raises
    ------
    SourceError
        The file is missing, empty, truncated, binary, of no known format, lacks a column, has two of the same
        name, or its labels are numbers that may mean anything.
    """
    rows = 0
    with readable(path):
        columns: list[Columns] = []

        def pick(found: Sequence[str]) -> list[str]:
            columns.append(find_columns(path, found, text=text, label=label, time=time))
            return [name for name in vars(columns[0]).values() if name is not None]

        reading: _Reading | None = None
        for batch in reader_of(path)(path, batch_rows, pick):
            rows += len(batch)
            if reading is None:
                reading = _looked_ahead(path, columns[0], batch, batch_rows, words)
            yield _delivered(batch, reading, is_folder=path.is_dir())
    if rows == 0:
        raise SourceError(f"{path} has no rows{_only_header(path)}.", fix="Deliver the file again, with reviews.")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, or of a folder's text files and their labels: the batch id."""
    whole = hashlib.sha256()
    with readable(path):
        if not path.is_dir():
            _add(whole, path)
            return whole.hexdigest()
        for file in sorted(path.glob("*/*.txt")):
            part = hashlib.sha256()
            _add(part, file)
            whole.update(f"{file.relative_to(path).as_posix()}\0{part.hexdigest()}\n".encode())
    return whole.hexdigest()


@contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Read a file that somebody may still be writing: what was read must be what there is at the end.

    Raises
    ------
    SourceError
        The file changed meanwhile.
    """
    before = fingerprint(path)
    yield
    if fingerprint(path) != before:
        raise SourceError(
            f"{path} changed while it was read; nothing of it was taken in.",
            fix="Ingest again when it is complete; write to another name first, then rename.",
        )


def fingerprint(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and moments of change of a file, or of a folder's text files."""
    with readable(path):
        files = sorted(path.glob("*/*.txt")) if path.is_dir() else [path]
        found = ((file, file.stat()) for file in files)
        return tuple((file.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns) for file, stat in found)


def source_name(path: Path) -> str:
    """Return the name of a file without its suffixes: the source of reviews that name none."""
    name = Path(path.name.removesuffix(path.suffix) if path.suffix.lower() in COMPRESSIONS else path.name)
    return name.name if path.is_dir() else name.stem


@dataclass(frozen=True)
class _Reading:
    """How to read a file, known once it was looked through: what its columns, ratings and dates mean."""

    columns: Columns
    stars: int
    day_first: bool


def _looked_ahead(
    path: Path, columns: Columns, first: pd.DataFrame, batch_rows: int, words: Collection[str]
) -> _Reading:
    columns = _numbers_as_ratings(path, columns, first, batch_rows, words)
    return _Reading(columns, _stars(path, columns, batch_rows), _day_first(path, columns, first, batch_rows))


def _delivered(batch: pd.DataFrame, reading: _Reading, *, is_folder: bool) -> pd.DataFrame:
    columns = reading.columns
    names = [role for role, name in vars(columns).items() if name is not None]
    frame = batch.rename(columns=dict(enumerate(names)))
    for role in vars(columns):
        if role not in frame:
            frame[role] = pd.Series(None, index=frame.index, dtype=object)
    for role in ("label", "rating", "source", "written"):  # an empty cell says nothing
        words = frame[role].map(lambda value: value.strip() if isinstance(value, str) else value)
        frame[role] = words.where(words.notna() & (words != ""), None)
    if is_folder:
        frame["label"] = frame["label"].where(~frame["label"].isin(UNLABELLED_FOLDERS), None)
    return frame[[*vars(columns), "row_number", "malformed"]].assign(
        stars=reading.stars, written_at=parse_moments(frame["written"], day_first=reading.day_first)
    )


def _numbers_as_ratings(
    path: Path, columns: Columns, first: pd.DataFrame, batch_rows: int, words: Collection[str]
) -> Columns:
    """Return the columns, with a label column that holds ratings as what it is."""
    if columns.label is None or path.is_dir():
        return columns
    labels = _column(first, columns, columns.label).dropna()
    labels = labels[~labels.map(plain_label).isin(words)]
    if labels.empty or rating_numbers(labels).isna().mean() > _STRAY_SHARE:  # words
        return columns
    counts: Counter[float] = Counter()
    for numbers in _numbers(path, columns.label, batch_rows):
        counts.update(numbers.dropna().tolist())
    usual = sorted(number for number, count in counts.items() if count >= _STRAY_SHARE * counts.total())
    if not usual or usual[-1] <= 1:
        return columns
    if usual[0] >= 1 and usual[-1] > 3:
        return replace(columns, label=None, rating=columns.label)
    raise SourceError(
        f"The labels of {path} are the numbers {', '.join(f'{number:g}' for number in usual[:SHOWN])}, "
        "which may mean anything.",
        fix="Write words (negative, positive), or 0 and 1. Ratings are numbers from 1 to 5 or to 10; "
        "name their column `rating`. What other numbers mean can be set: data.label_words.",
    )


def _stars(path: Path, columns: Columns, batch_rows: int) -> int:
    return 5 if columns.rating is None else rating_scale(_numbers(path, columns.rating, batch_rows))


def _day_first(path: Path, columns: Columns, first: pd.DataFrame, batch_rows: int) -> bool:
    """Return whether days come before months in dates like 07/08/2018; the file is only read if it has some."""
    if columns.written is None or not may_come_either_way(_column(first, columns, columns.written)):
        return False
    batches = reader_of(path)(path, batch_rows, lambda _: [str(columns.written)])
    return days_come_first(batch.loc[~batch["malformed"], 0] for batch in batches)


def _column(batch: pd.DataFrame, columns: Columns, name: str) -> pd.Series:
    """Return a column of a batch, whose columns are numbered."""
    return batch[[other for other in vars(columns).values() if other is not None].index(name)]


def _numbers(path: Path, column: str, batch_rows: int) -> Iterator[pd.Series]:
    """Yield the numbers of a column, batch by batch."""
    for batch in reader_of(path)(path, batch_rows, lambda _: [column]):
        yield rating_numbers(batch.loc[~batch["malformed"], 0])


def _add(total: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)


def _only_header(path: Path) -> str:
    return ": no .txt files in subfolders" if path.is_dir() else ", only a header"


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Translate what the readers raise about a file into `SourceError`, once."""
    again = "Deliver the file again: it was cut off or damaged on its way."
    try:
        if not path.exists():
            raise SourceError(f"There is no file {path}.", fix="Check the path.")
        if not path.is_file() and not path.is_dir():
            raise SourceError(f"{path} is neither a file nor a folder.", fix="Save what it gives as a file first.")
        if path.is_file() and path.stat().st_size == 0:
            raise SourceError(f"{path} is empty (0 bytes).", fix="Deliver the file again.")
        yield
    except SentimentError:
        raise
    except (EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowInvalid) as error:
        raise SourceError(f"{path} is truncated or damaged: {_first_line(error)}.", fix=again) from error
    except PermissionError as error:
        raise SourceError(f"{path} may not be read.", fix="Give this user the right to read it.") from error
    except OSError as error:  # includes what gzip and zstd say about content that is not theirs
        raise SourceError(f"{path} cannot be read: {_first_line(error)}.", fix=again) from error
    except (KeyError, ValueError) as error:  # openpyxl, about a zip file that is no workbook
        raise SourceError(f"{path} is not what its name says: {_first_line(error)}.", fix=again) from error


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
