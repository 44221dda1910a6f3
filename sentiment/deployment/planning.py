"""What a deployment to Kubernetes would do: its steps, and what they would change in the cluster."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from typing import Any

from sentiment.deployment.cluster import ClusterRelease
from sentiment.deployment.shipping import Shipped
from sentiment.deployment.tracks import Tracks, Version, path
from sentiment.errors import SettingsError
from sentiment.settings import Settings


@dataclass(frozen=True)
class Plan:
    """What a deployment would do.

    Attributes
    ----------
    now : str
        What is served, in words.
    steps : tuple of str
        What would be served after each step; none if there is nothing to do.
    diff : str
        What would change in the cluster in the end: a unified diff of the manifests.
    """

    release: str
    strategy: str
    now: str
    steps: tuple[str, ...]
    diff: str

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it for a log."""
        steps = "".join(f"\n  {number}. {step}" for number, step in enumerate(self.steps, 1))
        return f"{self.release} serves {self.now}. Steps of {self.strategy}:{steps or ' none'}\n\n{self.diff}"


def plan(settings: Settings, shipped: Shipped) -> Plan:
    """Say what `upgrade` and what follows would do; nothing changes.

    Raises
    ------
    SettingsError
        The chart refuses the values, or the strategy cannot be used.
    """
    cluster, wanted, strategy = ClusterRelease(settings), Version.of(shipped), settings.deployment.strategy
    state = cluster.state()
    refuse_misfit(settings, state.tracks, wanted)
    steps = path(state.tracks, wanted, strategy=strategy, steps=settings.canary.steps)
    then = cluster.helm.rendered((steps[-1] if steps else state.tracks).values()).manifest
    diff = difflib.unified_diff(_shown(state.manifest), _shown(then), "now", "then", lineterm="", n=4)
    return Plan(cluster.name, strategy, str(state.tracks), tuple(map(str, steps)), "\n".join(diff) or "No difference.")


def refuse_misfit(settings: Settings, now: Tracks, wanted: Version, *, at_once: bool = False) -> None:
    """Refuse what the chart cannot do from where the release is.

    Raises
    ------
    SettingsError
        Says what to set, or to deploy first.
    """
    strategy, serving = settings.deployment.strategy, now.serving
    if serving is None or serving == wanted:
        return
    if (now.strategy == "blueGreen") != (strategy == "blueGreen"):
        raise SettingsError(
            f"The release has the strategy {now.strategy}; with {strategy} there would be a gap without servers.",
            fix="Set deployment.strategy back, or change over with a second release (docs/kubernetes.md).",
        )
    if strategy == "rolling" or at_once:
        return
    if serving.repository != wanted.repository:
        raise SettingsError(
            f"{serving} is of {serving.repository}, {wanted} of {wanted.repository}: they cannot be side by side.",
            fix="Change over once with deployment.strategy = rolling.",
        )
    if strategy == "canary" and not settings.canary.prometheus_url:
        raise SettingsError("canary.prometheus_url is not set.", fix="Set it: without it nobody watches the canary.")
    if strategy == "canary" and not serving.model_version:
        raise SettingsError(
            "The release was made by hand and does not say which model version it serves.",
            fix="Deploy once with deployment.strategy = rolling.",
        )


def _shown(manifest: str) -> list[str]:
    """Return the manifests as lines, in an order that does not change; secrets are left out."""
    parts = [part.strip() for part in manifest.split("---\n") if part.strip() and "\nkind: Secret\n" not in part]
    return [line for part in sorted(parts) for line in ("---", *part.splitlines())]
