"""A PostgreSQL of the tests' own, from Debian's packages, with the databases that the compose file's has."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sentiment.deployment.ports import free_port

PROJECT = Path(__file__).resolve().parents[1]
PASSWORDS = {"AIRFLOW_DB_PASSWORD": "for-airflow", "MLFLOW_DB_PASSWORD": "for-mlflow"}


def programs() -> Path | None:
    """Return the folder of the newest server's programs; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else None


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server and yield ``HOST:PORT``; its superuser is ``postgres``, and all need a password.

    The databases are made by the script that the compose file mounts into its server.
    """
    binaries = programs()
    assert binaries is not None
    as_user: list[str] = []
    with TemporaryDirectory(prefix="postgres-") as temporary:  # pytest's own folders are for nobody else
        folder = Path(temporary)
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, "postgres")
            as_user = ["runuser", "-u", "postgres", "--"]
        (folder / "password").write_text("for-postgres")
        (folder / "password").chmod(0o644)
        data, port = folder / "data", free_port("127.0.0.1")
        made = ["--username", "postgres", "--auth", "scram-sha-256", "--pwfile", str(folder / "password"), "--no-sync"]
        subprocess.run([*as_user, binaries / "initdb", "--pgdata", data, *made], check=True, capture_output=True)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [*as_user, str(binaries / "pg_ctl"), "--pgdata", str(data), "--wait"]
        subprocess.run(
            [*control, "--options", options, "--log", folder / "log", "start"], check=True, stdout=subprocess.DEVNULL
        )
        try:
            login = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGPASSWORD": "for-postgres"}
            script = PROJECT / "images/platform/databases.sh"
            subprocess.run(["sh", script], env={**os.environ, **login, **PASSWORDS}, check=True, capture_output=True)
            yield f"127.0.0.1:{port}"
        finally:
            subprocess.run([*control, "--mode", "immediate", "stop"], check=True, capture_output=True)
