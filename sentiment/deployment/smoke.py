"""The smoke test of a release in the cluster: from outside, it answers as the pipeline of its version did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import tenacity

from sentiment.errors import ServiceError, one_line
from sentiment.packaging import BentoPackage, at_hand
from sentiment.serving.manifest import MANIFEST_FILE, Manifest, Probe
from sentiment.settings import Settings

TOLERANCE = 1e-6
ATTEMPTS, TIMEOUT_SECONDS = 6, 10  # load balancers need some seconds to learn of new pods
PROBES = 5


@dataclass(frozen=True)
class Smoke:
    """What a smoke test came to.

    Attributes
    ----------
    passed : bool or None
        None if it was skipped, for the reason that `said` gives.
    """

    passed: bool | None
    said: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def smoke_test(settings: Settings, package: BentoPackage) -> Smoke:
    """Ask ``deployment.public_url`` the probes of a Bento: texts with the answers that its pipeline gave.

    Raises
    ------
    ServiceError
        It does not answer, or with another version or other probabilities.
    """
    url = settings.deployment.public_url.rstrip("/")
    if not url:
        return Smoke(None, "Skipped: deployment.public_url is not set.")
    manifest = Manifest.read(Path(at_hand(settings, package).path) / "src" / "model" / MANIFEST_FILE)
    key = settings.serving.probe_key or "1"
    with httpx.Client(base_url=url, headers={"X-Sentiment-Probe": key}, timeout=TIMEOUT_SECONDS) as client:
        for probe in manifest.probes[:PROBES]:
            if (status := _ask(client, probe, package.model_version)) in (401, 403):
                return Smoke(None, f"Skipped: {url} answers, but wants an API key ({status}).")
    return Smoke(True, f"{url} answers {len(manifest.probes[:PROBES])} probes as the trained pipeline did.")


@tenacity.retry(
    stop=tenacity.stop_after_attempt(ATTEMPTS),
    wait=tenacity.wait_random_exponential(multiplier=0.5, max=10),
    retry=tenacity.retry_if_exception_type(ServiceError),
    reraise=True,
)
def _ask(client: httpx.Client, probe: Probe, version: str) -> int:
    """Return the status of an answer that is right, or that refuses us."""
    try:
        reply = client.post("/predict", json={"text": probe.text})
        if reply.status_code in (401, 403):
            return reply.status_code
        answer = reply.raise_for_status().json()
        said, actual = answer["model_version"], list(answer["probabilities"].values())
        right = all(abs(a - b) <= TOLERANCE for a, b in zip(actual, probe.probabilities, strict=True))
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(
            f"{client.base_url} does not answer a probe: {one_line(error)}.",
            fix="Look at the load balancer, its target groups, and deployment.public_url.",
        ) from error
    if said != version or not right:
        raise ServiceError(
            f"{client.base_url} answers a probe as version {said} with {answer['probabilities']}; version {version} "
            f"should answer {probe.probabilities}.",
            fix="Look whether deployment.public_url leads to this release; otherwise `sentiment rollback`.",
        )
    return reply.status_code
