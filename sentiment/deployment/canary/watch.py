"""One look at a canary: ask Prometheus, mirror requests, judge, and write down what it came to."""

from __future__ import annotations

import logging
from datetime import datetime

from sentiment.deployment.canary.evidence import Evidence, Track
from sentiment.deployment.canary.mirror import mirror
from sentiment.deployment.canary.prometheus import count
from sentiment.deployment.canary.verdict import CanaryVerdict, judge
from sentiment.errors import ServiceError, SettingsError
from sentiment.ledger import Ledger
from sentiment.settings import Settings
from sentiment.storage import Storage

log = logging.getLogger(__name__)


def look(settings: Settings, *, stable: str, canary: str, weight: int, since: datetime, now: datetime) -> CanaryVerdict:
    """Look once at a step.

    Parameters
    ----------
    stable, canary : str
        The model versions that are to be compared; answers of another one fail the canary.
    weight : int
        Percent of the traffic that the canary gets at this step.
    since : datetime
        When the step began.

    Raises
    ------
    SettingsError
        ``canary.prometheus_url`` is not set. A Prometheus that does not answer is no error but a reason to wait.
    StorageError
        The texts that are mirrored, or the canary's Bento, cannot be read.
    """
    policy = settings.canary
    if not policy.prometheus_url:
        raise SettingsError(
            "A canary cannot be watched: canary.prometheus_url is not set.",
            fix="Set it to the Prometheus that scrapes both versions, or deploy with another strategy.",
        )
    problem, tracks = "", dict[str, Track]()
    try:
        tracks = count(policy, since=since, now=now)
    except ServiceError as error:
        problem = error.message
    evidence = Evidence(
        stable_version=stable,
        canary_version=canary,
        weight=weight,
        minutes=(now - since).total_seconds() / 60,
        stable=tracks.get("stable"),
        canary=tracks.get("canary"),
        problem=problem,
        mirrored=mirror(settings, canary=canary),
    )
    verdict = judge(evidence, policy)
    log.info("canary %s against %s at %d%%: %s: %s", canary, stable, weight, verdict.state, verdict.said)
    return verdict


def record(
    settings: Settings,
    verdict: CanaryVerdict,
    *,
    stable: str,
    canary: str,
    weight: int,
    since: datetime,
    release: str = "",
    digest: str = "",
) -> None:
    """Write a verdict that decides (``pass`` or ``fail``) to the ledger, once for each step of a release.

    Parameters
    ----------
    release : str, optional
        Id of the release that is watched.
    digest : str, optional
        That of the canary's Bento.
    """
    if verdict.state == "wait":
        return
    said = "passed" if verdict.state == "pass" else "failed"
    Ledger(Storage(settings)).append(
        "canary",
        model_version=canary,
        digests={"bento": digest} if digest else {},
        reason=f"{said} at {weight}%: {verdict.said}",
        detail={
            "release": release,
            "verdict": said,
            "stable": stable,
            "weight": weight,
            "since": since.isoformat(),
            "reasons": [[reason.signal, reason.state, reason.said] for reason in verdict.reasons],
        },
        key=f"canary-{release or canary}-{weight}-{since.isoformat()}",
    )
