"""What a release in the cluster is, for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sentiment.deployment.cluster import ClusterRelease
from sentiment.errors import SentimentError
from sentiment.settings import Settings


@dataclass(frozen=True)
class TrackStatus:
    """One version and its percent of the traffic."""

    track: str
    model_version: str
    weight: int


@dataclass(frozen=True)
class ClusterStatus:
    """What a release in the cluster serves.

    Attributes
    ----------
    status : str
        Helm's word for the newest revision, such as ``deployed`` or ``pending-upgrade``; empty if there is no release.
    revision : int
        The revision that serves.
    since : str
        When it was made, ISO 8601.
    problem : str
        Why the cluster could not be asked.
    """

    release: str
    revision: int = 0
    status: str = ""
    strategy: str = ""
    since: str = ""
    tracks: tuple[TrackStatus, ...] = ()
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the status as JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it in one line."""
        if self.problem:
            return f"not known: {self.problem}"
        if not self.tracks:
            return f"nothing in {self.release}: `sentiment deploy`"
        shares = ", ".join(f"version {t.model_version or 'unknown'} {t.weight}% ({t.track})" for t in self.tracks)
        unfinished = "" if self.status == "deployed" else f", {self.status}"
        return f"{shares} in {self.release}, revision {self.revision} ({self.strategy}){unfinished}"


def cluster_status(settings: Settings) -> ClusterStatus:
    """Ask the cluster what is served; one that does not answer is no error but a problem that is said."""
    cluster = ClusterRelease(settings)
    try:
        state, newest = cluster.state(), cluster.helm.newest()
    except SentimentError as error:
        return ClusterStatus(cluster.name, problem=str(error))
    return ClusterStatus(
        release=cluster.name,
        revision=state.revision,
        status=newest.revision.status if newest else "",
        strategy=state.tracks.strategy if state.revision else "",
        since=state.since.isoformat(timespec="seconds") if state.since else "",
        tracks=tuple(
            TrackStatus(track, version.model_version, weight)
            for track, (version, weight) in state.tracks.weights().items()
        ),
    )
