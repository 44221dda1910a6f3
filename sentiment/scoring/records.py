"""Tables of any form read and written row by row as they are, with columns added: what `sentiment predict` does.

A csv stays text, a JSON object keeps its values, a Parquet column its type. A table is written beside its place and
moved there when it is complete: who is interrupted leaves what was there before.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment.errors import SettingsError, SourceError, storage_errors
from sentiment.reviews.columns import check_single, find_text
from sentiment.reviews.formats import COMPRESSIONS, bounded, json_record, opened_parquet, opened_text, reader_of
from sentiment.reviews.sources import readable

Record = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """Some rows of a table.

    Attributes
    ----------
    records : list of dict
        The rows; their values by column.
    texts : list of (str or None)
        What to judge in each; None if it holds no text.
    malformed : list of bool
        Whether a row could not be taken apart; its record then holds what there was as its text.
    schema : pyarrow.Schema or None
        The types of the columns, where the table has any.
    """

    records: list[Record]
    texts: list[str | None]
    malformed: list[bool]
    schema: pa.Schema | None = None


def read_rows(path: Path, *, column: str | None, batch_rows: int) -> Iterator[Rows]:
    """Read a table: csv, tsv, jsonl, json (also .gz or .zst), parquet, xlsx.

    Raises
    ------
    SourceError
        It is missing, empty, damaged, of no known form, or lacks the column; says which columns there are.
    """
    with readable(path):
        reader = reader_of(path)
        if path.is_dir():
            raise SourceError(f"{path} is a folder, not a table.", fix="Score it: `sentiment score`.")
        match path.suffixes[-2:] if path.suffix.lower() in COMPRESSIONS else path.suffixes[-1:]:
            case [(".jsonl" | ".json"), *_]:
                yield from _objects(path, column, batch_rows)
            case [".parquet"]:
                yield from _typed(path, column, batch_rows)
            case _:
                yield from _words(path, reader, column, batch_rows)


def _words(path: Path, reader: Callable[..., Any], column: str | None, batch_rows: int) -> Iterator[Rows]:
    """Yield the rows of a table whose cells are words."""
    names: list[str] = []
    place = 0

    def pick(found: Sequence[str]) -> Sequence[str]:
        nonlocal place
        check_single(path, found, found)
        text = find_text(path, found, named=column)
        names.extend([text, *(name for name in found if name != text)])  # a malformed row is all in the first
        place = list(found).index(text)
        return names

    for batch in reader(path, batch_rows, pick):
        order = [*range(1, place + 1), 0, *range(place + 1, len(names))]
        cells = [batch[number].tolist() for number in order]
        records = [dict(zip([names[n] for n in order], row, strict=True)) for row in zip(*cells, strict=True)]
        yield Rows(records, batch[0].tolist(), batch["malformed"].tolist())


def _objects(path: Path, column: str | None, batch_rows: int) -> Iterator[Rows]:
    with opened_text(path) as file:
        lines = (json_record(line) for line in file if line.strip())
        text: str | None = None
        for batch in bounded(lines, batch_rows, lambda record: len(record[1])):
            found = [record for _, (record, _) in batch]
            if text is None:
                text = find_text(
                    path, list(dict.fromkeys(key for record in found for key in record or ())), named=column
                )
            records = [{text: line.strip()} if record is None else record for _, (record, line) in batch]
            texts = [_text(record.get(text)) for record in records]
            yield Rows(records, texts, [record is None for record in found])


def _typed(path: Path, column: str | None, batch_rows: int) -> Iterator[Rows]:
    with opened_parquet(path) as file:
        schema = file.schema_arrow.remove_metadata()
        check_single(path, schema.names, schema.names)
        text = find_text(path, schema.names, named=column)
        for batch in file.iter_batches(batch_size=batch_rows):
            records = batch.to_pylist()
            yield Rows(records, [_text(record[text]) for record in records], [False] * len(records), schema)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(value, default=str, ensure_ascii=False)


class Writer(Protocol):
    """Writes rows, one list after the other."""

    def write(self, records: Sequence[Record], schema: pa.Schema | None) -> None:
        """Write rows; `schema` has the types of columns that were read with types."""


@contextmanager
def written(path: Path, added: pa.Schema) -> Iterator[Writer]:
    """Give a writer of a table; the file is there when all is written, and not before.

    Parameters
    ----------
    path : Path
        csv, tsv, jsonl or json (also .gz or .zst), or parquet.
    added : pyarrow.Schema
        The columns that every record has beside those of the input; they stand at the end.

    Raises
    ------
    SettingsError
        Its suffix names no form that is written.
    StorageError
        It cannot be written.
    """
    opened = _writer_of(path)
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with storage_errors(str(path)), opened(temporary, added) as writer:
            yield writer
        with storage_errors(str(path)):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise `SettingsError` unless the suffix names a form that is written."""
    _writer_of(path)


