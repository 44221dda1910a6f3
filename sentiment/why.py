"""Why an answer was given: back from it to the model version, its decision, its training, its data, the drift before.

Read from the ledger, the tables and the reports; MLflow is not asked, so what happened can be told without it.
"""

from __future__ import annotations

import logging
import re
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sentiment.drift.aftermath import Day, day_of
from sentiment.drift.selection import Shelf, Wanted
from sentiment.errors import DataError, ModelError, StorageError
from sentiment.history import reigns
from sentiment.ledger import Ledger, LedgerEntry
from sentiment.settings import Settings
from sentiment.storage import Storage

LANDING = "landing/predictions"
logger = logging.getLogger(__name__)
_KEPT = ("text", "text_sha256")
_VERSION = re.compile(r"v?(\d{1,9})")


@dataclass(frozen=True)
class GivenAnswer:
    """One answer of the API; its text as it is stored, without personal data if ``data.redact`` says so.

    ``text`` is None where the servers keep only a hash of it, ``text_sha256``.
    """

    request_id: str
    text: str | None
    label: str
    score: float
    model_version: str
    predicted_at: str
    text_sha256: str | None = None

    @property
    def told(self) -> str:
        """The text, or that there is none."""
        if self.text is not None:
            return self.text
        return f"The text was not kept (serving.log_predictions = hash), only its SHA-256: {self.text_sha256}"


@dataclass(frozen=True)
class SourceFile:
    """One delivery that a snapshot holds."""

    name: str
    rows: int
    at: str
    by: str


@dataclass(frozen=True)
class DriftCause:
    """The drift check that asked for a training; `state` is empty if its report has been removed."""

    check: str
    state: str
    reasons: tuple[str, ...]
    report: str | None


@dataclass(frozen=True)
class Why:
    """The whole way back from an answer, or from a model version.

    Attributes
    ----------
    asked : str
        What was asked about.
    answer : GivenAnswer or None
        If it was an answer.
    cause : str
        Why it was trained, in plain words.
    drift : DriftCause or None
        The check, if it was drift.
    files : tuple of SourceFile
        What the snapshot was made of, newest first; None of it is known if the reviews are gone.
    card : str or None
        Path of the model card under the storage root.
    entries : tuple of LedgerEntry
        All that the ledger says of this version, oldest first.
    """

    asked: str
    version: str
    answer: GivenAnswer | None
    snapshot: str
    run_id: str
    cause: str
    drift: DriftCause | None
    files: tuple[SourceFile, ...]
    decision: dict[str, Any]
    card: str | None
    entries: tuple[LedgerEntry, ...]

    def last(self, event: str) -> LedgerEntry | None:
        """Return the newest entry of a kind."""
        return next((entry for entry in reversed(self.entries) if entry.event == event), None)

    @property
    def digests(self) -> dict[str, str]:
        """All digests that the ledger has of this version."""
        return {name: digest for entry in self.entries for name, digest in entry.digests.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            **{name: getattr(self, name) for name in ("asked", "version", "snapshot", "run_id", "cause", "card")},
            "answer": self.answer and asdict(self.answer),
            "drift": self.drift and asdict(self.drift),
            "files": [asdict(file) for file in self.files],
            "decision": self.decision,
            "digests": self.digests,
            "entries": [entry.to_dict() for entry in self.entries],
        }


def why(settings: Settings, asked: str) -> Why:
    """Tell where an answer or a model version comes from.

    Parameters
    ----------
    asked : str
        A request id, as the API gives it with each answer; or a version: ``3``, ``v3``, ``champion``.

    Raises
    ------
    ModelError
        There is no such answer and no such version.
    """
    storage, asked = Storage(settings), asked.strip()
    entries = Ledger(storage).entries()
    answer, version = None, _version(entries, asked)
    if version is None:
        answer = find_answer(settings, storage, asked)
        if answer is None:
            raise ModelError(
                f"There is no answer and no model version {asked!r}.",
                fix="A request id is what the API returned as request_id; `sentiment history` lists the versions.",
            )
        version = answer.model_version
    own = _of_version(entries, version)
    trained = next((entry for entry in own if entry.event == "trained"), None)
    snapshot = next((entry.snapshot for entry in own if entry.snapshot), None) or ""
    cause, drift = _cause(storage, trained)
    card = f"reports/gate/v{version}/card.html"
    return Why(
        asked=asked,
        version=version,
        answer=answer,
        snapshot=snapshot,
        run_id=next((entry.run_id for entry in own if entry.run_id), None) or "",
        cause=cause,
        drift=drift,
        files=_files(storage, snapshot),
        decision=storage.read_json(f"reports/gate/v{version}/decision.json") or {},
        card=card if card in storage.list(f"reports/gate/v{version}") else None,
        entries=tuple(own),
    )


