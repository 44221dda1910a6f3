"""Arrays that are needed again later: in memory while they are few, beyond that in temporary files."""

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEMORY = 1 << 27
"""Bytes that stay in memory."""


class Spool:
    """Keeps arrays until they are asked for; the files go when the spool does."""

    def __init__(self) -> None:
        self._room = MEMORY
        self._arrays: dict[int, NDArray[Any]] = {}
        self._folder: Path | None = None
        self._next = 0

    def put(self, array: NDArray[Any]) -> int:
        """Keep an array; returns the ticket to ask for it."""
        self._next += 1
        if array.nbytes <= self._room:
            self._room -= array.nbytes
            self._arrays[self._next] = array
        else:
            np.save(self._path(self._next), array, allow_pickle=False)
        return self._next

    def get(self, ticket: int, part: slice | None = None) -> NDArray[Any]:
        """Return a kept array, or a part of its last axis."""
        if (array := self._arrays.get(ticket)) is not None:
            return array if part is None else array[..., part]
        if part is None:
            whole: NDArray[Any] = np.load(self._path(ticket), allow_pickle=False)
            return whole
        return np.array(np.load(self._path(ticket), mmap_mode="r", allow_pickle=False)[..., part])

    def cuts(self, ticket: int, borders: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return where the borders would stand in a kept array that ascends."""
        if ticket in self._arrays:
            return np.searchsorted(self._arrays[ticket], borders)
        return np.searchsorted(np.load(self._path(ticket), mmap_mode="r", allow_pickle=False), borders)

    def drop(self, ticket: int) -> None:
        """Forget an array."""
        if (array := self._arrays.pop(ticket, None)) is not None:
            self._room += array.nbytes
        else:
            self._path(ticket).unlink()

    def _path(self, ticket: int) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="sentiment-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder / f"{ticket}.npy"
