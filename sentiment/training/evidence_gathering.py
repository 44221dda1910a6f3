"""Gather what the gate decides on: both models answer the held-out reviews and the behavioural cases."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
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
    rows = read_snapshot(Storage(settings), parse_snapshot(challenger.snapshot))
    learned, held_out = rows[rows["split"] == "train"], _bounded(rows[rows["split"] == "test"])
    before = _snapshot_before(settings, champion)
    cases, texts = behaviour_cases(settings.gate.behaviour_file), held_out["text"].tolist()
    models = [model for model in (challenger, champion) if model is not None]
    scorers = [registry.load_scorer(model) for model in models]
    times = _times(scorers, texts[:TIMED_TEXTS])
    found = [
        _answers(registry, model, scorer, texts=texts, cases=cases, milliseconds=milliseconds)
        for model, scorer, milliseconds in zip(models, scorers, times, strict=True)
    ]
    columns = {label: column for column, label in enumerate(scorers[0].labels)}
    return Evidence(
        snapshot=challenger.snapshot,
        labels=tuple(scorers[0].labels),
        truth=held_out["label"].map(columns).to_numpy(np.intp),
        challenger=found[0],
        champion=found[1] if champion is not None else None,
        known=held_out["review_id"].isin(before["review_id"]).to_numpy(bool),
        slices=_slices(held_out),
        deliveries=_deliveries(held_out),
        kinds=cases.kinds,
        groups=cases.groups,
        train_labels=dict(Counter(learned["label"].tolist())),
        leaked=_leaked(texts, [*learned["text"], *before.loc[before["split"] == "train", "text"]]),
        age_days=_age_days(rows, now),
    )


def _bounded(rows: pd.DataFrame) -> pd.DataFrame:
    if len(rows) <= MOST_ROWS:
        return rows
    chosen = np.sort(np.argsort(rows["review_id"].to_numpy(), kind="stable")[:MOST_ROWS])
    return rows.iloc[chosen]


def _snapshot_before(settings: Settings, champion: ModelVersion | None) -> pd.DataFrame:
    """Return the reviews of the champion's snapshot; none where it is not kept."""
    columns = ["review_id", "split", "text"]
    if champion is not None:
        try:
            rows = Reviews(Storage(settings)).read(
                columns=columns, where=pads.field("label").is_valid(), version=parse_snapshot(champion.snapshot)
            )
            return rows.to_pandas()
        except DataError:
            pass  # then every review counts as new, and the gate asks for more
    return pd.DataFrame(columns=columns)


def _answers(
    registry: Registry,
    model: Candidate | ModelVersion,
    scorer: Scorer,
    *,
    texts: Sequence[str],
    cases: Cases,
    milliseconds: NDArray[np.float64],
) -> ModelEvidence:
    return ModelEvidence(
        version=model.version if isinstance(model, ModelVersion) else None,
        probabilities=scorer.probabilities(texts),
        failures=cases.failures(scorer),
        megabytes=registry.artifact(model, SCORER_FILE).stat().st_size / 1e6,
        milliseconds=milliseconds,
        train_rows=registry.candidate(model.run_id).train_rows,
    )


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


def _leaked(held_out: Sequence[str], learned: Sequence[str]) -> int:
    known = {_identity(text) for text in learned}
    return sum(_identity(text) in known for text in held_out)


def _identity(text: str) -> int:
    return hash(letters_and_digits(text) or normalise(text))


def _age_days(rows: pd.DataFrame, now: datetime) -> float:
    if rows.empty:
        return 0.0
    age: pd.Timedelta = pd.Timestamp(now) - rows["ingested_at"].max()
    return max(0.0, float(age.total_seconds()) / 86_400)
