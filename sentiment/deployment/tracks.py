"""Which versions a release in Kubernetes serves, and the steps from there to another version. Pure.

Everything is read from the values of the Helm release and written to them. The next step follows from what is there
and what is wanted alone, so whoever finds a deployment half done can take it up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sentiment.deployment.shipping import Shipped

Strategy = Literal["rolling", "blueGreen", "canary"]
Colour = Literal["blue", "green"]


@dataclass(frozen=True)
class Version:
    """One version as the chart names it.

    Attributes
    ----------
    model_version : str
        Empty if the release was made by hand, without it.
    """

    model_version: str
    repository: str
    digest: str
    tag: str = ""
    bento_uri: str = ""
    bento_sha256: str = ""

    @classmethod
    def of(cls, shipped: Shipped) -> Version:
        """Return what was shipped as a version."""
        return cls(
            model_version=shipped.model_version,
            repository=shipped.repository,
            digest=shipped.digest,
            bento_uri=shipped.bento_uri,
            bento_sha256=shipped.bento_sha256,
        )

    def __str__(self) -> str:
        """Return how people call it."""
        return f"version {self.model_version or 'unknown'}"


@dataclass(frozen=True)
class Tracks:
    """What a release serves.

    Attributes
    ----------
    stable, canary : Version or None
        Of strategies ``rolling`` and ``canary``; a canary is there only while one is watched.
    weight : int
        Percent of the traffic that the canary gets.
    blue, green : Version or None
        Of strategy ``blueGreen``; `active` gets the traffic.
    """

    strategy: Strategy = "rolling"
    stable: Version | None = None
    canary: Version | None = None
    weight: int = 0
    blue: Version | None = None
    green: Version | None = None
    active: Colour = "blue"

    @property
    def serving(self) -> Version | None:
        """The version that gets the traffic, or all but the canary's share."""
        return self._of(self.active) if self.strategy == "blueGreen" else self.stable

    @property
    def watched(self) -> bool:
        """Whether a new version gets a share of the traffic beside the old one."""
        return self.canary is not None and self.canary != self.stable and self.weight > 0

    def weights(self) -> dict[str, tuple[Version, int]]:
        """Return the version and the percent of the traffic of each track."""
        if self.strategy == "blueGreen":
            found = {colour: (self._of(colour), 100 * (colour == self.active)) for colour in ("blue", "green")}
        else:
            found = {"stable": (self.stable, 100 - self.weight), "canary": (self.canary, self.weight)}
        return {track: (version, weight) for track, (version, weight) in found.items() if version}

    def values(self) -> dict[str, Any]:
        """Return the chart's values that say so."""
        repository = next((version.repository for version, _ in self.weights().values()), "")
        stable = _values(self.stable)
        return {
            **{name: stable.pop(name) for name in ("bento",) if name in stable},
            "strategy": self.strategy,
            "image": {"repository": repository, **stable},
            "canary": {**_values(self.canary), "weight": self.weight},
            "blueGreen": {"active": self.active, "blue": _values(self.blue), "green": _values(self.green)},
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Tracks:
        """Return what a release's values say."""
        image, canary, colours = (values.get(name) or {} for name in ("image", "canary", "blueGreen"))
        strategy: Strategy = values.get("strategy") or "rolling"
        repository = image.get("repository") or ""
        if strategy == "blueGreen":
            blue, green = (_version(repository, colours.get(name) or {}) for name in ("blue", "green"))
            return cls(strategy, blue=blue, green=green, active=colours.get("active") or "blue")
        stable = _version(repository, {**image, "bento": values.get("bento")})
        if strategy == "rolling":
            return cls(strategy, stable=stable)
        return cls(strategy, stable, _version(repository, canary), int(canary.get("weight") or 0))

    def __str__(self) -> str:
        """Return what is served, in words."""
        shares = [f"{version} {weight}% ({track})" for track, (version, weight) in self.weights().items()]
        return ", ".join(shares) or "nothing"

    def _of(self, colour: str) -> Version | None:
        return self.blue if colour == "blue" else self.green


def advance(now: Tracks, wanted: Version, *, strategy: Strategy, steps: Sequence[int]) -> Tracks | None:
    """Return the next step on the way to `wanted` alone getting the traffic; None if it does.

    A canary that gets traffic starts and ends with none, so that load balancers learn of its pods in time.

    Parameters
    ----------
    steps : sequence of int
        Percent of the traffic that a canary gets, rising; empty replaces the stable version without one.
    """
    if strategy == "blueGreen":
        return _switch(now, wanted)
    steps = () if strategy == "rolling" else steps
    if now.canary and (now.stable == wanted or now.canary != wanted or not steps):
        return retreat(now)
    if now.stable in (None, wanted) or not steps:
        alone = Tracks(strategy, stable=wanted)
        return None if now == alone else alone
    if now.canary is None:
        return Tracks("canary", now.stable, wanted, weight=0)
    higher = [step for step in steps if step > now.weight]
    return replace(now, weight=higher[0]) if higher else replace(now, stable=wanted)


def retreat(now: Tracks) -> Tracks | None:
    """Return the next step on the way to no canary: first without traffic, then gone; None if there is none."""
    if now.canary is None:
        return None
    return replace(now, weight=0) if now.weight else replace(now, canary=None)


def path(now: Tracks, wanted: Version, *, strategy: Strategy, steps: Sequence[int]) -> list[Tracks]:
    """Return all steps to `wanted`."""
    found: list[Tracks] = []
    while (step := advance(found[-1] if found else now, wanted, strategy=strategy, steps=steps)) is not None:
        found.append(step)
    return found


def _switch(now: Tracks, wanted: Version) -> Tracks | None:
    if now.strategy != "blueGreen" or now.serving is None:
        return Tracks("blueGreen", blue=wanted)
    if now.serving == wanted:
        return None
    idle: Colour = "green" if now.active == "blue" else "blue"
    if (now.green if idle == "green" else now.blue) == wanted:
        return replace(now, active=idle)
    return replace(now, green=wanted) if idle == "green" else replace(now, blue=wanted)


def _values(version: Version | None) -> dict[str, Any]:
    """Return a version's values; those of none are empty, so that they are not taken from a file of the user's."""
    if version is None:
        return {"digest": "", "tag": "", "modelVersion": ""}
    bento = {"bento": {"uri": version.bento_uri, "sha256": version.bento_sha256}} if version.bento_uri else {}
    return {"digest": version.digest, "tag": version.tag, "modelVersion": version.model_version, **bento}


def _version(repository: str, found: Mapping[str, Any]) -> Version | None:
    digest, tag, bento = found.get("digest") or "", found.get("tag") or "", found.get("bento") or {}
    if not (digest or tag):
        return None
    return Version(
        str(found.get("modelVersion") or ""),
        repository,
        digest,
        tag,
        bento.get("uri") or "",
        bento.get("sha256") or "",
    )
