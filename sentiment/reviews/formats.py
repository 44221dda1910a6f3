"""The file formats: one reader each, that yields rows in bounded batches.

A reader is called with the path, the most rows of a batch, and `pick`: given the names of the columns found,
it returns those to read. What it yields has these columns, as strings or None, and ``row_number`` (from 1,
the header not counted) and ``malformed`` (the row could not be taken apart; its text is what there was).
Readers of text replace bytes that are no UTF-8 by U+FFFD, so that one bad byte costs one row.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sentiment.errors import SourceError
from sentiment.reviews.redaction import named_fields

Pick: TypeAlias = Callable[[Sequence[str]], Sequence[str]]
Row = TypeVar("Row")
Reader: TypeAlias = Callable[[Path, int, Pick], Iterator[pd.DataFrame]]

COMPRESSIONS = (".gz", ".zst")
_PEEK = 65_536
_BATCH_CHARACTERS = 16_000_000  # a batch of very long texts has fewer rows
_BINARY_FIX = "Check that the file is what its name says."


def reader_of(path: Path) -> Reader:
    """Return the reader for a file, by its suffix; folders hold one text file a review.

    Raises
    ------
    SourceError
        No reader knows the suffix.
    """
    if path.is_dir():
        return _read_folder
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    compressed = bool(suffixes) and suffixes[-1] in COMPRESSIONS
    if compressed:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in _READERS and not (compressed and suffix in _OWN_COMPRESSION):
        return _READERS[suffix]
    raise SourceError(
        f"{path} is in no known format: its suffix is {''.join(path.suffixes[-2:]) or 'missing'}.",
        fix="Known are .csv, .tsv, .jsonl and .json (one object a line), each also as .gz or .zst; .parquet; "
        ".xlsx; and a folder with one subfolder of .txt files a label.",
    )


def _read_delimited(path: Path, batch_rows: int, pick: Pick) -> Iterator[pd.DataFrame]:
    with opened_text(path) as file:
        header_line = file.readline()
        rows = _csv_rows(_Lines(file, header_line), _delimiter(path, header_line))
        header = [name.strip() for name in next(rows, ([], False))[0]]
        names = pick(header)
        places = [header.index(name) for name in names]
        for batch in bounded(rows, batch_rows, lambda row: sum(map(len, row[0]))):
            yield _frame(names, (_delimited_row(row, header, places, n) for n, row in batch))


class _Lines:
    """The lines of a file, that remembers whether the last one was asked for and did not come."""

    def __init__(self, file: IO[str], first: str) -> None:
        self._lines = iter(file)
        self._first: str | None = first
        self.ended = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._first is not None:
            line, self._first = self._first, None
            return line
        try:
            return next(self._lines)
        except StopIteration:
            self.ended = True
            raise


def _csv_rows(lines: _Lines, delimiter: str) -> Iterator[tuple[list[str], bool]]:
    """Yield the fields of each row, and whether the row is broken: a quote never closed, an endless field."""
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield [str(error)], True
            continue
        if row:
            yield row, lines.ended  # the end came inside the row


def _delimited_row(row: tuple[list[str], bool], header: Sequence[str], places: list[int], number: int) -> list[Any]:
    fields, broken = row
    width = len(header)
    while len(fields) > width and not fields[-1]:
        fields.pop()
    if broken or len(fields) != width:
        return [" ".join(named_fields(header, fields)), *[None] * (len(places) - 1), number, True]
    return [*(fields[place] for place in places), number, False]


def _delimiter(path: Path, header: str) -> str:
    if ".tsv" in path.suffixes[-2:]:
        return "\t"
    return max(",;\t|", key=header.count)


def _read_json_lines(path: Path, batch_rows: int, pick: Pick) -> Iterator[pd.DataFrame]:
    with opened_text(path) as file:
        records = (json_record(line) for line in file if line.strip())
        names: Sequence[str] | None = None
        for batch in bounded(records, batch_rows, lambda record: len(record[1])):
            if names is None:
                found = list(dict.fromkeys(key for _, record in batch if record[0] for key in record[0]))
                if not found:
                    start = batch[0][1][1][:40]
                    raise SourceError(
                        f"{path} does not hold one JSON object a line; it starts with {start!r}.",
                        fix="Convert it, for example with `jq -c '.[]'`.",
                    )
                names = pick(found)
            yield _frame(names, (_json_row(record, names, number) for number, record in batch))


def json_record(line: str) -> tuple[dict[str, Any] | None, str]:
    """Return the object that a line holds, None if it holds none, and the line."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None, line
    return (record if isinstance(record, dict) else None), line


