"""Delta tables on a storage that may fail for the moment: opening them, and commits that are known again.

A commit may land and its answer be lost. Each commit therefore carries an id of its own: whoever tries again looks
first whether the earlier attempt is there, so that nothing is added twice and nothing is taken for somebody else's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from sentiment.errors import StorageError
from sentiment.storage import Storage

LOST_RACES = 20
_ID = "sentiment.commit"


def open_table(storage: Storage, uri: str, version: int | None = None) -> DeltaTable | None:
    """Open the newest or a given version; None if there is no table yet."""

    def opened() -> DeltaTable | None:
        try:
            return DeltaTable(uri, version=version, storage_options=storage.options())
        except TableNotFoundError:
            return None

    return storage.persist(opened, what="open", where=uri)


def recorded(table: DeltaTable, ids: Iterable[str]) -> set[str]:
    """Return those of the ids that a commit has recorded as application transactions."""
    return {i for i in ids if table.transaction_version(i) is not None}


def commit(
    storage: Storage,
    uri: str,
    *,
    ids: Sequence[str],
    opened: Callable[[], DeltaTable],
    write: Callable[[DeltaTable, CommitProperties], None],
    check: Callable[[DeltaTable], None] = lambda _: None,
    notes: Mapping[str, str] | None = None,
) -> int | None:
    """Make one commit that records `ids`, unless one of them is recorded already.

    Parameters
    ----------
    storage : Storage
        Where the table lives.
    uri : str
        The table.
    ids : sequence of str
        Application transactions.
    opened : callable
        Gives the newest version of the table, for each attempt.
    write : callable
        Writes to it with the given properties; called again for each attempt.
    check : callable, optional
        Raises if the commit must not be made on this version.
    notes : mapping of str to str, optional
        What the commit says of itself.

    Returns
    -------
    int or None
        The version that this call made, in whichever attempt. None: an id was recorded, nothing was written.
    """
    own = uuid.uuid4().hex
    properties = CommitProperties(
        custom_metadata={**(notes or {}), _ID: own},
        app_transactions=[Transaction(i, 1) for i in ids],
        max_commit_retries=0,  # what another writer recorded is looked at before the next attempt
    )
    tried_on: list[int] = []

    def attempt() -> tuple[bool, int | None]:
        """Return whether that settles it, and the version."""
        try:
            table = opened()
        except CommitFailedError:  # another writer made the table at the same moment
            return False, None
        if tried_on and (landed := _find(storage, uri, own, range(tried_on[0] + 1, table.version() + 1))) is not None:
            return True, landed
        if recorded(table, ids):
            return True, None
        check(table)
        tried_on.append(table.version())
        try:
            write(table, properties)
        except CommitFailedError:
            return False, None
        return True, int(table.version())

    for lost in range(LOST_RACES):
        settled, version = storage.persist(attempt, what="append to", where=uri)
        if settled:
            return version
        time.sleep(0.02 * (lost + 1))
    raise StorageError(
        f"{uri} is too busy: {LOST_RACES} attempts to commit lost against other writers.",
        fix="Run the same command again; nothing was written.",
    )


def _find(storage: Storage, uri: str, own: str, versions: Iterable[int]) -> int | None:
    """Return which of the versions is the commit with this id."""
    log = f"{uri.removeprefix(f'{storage.root}/')}/_delta_log"
    return next((v for v in versions if own.encode() in storage.read(f"{log}/{v:020}.json")), None)
