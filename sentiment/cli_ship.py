"""Getting a Bento to where pods find it: ``ship``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]


def ship(
    version: Annotated[str | None, typer.Argument(help="Model version; the champion if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Package a model version and put it where Kubernetes finds it: in S3 by its digest, or as an image.

    The way is deployment.ship. Nothing is deployed: it prints the chart's values for `helm upgrade`. The same version
    again gives the same values.
    """
    from sentiment.deployment.shipping import ship as stage
    from sentiment.packaging import package
    from sentiment.registry import Registry

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Packaging") as notes:
        bento = package(settings, Registry(settings), version=version)
        notes.append(bento.tag)
    with out.step("Shipping") as notes:
        shipped = stage(settings, bento)
        notes.append(shipped.bento_uri or f"{shipped.repository}@{shipped.digest}")
    own = shipped.values()
    values = {"image": {"repository": shipped.repository, "digest": own.pop("digest")}, **own}
    facts = [f"Shipped {bento.tag} (model version {shipped.model_version}) by {shipped.way}."]
    if shipped.bento_uri:
        facts += [f"Bento: {shipped.bento_uri}", f"SHA-256: {shipped.bento_sha256}"]
    said = "Values of the chart (of a canary or a colour: digest and bento go under canary, or blueGreen.COLOUR):"
    out.result({**shipped.to_dict(), "values": values}, *facts, said, *_yaml(values))


def _yaml(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _yaml(value, indent + "  ")
        else:
            yield f"{indent}{name}: {json.dumps(value)}"
