"""MLflow's SQLite database, made whole or not at all.

MLflow builds its tables step by step and cannot go on where it was interrupted, by Ctrl-C, a kill or a full disk:
every later start fails. So the database is built aside and given its name when it is complete.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from pathlib import Path

from sentiment.errors import storage_errors

SQLITE = "sqlite:///"


def ensure_database(uri: str) -> None:
    """Make the SQLite database of a tracking address if there is none; other addresses are left alone.

    Of several callers at once, one makes it.

    Raises
    ------
    StorageError
        There is no room for it, or it may not be written.
    """
    path = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or path.exists():
        return
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
            made = Path(folder, path.name)
            _build(f"{SQLITE}{made}")
            with contextlib.suppress(FileExistsError):
                os.link(made, path)


def _build(uri: str) -> None:
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    for noisy in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    engine = create_sqlalchemy_engine(uri)
    try:
        _initialize_tables(engine)
    finally:
        engine.dispose()
