"""All looks, in the order in which one depends on the other."""

from __future__ import annotations

from collections.abc import Iterator

from sentiment.doctor import machine, services
from sentiment.doctor.finding import Finding, Look, found_by
from sentiment.settings import Settings

LOOKS: tuple[tuple[str, Look], ...] = (
    ("Packages", machine.python_and_packages),
    ("Settings", machine.settings_in_force),
    ("Disk", machine.room),
    ("WordNet", machine.dictionary),
    ("Storage", services.storage),
    ("Ledger", services.ledger),
    ("MLflow", services.registry),
    ("Airflow", services.airflow),
    ("API", services.service),
)


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield what each look finds, as it is found."""
    for name, look in LOOKS:
        yield from found_by(name, look, settings)
