"""Named arrays in one ``.npz`` file, of which some can be mapped into memory.

The file is one that ``numpy.load`` reads. Arrays that are named as mapped are stored as they are, at multiples of 64
bytes, so that all processes that serve a model share their pages; the others are compressed. Nothing is unpickled.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALIGNMENT = 64
_LOCAL_HEADER = 30  # bytes of a zip member before its name (APPNOTE 4.3.7)
_PADDING = 0xD935  # the extra field that Android's zipalign uses for the same end


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, mapped: Collection[str]) -> None:
    """Write a file; a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, array in arrays.items():
                    _write(archive, name, array, begin=file.tell() if name in mapped else None)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read a file: what is stored as it is becomes a read-only map of it, the rest is read.

    Raises
    ------
    ValueError, OSError, zipfile.BadZipFile
        It is missing or damaged, or holds Python objects.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        found = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_type == zipfile.ZIP_STORED:
                found[name] = _map(path, file.fileno(), member)
            else:
                with archive.open(member) as content:
                    found[name] = np.lib.format.read_array(content, allow_pickle=False)
        return found


def _write(archive: zipfile.ZipFile, name: str, array: NDArray[Any], *, begin: int | None) -> None:
    member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    if begin is not None:
        member.compress_type = zipfile.ZIP_STORED
        used = begin + _LOCAL_HEADER + len(member.filename.encode()) + 4  # and the head of the padding
        member.extra = struct.pack("<HH", _PADDING, -used % _ALIGNMENT) + bytes(-used % _ALIGNMENT)
    with archive.open(member, "w") as content:
        np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)


def _map(path: Path, descriptor: int, member: zipfile.ZipInfo) -> NDArray[Any]:
    head = os.pread(descriptor, _LOCAL_HEADER, member.header_offset)
    begin = member.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", head[26:30]))
    mapped = np.memmap(path, np.uint8, mode="r", offset=begin, shape=(member.file_size,))
    whole = np.asarray(mapped)  # every operation on a memmap makes another one, in Python
    if zlib.crc32(whole.data) != member.CRC:
        raise ValueError(f"{member.filename} is damaged")
    with path.open("rb") as file:
        file.seek(begin)
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{member.filename} is no array of numpy's first format")
        shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
        if kind.hasobject or fortran:
            raise ValueError(f"{member.filename} does not hold plain numbers, row by row")
        return whole[file.tell() - begin :].view(kind).reshape(shape)
