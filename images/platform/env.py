"""Writes passwords that nobody has chosen to ``.env``, for docker-compose.airflow.yml: ``env.py [FILE]``.

What the file holds already stays as it is, so that running it again only adds what a newer version needs.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

NAMES = (
    "POSTGRES_PASSWORD",
    "AIRFLOW_DB_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_SECRET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_PASSWORD",
    "GRAFANA_PASSWORD",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
)


def made(name: str) -> str:
    """Return a new secret; only letters, digits, ``-`` and ``_``, which no address or shell reads as something else."""
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(os.urandom(32)).decode()
    return secrets.token_hex(10) if name == "S3_ACCESS_KEY" else secrets.token_hex(24)


def main() -> None:
    """Add what is missing."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ".env")
    there = path.read_text() if path.exists() else "# Passwords of docker-compose.airflow.yml. Keep it to yourself.\n"
    known = {line.partition("=")[0].strip() for line in there.splitlines()}
    added = [name for name in NAMES if name not in known]
    text = there.rstrip("\n") + "\n" + "".join(f"{name}={made(name)}\n" for name in added)
    temporary = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)
    print(f"{path}: {len(added)} passwords made, {len(NAMES) - len(added)} were there.")  # noqa: T201


if __name__ == "__main__":
    main()
