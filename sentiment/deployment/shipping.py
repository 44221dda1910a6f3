"""Getting a Bento to where pods find it: as a file by its digest in S3, or as an image of its own."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sentiment.bento_files import is_whole, unpack
from sentiment.deployment.images import build_and_push
from sentiment.errors import IntegrityError, SettingsError
from sentiment.ledger import Ledger
from sentiment.packaging import BentoPackage, at_hand, bento_file
from sentiment.settings import Settings
from sentiment.storage import Storage

BY_DIGEST = "bentos/by-digest"
MOST_BYTES = 64 * 2**20
"""Of a file that pods fetch: images/serving/fetch.py refuses larger ones, which the chart's volume may not hold."""


@dataclass(frozen=True)
class Shipped:
    """A Bento that pods can serve.

    Attributes
    ----------
    way : str
        ``s3``: pods of a fixed runtime image fetch the Bento; ``image``: it is in an image of its own.
    bento_digest : str
        That of the manifest.
    repository, digest : str
        The image, the runtime's or the Bento's; the digest starts with ``sha256:``.
    bento_uri, bento_sha256 : str
        Where the Bento's file is and its digest in hex; empty for way ``image``.
    """

    way: Literal["image", "s3"]
    model_version: str
    bento_digest: str
    repository: str
    digest: str
    bento_uri: str = ""
    bento_sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Shipped:
        """Return what `to_dict` was made of."""
        return cls(**found)

    def values(self) -> dict[str, Any]:
        """Return the chart's values of one version: what goes under image and bento, canary, or a colour."""
        fetched = {"bento": {"uri": self.bento_uri, "sha256": self.bento_sha256}} if self.way == "s3" else {}
        return {"digest": self.digest, **fetched}


def ship(settings: Settings, package: BentoPackage) -> Shipped:
    """Put a Bento where pods find it, the way `deployment.ship` says; once, however often it is asked for.

    Raises
    ------
    SettingsError
        What that way needs is not set; for ``s3``, also a storage root that pods cannot read.
    IntegrityError
        The Bento's file, or what was shipped under its digest, is damaged.
    """
    shipped = _as_image(settings, package) if settings.deployment.ship == "image" else _as_file(settings, package)
    if earlier := _shipped_before(settings, shipped):
        return earlier
    image = f"{shipped.repository}@{shipped.digest}"
    files = {"file": shipped.bento_sha256} if shipped.bento_sha256 else {}
    Ledger(Storage(settings)).append(
        "shipped",
        model_version=shipped.model_version,
        digests={"bento": shipped.bento_digest, "image": shipped.digest, **files},
        reason=f"{shipped.bento_uri} for {image}" if shipped.bento_uri else image,
        detail=shipped.to_dict(),
        key=f"shipped-{shipped.bento_sha256}-{image}",
    )
    return shipped


def _shipped_before(settings: Settings, shipped: Shipped) -> Shipped | None:
    """Return what the same Bento was shipped as first, where that is still there.

    Its file may differ in the note about its promotion. No pod shall be replaced, and no canary watched, for that.
    """
    for entry in Ledger(Storage(settings)).entries():
        if entry.event == "shipped" and entry.digests.get("bento") == shipped.bento_digest:
            earlier = Shipped.from_dict(entry.detail)
            path = f"{BY_DIGEST}/{earlier.bento_sha256}.bento"
            same = replace(earlier, bento_uri=shipped.bento_uri, bento_sha256=shipped.bento_sha256) == shipped
            if same and path in Storage(settings).list(BY_DIGEST):
                return earlier
    return None


def _as_image(settings: Settings, package: BentoPackage) -> Shipped:
    image = build_and_push(settings, at_hand(settings, package))
    return Shipped("image", package.model_version, package.digest, image.repository, image.digest)


def _as_file(settings: Settings, package: BentoPackage) -> Shipped:
    storage, runtime = Storage(settings), settings.deployment.runtime_image
    if storage.is_local:
        raise SettingsError(
            f"deployment.ship is s3, but storage.root is {storage.root}: pods cannot read a folder of this machine.",
            fix="Set storage.root to s3://bucket/prefix, or deployment.ship to image.",
        )
    if not runtime:
        raise SettingsError(
            "deployment.ship is s3, but deployment.runtime_image is empty: nothing could serve the Bento.",
            fix="Set it to the runtime's REPOSITORY@sha256:DIGEST (docs/kubernetes.md says how that is made).",
        )
    data = _whole_file(storage, package)
    if len(data) > MOST_BYTES:
        raise SettingsError(
            f"The Bento {package.tag} has {len(data):,} bytes; pods fetch {MOST_BYTES:,} at the most.",
            fix="Ship it as an image: deployment.ship = image.",
        )
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"{BY_DIGEST}/{sha256}.bento"
    if not storage.create(path, data) and storage.read(path) != data:
        raise IntegrityError(
            f"{storage.uri(path)} is not what its name says: somebody changed it.",
            fix="Find out who may write there, delete it, and ship again.",
        )
    repository, _, digest = runtime.partition("@")
    return Shipped("s3", package.model_version, package.digest, repository, digest, storage.uri(path), sha256)


def _whole_file(storage: Storage, package: BentoPackage) -> bytes:
    """Return the Bento's file, whichever machine made it, after checking every byte of code and model in it."""
    path = bento_file(package.version)
    with tempfile.TemporaryDirectory(prefix="bento-") as temporary:
        try:
            data = storage.read(path)
            unpack(data, Path(temporary))
            if is_whole(Path(temporary), package.digest):
                return data
            problem = f"is damaged, or not {package.tag}"
        except FileNotFoundError:
            problem = "is not there"
        except IntegrityError as error:
            problem = f"is damaged ({error.message.rstrip('.')})"
    raise IntegrityError(
        f"{storage.uri(path)} {problem}.",
        fix=f"Delete it if it is there, and package again: `sentiment package {package.model_version}`.",
    )
