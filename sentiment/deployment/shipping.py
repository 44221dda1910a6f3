"""Getting a Bento to where pods find it: as a file by its digest in S3, or as an image of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sentiment.packaging import BentoPackage
from sentiment.settings import Settings

BY_DIGEST = "bentos/by-digest"


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
    """Put a Bento where pods find it, the way `deployment.ship` says; once, however often it is asked for."""
    raise NotImplementedError
