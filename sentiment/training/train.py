"""From a snapshot to a candidate: one MLflow run."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict
from importlib.metadata import version

import skops.io  # noqa: F401, before MLflow: it looks through all modules there are, which takes a second then

from sentiment.errors import NotEnoughDataError
from sentiment.labels import LABELS
from sentiment.ledger import Ledger
from sentiment.model_records import Candidate, TrainingData
from sentiment.registry import Registry
from sentiment.reviews.table import latest_snapshot, parse_snapshot, read_snapshot
from sentiment.reviews.versions import summarise
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.cause import Cause

log = logging.getLogger(__name__)


def train(
    settings: Settings,
    *,
    registry: Registry,
    snapshot: str | None = None,
    cause: Cause | None = None,
    searched: str | None = None,
) -> Candidate:
    """Train a model on the training split of a snapshot and log it to MLflow.

    The same snapshot and settings give the same model, so a repeated call returns the run there is. Trained models
    that MLflow did not take at the time are logged first.

    Parameters
    ----------
    snapshot : str, optional
        ``reviews@v12``; the latest if not given.
    cause : Cause, optional
        What asked for it, for MLflow and the ledger; by hand if not given.
    searched : str, optional
        The run of the search that chose the settings, to be named in this one.

    Raises
    ------
    NotEnoughDataError
        There are no reviews, too few, or only one label.
    """
    from sentiment.training.abstention import ANSWERS_NONE
    from sentiment.training.candidate_evaluation import evaluate_candidate
    from sentiment.training.model import TRUSTED_TYPES, compile_scorer, fit_with_features

    storage, cause = Storage(settings), cause or Cause()
    number = parse_snapshot(snapshot) if snapshot else _latest(storage)
    name = f"reviews@v{number}"
    key = training_key(settings, name)
    for kept in registry.log_kept():
        log.info("run %s: logged without training again, what was learned from %s", kept.run_id, kept.snapshot)
        _record(storage, kept)
    if found := registry.find_run(key):
        _record(storage, found)
        log.info("run %s has already learned from %s with these settings", found.run_id, name)
        return found

    started = time.perf_counter()
    rows = read_snapshot(storage, number)
    learn, held_out = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    if held_out.empty:
        raise NotEnoughDataError(
            f"{name} has {len(rows)} labelled reviews and none of them is held out.",
            fix="Ingest more labelled reviews, or raise data.test_share before the first ingest.",
        )
    scheme = settings.data.scheme
    log.info("learning from %d reviews of %s, %d held out", len(learn), name, len(held_out))
    labels = learn["label"].tolist()
    pipeline, features = fit_with_features(learn["text"].tolist(), labels, settings=settings.training, scheme=scheme)
    scorer = compile_scorer(pipeline)
    if scorer.min_confidence >= ANSWERS_NONE:
        log.warning(
            "all answers will count as unsure: %.0f%% right is proven not even for the surest; "
            "lower training.answer_accuracy, or ingest more labelled reviews",
            100 * settings.training.answer_accuracy,
        )
    trained = time.perf_counter()
    title = f"A model that learned from {name}"
    measured, files = evaluate_candidate(
        settings.training, pipeline, scorer, learned_from=(features, labels), held_out=held_out, title=title
    )
    seconds = {"train_seconds": trained - started, "evaluate_seconds": time.perf_counter() - trained}
    metrics = {**measured, **seconds}
    data = TrainingData(
        snapshot=name,
        digest=summarise(storage, number).digest,
        uri=storage.uri("tables/reviews"),
        rows={"all": len(rows), "train": len(learn), "test": len(held_out)},
    )
    candidate = registry.log_candidate(
        key=key,
        pipeline=pipeline,
        scorer=scorer,
        trusted_types=TRUSTED_TYPES,
        params={
            **settings.training.model_dump(exclude={"cleaning"}),
            **{f"cleaning.{step}": choice for step, choice in asdict(settings.training.cleaning).items()},
            "scheme": scheme.value,
        },
        metrics=metrics,
        dataset=data,
        tags={
            "sentiment.snapshot": name,
            "sentiment.labels": json.dumps(LABELS[scheme]),
            "sentiment.train_rows": str(len(learn)),
            "sentiment.test_rows": str(len(held_out)),
            "sentiment.code": version("sentiment"),
            "sentiment.cause": str(cause),
            "sentiment.caused_by": json.dumps(cause.to_dict()),
            **({"sentiment.searched": searched} if searched else {}),
        },
        files=files,
    )
    _record(storage, candidate)
    return candidate


def _record(storage: Storage, candidate: Candidate) -> None:
    """Write the entry of a training, once: what its files are checked against."""
    Ledger(storage).append(
        "trained",
        run_id=candidate.run_id,
        snapshot=candidate.snapshot,
        digests={"model": candidate.digest, "pipeline": candidate.pipeline_digest, "data": candidate.data_digest},
        reason=f"accuracy {candidate.metrics['accuracy']:.1%} on {candidate.test_rows:,} held-out reviews",
        detail={
            "cause": json.loads(candidate.cause),
            "rows": {"train": candidate.train_rows, "test": candidate.test_rows},
            "code": candidate.code,
        },
        key=f"trained-{candidate.run_id}",
    )


def training_key(settings: Settings, snapshot: str) -> str:
    """Return what identifies a training: code version, snapshot, settings."""
    parts = {
        "code": version("sentiment"),
        "snapshot": snapshot,
        "training": settings.training.model_dump(mode="json"),
        "scheme": settings.data.scheme.value,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _latest(storage: Storage) -> int:
    found = latest_snapshot(storage)
    if found is None:
        raise NotEnoughDataError(
            "There are no reviews to learn from.",
            fix="Ingest some: `sentiment ingest FILE`, or drop files into the inbox.",
        )
    return found.version
