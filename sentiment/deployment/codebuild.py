"""Building an image of a Bento with AWS CodeBuild: no Docker where Airflow runs.

CodeBuild fetches the Bento's file from S3, checks its digest, builds and pushes. Whoever asks again while a build of
the same image runs waits for that one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sentiment.deployment.image_registry import aws_errors, aws_session
from sentiment.errors import ServiceError

ATTEMPTS = 3
LOOK_SECONDS = 5.0
RECENT = 50  # builds that are looked through for one that already makes the image
TRANSIENT = {"FAULT", "TIMED_OUT"}  # CodeBuild's own troubles; FAILED is what the build said
BUILDSPEC = """\
version: 0.2
env:
  shell: bash
phases:
  pre_build:
    commands:
      - set -euo pipefail
      - aws s3 cp --only-show-errors "$BENTO_URI" /tmp/bento.tar.xz
      - echo "$BENTO_SHA256  /tmp/bento.tar.xz" | sha256sum --check
      - mkdir /tmp/bento && tar --extract --xz --file /tmp/bento.tar.xz --directory /tmp/bento
      - HOST="${REFERENCE%%/*}"
      - REGISTRY_REGION="$(cut -d. -f4 <<< "$HOST")"
      - aws ecr get-login-password --region "$REGISTRY_REGION" | docker login --username AWS --password-stdin "$HOST"
  build:
    commands:
      - set -euo pipefail
      - ARGUMENTS=(--target bento --file /tmp/bento/env/docker/Dockerfile --tag "$REFERENCE")
      - while IFS= read -r LABEL; do ARGUMENTS+=(--label "$LABEL"); done <<< "$LABELS"
      - if [ -n "$BASE" ]; then ARGUMENTS+=(--build-arg "BASE=$BASE"); fi
      - docker build "${ARGUMENTS[@]}" /tmp/bento
      - docker push "$REFERENCE"
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CloudPlan:
    """What is built of what.

    Attributes
    ----------
    bento_uri, bento_sha256 : str
        The Bento's file on S3 and its digest in hex.
    reference : str
        ``REPOSITORY:TAG`` in ECR.
    labels : mapping
        Of the image.
    base : str
        What it is built on; empty takes the Dockerfile's.
    """

    bento_uri: str
    bento_sha256: str
    reference: str
    labels: Mapping[str, str]
    base: str

    def variables(self) -> list[dict[str, str]]:
        """Return CodeBuild's environment variables."""
        values = {
            "BENTO_URI": self.bento_uri,
            "BENTO_SHA256": self.bento_sha256,
            "REFERENCE": self.reference,
            "LABELS": "\n".join(f"{name}={value}" for name, value in self.labels.items()),
            "BASE": self.base,
        }
        return [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in values.items()]


class CodeBuild:
    """One CodeBuild project.

    Parameters
    ----------
    project : str
        Its name; its environment must be privileged, as Docker wants.
    region : str
        Where it is.
    timeout_seconds : float
        For all attempts together.
    """

    def __init__(self, project: str, *, region: str, timeout_seconds: float) -> None:
        self._project, self._seconds = project, timeout_seconds
        self._client: Any = aws_session().client("codebuild", region_name=region)

    def build_and_push(self, plan: CloudPlan) -> str:
        """Build and push; return the id of the build that did it.

        Raises
        ------
        ServiceError
            The build failed, or did not end in time.
        """
        deadline = time.monotonic() + self._seconds
        for attempt in range(1, ATTEMPTS + 1):
            build_id = self._running(plan) or self._start(plan)
            build = self._wait(build_id, deadline)
            if build["buildStatus"] == "SUCCEEDED":
                return build_id
            if build["buildStatus"] not in TRANSIENT:
                break
            log.warning("CodeBuild %s ended as %s, attempt %d", build_id, build["buildStatus"], attempt)
        raise ServiceError(f"CodeBuild {build_id} ended as {build['buildStatus']}: {_said(build)}", fix=_log_of(build))

    def _running(self, plan: CloudPlan) -> str | None:
        """Return the build that makes this image already, such as that of a task which was killed."""
        with aws_errors(f"CodeBuild did not list the builds of {self._project}"):
            ids = self._client.list_builds_for_project(projectName=self._project, sortOrder="DESCENDING")["ids"]
            builds = self._client.batch_get_builds(ids=ids[:RECENT])["builds"] if ids else []
        for build in builds:
            variables = {one["name"]: one["value"] for one in build["environment"].get("environmentVariables", [])}
            if build["buildStatus"] == "IN_PROGRESS" and variables.get("REFERENCE") == plan.reference:
                return str(build["id"])
        return None

    def _start(self, plan: CloudPlan) -> str:
        with aws_errors(f"CodeBuild did not start {self._project}"):
            started = self._client.start_build(
                projectName=self._project,
                sourceTypeOverride="NO_SOURCE",
                buildspecOverride=BUILDSPEC,
                artifactsOverride={"type": "NO_ARTIFACTS"},
                environmentVariablesOverride=plan.variables(),
                timeoutInMinutesOverride=min(480, max(5, int(self._seconds / 60))),
            )
        return str(started["build"]["id"])

    def _wait(self, build_id: str, deadline: float) -> dict[str, Any]:
        while True:
            with aws_errors(f"CodeBuild did not say how {build_id} is"):
                [build] = self._client.batch_get_builds(ids=[build_id])["builds"]
            if build["buildStatus"] != "IN_PROGRESS":
                return dict(build)
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"CodeBuild {build_id} is not done after {self._seconds:.0f} s ({build['currentPhase']}).",
                    fix="Ask again: it goes on, and is waited for. Or raise deployment.build_timeout_seconds.",
                )
            time.sleep(LOOK_SECONDS)


def _said(build: dict[str, Any]) -> str:
    """Return what the phases that failed say."""
    phases = [phase for phase in build.get("phases", []) if phase.get("phaseStatus") in ("FAILED", *TRANSIENT)]
    said = [f"{phase['phaseType']}: {one.get('message', '')}" for phase in phases for one in phase.get("contexts", [])]
    return "; ".join(said) or "it says no more."


def _log_of(build: dict[str, Any]) -> str:
    link = build.get("logs", {}).get("deepLink", "")
    return f"Its log: {link}" if link else ""
