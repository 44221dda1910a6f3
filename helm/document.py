"""Writes what is said about the chart's values from where it is said: ``python -m helm.document``.

The comments of ``values.yaml`` become the table of the chart's README and the descriptions in ``values.schema.json``;
the names, types and bounds of ``settings.storage`` and ``settings.serving`` there are those of `sentiment.settings`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sentiment.settings import ServingSettings, StorageSettings

CHART = Path(__file__).resolve().parent / "sentiment"
BEGIN, END = "<!-- values: made from values.yaml -->", "<!-- end of values -->"
SET_BY_CHART = {
    "storage": ("aws_conn_id",),
    "serving": ("keys_file", "linger_seconds", "probe_key", "spool_bytes", "spool_folder", "timeout_seconds"),
}
"""What a pod has no use for, what is secret, or what the chart decides itself."""

KEPT = ("type", "enum", "const", "anyOf", "items", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


@dataclass(frozen=True)
class Value:
    """One value: its path, its comment, its default; a section has no default."""

    path: str
    comment: str
    default: Any = None
    is_section: bool = False


def values(text: str) -> Iterator[Value]:
    """Yield the values of a ``values.yaml`` in order; what no comment is directly above has an empty one."""
    defaults, comment, path = yaml.safe_load(text), [], [""] * 8
    for line in text.splitlines():
        if found := re.match(r"( *)([A-Za-z0-9-]+):(.*)", line):
            depth = len(found[1]) // 2
            path[depth:] = [found[2], *[""] * 8][: 8 - depth]
            names, default = [name for name in path if name], defaults
            for name in names:
                default = default[name]
            section = isinstance(default, dict) and bool(default)
            yield Value(".".join(names), " ".join(comment), default, section)
        comment = [*comment, line.strip("# ")] if line.lstrip().startswith("#") else []


def readme(text: str, found: list[Value]) -> str:
    """Return the README with the table of values between its marks."""
    rows = ["| value | default | what it is |", "|---|---|---|"]
    for value in found:
        default = "" if value.is_section else f"`{json.dumps(value.default)}`"
        rows.append(f"| `{value.path}` | {default} | {value.comment.replace('|', chr(92) + '|')} |")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return before + "\n".join([BEGIN, *rows, END]) + after


def schema(given: dict[str, Any], found: list[Value]) -> dict[str, Any]:
    """Return the schema with the comments as descriptions, and with today's settings."""
    for value in found:
        place = given
        for name in value.path.split("."):
            place = place["properties"][name]
        place["description"] = value.comment
    sections = given["properties"]["settings"]["properties"]
    for name, model in (("storage", StorageSettings), ("serving", ServingSettings)):
        sections[name]["properties"] = {
            field: {**{key: facts[key] for key in KEPT if key in facts}, "description": facts["description"]}
            for field, facts in model.model_json_schema()["properties"].items()
            if field not in SET_BY_CHART[name]
        }
    return given


def documents() -> dict[Path, str]:
    """Return what the files should hold."""
    found = list(values((CHART / "values.yaml").read_text()))
    page, rules = CHART / "README.md", CHART / "values.schema.json"
    return {
        page: readme(page.read_text(), found),
        rules: json.dumps(schema(json.loads(rules.read_text()), found), indent=2) + "\n",
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
