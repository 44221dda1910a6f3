"""What to send to who helps: findings, settings, versions, the last lines of the logs; nothing secret or personal."""

from __future__ import annotations

import json
import platform
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from sentiment.configuration import settings_with_origin
from sentiment.doctor.finding import Finding
from sentiment.errors import storage_errors
from sentiment.redaction import redact
from sentiment.settings import Settings

LAST_LINES, LINE_CHARACTERS, TAIL_BYTES = 300, 2_000, 1_000_000
_SECRET = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|access[_-]?key(?:[_-]id)?|authorization|credential)\w*"
    r"[\"']?\s*[:=]\s*[\"']?(?:bearer\s+)?)[^\s\"',;&]+"
)
_LOGIN = re.compile(r"(\w+://)[^\s/@:]+:[^\s/@]+@")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/-]{8,}=*")
_TEXT = re.compile(r"(?i)([\"']text[\"']\s*:\s*)\"(?:[^\"\\]|\\.)*\"?")


def write_bundle(settings: Settings, findings: Sequence[Finding], target: Path) -> list[str]:
    """Write a zip file, whole or not at all; return the names of what is in it.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    parts = {
        "findings.json": json.dumps([finding.to_dict() for finding in findings], indent=2),
        "settings.json": json.dumps([one.to_dict() for one in settings_with_origin()], indent=2, default=str),
        "versions.txt": "\n".join(_versions()),
        **{f"log/{path.name}": _last_lines(path) for path in sorted((settings.local_dir / "log").glob("*.log"))},
    }
    temporary = target.with_name(f"{target.name}.new")
    with storage_errors(str(target)):
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in parts.items():
                archive.writestr(name, without_secrets(text))
        temporary.chmod(0o600)
        temporary.replace(target)
    return list(parts)


def without_secrets(text: str) -> str:
    """Return a text without passwords, keys, reviews and personal data."""
    text = _LOGIN.sub(r"\1[login]@", text)
    text = _BEARER.sub(r"\1[secret]", text)
    text = _SECRET.sub(r"\1[secret]", text)
    text = _TEXT.sub(r'\1"[text]"', text)
    return "\n".join(redact(line[:LINE_CHARACTERS])[0] for line in text.splitlines())


def _versions() -> list[str]:
    made = f"made {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    machine = f"{platform.platform()}, Python {platform.python_version()}"
    packages = {f"{one.metadata['Name']} {one.version}" for one in distributions()}
    return [made, machine, *sorted(packages, key=str.lower)]


def _last_lines(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - TAIL_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-LAST_LINES:])
