"""What a container registry says about an image, and who may push to it: ECR, or any that speaks the OCI protocol."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
import httpx
from botocore.exceptions import ClientError

from sentiment.errors import ServiceError
from sentiment.s3 import AWS_ERRORS
from sentiment.settings import Settings

ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM")
SCAN_SECONDS, SCAN_PAUSE_SECONDS = 300, 5.0
REQUEST_SECONDS = 30
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Login:
    """A user's name and password, which is shown nowhere."""

    host: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.host})"

    @property
    def basic(self) -> str:
        """Return them as HTTP and Docker's configuration have them."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class ImageRepository(Protocol):
    """Images of one name."""

    name: str

    def digest(self, tag: str) -> str | None:
        """Return the digest of a tag; None if there is none."""

    def login(self) -> Login | None:
        """Return what a builder needs to push; None where it has that itself."""

    def findings(self, digest: str) -> dict[str, int]:
        """Return how many findings of each severity the registry's scan has; empty if it does not scan."""


def image_repository(settings: Settings) -> ImageRepository:
    """Return the repository of the setting ``deployment.image_repository``."""
    name = settings.deployment.image_repository
    return EcrRepository(name) if ECR.match(name) else OciRepository(name)


class EcrRepository:
    """A repository of Amazon ECR, with the credentials of the process's AWS session."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._host, _, self._path = name.partition("/")
        found = ECR.match(name)
        assert found
        self._account, self._region = found["account"], found["region"]

    def digest(self, tag: str) -> str | None:
        """Return the digest of a tag; None if there is none."""
        with aws_errors(f"ECR did not say whether {self.name}:{tag} is there"):
            try:
                found = self._client().describe_images(**self._names, imageIds=[{"imageTag": tag}])
            except ClientError as error:
                if error.response["Error"]["Code"] == "ImageNotFoundException":
                    return None
                raise
        return str(found["imageDetails"][0]["imageDigest"])

    def login(self) -> Login:
        """Return a password that is good for twelve hours."""
        with aws_errors(f"ECR gave no password for {self._host}"):
            [found] = self._client().get_authorization_token()["authorizationData"]
        user, _, password = base64.b64decode(found["authorizationToken"]).decode().partition(":")
        return Login(self._host, user, password)

    def findings(self, digest: str) -> dict[str, int]:
        """Wait for the scan of an image, which ECR begins when it is pushed, and count what was found.

        Raises
        ------
        ServiceError
            There is no scan, it failed, or it does not end.
        """
        deadline = time.monotonic() + SCAN_SECONDS
        while True:
            state, counts = self._scan(digest)
            if state in ("COMPLETE", "ACTIVE"):
                return counts
            if state in ("FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE") or time.monotonic() > deadline:
                raise ServiceError(
                    f"ECR's scan of {self.name}@{digest} gave nothing: {state}.",
                    fix="Switch scanning on push on for the repository, or empty deployment.refuse_findings.",
                )
            time.sleep(SCAN_PAUSE_SECONDS)

    def _scan(self, digest: str) -> tuple[str, dict[str, int]]:
        with aws_errors(f"ECR did not say what it found in {self.name}@{digest}"):
            try:
                found = self._client().describe_image_scan_findings(**self._names, imageId={"imageDigest": digest})
            except ClientError as error:
                if error.response["Error"]["Code"] == "ScanNotFoundException":
                    return "no scan yet", {}
                raise
        counts = found.get("imageScanFindings", {}).get("findingSeverityCounts", {})
        return found["imageScanStatus"]["status"], {name: int(number) for name, number in counts.items()}

    @property
    def _names(self) -> dict[str, str]:
        return {"registryId": self._account, "repositoryName": self._path}

    def _client(self) -> Any:
        return aws_session().client("ecr", region_name=self._region)


class OciRepository:
    """A repository of any registry, with the credentials that ``docker login`` or ``buildah login`` wrote."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._host, _, self._path = name.partition("/")
        scheme = "http" if is_loopback(self._host) else "https"
        self._manifests = f"{scheme}://{self._host}/v2/{self._path}/manifests/"

    def digest(self, tag: str) -> str | None:
        """Return the digest of a tag; None if there is none."""
        what = f"The registry {self._host} did not say whether {self.name}:{tag} is there"
        try:
            with httpx.Client(timeout=REQUEST_SECONDS, follow_redirects=True) as client:
                answer = self._ask(client, tag)
        except httpx.HTTPError as error:
            raise ServiceError(f"{what}: {error}.", fix="Check deployment.image_repository.") from error
        if answer.status_code == 404:
            return None
        if answer.status_code != 200 or not answer.headers.get("docker-content-digest"):
            raise ServiceError(f"{what}: it answered {answer.status_code}.", fix=f"Try `docker login {self._host}`.")
        return str(answer.headers["docker-content-digest"])

    def login(self) -> None:
        """Leave it to the builder."""

    def findings(self, digest: str) -> dict[str, int]:
        """Say that this registry was not asked."""
        raise ServiceError(
            f"Only ECR's scans are read, and {self.name} is not there.", fix="Empty deployment.refuse_findings."
        )

    def _ask(self, client: httpx.Client, tag: str) -> httpx.Response:
        """Ask for a manifest; with credentials if the registry wants them, in the way it says."""
        headers = {"Accept": MANIFESTS}
        answer = client.head(self._manifests + tag, headers=headers)
        if answer.status_code != 401:
            return answer
        scheme, _, rest = answer.headers.get("www-authenticate", "").partition(" ")
        basic = {"Authorization": f"Basic {known}"} if (known := _kept_login(self._host)) else {}
        if scheme.lower() == "bearer":
            wanted = dict(_CHALLENGE.findall(rest))
            scope = f"repository:{self._path}:pull"
            query = {"service": wanted.get("service", ""), "scope": scope}
            given = client.get(wanted.get("realm", ""), params=query, headers=basic).json()
            basic = {"Authorization": f"Bearer {given.get('token') or given.get('access_token')}"}
        return client.head(self._manifests + tag, headers={**headers, **basic})


def is_loopback(host: str) -> bool:
    """Whether a registry is on this machine, where no builder asks for TLS."""
    return host.rpartition(":")[0] in ("localhost", "127.0.0.1") or host in ("localhost", "127.0.0.1")


def aws_session() -> boto3.Session:
    """Return the process's AWS session; in a DAG's task that of its Airflow connection."""
    return boto3.DEFAULT_SESSION or boto3.Session()


@contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Translate what AWS's client raises."""
    try:
        yield
    except AWS_ERRORS as error:
        raise ServiceError(
            f"{what}: {str(error).rstrip('.')}.", fix="Check the role's permissions and the names in [deployment]."
        ) from error


def _kept_login(host: str) -> str:
    """Return what ``docker login`` kept for a registry, if it is in its file."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        found = json.loads((folder / "config.json").read_text())["auths"][host]["auth"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return str(found)