def _writer_of(path: Path) -> Callable[[Path, pa.Schema], AbstractContextManager[Writer]]:
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    form = suffixes[-1] if suffixes else ""
    if form == ".parquet" and not compression:
        return _parquet
    if form in (".csv", ".tsv", ".jsonl", ".json"):

        @contextmanager
        def text(temporary: Path, added: pa.Schema) -> Iterator[Writer]:
            with _opened(temporary, compression) as file:
                yield (
                    _Lines(file)
                    if form.startswith(".json")
                    else _Delimited(file, added, "\t" if form == ".tsv" else ",")
                )

        return text
    raise SettingsError(
        f"{path} is in no form that can be written.",
        fix="Name it .csv, .tsv or .jsonl, each also .gz or .zst, or .parquet.",
    )


@contextmanager
def _opened(path: Path, compression: str) -> Iterator[IO[str]]:
    with path.open("wb") as raw:
        packed: Any = raw
        if compression == ".gz":
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)
        elif compression == ".zst":
            packed = pa.CompressedOutputStream(pa.PythonFile(raw, mode="w"), "zstd")
        with packed, io.TextIOWrapper(packed, encoding="utf-8", errors="replace", newline="") as file:
            yield file


class _Lines:
    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, records: Sequence[Record], schema: pa.Schema | None) -> None:
        """Write an object a line."""
        for record in records:
            self._file.write(json.dumps(record, ensure_ascii=False, default=_plain) + "\n")


class _Delimited:
    def __init__(self, file: IO[str], added: pa.Schema, delimiter: str) -> None:
        self._writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        self._added = added.names
        self._names: list[str] = []

    def write(self, records: Sequence[Record], schema: pa.Schema | None) -> None:
        """Write rows; the columns are those of the first ones."""
        if not self._names:
            self._names = _columns(records, schema, self._added)
            self._writer.writerow(self._names)
        _refuse_others(records, self._names)
        self._writer.writerows([_cell(record.get(name)) for name in self._names] for record in records)


@contextmanager
def _parquet(path: Path, added: pa.Schema) -> Iterator[Writer]:
    writer = _Parquet(path, added)
    try:
        yield writer
    finally:
        writer.close()


class _Parquet:
    def __init__(self, path: Path, added: pa.Schema) -> None:
        self._path, self._added = path, added
        self._writer: Any = None
        self._words: list[str] = []

    def write(self, records: Sequence[Record], schema: pa.Schema | None) -> None:
        """Write rows; columns that were read without a type become text."""
        if self._writer is None:
            names = [name for name in _columns(records, schema, self._added.names) if name not in self._added.names]
            self._words = [] if schema else names
            fields = [schema.field(name) if schema else pa.field(name, pa.string()) for name in names]
            self._writer = pq.ParquetWriter(self._path, pa.schema([*fields, *self._added]), compression="zstd")
        _refuse_others(records, self._writer.schema.names)
        rows = [{**record, **{name: _word(record.get(name)) for name in self._words}} for record in records]
        self._writer.write_table(pa.Table.from_pylist(rows, schema=self._writer.schema))

    def close(self) -> None:
        if self._writer is None:  # no rows
            self._writer = pq.ParquetWriter(self._path, self._added)
        self._writer.close()


def _columns(records: Iterable[Mapping[str, Any]], schema: pa.Schema | None, added: Sequence[str]) -> list[str]:
    """Return all columns: those of the input in their order, then those that are added."""
    own = schema.names if schema else dict.fromkeys(name for record in records for name in record)
    return [*(name for name in own if name not in added), *added]


def _refuse_others(records: Iterable[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Raise `SourceError` if a record has a field for which there is no column any more."""
    known = set(names)
    if others := next((record.keys() - known for record in records if record.keys() - known), None):
        raise SourceError(
            f"Later rows have fields that the first ones lack: {', '.join(sorted(others))}.",
            fix="Write the output as .jsonl, which has no columns.",
        )


def _word(value: Any) -> str | None:
    return None if value is None else _cell(value)


def _cell(value: Any) -> str:
    """Return a value as it stands in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return value if isinstance(value, str) else str(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
