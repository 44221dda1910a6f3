"""What an image of a Bento is made of and how it came to be: an SBOM (CycloneDX 1.6) and provenance (SLSA 1, in-toto).

Both are values of JSON types, made of what is known without the image: the Bento's manifest, its pinned requirements
and Dockerfile, and the Debian packages that the builder names.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from sentiment.serving.manifest import Manifest

REQUIREMENTS = "src/images/serving/requirements.txt"
STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD_TYPE, BUILDER = "urn:sentiment:build:bento-image:v1", "urn:sentiment:builder:"
SERVED_ON = {
    "implementation_name": "cpython", "platform_python_implementation": "CPython", "python_version": "3.11",
    "python_full_version": "3.11.0", "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
}  # fmt: skip
"""The base's Python, for which requirements are chosen."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Built:
    """An image that was built of a Bento.

    Attributes
    ----------
    folder : Path
        The Bento.
    tag : str
        Its tag, such as ``sentiment:v3-1b9f``.
    repository, digest : str
        The image.
    base : str
        What it was built on.
    builder : str
        What built it, as the setting ``deployment.builder`` has it.
    invocation : str
        The builder's own name for what it did; empty if it has none.
    began, ended : datetime
        When that was.
    debian : sequence of str
        Lines of name, version and architecture; empty if the builder could not say.
    """

    folder: Path
    tag: str
    repository: str
    digest: str
    base: str
    builder: str
    invocation: str
    began: datetime
    ended: datetime
    debian: Sequence[str] = ()

    @property
    def manifest(self) -> Manifest:
        """Return the Bento's manifest."""
        return Manifest.read(self.folder / "src" / "model" / "manifest.json")


@dataclass(frozen=True)
class Pin:
    """A Python package with its version and the SHA-256 of each of its files."""

    name: str
    version: str
    sha256: tuple[str, ...]


def pins(requirements: str) -> Iterator[Pin]:
    """Yield what a hash-pinned requirements file installs on the served Python."""
    for entry in re.sub(r"\\\n", " ", requirements).splitlines():
        wanted, *hashes = re.split(r"\s--hash=sha256:", entry.strip())
        if not wanted or wanted.startswith("#"):
            continue
        found = Requirement(wanted)
        if found.marker is None or found.marker.evaluate(SERVED_ON):
            yield Pin(found.name, next(iter(found.specifier)).version, tuple(map(str.strip, hashes)))


def base_of(folder: Path) -> str:
    """Return what the Dockerfile of a Bento builds on if nothing else is said."""
    found = re.search(r"^ARG BASE=(\S+)$", (folder / "env" / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    return found[1] if found else ""


def sbom(built: Built) -> Json:
    """Return the CycloneDX document; the same for the same image."""
    manifest = built.manifest
    image, pinned = _image(built), pins((built.folder / REQUIREMENTS).read_text())
    parts = [_model(manifest), *map(_python, pinned), *map(_debian, built.debian)]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{built.repository}@{built.digest}"),
        metadata=BomMetaData(component=image, timestamp=built.ended),
        components=parts,
    )
    bom.register_dependency(image, parts)
    if not built.debian:
        bom.properties.add(Property(name="sentiment:debian-packages", value="the builder could not be asked"))
    document: Json = json.loads(JsonV1Dot6(bom).output_as_string())
    return document


def provenance(built: Built) -> Json:
    """Return the in-toto statement about the image."""
    manifest = built.manifest
    requirements = (built.folder / REQUIREMENTS).read_bytes()
    return {
        "_type": STATEMENT,
        "subject": [{"name": built.repository, "digest": _digest(built.digest)}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"bento": built.tag, "repository": built.repository, "base": built.base},
                "internalParameters": {"builder": built.builder},
                "resolvedDependencies": [
                    {"name": "bento", "uri": f"bento:{built.tag}", "digest": {"sha256": manifest.bento_digest}},
                    {
                        "name": "model",
                        "uri": f"models:/{manifest.name}/{manifest.model_version}",
                        "digest": {"sha256": manifest.scorer_digest},
                        "annotations": {"run_id": manifest.run_id, "snapshot": manifest.snapshot},
                    },
                    {"name": "code", "digest": {"sha256": manifest.code_digest}},
                    {"name": "recipe", "digest": {"sha256": manifest.recipe_digest}},
                    {"name": "requirements", "digest": {"sha256": hashlib.sha256(requirements).hexdigest()}},
                    _base(built.base),
                ],
            },
            "runDetails": {
                "builder": {
                    "id": BUILDER + built.builder,
                    "version": {"sentiment": installed_version("sentiment")},
                },
                "metadata": {
                    "invocationId": built.invocation,
                    "startedOn": _moment(built.began),
                    "finishedOn": _moment(built.ended),
                },
            },
        },
    }


def _image(built: Built) -> Component:
    name = built.repository.rpartition("/")[2]
    found = {"repository_url": built.repository, "tag": built.tag.partition(":")[2]}
    return Component(
        type=ComponentType.CONTAINER,
        name=built.repository,
        version=built.digest,
        bom_ref="image",
        purl=PackageURL("oci", name=name, version=built.digest, qualifiers=found),
        hashes=[_sha256(built.digest.removeprefix("sha256:"))],
    )


def _model(manifest: Manifest) -> Component:
    told = {"run_id": manifest.run_id, "snapshot": manifest.snapshot, "bento": manifest.bento_digest}
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=manifest.name,
        version=manifest.model_version,
        bom_ref="model",
        hashes=[_sha256(manifest.scorer_digest)],
        properties=[Property(name=f"sentiment:{name}", value=value) for name, value in told.items()],
    )


def _python(pin: Pin) -> Component:
    purl = PackageURL("pypi", name=pin.name, version=pin.version)
    return Component(name=pin.name, version=pin.version, purl=purl, bom_ref=str(purl), hashes=map(_sha256, pin.sha256))


def _debian(line: str) -> Component:
    name, version, architecture = line.split()
    purl = PackageURL("deb", "debian", name, version, {"arch": architecture})
    return Component(name=name, version=version, purl=purl, bom_ref=str(purl))


def _sha256(content: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=content)


def _base(base: str) -> Json:
    name, _, digest = base.partition("@")
    return {"name": "base", "uri": f"docker:{name}", **({"digest": _digest(digest)} if digest else {})}


def _digest(digest: str) -> dict[str, str]:
    kind, _, value = digest.partition(":")
    return {kind: value}


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
