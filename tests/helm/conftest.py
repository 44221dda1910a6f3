"""Helm's own engine, against a Kubernetes API in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from clusters import CHART, Helm, helm, helm_command, new_helm

__all__ = ["CHART", "VALUES", "Helm", "Rendered", "helm", "helm_command", "new_helm"]

VALUES = sorted((Path(__file__).resolve().parent / "values").glob("*.yaml"))


@dataclass(frozen=True)
class Rendered:
    """What the chart makes of values: the text of the manifests, and each of them."""

    text: str
    documents: tuple[dict[str, Any], ...]
    notes: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the manifests of a kind."""
        return [document for document in self.documents if document["kind"] == kind]


@pytest.fixture(scope="session")
def rendered(new_helm: Callable[[], Helm]) -> dict[str, Rendered]:
    """What the chart makes of each file in values/, by its name."""
    found = {}
    for path in VALUES:
        helm = new_helm()
        helm.done("install", "sentiment", str(CHART), "--values", str(path))
        release = helm.cluster.release("sentiment")
        hooks = "".join(f"---\n# Source: {hook['path']}\n{hook['manifest']}\n" for hook in release["hooks"])
        text = _sorted(release["manifest"]) + hooks
        documents = tuple(one for one in yaml.safe_load_all(text) if one)
        found[path.stem] = Rendered(text, documents, release["info"]["notes"])
    return found


def _sorted(manifest: str) -> str:
    """Return the manifests in an order that does not change from run to run."""
    parts = [part.strip() for part in manifest.split("---\n") if part.strip()]
    return "".join(f"---\n{part}\n" for part in sorted(parts))
