"""A Bento as a container image in a registry: built once, under a tag that never changes its meaning."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sentiment.packaging import BentoPackage
from sentiment.settings import Settings


@dataclass(frozen=True)
class Image:
    """An image in a registry.

    Attributes
    ----------
    repository : str
        Where it is, such as ``123456789012.dkr.ecr.eu-central-1.amazonaws.com/sentiment``.
    tag : str
        The Bento's version.
    digest : str
        ``sha256:`` and 64 hexadecimal digits: what Kubernetes is told to run.
    """

    repository: str
    tag: str
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """Return the image as JSON types."""
        return asdict(self)


def build_and_push(settings: Settings, package: BentoPackage) -> Image:
    """Make the image of a Bento and push it, or return the one that is there: a tag is built once.

    Raises
    ------
    SettingsError
        ``deployment.image_repository`` or what the builder needs is not set.
    ServiceError
        The builder, the registry or AWS did not do it; with their last lines.
    """
    raise NotImplementedError
