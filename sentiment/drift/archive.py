"""The drift checks that were made, as files.

A check is named after what it compared, so a retry writes the same files again. Under
``reports/drift/<id>/`` it leaves ``report.html`` and then ``verdict.json``, whose presence says that both
are complete.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sentiment.drift.evidently_page import evidently_page
from sentiment.drift.report import render_report
from sentiment.drift.sample import Sample
from sentiment.drift.verdict import DriftVerdict
from sentiment.drift.words import moved_words, unusual_texts
from sentiment.storage import Storage

REPORTS = "reports/drift"
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
        """Return the check as JSON types."""
        return {
            **vars(self),
            "verdict": self.verdict.to_dict(),
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DriftCheck:
        """Return the check that `to_dict` wrote."""
        times = {name: data[name] and datetime.fromisoformat(data[name]) for name in ("start", "end")}
        return cls(**{**data, **times, "verdict": DriftVerdict.from_dict(data["verdict"])})


def publish_check(
    storage: Storage, check: DriftCheck, *, facts: Mapping[str, str], reference: Sample, current: Sample
) -> DriftCheck:
    """Write a check's report and then its verdict; return it with the report's path."""
    page = check_page(check, facts=facts, reference=reference, current=current)
    published = replace(check, report=f"{REPORTS}/{check.id}/report.html")
    storage.write(f"{REPORTS}/{check.id}/report.html", page.encode("utf-8", errors="replace"))
    verdict = json.dumps(published.to_dict(), indent=2, allow_nan=False)
    storage.write(_verdict_path(check.id), verdict.encode())
    return published


def check_page(check: DriftCheck, *, facts: Mapping[str, str], reference: Sample, current: Sample) -> str:
    """Return a check's report as one HTML document."""
    moved = moved_words(reference=reference.texts, current=current.texts)
    return render_report(
        title=check.id,
        facts=facts,
        verdict=check.verdict,
        reference=reference,
        current=current,
        moved=moved,
        examples=unusual_texts(current.texts, moved=moved),
        evidently=evidently_page(reference=reference, current=current) if len(reference) and len(current) else None,
    )


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
