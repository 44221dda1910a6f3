"""A Bento as a container image in a registry: built once, under a tag that never changes its meaning.

The tag is the Bento's version, which has a digest of all that decides its answers in it. Beside the Bento's file in the
storage, ``images/`` keeps what the image is made of and where it came from.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sentiment.deployment.codebuild import CloudPlan, CodeBuild
from sentiment.deployment.image_builders import Plan, buildah, buildkit, docker
from sentiment.deployment.image_records import Built, base_of, provenance, sbom
from sentiment.deployment.image_registry import ECR, SEVERITIES, ImageRepository, image_repository
from sentiment.errors import ServiceError, SettingsError
from sentiment.packaging import BENTOS, BentoPackage, bento_file
from sentiment.serving.manifest import Manifest
from sentiment.settings import Settings
from sentiment.storage import Storage

IMAGES = f"{BENTOS}/images"
PUSHED_SECONDS, LOOK_SECONDS = 30, 1.0

log = logging.getLogger(__name__)


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

    Parameters
    ----------
    settings : Settings
        ``deployment.image_repository``, ``builder`` and what that needs.
    package : BentoPackage
        The Bento; its folder must be on this machine.

    Raises
    ------
    SettingsError
        ``deployment.image_repository`` or what the builder needs is not set.
    ServiceError
        The builder, the registry or AWS did not do it, with their last lines; or the scan found what is refused.
    """
    if not settings.deployment.image_repository:
        raise SettingsError(
            "deployment.image_repository is empty: it is not known where images are pushed.",
            fix="Set it to REGISTRY/NAME, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com/sentiment.",
        )
    repository, tag = image_repository(settings), package.version
    digest = repository.digest(tag)
    if digest is None:
        digest = _made(settings, package, repository)
    else:
        log.info("%s:%s is there already", repository.name, tag)
        _complete_records(settings, package, Image(repository.name, tag, digest))
    _refuse_findings(settings, repository, digest)
    return Image(repository.name, tag, digest)


def _made(settings: Settings, package: BentoPackage, repository: ImageRepository) -> str:
    """Build and push, and write down how; return the digest."""
    began = datetime.now(UTC)
    try:
        debian, invocation = _build(settings, package, repository)
    except ServiceError:
        digest = repository.digest(package.version)
        if digest is None:
            raise
        log.info("somebody else pushed %s:%s meanwhile", repository.name, package.version)
        return digest
    digest = _pushed(repository, package.version)
    built = Built(
        folder=Path(package.path),
        tag=package.tag,
        repository=repository.name,
        digest=digest,
        base=settings.deployment.base_image or base_of(Path(package.path)),
        builder=settings.deployment.builder,
        invocation=invocation,
        began=began,
        ended=datetime.now(UTC),
        debian=debian,
    )
    records, storage = records_of(package.version), Storage(settings)
    storage.write(records["provenance"], json.dumps(provenance(built), indent=2).encode())
    storage.write(records["sbom"], json.dumps(sbom(built), indent=2).encode())
    return digest


def records_of(version: str) -> dict[str, str]:
    """Return where in the storage the SBOM and the provenance of a Bento's image are."""
    return {"sbom": f"{IMAGES}/{version}/sbom.cdx.json", "provenance": f"{IMAGES}/{version}/provenance.json"}


def _complete_records(settings: Settings, package: BentoPackage, image: Image) -> None:
    """Write the SBOM of an image whose builder did not live to write it. Who built it, and when, is not made up."""
    storage, record = Storage(settings), records_of(package.version)["sbom"]
    if record in storage.list(IMAGES):
        return
    now = datetime.now(UTC)
    built = Built(
        folder=Path(package.path), tag=package.tag, repository=image.repository, digest=image.digest,
        base="", builder="", invocation="", began=now, ended=now,
    )  # fmt: skip
    storage.write(record, json.dumps(sbom(built), indent=2).encode())
    log.warning("%s:%s has no provenance: whoever pushed it did not write it", image.repository, image.tag)


def _build(settings: Settings, package: BentoPackage, repository: ImageRepository) -> tuple[list[str], str]:
    """Build and push with the builder of the settings; return the Debian packages and the builder's name for it."""
    chosen = settings.deployment
    labels, base = _labels(package), chosen.base_image
    if chosen.builder == "codebuild":
        return [], _in_cloud(settings, package, labels)
    plan = Plan(
        folder=Path(package.path),
        reference=f"{repository.name}:{package.version}",
        labels=labels,
        arguments={"BASE": base} if base else {},
        login=repository.login(),
        timeout_seconds=chosen.build_timeout_seconds,
    )
    if chosen.builder == "buildkit":
        return buildkit(plan, address=chosen.buildkit_host), ""
    return (docker if chosen.builder == "docker" else buildah)(plan), ""


def _in_cloud(settings: Settings, package: BentoPackage, labels: dict[str, str]) -> str:
    """Let CodeBuild build the Bento's file in the storage; return the id of the build."""
    chosen, storage = settings.deployment, Storage(settings)
    ecr = ECR.match(chosen.image_repository)
    if not (ecr and chosen.codebuild_project) or storage.is_local:
        raise SettingsError(
            "deployment.builder is codebuild, which needs deployment.codebuild_project, an image_repository in ECR "
            "and a storage.root in S3.",
            fix="Set them, or choose another deployment.builder.",
        )
    file = bento_file(package.version)
    plan = CloudPlan(
        bento_uri=storage.uri(file),
        bento_sha256=hashlib.sha256(storage.read(file)).hexdigest(),
        reference=f"{chosen.image_repository}:{package.version}",
        labels=labels,
        base=chosen.base_image,
    )
    project = CodeBuild(chosen.codebuild_project, region=ecr["region"], timeout_seconds=chosen.build_timeout_seconds)
    return project.build_and_push(plan)


def _labels(package: BentoPackage) -> dict[str, str]:
    """Return what the image says about itself."""
    manifest = Manifest.read(Path(package.path) / "src" / "model" / "manifest.json")
    return {
        "org.opencontainers.image.title": package.tag,
        "org.opencontainers.image.version": package.version,
        "sentiment.bento": manifest.bento_digest,
        "sentiment.model": f"{manifest.name}/{manifest.model_version}",
        "sentiment.run": manifest.run_id,
        "sentiment.snapshot": manifest.snapshot,
        "sentiment.code": manifest.code_digest,
    }


def _pushed(repository: ImageRepository, tag: str) -> str:
    """Return the digest of a tag that was just pushed; registries may need a moment to say it."""
    deadline = time.monotonic() + PUSHED_SECONDS
    while (digest := repository.digest(tag)) is None:
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{repository.name}:{tag} was pushed, but the registry does not have it.",
                fix="Ask again; if it stays so, look at the registry's own log.",
            )
        time.sleep(LOOK_SECONDS)
    return digest


def _refuse_findings(settings: Settings, repository: ImageRepository, digest: str) -> None:
    """Refuse an image in which the registry found something severe, if the settings say so."""
    worst = settings.deployment.refuse_findings
    if not worst:
        return
    counts = repository.findings(digest)
    refused = {name: counts[name] for name in SEVERITIES[: SEVERITIES.index(worst) + 1] if counts.get(name)}
    if refused:
        found = ", ".join(f"{number} {name}" for name, number in refused.items())
        raise ServiceError(
            f"{repository.name}@{digest} is refused: the registry's scan found {found}.",
            fix="Renew the base image and the pins (`make lock`), package and ship again; or, knowing what they are, "
            "loosen deployment.refuse_findings.",
        )
