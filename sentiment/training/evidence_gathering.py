"""Gather what the gate decides on: both models answer the held-out reviews and the behavioural cases."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.dataset as pads
from numpy.typing import NDArray

from sentiment.errors import DataError, ModelError
from sentiment.model_files import SCORER_FILE
from sentiment.model_records import Candidate, ModelVersion
from sentiment.registry import Registry
from sentiment.reviews.identity import letters_and_digits, normalise
from sentiment.reviews.table import Reviews, parse_snapshot, read_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.behaviour import Cases, behaviour_cases
from sentiment.training.evidence import Bools, Evidence, ModelEvidence
from sentiment.training.slices import Traits

if TYPE_CHECKING:
    from sentiment.serving.scorer import Scorer

MOST_ROWS = 200_000
"""Held-out reviews that are judged at the most, chosen by their hash: more change nothing."""

MOST_DELIVERIES = 50
"""Newest deliveries that are looked at one by one."""

TIMED_TEXTS, TIMES = 60, 5


def gather_evidence(
    settings: Settings,
    *,
    registry: Registry,
    challenger: Candidate | ModelVersion,
    champion: ModelVersion | None,
    now: datetime,
) -> Evidence:
    """Have champion and challenger answer the held-out reviews of the challenger's snapshot.

    A review is held out by a hash of its text, so neither has learned from them.

    Parameters
    ----------
    now : datetime
        When the age of the snapshot is taken.

    Raises
    ------
    ModelError
        The two answer other labels.
    SettingsError
        ``gate.behaviour_file`` cannot be read.
    """
    if champion is not None and set(champion.labels) != set(challenger.labels):
        raise ModelError(
            f"Champion {champion.version} answers {champion.labels}, the challenger {challenger.labels}.",
            fix="Use another registry.model_name for another label scheme.",
        )
    storage, cases = Storage(settings), behaviour_cases(settings.gate.behaviour_file)
    now_there, before = _contents(storage, challenger.snapshot), _contents_before(storage, champion)
    held_out = _bounded(read_snapshot(storage, parse_snapshot(challenger.snapshot), split="test"))
    texts, labels = held_out["text"].tolist(), tuple(challenger.labels)
    models = [challenger] if champion is None else [challenger, champion]
    found = _models(registry, models, texts=texts, cases=cases)
    columns = {label: column for column, label in enumerate(labels)}
    return Evidence(
        snapshot=challenger.snapshot,
        labels=labels,
        truth=held_out["label"].map(columns).to_numpy(np.intp),
        challenger=found[0],
        champion=found[1] if champion is not None else None,
        known=held_out["review_id"].isin(before.held_out).to_numpy(bool),
        slices=_slices(held_out),
        deliveries=_deliveries(held_out),
        kinds=cases.kinds,
        groups=cases.groups,
        train_labels=dict(now_there.labels),
        leaked=sum(_identity(text) in now_there.learned or _identity(text) in before.learned for text in texts),
        age_days=max(0.0, (now - now_there.newest).total_seconds() / 86_400) if now_there.newest else 0.0,
    )


@dataclass
class _Contents:
    """What is in a snapshot, without its texts."""

    learned: set[int] = field(default_factory=set)
    labels: Counter[str] = field(default_factory=Counter)
    held_out: set[str] = field(default_factory=set)
    newest: datetime | None = None


def _contents(storage: Storage, snapshot: str) -> _Contents:
    """Read a snapshot a batch at a time: training texts by identity, held-out reviews by id."""
    found = _Contents()
    batches = Reviews(storage).read_batches(
        columns=["review_id", "split", "text", "label", "ingested_at"],
        where=pads.field("label").is_valid(),
        version=parse_snapshot(snapshot),
    )
    for batch in batches:
        rows = batch.to_pandas()
        train = rows[rows["split"] == "train"]
        found.learned.update(map(_identity, train["text"]))
        found.labels.update(train["label"].tolist())
        found.held_out.update(rows.loc[rows["split"] == "test", "review_id"])
        newest = rows["ingested_at"].max().to_pydatetime()
        found.newest = newest if found.newest is None else max(found.newest, newest)
    return found


def _contents_before(storage: Storage, champion: ModelVersion | None) -> _Contents:
    try:
        return _Contents() if champion is None else _contents(storage, champion.snapshot)
    except DataError:  # its snapshot is not kept: then every review counts as new
        return _Contents()


def _models(
    registry: Registry, models: Sequence[Candidate | ModelVersion], *, texts: Sequence[str], cases: Cases
) -> list[ModelEvidence]:
    scorers = [registry.load_scorer(model) for model in models]
    times = _times(scorers, texts[:TIMED_TEXTS])
    return [
        ModelEvidence(
            version=model.version if isinstance(model, ModelVersion) else None,
            probabilities=scorer.probabilities(texts),
            failures=cases.failures(scorer),
            megabytes=registry.artifact(model, SCORER_FILE).stat().st_size / 1e6,
            milliseconds=milliseconds,
            train_rows=registry.candidate(model.run_id).train_rows,
        )
        for model, scorer, milliseconds in zip(models, scorers, times, strict=True)
    ]


def _bounded(rows: pd.DataFrame) -> pd.DataFrame:
    if len(rows) <= MOST_ROWS:
        return rows
    chosen = np.sort(np.argsort(rows["review_id"].to_numpy(), kind="stable")[:MOST_ROWS])
    return rows.iloc[chosen]


def _times(scorers: Sequence[Scorer], texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the least time of one prediction for each model and text: both take turns, whatever else runs here."""
    found = np.full((len(scorers), len(texts)), np.inf)
    for _ in range(TIMES):
        for place, text in enumerate(texts):
            for turn, scorer in enumerate(scorers):
                begin = time.perf_counter_ns()
                scorer.probabilities([text])
                found[turn, place] = min(found[turn, place], (time.perf_counter_ns() - begin) / 1e6)
    return found


def _slices(held_out: pd.DataFrame) -> dict[str, Bools]:
    moments = held_out["written_at"].fillna(held_out["ingested_at"])
    return Traits.of(
        held_out["text"].tolist(),
        labels=held_out["label"].tolist(),
        sources=held_out["source"].tolist(),
        moments=moments.to_numpy("datetime64[us]"),
    ).slices()


def _deliveries(held_out: pd.DataFrame) -> dict[str, Bools]:
    batches = held_out["batch_id"].to_numpy(object)
    newest = list(dict.fromkeys(reversed(batches.tolist())))[:MOST_DELIVERIES]
    return {str(batch)[:12]: batches == batch for batch in newest}


def _identity(text: str) -> int:
    return hash(letters_and_digits(text) or normalise(text))
