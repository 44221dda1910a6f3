"""Counted features kept on the local disk, so that the trials of a study count them once between them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse

from sentiment.errors import storage_errors
from sentiment.settings import Settings
from sentiment.training.crossval import Rows

_KEPT = 3


def shared_rows(settings: Settings, key: str, make: Callable[[], Rows]) -> Rows:
    """Return the rows with this key: those on the disk, or else what `make` gives, which is kept for the next.

    Whoever comes while another is counting counts too; a damaged file is made again. The newest few are kept.
    """
    path = settings.local_dir / "cache" / "features" / f"{key}.npz"
    with contextlib.suppress(Exception):  # absent, cut off by a full disk, of an older version: it is only a copy
        return _read(path)
    rows = make()
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
            _write(Path(folder, path.name), rows).replace(path)
        for old in sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
            old.unlink(missing_ok=True)
    return rows


def _write(path: Path, rows: Rows) -> Path:
    counts = rows.counts
    parts = {"data": counts.data, "indices": counts.indices, "indptr": counts.indptr, "shape": counts.shape}
    np.savez(path, allow_pickle=False, labels=rows.labels, folds=rows.folds, lengths=rows.lengths, **parts)
    return path


def _read(path: Path) -> Rows:
    with np.load(path, allow_pickle=False) as file:
        parts = (file["data"], file["indices"], file["indptr"])
        counts = sparse.csr_matrix(parts, shape=tuple(file["shape"]))
        return Rows(counts, file["labels"], file["folds"], file["lengths"])
