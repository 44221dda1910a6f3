"""A deployment to Kubernetes, step by step: plan, upgrade, watch the canary, finish.

Each step reads what is there, does what is missing and says what is there then; killed anywhere and called again, it
ends in the same. Its state is in the Helm release (`cluster`); what was decided is in the ledger. A version that fails
in the cluster is taken back (`taking_back`): traffic first, then the alias.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sentiment.deployment.canary import CanaryVerdict, look, record
from sentiment.deployment.cluster import ClusterRelease, ClusterState
from sentiment.deployment.helm import FailedUpgradeError
from sentiment.deployment.planning import refuse_misfit
from sentiment.deployment.release import Release
from sentiment.deployment.shipping import Shipped, ship
from sentiment.deployment.taking_back import record_failure, take_back, unfinished
from sentiment.deployment.tracks import Version, advance, retreat
from sentiment.errors import ModelError
from sentiment.ledger import Ledger
from sentiment.packaging import BENTO_NAME, BentoPackage
from sentiment.registry import Registry
from sentiment.settings import Settings
from sentiment.storage import Storage


@dataclass(frozen=True)
class Progress:
    """Where a deployment is.

    Attributes
    ----------
    state : str
        ``watch``: a canary is to be looked at again; ``ready``: to be finished.
    said : str
        What is served, and what the last look came to.
    revision : int
        Of Helm.
    """

    state: Literal["watch", "ready"]
    said: str
    revision: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def upgrade(
    settings: Settings, registry: Registry, shipped: Shipped, *, request: str = "", trial: bool = False
) -> Progress:
    """Bring a version into the cluster: all the way, or as a canary to its first share of the traffic.

    Parameters
    ----------
    request : str, optional
        Names this wish, as the run of a DAG does; called again with the same, it takes up what was killed.
    trial : bool
        The version is not the champion and need not be. Otherwise it is given up if another one becomes champion.

    Raises
    ------
    TakenBackError
        Its pods did not become ready. The version before it serves, and is champion again.
    ModelError
        Another version was made champion meanwhile; this one gets no traffic.
    """
    wanted, strategy = Version.of(shipped), settings.deployment.strategy
    with _at_work(settings, registry, shipped, request=request, trial=trial) as (cluster, before):
        refuse_misfit(settings, before.tracks, wanted)
        state = before
        while not (state.tracks.watched and state.tracks.canary == wanted):
            step = advance(state.tracks, wanted, strategy=strategy, steps=settings.canary.steps)
            if step is None:
                break
            state = cluster.apply(step)
        if state == before and not state.tracks.watched and not cluster.is_current(state):
            state = cluster.apply(state.tracks)  # other values, or another chart
    return Progress("watch" if state.tracks.watched else "ready", str(state.tracks), state.revision)


def canary_step(
    settings: Settings, registry: Registry, shipped: Shipped, *, request: str = "", trial: bool = False
) -> Progress:
    """Look at the canary once, and give it its next share of the traffic if it has passed.

    Raises
    ------
    TakenBackError
        It failed. The version before it serves alone, and is champion again.
    ModelError
        Another version was made champion, or was deployed, meanwhile; this one gets no traffic.
    """
    with _at_work(settings, registry, shipped, request=request, trial=trial) as (cluster, state):
        _refuse_replaced(state, shipped, share=1)
        if not state.tracks.watched:
            return Progress("ready", str(state.tracks), state.revision)
        verdict = _look(settings, state, shipped)
        last = state.tracks.weight >= settings.canary.steps[-1]
        if verdict.state == "pass" and not last:
            step = advance(state.tracks, Version.of(shipped), strategy="canary", steps=settings.canary.steps)
            state = cluster.apply(step) if step else state
    _finish_taking_back(settings, registry, cluster, shipped)
    done = verdict.state == "pass" and last
    return Progress("ready" if done else "watch", f"{state.tracks}. {verdict.said}", state.revision)


def finish(
    settings: Settings,
    registry: Registry,
    shipped: Shipped,
    *,
    request: str = "",
    trial: bool = False,
    approved_by: str = "",
) -> Release:
    """Give a version all of the traffic, take away what it replaced, and write it to the ledger.

    Raises
    ------
    TakenBackError
        Its pods did not become ready. The version before it serves alone, and is champion again.
    ModelError
        Another version was made champion, or was deployed, meanwhile; this one gets no traffic.
    """
    with _at_work(settings, registry, shipped, request=request, trial=trial) as (cluster, state):
        _refuse_replaced(state, shipped, share=settings.canary.steps[-1])
        state = _at_once(settings, cluster, state, shipped, keep_canary=True)
    return _record(settings, state, shipped, approved_by=approved_by)


def deploy(
    settings: Settings,
    package: BentoPackage,
    *,
    at_once: bool = False,
    request: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> Release:
    """Ship a Bento and serve it in the cluster; returns when it alone gets the traffic.

    Parameters
    ----------
    at_once : bool
        Without a canary, and whatever is the champion: on the way back to a version that has proved itself.
    request : str, optional
        Names this wish; see `upgrade`.

    Raises
    ------
    TakenBackError
        It failed in the cluster.
    """
    shipped = ship(settings, package)
    if at_once:
        cluster = ClusterRelease(settings, by=request)
        with cluster.alone() as state:
            refuse_misfit(settings, state.tracks, Version.of(shipped), at_once=True)
            state = _at_once(settings, cluster, state, shipped)
        return _record(settings, state, shipped)
    registry = Registry(settings)
    trial = not registry.is_champion(shipped.model_version)
    progress = upgrade(settings, registry, shipped, request=request, trial=trial)
    while progress.state == "watch":
        say(progress.said)
        time.sleep(settings.canary.look_seconds)
        progress = canary_step(settings, registry, shipped, request=request, trial=trial)
    say(progress.said)
    return finish(settings, registry, shipped, request=request, trial=trial)


def serving(settings: Settings) -> str:
    """Return the id of what is served; empty if nothing is."""
    return ClusterRelease(settings).state().id


def _at_once(
    settings: Settings, cluster: ClusterRelease, state: ClusterState, shipped: Shipped, *, keep_canary: bool = False
) -> ClusterState:
    """Go to a version without looking; a canary of it, that has passed, serves until the stable pods are ready."""
    wanted, strategy = Version.of(shipped), settings.deployment.strategy
    while True:
        steps = (max(1, state.tracks.weight),) if keep_canary and state.tracks.canary == wanted else ()
        step = advance(state.tracks, wanted, strategy=strategy, steps=steps)
        if step is None:
            return state
        state = cluster.apply(step)


@contextlib.contextmanager
def _at_work(
    settings: Settings, registry: Registry, shipped: Shipped, *, request: str, trial: bool
) -> Iterator[tuple[ClusterRelease, ClusterState]]:
    """Be alone with the release on behalf of a version that is still wanted; one that fails is taken back."""
    cluster = ClusterRelease(settings, by=request)
    _finish_taking_back(settings, registry, cluster, shipped)
    try:
        with cluster.alone() as state:
            if not trial:
                _refuse_dethroned(registry, cluster, state, shipped)
            yield cluster, state
    except FailedUpgradeError as error:
        if not record_failure(settings, cluster, shipped, error):
            raise
        _finish_taking_back(settings, registry, cluster, shipped)


def _finish_taking_back(settings: Settings, registry: Registry, cluster: ClusterRelease, shipped: Shipped) -> None:
    """Finish what a failed verdict began, in this attempt or in one that was killed."""
    if failed := unfinished(settings, cluster.name, shipped.model_version):
        take_back(settings, registry, cluster, failed)


def _refuse_dethroned(registry: Registry, cluster: ClusterRelease, state: ClusterState, shipped: Shipped) -> None:
    """Refuse a version that is no longer the champion; a canary of it gets no traffic any more."""
    wanted, tracks = Version.of(shipped), state.tracks
    champion = registry.champion()
    if tracks.serving == wanted or champion.version == wanted.model_version:
        return
    while tracks.canary == wanted and (step := retreat(tracks)) is not None:
        tracks = cluster.apply(step).tracks
    raise ModelError(
        f"{wanted} was not released: version {champion.version} was made champion meanwhile. It serves {tracks}.",
        fix="Deploy the champion: `sentiment deploy`.",
    )


def _refuse_replaced(state: ClusterState, shipped: Shipped, *, share: int) -> None:
    """Refuse a version that neither serves nor is a canary with at least a share of the traffic."""
    wanted, tracks = Version.of(shipped), state.tracks
    if tracks.serving != wanted and (tracks.canary != wanted or tracks.weight < share):
        raise ModelError(
            f"{wanted} was not released: something else was deployed meanwhile. {state.name} serves {tracks}.",
            fix="Deploy it again if it shall serve.",
        )


def _look(settings: Settings, state: ClusterState, shipped: Shipped) -> CanaryVerdict:
    """Look at the canary and write down what was decided."""
    since, weight, stable = state.since, state.tracks.weight, state.tracks.serving
    if since is None or stable is None:
        raise AssertionError("what is watched has a revision and a stable version")
    verdict = look(
        settings,
        stable=stable.model_version,
        canary=shipped.model_version,
        weight=weight,
        since=since,
        now=datetime.now(UTC),
    )
    record(
        settings,
        verdict,
        stable=stable.model_version,
        canary=shipped.model_version,
        weight=weight,
        since=since,
        release=state.name,
        digest=shipped.bento_digest,
    )
    return verdict


def _record(settings: Settings, state: ClusterState, shipped: Shipped, *, approved_by: str = "") -> Release:
    """Write to the ledger that a version serves, unless it says so already."""
    ledger, tag = Ledger(Storage(settings)), f"{BENTO_NAME}:v{shipped.model_version}-{shipped.bento_digest[:12]}"
    before = [
        entry
        for entry in ledger.entries()
        if entry.event == "deployed" and entry.detail.get("cluster") == state.name
        and entry.detail["release"] != state.id
    ]  # fmt: skip
    url = settings.deployment.public_url.rstrip("/")
    release = Release(
        id=state.id, tag=tag, model_version=shipped.model_version, url=url,
        previous=before[-1].detail["tag"] if before else None, target="kubernetes", revision=state.revision,
    )  # fmt: skip
    digests = {"bento": shipped.bento_digest, "image": shipped.digest}
    detail = {"release": state.id, "cluster": state.name, "revision": state.revision, "tag": tag}
    detail |= {"approved_by": approved_by} if approved_by else {}
    if settings.deployment.strategy != "canary":
        ledger.append(
            "canary",
            model_version=shipped.model_version,
            digests={"bento": shipped.bento_digest},
            reason=f"passed: all pods of {tag} became ready",
            detail={**detail, "release": state.name, "verdict": "passed"},
            key=f"canary-{state.id}",
        )
    ledger.append(
        "deployed",
        model_version=shipped.model_version,
        digests=digests,
        reason=f"{tag} in {state.name}, revision {state.revision}" + (f", at {url}" if url else ""),
        detail={**detail, "previous": release.previous},
        key=f"deployed-{state.id}",
    )
    return release
