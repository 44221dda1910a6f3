"""Templates as data, with their short forms such as !Ref written out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfnlint.decode.cfn_yaml import load

FOLDER = Path(__file__).resolve().parents[2] / "cloudformation"
TEMPLATES = sorted(FOLDER.glob("*.yaml"))


@dataclass(frozen=True)
class Template:
    """One template."""

    name: str
    body: dict[str, Any]

    @classmethod
    def read(cls, name: str) -> Template:
        return cls(name, json.loads(json.dumps(load(FOLDER / f"{name}.yaml"))))

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.body.get("Parameters", {}))

    @property
    def outputs(self) -> dict[str, Any]:
        return dict(self.body["Outputs"])

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of a type, with their whole body."""
        return {key: one for key, one in self.body["Resources"].items() if one["Type"] == kind}

    def without(self, *paths: str) -> str:
        """Return it as JSON without what stands at some paths, such as ``Outputs.Host``."""
        body = json.loads(json.dumps(self.body))
        for path in paths:
            *folders, name = path.split(".")
            place = body
            for folder in folders:
                place = place[folder]
            del place[name]
        return json.dumps(body)
