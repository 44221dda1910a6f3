"""What the platform consists of: storage, ledger, MLflow, Airflow, the API; and whether their clocks agree."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from sentiment.deployment.release import status as deployment_status
from sentiment.doctor.finding import Finding, ok, problem, warning
from sentiment.ledger import Ledger
from sentiment.platform import running_addresses
from sentiment.promotions import Promotions
from sentiment.registry import Registry
from sentiment.reviews.table import latest_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage

SECONDS = 5.0
SKEW_SECONDS = 30.0


def storage(settings: Settings) -> Iterator[Finding]:
    """Write, read and delete; and refuse to write the same twice, which promotions and tables rest on."""
    there, path = Storage(settings), f"doctor/{uuid.uuid4().hex}"
    try:
        if not there.create(path, b"first"):
            yield problem("Storage", f"{path} is there although nobody wrote it", "Look at the store.")
        elif there.create(path, b"second") or there.read(path) != b"first":
            said = f"{there.root} overwrites what must be written only once"
            yield problem("Storage", said, "Use a store that knows conditional writes (docs/storage.md).")
        else:
            yield ok("Storage", f"{there.root}: read, written, deleted; conditional writes hold")
    finally:
        there.delete(path)
    snapshot = latest_snapshot(there)
    yield ok("Reviews", f"{snapshot}, {snapshot.rows:,} rows" if snapshot else "none yet")


def ledger(settings: Settings) -> Iterator[Finding]:
    """Whether no entry was changed or removed."""
    found = Ledger(Storage(settings)).verify()
    if found.problem:
        yield problem("Ledger", found.problem, "Restore the table from a backup; docs/ledger.md says how.")
    else:
        yield ok("Ledger", f"{found.entries:,} entries, none changed")


def registry(settings: Settings) -> Iterator[Finding]:
    """MLflow, and whether its alias is what was promoted."""
    there = Registry(settings)
    champion, last = there.champion_or_none(), Promotions(Storage(settings)).last()
    if champion is None:
        yield ok("MLflow", f"{there.address}: no champion yet")
    elif last is not None and last.now != champion.version:
        said = f"the alias says version {champion.version}, the last promotion version {last.now}"
        yield problem("MLflow", said, "Any command that promotes repairs the alias: `sentiment promote`.")
    else:
        yield ok("MLflow", f"{there.address}: version {champion.version} is champion")
    if settings.tracking_uri.startswith("http"):
        yield from _clock("Clock", settings.tracking_uri)


def airflow(settings: Settings) -> Iterator[Finding]:
    """Parts of Airflow that `sentiment up` started."""
    addresses = running_addresses(settings)
    if addresses is None:
        yield ok("Airflow", "`sentiment up` does not run here")
        return
    health = httpx.get(f"{addresses.airflow}/api/v2/monitor/health", timeout=SECONDS).json()
    ill = [name for name, part in health.items() if part.get("status") not in ("healthy", None)]
    if ill:
        logs = settings.local_dir / "log"
        yield problem("Airflow", f"not healthy: {', '.join(sorted(ill))}", f"Look at {logs}, then start it again.")
    else:
        yield ok("Airflow", f"{addresses.airflow}: {', '.join(sorted(health))} are healthy")


def service(settings: Settings) -> Iterator[Finding]:
    """Whether the API answers, with the champion, and gets rid of its log."""
    now, champion = deployment_status(settings), Registry(settings).champion_or_none()
    if not now.alive:
        yield ok("API", "nothing is deployed on this machine")
        return
    if not now.release:
        yield warning("API", "it runs, and has no release yet", "`sentiment deploy`")
        return
    ready = httpx.get(f"{now.url}/readyz", timeout=SECONDS)
    if not ready.is_success:
        fix = f"Look at {settings.local_dir / 'log'}; `sentiment deploy` starts it again."
        yield problem("API", f"{now.url}/readyz answers {ready.status_code}", fix)
        return
    if now.error:
        yield warning("API", f"the newest release did not start: {now.error.splitlines()[0]}", "`sentiment deploy`")
    served = now.release.model_version
    if champion and served != champion.version:
        yield warning("API", f"serves version {served}, the champion is {champion.version}", "`sentiment deploy`")
    else:
        yield ok("API", f"{now.url} answers with version {served}")


def _clock(check: str, address: str) -> Iterator[Finding]:
    """Compare this clock with that of a server, which says the time with every answer."""
    said = httpx.head(address, timeout=SECONDS).headers.get("date")
    if not said:
        return
    apart = abs((datetime.now(UTC) - parsedate_to_datetime(said)).total_seconds())
    if apart > SKEW_SECONDS:
        yield problem(check, f"{apart:.0f} s apart from {address}", "Let both take the time from the network (chrony).")
    else:
        yield ok(check, f"as that of {address}")
