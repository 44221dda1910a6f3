"""``sentiment deploy``: serve a version here or in the cluster, or only tell what would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import Settings, load_settings

if TYPE_CHECKING:
    from sentiment.deployment.release import Release
    from sentiment.packaging import BentoPackage


def deploy(
    version: Annotated[str | None, typer.Argument(help="Model version; the champion if not given.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell the steps, and what they would change in the cluster.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")] = False,
) -> None:
    """Serve a model version where deployment.target says; traffic moves once it is ready.

    Here, `sentiment down` stops it. In a cluster, a canary is watched until it is taken over, which takes as long as
    canary.steps say; one that fails is taken back, and so is the alias. Interrupted, the same command goes on.
    """
    from sentiment.deployment.release import deploy as stage
    from sentiment.packaging import package as pack
    from sentiment.registry import Registry

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Packaging") as notes:
        bento = pack(settings, Registry(settings), version=version)
        notes.append(bento.tag)
    if dry_run:
        _tell_plan(out, settings, bento)
        return
    with out.step("Deploying") as notes:
        release = stage(settings, bento, say=out.say)
        notes.append(str(release))
    tested = ""
    if release.target == "kubernetes":
        from sentiment.deployment.smoke import smoke_test

        with out.step("Smoke test") as notes:
            tested = smoke_test(settings, bento).said
            notes.append(tested)
    out.result(release.to_dict() | ({"smoke": tested} if tested else {}), *try_it(release))


def try_it(release: Release) -> list[str]:
    """Return what to try next."""
    if not release.url:
        return [f"Serving {release}.", "See it: sentiment status"]
    return [
        f"Serving at {release.url}. Try:",
        f"  curl -s {release.url}/predict -H 'content-type: application/json' "
        """-d '{"text": "Not bad at all, I loved it."}'""",
    ]


def _tell_plan(out: Reporter, settings: Settings, bento: BentoPackage) -> None:
    if settings.deployment.target == "local":
        from sentiment.deployment.release import status

        now = status(settings)
        serves = now.release.tag if now.alive and now.release else "nothing"
        out.result({"now": serves, "then": bento.tag}, f"Serves {serves}. Would serve {bento.tag}.")
        return
    from sentiment.deployment.planning import plan
    from sentiment.deployment.shipping import ship

    with out.step("Comparing"):
        found = plan(settings, ship(settings, bento))
    out.result(found.to_dict(), str(found))
