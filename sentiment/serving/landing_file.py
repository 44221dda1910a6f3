"""Small Parquet files for the landing zone, written without pyarrow, which would weigh 150 MB in a served Bento."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from arro3.core import DataType, Field, Schema
from arro3.io import read_json, write_parquet

TEXT, NUMBER, FLAG = DataType.string(), DataType.float64(), DataType.bool()
MOMENT = DataType.timestamp("us", tz="UTC")
SHARES = DataType.map(Field("label", DataType.string(), nullable=False), Field("share", DataType.float64()), False)
"""Numbers by label."""

_ROWS = 100
_PAGE_BYTES = 128 * 1024
_COMPRESSION = "lz4_raw"


class _Lines(BytesIO):
    """Bytes that are read through Python, which lets other threads in between."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size)


def schema(columns: dict[str, DataType]) -> Schema:
    """Return the schema of a landing file; any of its columns may be null."""
    return Schema([Field(name, kind) for name, kind in columns.items()])


def parquet(records: Sequence[bytes], columns: Schema) -> bytes:
    """Return JSON objects as a Parquet file.

    They are parsed and written some rows at a time: a request that is answered meanwhile waits for those only.

    Parameters
    ----------
    records : sequence of bytes
        One JSON object each, known to be whole: the parser ends the process on some input that is not JSON.
    columns : Schema
        What the objects hold; what else is in them is left out.
    """
    rows = read_json(_Lines(b"\n".join(records)), columns, batch_size=_ROWS)
    file = BytesIO()
    write_parquet(
        rows,
        file,
        compression=_COMPRESSION,
        data_page_size_limit=_PAGE_BYTES,
        dictionary_enabled=False,
        write_batch_size=_ROWS,
    )
    return file.getvalue()
