"""One delivered file into the tables, exactly once.

A batch is known by the digest of its content. Its refused rows go to the quarantine first, its accepted rows
to the reviews last: the batch counts as ingested when that commit is there. What is done already is left out,
so that a load which was killed anywhere and is repeated ends as one clean load does.
"""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow.dataset as pads

from sentiment.reviews.contract import Checked, apply_contract
from sentiment.reviews.sources import digest, read_batches, source_name
from sentiment.reviews.table import Quarantine, Reviews, split_of
from sentiment.settings import Settings
from sentiment.storage import Storage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """What loading one file did; `is_new` is False when its content had been ingested before."""

    batch_id: str
    is_new: bool
    accepted: int
    duplicates: int
    refused: Mapping[str, int]


class BatchLoader:
    """Loads files into the reviews table and the quarantine; hold the ingest lock while you use it.

    Parameters
    ----------
    settings : Settings
        Label scheme and limits.
    storage : Storage
        Where the tables live.
    text, label : str, optional
        Names of the columns, found by their usual names otherwise.
    source : str, optional
        Source of the reviews; otherwise the file's own column, or the name of the file.
    """

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        *,
        text: str | None = None,
        label: str | None = None,
        source: str | None = None,
    ) -> None:
        self._data = settings.data
        self._reviews = Reviews(storage)
        self._quarantine = Quarantine(storage)
        self._text, self._label, self._source = text, label, source

    @property
    def quarantine_uri(self) -> str:
        """Where the refused rows are."""
        return self._quarantine.uri

    def load(self, path: Path) -> Batch:
        """Load one file.

        Raises
        ------
        SourceError
            The file cannot be read to its end; nothing of it was written.
        """
        batch_id = digest(path)
        if self._reviews.recorded([batch_id]):
            logger.info("ingest: %s skipped, the same content is batch %s", path.name, batch_id[:12])
            return Batch(batch_id, is_new=False, accepted=0, duplicates=0, refused={})
        checked = self._check(path)
        moment = datetime.now(UTC)
        self._append_refused(checked.refused, batch_id, path.name, moment)
        self._append_accepted(checked.accepted, batch_id, moment)
        refused = {str(reason): int(n) for reason, n in checked.refused["reason"].value_counts().items()}
        logger.info(
            "ingest: %s accepted %d, duplicates %d, refused %s",
            *(path.name, len(checked.accepted), checked.duplicates, refused or 0),
        )
        return Batch(batch_id, True, len(checked.accepted), checked.duplicates, refused)

    @cached_property
    def _known(self) -> dict[str, str | None]:
        """Labels of the reviews in the table, by id; a text may be there without and with its label."""
        rows = self._reviews.read(columns=["review_id", "label"])
        known: dict[str, str | None] = {}
        for review_id, label in zip(rows["review_id"].to_pylist(), rows["label"].to_pylist(), strict=True):
            if label is not None or review_id not in known:
                known[review_id] = label
        return known

    def _check(self, path: Path) -> Checked:
        """Read a whole file through the contract."""
        known: ChainMap[str, str | None] = ChainMap({}, self._known)
        parts = []
        batches = read_batches(path, text=self._text, label=self._label, batch_rows=self._data.batch_rows)
        for rows in batches:
            named = rows["source"].where(rows["source"].notna(), source_name(path))
            checked = apply_contract(rows.assign(source=self._source or named), self._data, known=known)
            known.update(zip(checked.accepted["review_id"], checked.accepted["label"], strict=True))
            parts.append(checked)
        self._known.update(known.maps[0])  # only now: the file was readable to its end
        return Checked(
            accepted=pd.concat([part.accepted for part in parts], ignore_index=True),
            refused=pd.concat([part.refused for part in parts], ignore_index=True),
            duplicates=sum(part.duplicates for part in parts),
        )

    def _append_accepted(self, accepted: pd.DataFrame, batch_id: str, moment: datetime) -> None:
        if accepted.empty:
            return
        share = self._data.test_share
        rows = accepted.assign(
            split=[split_of(review_id, share) for review_id in accepted["review_id"]],
            ingested_at=moment,
            batch_id=batch_id,
        )
        self._reviews.append(rows, ids=[batch_id])

    def _append_refused(self, refused: pd.DataFrame, batch_id: str, name: str, moment: datetime) -> None:
        """Append those refused rows of a batch that are not there yet from an earlier attempt."""
        before = self._quarantine.read(columns=["row_number"], where=pads.field("batch_id") == batch_id)
        numbers = before["row_number"].to_pylist()
        missing = refused[~refused["row_number"].isin(numbers)]
        if missing.empty:
            return
        rows = missing.assign(source_file=name, batch_id=batch_id, quarantined_at=moment)
        self._quarantine.append(rows, ids=[f"{batch_id}/{len(numbers)}"])
