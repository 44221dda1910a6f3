"""What the ledger says of models: the champion, what was decided and released last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily

from sentiment.history import Reign, reigns
from sentiment.ledger import Ledger, LedgerEntry
from sentiment.metrics.families import gauge, gauges, info
from sentiment.settings import Settings
from sentiment.storage import Storage

WINDOWS = (1_000, 20_000)
"""How many entries are read at first, and if they do not tell everything; after that, all."""

EVENTS = (
    "trained", "registered", "decided", "approved", "rejected", "promoted", "packaged", "canary", "deployed",
    "rolled_back", "released", "dropped", "removed",
)  # fmt: skip


@dataclass(frozen=True)
class Story:
    """The end of the ledger, as far back as it takes to know who is champion and where it comes from.

    Attributes
    ----------
    last : dict of str to LedgerEntry
        The newest entry of each event.
    champion : Reign or None
    trained : LedgerEntry or None
        The training of the champion.
    entries : int
        Of the whole ledger.
    """

    last: dict[str, LedgerEntry]
    champion: Reign | None
    trained: LedgerEntry | None
    entries: int

    @property
    def is_complete(self) -> bool:
        """Whether earlier entries could add nothing that is shown, but events that are long past."""
        return self.trained is not None and {"decided", "deployed"} <= self.last.keys()


def model_metrics(settings: Settings, storage: Storage, now: datetime) -> Iterator[GaugeMetricFamily]:
    """Yield what the ledger says of models."""
    story = read_story(Ledger(storage))
    yield gauge("ledger_entries", "Entries of the ledger.", story.entries)
    if story.last:
        text = "When the newest entry of each event was written to the ledger."
        times = {event: story.last[event].time for event in EVENTS if event in story.last}
        yield gauges("event_timestamp_seconds", text, "event", times)
    if champion := story.champion:
        text = "1, for the champion and the snapshot that it learned from."
        yield info("champion", text, model_version=champion.version, snapshot=champion.began.snapshot)
        yield gauge("champion_since_timestamp_seconds", "When it became champion.", champion.since)
    if story.trained:
        yield gauge("champion_trained_timestamp_seconds", "When the champion was trained.", story.trained.time)
    if decided := story.last.get("decided"):
        outcome = str(decided.detail.get("outcome", ""))
        text = "1, for the gate's last decision."
        yield info("decision", text, model_version=decided.model_version, outcome=outcome)
    if deployed := story.last.get("deployed"):
        yield info("release", "1, for the version that was deployed last.", model_version=deployed.model_version)


def read_story(ledger: Ledger) -> Story:
    """Read the end of the ledger, more of it only if that does not tell everything."""
    for number in WINDOWS:
        entries = ledger.newest(number)
        story = tell(entries)
        if story.is_complete or len(entries) == story.entries:
            return story
    return tell(ledger.entries())


def tell(entries: Sequence[LedgerEntry]) -> Story:
    """Return what the newest entries tell, in the order of the ledger. Pure."""
    champion = next(iter(reversed(reigns(entries))), None)
    run_id = champion.began.run_id if champion else None
    return Story(
        last={entry.event: entry for entry in entries},
        champion=champion,
        trained=next((e for e in reversed(entries) if run_id and (e.event, e.run_id) == ("trained", run_id)), None),
        entries=entries[-1].sequence if entries else 0,
    )