def why_on(settings: Settings, day: date) -> Day:
    """Gather what was checked, trained and promoted on a day; `sentiment.drift.aftermath.answer` says it in words."""
    storage = Storage(settings)
    checks = Shelf().select(storage, Wanted(since=day, until=day)).found
    return day_of(day, checks=checks, entries=Ledger(storage).entries())


def find_answer(settings: Settings, storage: Storage, request_id: str) -> GivenAnswer | None:
    """Return an answer of the API by its id: from the table, or where the servers have just put it."""
    from sentiment.reviews.landing import records_of
    from sentiment.reviews.predictions import read_predictions

    found = read_predictions(storage, request_ids=[request_id])
    if len(found):
        return _answer(found.iloc[0].to_dict())
    for path in storage.list(LANDING):
        try:
            records = records_of(path, storage.read(path), request_id=request_id)
        except FileNotFoundError:  # it was taken in meanwhile
            continue
        except Exception as error:  # damaged; the ingest puts it aside
            logger.debug("%s is not readable: %s", path, error)
            continue
        if records:
            return _answer({**records[0], "text": _shown(settings, records[0].get("text"))})
    return None


def _answer(record: dict[str, Any]) -> GivenAnswer:
    text, text_sha256 = (value if isinstance(value := record.get(name), str) else None for name in _KEPT)
    moment = record["predicted_at"]
    return GivenAnswer(
        request_id=str(record["request_id"]),
        text=text,
        label=str(record["label"]),
        score=float(record["score"]),
        model_version=str(record["model_version"]),
        predicted_at=moment.isoformat() if isinstance(moment, datetime) else str(moment),
        text_sha256=text_sha256,
    )


def _shown(settings: Settings, text: str | None) -> str | None:
    from sentiment.redaction import redact

    return redact(text)[0] if settings.data.redact and text is not None else text


def _version(entries: list[LedgerEntry], asked: str) -> str | None:
    """Return the version that was asked about; None if it is none."""
    if asked == "champion":
        return next((reign.version for reign in reversed(reigns(entries))), None)
    found = _VERSION.fullmatch(asked)
    known = {entry.model_version for entry in entries}
    return str(int(found[1])) if found and str(int(found[1])) in known else None


def _of_version(entries: list[LedgerEntry], version: str) -> list[LedgerEntry]:
    """Return what the ledger says of a version and of the run that trained it."""
    runs = {entry.run_id for entry in entries if entry.model_version == version and entry.run_id}
    return [
        entry
        for entry in entries
        if entry.model_version == version or (entry.model_version is None and entry.run_id in runs and entry.run_id)
    ]


def _cause(storage: Storage, trained: LedgerEntry | None) -> tuple[str, DriftCause | None]:
    cause = trained.detail.get("cause") if trained else None
    if not cause:
        return "not recorded", None
    check = cause.get("check")
    if not check:
        return str(cause["what"]), None
    verdict = storage.read_json(f"reports/drift/{check}/verdict.json") or {}
    said = verdict.get("verdict", {})
    reasons = tuple(said.get("reasons") or cause["reasons"])
    return f"drift check {check}", DriftCause(check, str(said.get("state", "")), reasons, verdict.get("report"))


def _files(storage: Storage, snapshot: str) -> tuple[SourceFile, ...]:
    """Return the deliveries up to a snapshot, newest first."""
    from sentiment.reviews.table import parse_snapshot
    from sentiment.reviews.versions import snapshot_log

    try:
        version = parse_snapshot(snapshot)
        commits = snapshot_log(storage)
    except (DataError, StorageError):
        return ()
    return tuple(
        SourceFile(commit.made_from or commit.made_by, commit.rows_added, commit.committed_at, commit.made_by)
        for commit in commits
        if parse_snapshot(commit.snapshot) <= version and commit.rows_added and not commit.same_reviews
    )
