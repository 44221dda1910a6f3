"""Rows that wait on the local disk until the whole file is read, so that memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from sentiment.errors import storage_errors


class Spool:
    """A compressed file of rows, written once from start to end and then read as often as needed.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    schema : pyarrow.Schema
        Columns of the rows.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self._path = path
        with storage_errors(str(path)):
            self._file = pa.OSFile(str(path), "wb")
            self._writer: Any = pa.ipc.new_stream(self._file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        return self._path.stat().st_size

    def add(self, frame: pd.DataFrame) -> None:
        """Write rows."""
        if frame.empty:
            return
        self.write(pa.Table.from_pandas(frame, schema=self.schema, preserve_index=False))

    def write(self, rows: pa.Table) -> None:
        """Write rows that have the schema."""
        with storage_errors(str(self._path)):
            self._writer.write_table(rows.combine_chunks())
        self.rows += rows.num_rows

    def close(self) -> None:
        """End writing."""
        with storage_errors(str(self._path)):
            self._writer.close()
            self._file.close()

    def discard(self) -> None:
        """Give the file up, whatever state it is in."""
        with suppress(OSError):  # a full disk refuses what was not written yet
            self._file.close()
        self._path.unlink(missing_ok=True)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the rows, one batch at a time."""
        with storage_errors(str(self._path)), pa.OSFile(str(self._path)) as file, pa.ipc.open_stream(file) as stream:
            yield from stream
