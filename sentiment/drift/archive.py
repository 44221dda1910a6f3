"""The drift checks that were made, as files.

A check is named after what it compared, so a retry writes the same files again. Under
``reports/drift/<id>/`` it leaves ``report.html`` and then ``verdict.json``, whose presence says that both
are complete. The form of ``verdict.json`` is described by ``verdict.schema.json`` beside this module.

Both may be mailed about, so neither shows personal data: what is published is redacted first, even where the
texts were compared without being ingested.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import islice
from typing import Any

from sentiment.drift.evidently_page import evidently_page
from sentiment.drift.explanation import Explanation, explain
from sentiment.drift.redacted import redacted_sample, redacted_verdict
from sentiment.drift.report import render_report
from sentiment.drift.report_signals import PastCheck
from sentiment.drift.sample import Sample
from sentiment.drift.verdict import DriftVerdict
from sentiment.redaction import redact
from sentiment.storage import Storage

REPORTS = "reports/drift"
SCHEMA = 1
"""Version of the form of ``verdict.json``; it grows when a field changes its meaning or goes."""

HISTORY = 60
"""Earlier checks that a report shows, at most."""

_ID = re.compile(r"[0-9A-Za-z-]+")


@dataclass(frozen=True)
class DriftCheck:
    """One drift check: what was compared and what came of it.

    Attributes
    ----------
    id : str
        Made from what was compared; the same comparison has the same id.
    verdict : DriftVerdict
    report : str or None
        The HTML report's path under the storage root; None if it was not published.
    start, end : datetime or None
        The window of the predictions, `end` excluded; None when files were compared.
    champion, snapshot : str or None
        The champion's version and the snapshot it learned from.
    latest_snapshot : str or None
        The snapshot whose newly labelled rows gave the live accuracy.
    reference_name, current_name : str or None
        The two sides, where somebody named them, as `sentiment.drift.sides.parse_side` reads them.
    """

    id: str
    verdict: DriftVerdict
    report: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    champion: str | None = None
    snapshot: str | None = None
    latest_snapshot: str | None = None
    reference_name: str | None = None
    current_name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the check as JSON types, as ``verdict.schema.json`` describes them."""
        return {
            "schema": SCHEMA,
            **vars(self),
            "verdict": self.verdict.to_dict(),
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DriftCheck:
        """Return the check that `to_dict` wrote, in this or an earlier version; what is not known is left out."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        times = {name: data[name] and datetime.fromisoformat(data[name]) for name in ("start", "end")}
        return cls(**{**known, **times, "verdict": DriftVerdict.from_dict(data["verdict"])})


def publish_check(
    storage: Storage,
    check: DriftCheck,
    *,
    facts: Mapping[str, str],
    reference: Sample,
    current: Sample,
    history: Sequence[DriftCheck] | None = None,
) -> DriftCheck:
    """Write a check's report and then its verdict; return it with the report's path.

    Parameters
    ----------
    facts : mapping of str to str
        What was compared with what, in words.
    reference, current : Sample
    history : sequence of DriftCheck, optional
        Earlier checks of the champion; by default those in the archive.
    """
    check, reference, current = _redacted(check, reference, current)
    seen = earlier_checks(storage, check) if history is None else history
    page, explanation = _explained(check, facts=facts, reference=reference, current=current, history=seen)
    published = replace(check, report=f"{REPORTS}/{check.id}/report.html")
    storage.write(f"{REPORTS}/{check.id}/report.html", page.encode("utf-8", errors="replace"))
    written = {**published.to_dict(), "explanation": explanation.to_dict()}
    storage.write(_verdict_path(check.id), json.dumps(written, indent=2, allow_nan=False).encode())
    return published


def check_page(
    check: DriftCheck,
    *,
    facts: Mapping[str, str],
    reference: Sample,
    current: Sample,
    history: Sequence[DriftCheck] = (),
) -> str:
    """Return a check's report as one HTML document, redacted, without writing it anywhere."""
    check, reference, current = _redacted(check, reference, current)
    return _explained(check, facts=facts, reference=reference, current=current, history=history)[0]


def _explained(
    check: DriftCheck, *, facts: Mapping[str, str], reference: Sample, current: Sample, history: Sequence[DriftCheck]
) -> tuple[str, Explanation]:
    explanation = explain(reference=reference.texts, current=current.texts)
    page = render_report(
        title=check.id,
        facts={name: redact(value)[0] for name, value in facts.items()},
        verdict=check.verdict,
        reference=reference,
        current=current,
        explanation=explanation,
        evidently=_evidently(check.verdict, reference=reference, current=current),
        end=check.end,
        history=[PastCheck(past.end, past.verdict) for past in history if past.end is not None],
    )
    return page, explanation


def _redacted(check: DriftCheck, reference: Sample, current: Sample) -> tuple[DriftCheck, Sample, Sample]:
    """Return a check, and its sides, without personal data in sentences, texts and what somebody named."""
    reference, current = redacted_sample(reference), redacted_sample(current)
    verdict = redacted_verdict(check.verdict, texts=(*reference.texts, *current.texts))
    given = {field.name: getattr(check, field.name) for field in fields(check) if field.name.endswith("_name")}
    named: dict[str, Any] = {name: redact(value)[0] for name, value in given.items() if value is not None}
    return replace(check, verdict=verdict, **named), reference, current


def _evidently(verdict: DriftVerdict, *, reference: Sample, current: Sample) -> str | None:
    if not (len(reference) and len(current)):
        return None
    return evidently_page(reference=reference, current=current, signals=verdict.signals)


def earlier_checks(storage: Storage, check: DriftCheck, *, most: int = HISTORY) -> list[DriftCheck]:
    """Return the newest complete checks of the same champion's traffic before a check, newest first."""
    if check.champion is None or check.end is None:
        return []
    before = (each for each in list_checks(storage) if f"-v{check.champion}-" in each and each < check.id)
    found = (read_check(storage, each) for each in islice(before, most))
    return [each for each in found if each is not None and each.end is not None and each.end < check.end]


def list_checks(storage: Storage) -> list[str]:
    """Return the ids of the complete checks, newest first; those of two sides, which have no time, come last."""
    found = (path.split("/") for path in storage.list(REPORTS))
    ids = (parts[-2] for parts in found if parts[-1] == "verdict.json")
    return sorted(ids, key=lambda check_id: (check_id[:1].isdigit(), check_id), reverse=True)


def read_check(storage: Storage, check_id: str) -> DriftCheck | None:
    """Read a complete check; None if there is none of that id."""
    if not _ID.fullmatch(check_id):
        return None
    data = storage.read_json(_verdict_path(check_id))
    return None if data is None else DriftCheck.from_dict(data)


def newest_check(storage: Storage, champion: str) -> DriftCheck | None:
    """Return the newest check of the traffic of a champion."""
    found = next((check_id for check_id in list_checks(storage) if f"-v{champion}-" in check_id), None)
    return None if found is None else read_check(storage, found)


def fingerprint(*parts: object) -> str:
    """Return 8 hex digits that stand for values of JSON types."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def _verdict_path(check_id: str) -> str:
    return f"{REPORTS}/{check_id}/verdict.json"