def _json_row(record: tuple[dict[str, Any] | None, str], names: Sequence[str], number: int) -> list[Any]:
    values, line = record
    if values is None:
        return [line.strip(), *[None] * (len(names) - 1), number, True]
    return [*(_word(values.get(name)) for name in names), number, False]


def opened_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file so that reading it in batches does not keep in memory what was read before."""
    return pq.ParquetFile(path, pre_buffer=False)


def _read_parquet(path: Path, batch_rows: int, pick: Pick) -> Iterator[pd.DataFrame]:
    with opened_parquet(path) as file:
        names = list(pick(file.schema_arrow.names))
        numbers = 0
        for batch in file.iter_batches(batch_size=batch_rows, columns=list(dict.fromkeys(names))):
            columns = [batch.column(name).to_pylist() for name in names]
            yield _frame(
                names,
                (
                    [*map(_word, row), number, False]
                    for number, row in enumerate(zip(*columns, strict=True), start=numbers + 1)
                ),
            )
            numbers += batch.num_rows


def _read_workbook(path: Path, batch_rows: int, pick: Pick) -> Iterator[pd.DataFrame]:
    import openpyxl

    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl's remarks about styles
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        try:
            rows = book.worksheets[0].iter_rows(values_only=True)
            header = ["" if name is None else str(name).strip() for name in next(rows, ())]
            try:
                names = pick(header)
            except SourceError as error:
                sheet = book.worksheets[0].title
                raise SourceError(
                    f"{error.message} Only its first sheet, {sheet!r}, is read.", fix=error.fix
                ) from error
            places = [header.index(name) for name in names]
            filled = (row for row in rows if any(cell is not None for cell in row))
            numbered = enumerate(filled, start=1)
            while batch := list(islice(numbered, batch_rows)):
                yield _frame(names, ([*(_word(row[place]) for place in places), n, False] for n, row in batch))
        finally:
            book.close()


def _read_folder(path: Path, batch_rows: int, pick: Pick) -> Iterator[pd.DataFrame]:
    files = sorted(path.glob("*/*.txt"))
    names = pick(["text", "label"])
    for batch in bounded(files, batch_rows, lambda file: file.stat().st_size):
        rows = (
            {
                "text": file.read_bytes().removeprefix(b"\xef\xbb\xbf").decode(errors="replace"),
                "label": file.parent.name,
                "number": number,
            }
            for number, file in batch
        )
        yield _frame(names, ([*(row[name] for name in names), row["number"], False] for row in rows))


def bounded(rows: Iterable[Row], batch_rows: int, size: Callable[[Row], int]) -> Iterator[list[tuple[int, Row]]]:
    """Yield numbered rows in lists that are bounded in rows and in characters."""
    batch: list[tuple[int, Row]] = []
    room = _BATCH_CHARACTERS
    for numbered in enumerate(rows, start=1):
        batch.append(numbered)
        room -= size(numbered[1])
        if len(batch) >= batch_rows or room <= 0:
            yield batch
            batch, room = [], _BATCH_CHARACTERS
    if batch:
        yield batch


@contextmanager
def opened_text(path: Path) -> Iterator[IO[str]]:
    """Open a text file, compressed or not, and refuse it when it is binary."""
    with _bytes(path) as raw:
        file = io.BufferedReader(raw, _PEEK)
        head = file.peek(_PEEK)
        if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            encoding = "utf-16"
        elif b"\x00" in head:
            raise SourceError(f"{path} is binary, not text.", fix=_BINARY_FIX)
        else:
            encoding = "utf-8-sig"
        with io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="") as text:
            yield text


@contextmanager
def _bytes(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile(fileobj=file) as unzipped:
                yield unzipped
        elif path.suffix.lower() == ".zst":
            with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd") as unzipped:
                yield unzipped
        else:
            yield file.raw


def _frame(names: Sequence[str], rows: Iterable[list[Any]]) -> pd.DataFrame:
    columns = [*range(len(names)), "row_number", "malformed"]
    return pd.DataFrame(list(rows), columns=columns, dtype=object).astype({"row_number": "int64", "malformed": "bool"})


def _word(value: Any) -> str | None:
    """Return a cell as a string: numbers without a needless ``.0``, nothing as None."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):  # half a surrogate pair, as JSON may hold, cannot be stored
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return str(value)


_READERS: dict[str, Reader] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_json_lines,
    ".json": _read_json_lines,
    ".parquet": _read_parquet,
    ".xlsx": _read_workbook,
}
_OWN_COMPRESSION = (".parquet", ".xlsx")
