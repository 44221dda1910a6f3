"""Sources of reviews: which column is which, whatever the file format, in bounded batches.

Columns are found by name (`TEXT_NAMES` and so on; case, spaces, hyphens and underscores do not count) or
named by the caller. A label column wins over a rating column; without either the reviews are unlabelled. The
rating scale, 5 or 10, is that of the whole file (see `sentiment.reviews.contract.rating_scale`), for which
the ratings are read once ahead of the rows. So are labels that are numbers: 0 and 1 are labels, 1 to 5 are
ratings, and what could be either is refused, since a 1 is the best in the one and the worst in the other.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from sentiment.errors import SentimentError, SourceError
from sentiment.reviews.contract import rating_numbers, rating_scale
from sentiment.reviews.formats import COMPRESSIONS, reader_of

TEXT_NAMES = (
    *("text", "review", "reviewtext", "reviewbody", "body", "content", "comment", "comments"),
    *("verifiedreviews", "sentence", "message", "reviewcontent"),
)
LABEL_NAMES = ("label", "sentiment", "class", "target", "polarity")
RATING_NAMES = ("rating", "overall", "stars", "score", "starrating", "reviewrating", "reviewscore")
SOURCE_NAMES = ("source", "domain", "category")

UNLABELLED_FOLDERS = ("unsup", "unlabelled", "unlabeled")
_CHUNK = 1 << 20
_SHOWN = 20
_STRAY_SHARE = 0.01  # numbers as rare as this are slips of the pen and say nothing about the others


@dataclass(frozen=True)
class Columns:
    """The names that a file gives to its columns; None for what it lacks."""

    text: str
    label: str | None
    rating: str | None
    source: str | None


def read_batches(
    path: Path, *, text: str | None = None, label: str | None = None, batch_rows: int
) -> Iterator[pd.DataFrame]:
    """Read a file, or a folder with a subfolder of ``.txt`` files a label, in batches.

    Parameters
    ----------
    path : Path
        csv, tsv, jsonl, json (one object a line), each also ``.gz`` or ``.zst``; parquet; xlsx; a folder.
    text, label : str, optional
        Names of these columns; found by their usual names otherwise. A `label` that is one of `RATING_NAMES`
        is read as a rating.
    batch_rows : int
        Most rows of a batch.

    Yields
    ------
    DataFrame
        ``text``, ``label``, ``rating``, ``source`` as delivered (strings or None); ``row_number``, from 1;
        ``stars``, the rating scale; ``malformed``, whether the row could not be taken apart.

    Raises
    ------
    SourceError
        The file is missing, empty, truncated, binary, of no known format, lacks a column, has two of the same
        name, or its labels are numbers that may mean anything.
    """
    rows = 0
    with _readable(path):
        columns: list[Columns] = []

        def pick(found: Sequence[str]) -> list[str]:
            columns.append(find_columns(path, found, text=text, label=label))
            return [name for name in vars(columns[0]).values() if name is not None]

        stars: int | None = None
        for batch in reader_of(path)(path, batch_rows, pick):
            rows += len(batch)
            if stars is None:
                columns[0] = _numbers_as_ratings(path, columns[0], batch, batch_rows)
                stars = _stars(path, columns[0], batch_rows)
            yield _delivered(batch, columns[0], stars, is_folder=path.is_dir())
    if rows == 0:
        raise SourceError(f"{path} has no rows{_only_header(path)}.", fix="Deliver the file again, with reviews.")


def find_columns(path: Path, found: Sequence[str], *, text: str | None, label: str | None) -> Columns:
    """Return which of the columns found are text, label, rating and source.

    Raises
    ------
    SourceError
        There is no text column, or a column named by the caller is absent. Names the columns found.
    """
    text_column = _named(path, found, text, "text") if text else _usual(found, TEXT_NAMES)
    if text_column is None:
        raise SourceError(
            f"{path} has no column of review texts; its columns are {_listed(found)}.",
            fix="Name the column of the texts with --text (text=), that of the labels with --label (label=).",
        )
    label_column = _named(path, found, label, "label") if label else _usual(found, LABEL_NAMES)
    rating_column = None if label else _usual(found, RATING_NAMES)
    if label and label_column is not None and _plain(label_column) in RATING_NAMES:
        label_column, rating_column = None, label_column
    others = {text_column, label_column}
    columns = Columns(
        text=text_column,
        label=label_column if label_column != text_column else None,
        rating=rating_column if label_column is None and rating_column not in others else None,
        source=_usual([name for name in found if name not in others], SOURCE_NAMES),
    )
    for name in vars(columns).values():
        if name is not None and list(found).count(name) > 1:
            raise SourceError(
                f"{path} has {list(found).count(name)} columns named {name!r}.", fix="Rename or remove all but one."
            )
    return columns


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, or of a folder's text files and their labels: the batch id."""
    whole = hashlib.sha256()
    with _readable(path):
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
    with _readable(path):
        files = sorted(path.glob("*/*.txt")) if path.is_dir() else [path]
        found = ((file, file.stat()) for file in files)
        return tuple((file.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns) for file, stat in found)


