"""``sentiment keys``: who may use the API, and for what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from sentiment.console import Reporter
from sentiment.errors import SettingsError
from sentiment.serving.keys import ApiKey, Keys, KeyScope
from sentiment.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="API keys: create, list, revoke. Servers notice within seconds.",
    epilog="Examples:\n\n$ sentiment keys create shop\n\n$ sentiment keys revoke 1f2e3d4c",
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
File = Annotated[Path | None, typer.Option(help="The key file; that of serving.keys_file if not given.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    scope: Annotated[
        list[KeyScope] | None, typer.Option(help="What it may do, once for each; predict and feedback if not given.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="How long it is valid; for ever if not given.")] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=0, help="Its own rate limit; that of the settings if not given, 0 for none.")
    ] = None,
    file: File = None,
    as_json: Json = False,
) -> None:
    """Make a key and show it, this once: only its hash is stored."""
    from sentiment.serving import keys

    out = Reporter(as_json=as_json)
    made = keys.create(
        _path(file),
        name=name,
        scopes=tuple(scope or (KeyScope.predict, KeyScope.feedback)),
        expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
        requests_per_minute=requests_per_minute,
    )
    out.say(f"Key {made.stored.id} for {name}. It is shown this once.")
    out.result({"key": made.key, **_shown(made.stored)}, made.key)


@app.command("list")
def list_(file: File = None, as_json: Json = False) -> None:
    """List the keys; never the secrets, which nobody has."""
    out, found = Reporter(as_json=as_json), Keys.read(_path(file)).keys
    out.table(
        "API keys",
        ["id", "name", "scopes", "created", "expires", "requests a minute"],
        [[str(value) if value is not None else "" for value in _row(key)] for key in found],
    )
    if as_json:
        out.result([_shown(key) for key in found])


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its id, as `list` shows it.")], file: File = None, as_json: Json = False
) -> None:
    """Take a key away; servers refuse it within seconds."""
    from sentiment.serving import keys

    gone = keys.revoke(_path(file), key)
    Reporter(as_json=as_json).result(_shown(gone), f"Revoked: {gone.id} of {gone.name}")


def _path(file: Path | None) -> Path:
    configured = load_settings().serving.keys_file
    if file is None and not configured:
        raise SettingsError(
            "There is no key file: serving.keys_file is empty, so the API is open.",
            fix="Set it, such as SENTIMENT_SERVING__KEYS_FILE=var/keys.json, or give --file.",
        )
    return file or Path(configured)


def _shown(key: ApiKey) -> dict[str, object]:
    return key.model_dump(mode="json", exclude={"sha256"})


def _row(key: ApiKey) -> tuple[object, ...]:
    created = f"{key.created_at:%Y-%m-%d %H:%M}"
    expires = f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never"
    return key.id, key.name, ", ".join(key.scopes), created, expires, key.requests_per_minute
