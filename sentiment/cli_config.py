"""``sentiment config``: which settings are in force, and where each comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sentiment.configuration import DEFAULT, PROFILES, settings_with_origin
from sentiment.console import Reporter
from sentiment.errors import SettingsError, storage_errors
from sentiment.settings import CONFIG_FILE, refuse_unknown_sections

app = typer.Typer(
    no_args_is_help=True,
    help="Settings: show them with their origin, check them, write a file to start with.",
    epilog="Examples:\n\n$ sentiment config show --changed\n\n$ sentiment config init eks",
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]


@app.command()
def show(
    section: Annotated[str | None, typer.Argument(help="Section or setting, such as gate or gate.margin.")] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only those that are not the default.")] = False,
    as_json: Json = False,
) -> None:
    """Show every setting, its value and where that comes from; passwords are hidden."""
    out = Reporter(as_json=as_json)
    found = [
        one
        for one in settings_with_origin()
        if (section is None or one.name == section or one.name.startswith(f"{section}."))
        and not (changed and one.origin == DEFAULT)
    ]
    if section is not None and not found and not changed:
        raise SettingsError(f"There is no setting or section {section!r}.", fix="`sentiment config show` lists all.")
    out.table(
        "Settings",
        ("setting", "value", "from"),
        [(one.name, "" if one.value is None else str(one.value), one.origin) for one in found],
    )
    if as_json:
        out.result([one.to_dict() for one in found])


@app.command()
def check(as_json: Json = False) -> None:
    """Check sentiment.toml, .env and the environment: unknown names, values out of bounds."""
    out = Reporter(as_json=as_json)
    refuse_unknown_sections(os.environ)
    found = settings_with_origin()
    changed = [one.name for one in found if one.origin != DEFAULT]
    said = f"{len(found)} settings, {len(changed)} of them not the default, all well."
    out.result({"settings": len(found), "changed": changed}, said)


@app.command()
def init(
    profile: Annotated[str, typer.Argument(help="laptop, compose or eks.")] = "laptop",
    as_json: Json = False,
) -> None:
    """Write a sentiment.toml to start with; one that is there is left alone."""
    out = Reporter(as_json=as_json)
    if profile not in PROFILES:
        raise SettingsError(f"There is no profile {profile!r}.", fix=f"Choose one of {', '.join(PROFILES)}.")
    path = Path(CONFIG_FILE).resolve()
    if path.exists():
        raise SettingsError(f"{path} is there already.", fix="Change it, or remove it first.")
    with storage_errors(str(path)), path.open("x") as file:
        file.write(PROFILES[profile])
    out.result({"file": str(path), "profile": profile}, f"{path} written for {profile}. Now: sentiment config check")