def source_name(path: Path) -> str:
    """Return the name of a file without its suffixes: the source of reviews that name none."""
    name = Path(path.name.removesuffix(path.suffix) if path.suffix.lower() in COMPRESSIONS else path.name)
    return name.name if path.is_dir() else name.stem


def _delivered(batch: pd.DataFrame, columns: Columns, stars: int, *, is_folder: bool) -> pd.DataFrame:
    names = [role for role, name in vars(columns).items() if name is not None]
    frame = batch.rename(columns=dict(enumerate(names)))
    for role in vars(columns):
        if role not in frame:
            frame[role] = pd.Series(None, index=frame.index, dtype=object)
    for role in ("label", "rating", "source"):  # an empty cell says nothing
        words = frame[role].map(lambda value: value.strip() if isinstance(value, str) else value)
        frame[role] = words.where(words.notna() & (words != ""), None)
    if is_folder:
        frame["label"] = frame["label"].where(~frame["label"].isin(UNLABELLED_FOLDERS), None)
    return frame[[*vars(columns), "row_number", "malformed"]].assign(stars=stars)


def _numbers_as_ratings(path: Path, columns: Columns, first: pd.DataFrame, batch_rows: int) -> Columns:
    """Return the columns, with a label column that holds ratings as what it is."""
    if columns.label is None or path.is_dir():
        return columns
    place = [name for name in vars(columns).values() if name is not None].index(columns.label)
    labels = first[place].dropna()
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
        f"The labels of {path} are the numbers {', '.join(f'{number:g}' for number in usual[:_SHOWN])}, "
        "which may mean anything.",
        fix="Write words (negative, positive), or 0 and 1. Ratings are numbers from 1 to 5 or to 10; "
        "name their column `rating`.",
    )


def _stars(path: Path, columns: Columns, batch_rows: int) -> int:
    return 5 if columns.rating is None else rating_scale(_numbers(path, columns.rating, batch_rows))


def _numbers(path: Path, column: str, batch_rows: int) -> Iterator[pd.Series]:
    """Yield the numbers of a column, batch by batch."""
    for batch in reader_of(path)(path, batch_rows, lambda _: [column]):
        yield rating_numbers(batch.loc[~batch["malformed"], 0])


def _usual(found: Sequence[str], names: Sequence[str]) -> str | None:
    plain = {_plain(name): name for name in reversed(found)}
    return next((plain[name] for name in names if name in plain), None)


def _named(path: Path, found: Sequence[str], name: str, role: str) -> str:
    if name in found:
        return name
    if match := next((other for other in found if _plain(other) == _plain(name)), None):
        return match
    raise SourceError(
        f"{path} has no column {name!r}; its columns are {_listed(found)}.",
        fix=f"Name one of these with --{role} ({role}=).",
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "(none)") + more


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _add(total: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)


def _only_header(path: Path) -> str:
    return ": no .txt files in subfolders" if path.is_dir() else ", only a header"


@contextmanager
def _readable(path: Path) -> Iterator[None]:
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
