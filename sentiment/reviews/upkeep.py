"""Upkeep of a Delta table: many small files become few, and files that no kept version needs are found.

Files are told apart by what the log names, not by a log of removals, so that what a killed write left behind is
found as well. Young files are never among them: they may belong to a write that has not been committed yet, or to
a version that somebody reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from deltalake import CommitProperties, DeltaTable, WriterProperties

from sentiment.errors import storage_errors
from sentiment.reviews.table import MADE_BY, UPKEEP, Table
from sentiment.storage import Object, Storage

MANY = 50
SAFE_AGE = timedelta(days=7)
"""As Delta Lake has it: longer than any write or read takes."""

_FILE_BYTES = 32 * 2**20
_WRITING = WriterProperties(max_row_group_size=10_000, compression="SNAPPY")


def small_files(table: DeltaTable) -> int:
    """Return how many files of the newest version are less than half as large as they should be."""
    sizes = table.get_add_actions(flatten=True)["size_bytes"].to_pylist()
    return sum(size < _FILE_BYTES // 2 for size in sizes)


def compact(table: Table, *, dry_run: bool = False) -> int:
    """Merge the small files of a table if there are many; return how many files became fewer.

    The rows stay, and the versions before stay readable as long as their files are kept.
    """
    found = table.open()
    if found is None:
        return 0
    with storage_errors(table.uri):
        small = small_files(found)
        if small < MANY or dry_run:
            return small if small >= MANY else 0
        done = found.optimize.compact(
            target_size=_FILE_BYTES,
            max_concurrent_tasks=1,
            writer_properties=_WRITING,
            commit_properties=CommitProperties(custom_metadata={MADE_BY: "compaction"}),
        )
    return int(done["numFilesRemoved"]) - int(done["numFilesAdded"])


def unneeded(
    storage: Storage, table: Table, *, keep: Collection[int], keep_since: datetime, now: datetime
) -> list[Object]:
    """Return the files that neither the newest version needs, nor those in `keep`, nor those newer than `keep_since`.

    Parameters
    ----------
    keep : collection of int
        Versions; those that the table does not have are passed over.
    keep_since : datetime
        Versions that were the newest at this moment or later are kept.
    now : datetime
        Files younger than `SAFE_AGE` are left alone.
    """
    before = [found for found in storage.objects(f"tables/{table.name}") if now - found.modified >= SAFE_AGE]
    if not any(_is_data(found.path) for found in before):
        return []
    needed = _needed(table, keep=keep, keep_since=keep_since)  # after the list: what is committed meanwhile is young
    return [found for found in before if _is_data(found.path) and found.path.rsplit("/", 1)[-1] not in needed]


def _needed(table: Table, *, keep: Collection[int], keep_since: datetime) -> set[str]:
    """Return the names of the files of all kept versions.

    Between two rewrites a version has all files of those before it, so the newest kept one of each stretch says it.
    """
    newest = table.open()
    if newest is None:
        return set()
    with storage_errors(table.uri):
        needed = _names(newest.file_uris())
    highest: int | None = None
    until, oldest = datetime.max.replace(tzinfo=UTC), min(keep, default=newest.version())
    for entry in table.commits():  # `until` is when the next one came
        version = entry["version"]
        if until < keep_since and version < oldest:
            break
        if highest is None and (version in keep or until >= keep_since):
            highest = version
        until = datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
        if highest is not None and not _only_adds(entry):
            needed |= _names_of(table, highest)
            highest = None
    if highest is not None:
        needed |= _names_of(table, highest)
    return needed


def _only_adds(entry: Mapping[str, Any]) -> bool:
    """Whether a commit took no file away."""
    if entry["operation"] == "WRITE":
        return bool(entry.get("operationParameters", {}).get("mode") == "Append")
    return entry["operation"] in UPKEEP and entry["operation"] != "OPTIMIZE"


def _names_of(table: Table, version: int) -> set[str]:
    found = table.open(version)
    if found is None:
        return set()
    with storage_errors(table.uri):
        return _names(found.file_uris())


def _names(uris: Iterable[str]) -> set[str]:
    return {unquote(uri.rsplit("/", 1)[-1]) for uri in uris}


def _is_data(path: str) -> bool:
    """Whether a path is that of a data file, complete or, with a number behind it, left by a killed write."""
    folder, _, name = path.rpartition("/")
    return "/_" not in f"{folder}/" and ".parquet" in name
