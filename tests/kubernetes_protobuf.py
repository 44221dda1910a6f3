"""Reads a Secret from Kubernetes's protobuf, which is how Helm's client sends the ones with its releases.

Field numbers are those of k8s.io/api/core/v1/generated.proto and k8s.io/apimachinery.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

MAGIC = b"k8s\0"


def decode_secret(message: bytes) -> dict[str, Any]:
    """Return a Secret, or another object of which only the metadata is wanted, as JSON types."""
    envelope = dict(_fields(message.removeprefix(MAGIC)))
    kind = {number: value.decode() for number, value in _fields(envelope[1])}
    found: dict[str, Any] = {"apiVersion": kind[1], "kind": kind[2], "metadata": {}}
    data = {}
    for number, value in _fields(envelope[2]):
        if number == 1:
            found["metadata"] = _metadata(value)
        elif number == 2 and kind[2] == "Secret":
            name, content = _pair(value)
            data[name] = base64.b64encode(content).decode()
        elif number == 3 and kind[2] == "Secret":
            found["type"] = value.decode()
    return {**found, "data": data} if data else found


def _metadata(message: bytes) -> dict[str, Any]:
    names = {1: "name", 3: "namespace", 5: "uid", 6: "resourceVersion"}
    found: dict[str, Any] = {}
    for number, value in _fields(message):
        if number in names and value:
            found[names[number]] = value.decode()
        elif number in (11, 12):
            name, content = _pair(value)
            found.setdefault("labels" if number == 11 else "annotations", {})[name] = content.decode()
    return found


def _pair(message: bytes) -> tuple[str, bytes]:
    entry = dict(_fields(message))
    return entry[1].decode(), entry.get(2, b"")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the fields of a message whose content is bytes; numbers are skipped."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        size, place = _varint(message, place)
        if tag & 7 == 2:
            yield tag >> 3, message[place : place + size]
            place += size
        elif tag & 7:
            raise ValueError(f"wire type {tag & 7} is not known here")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
