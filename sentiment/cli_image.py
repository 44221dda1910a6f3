"""``sentiment image``: a Bento as a container image, pushed to a registry, without Kubernetes."""

from __future__ import annotations

from typing import Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]


def image(
    version: Annotated[str | None, typer.Argument(help="Model version; the champion if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Build the container image of a model version's Bento and push it to `deployment.image_repository`.

    Its tag is the Bento's version and is built once; SBOM and provenance go to the storage, beside the Bento.
    """
    from sentiment.deployment.images import build_and_push, records_of
    from sentiment.packaging import package
    from sentiment.registry import Registry
    from sentiment.storage import Storage

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Building the image") as notes:
        bento = package(settings, Registry(settings), version=version)
        made = build_and_push(settings, bento)
        notes.append(f"{made.repository}:{made.tag}")
    records = {name: Storage(settings).uri(path) for name, path in records_of(made.tag).items()}
    out.result(
        {**made.to_dict(), "bento": bento.tag, "model_version": bento.model_version, **records},
        f"Image: {made.repository}@{made.digest}",
        f"SBOM: {records['sbom']}",
        f"Provenance: {records['provenance']}",
    )
