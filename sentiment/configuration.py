"""Where each setting comes from, and a file to start with: what `sentiment config` shows."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource

from sentiment.settings import CONFIG_FILE, ENV_FILE, EnvFile, Settings, load_settings

DEFAULT, FILE, DOTENV, ENVIRONMENT = "default", CONFIG_FILE, ENV_FILE, "environment"
HIDDEN = "(hidden)"

PROFILES = {
    "laptop": """\
# One machine, nothing else needed: `sentiment up`.
[storage]
root = "var"
""",
    "compose": """\
# The command line of this machine beside docker-compose.airflow.yml, whose passwords are in .env (docs/compose.md).
# Credentials for the store: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.
[storage]
root = "s3://sentiment/platform"
endpoint = "http://127.0.0.1:8333"
region = "us-east-1"

[registry]
tracking_uri = "http://127.0.0.1:5000"
""",
    "eks": """\
# On AWS: data in S3, MLflow and the API in a cluster (docs/aws.md). Put your own names in.
[storage]
root = "s3://my-bucket/sentiment"
region = "eu-central-1"

[registry]
tracking_uri = "http://mlflow.mlflow:5000"

[gate]
approval = "always"        # a person's word on every promotion, until you trust the gate

[deployment]
target = "kubernetes"
""",
}
"""What `sentiment config init` writes."""


@dataclass(frozen=True)
class SettingOrigin:
    """One setting as it is in force.

    Attributes
    ----------
    name : str
        Section and name, as ``gate.margin``.
    value : object
        JSON types; `HIDDEN` for a password that is set.
    origin : str
        ``default``, ``sentiment.toml``, ``.env`` or ``environment``: the last that names it wins.
    """

    name: str
    value: Any
    origin: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def settings_with_origin() -> list[SettingOrigin]:
    """Return every setting with where it comes from, in the order of docs/settings.md.

    Raises
    ------
    SettingsError
        A setting is wrong.
    """
    settings = load_settings()
    named = {FILE: set(_leaves(_file())), DOTENV: set(_leaves(EnvFile(Settings)()))}
    named[ENVIRONMENT] = set(_leaves(EnvSettingsSource(Settings)()))
    secret = {
        f"{section}.{name}"
        for section in Settings.model_fields
        for name, field in type(getattr(settings, section)).model_fields.items()
        if not field.repr
    }
    return [
        SettingOrigin(
            name,
            HIDDEN if name in secret and value else value,
            next((origin for origin in (ENVIRONMENT, DOTENV, FILE) if _names(named[origin], name)), DEFAULT),
        )
        for name, value in _values(settings)
    ]


def _file() -> Mapping[str, Any]:
    path = Path(CONFIG_FILE)
    return tomllib.loads(path.read_text()) if path.is_file() else {}


def _leaves(found: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name.lower()}.")
        else:
            yield f"{prefix}{name.lower()}"


def _names(named: set[str], setting: str) -> bool:
    """Whether a setting, or what is in it (a table such as label words), is among those that are named."""
    return setting in named or any(name.startswith(f"{setting}.") for name in named)


def _values(settings: Settings) -> Iterator[tuple[str, Any]]:
    for section in Settings.model_fields:
        part = getattr(settings, section)
        shown = part.model_dump(mode="json")
        for name in type(part).model_fields:
            inner = getattr(part, name)
            if is_dataclass(inner) or isinstance(inner, BaseModel):
                yield from ((f"{section}.{name}.{key}", value) for key, value in shown[name].items())
            else:
                yield f"{section}.{name}", shown[name]
