"""Model cards as files: made when a version was judged, under ``reports/gate/v<N>/``, and kept with its MLflow run."""

from __future__ import annotations

import logging
from datetime import datetime

import pyarrow.compute as pc
from pydantic import TypeAdapter

from sentiment.errors import DataError, ModelError, ServiceError
from sentiment.model_folder import requirements
from sentiment.model_records import ModelVersion
from sentiment.registry import Registry
from sentiment.reviews.table import Reviews, parse_snapshot
from sentiment.reviews.versions import SnapshotSummary, summarise
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.candidate_evaluation import FOLDER as EVALUATION
from sentiment.training.card import card, summary
from sentiment.training.card_facts import CardFacts, DriftContext
from sentiment.training.documents import to_html, to_markdown
from sentiment.training.evaluation import Evaluation
from sentiment.training.gate import Decision

log = logging.getLogger(__name__)

HTML, MARKDOWN = "card.html", "card.md"
_DRIFT_REPORTS = "reports/drift"


def publish_card(settings: Settings, *, registry: Registry, version: ModelVersion, decision: Decision) -> None:
    """Write the card of a judged version to the storage and to its run, and its summary to the version's page."""
    facts = gather_facts(settings, registry=registry, version=version, decision=decision)
    document, storage = card(facts), Storage(settings)
    written = {HTML: to_html(document), MARKDOWN: to_markdown(document)}
    for name, content in written.items():
        storage.write(card_path(version.version, name), content.encode())
    with registry.client(f"log the model card of version {version.version}") as client:
        for name, content in written.items():
            client.log_text(version.run_id, content, f"card/{name}")
        experiment = client.get_run(version.run_id).info.experiment_id
    address = f"#/experiments/{experiment}/runs/{version.run_id}/artifacts/card/{HTML}"  # in MLflow's own pages
    said = f"{to_markdown(summary(facts))}\n[The model card]({address}), also as {storage.uri('')}"
    registry.describe(version.version, f"{said}{card_path(version.version, HTML)}\n")


def card_path(version: str, name: str) -> str:
    """Return where a card lies under the storage root."""
    return f"reports/gate/v{version}/{name}"


def read_card(storage: Storage, version: str, name: str) -> str:
    """Return the card of a version, as `HTML` or `MARKDOWN`.

    Raises
    ------
    ModelError
        The version was never judged.
    """
    try:
        return storage.read(card_path(version, name)).decode()
    except FileNotFoundError as error:
        raise ModelError(
            f"Version {version} has no model card: it was never judged.",
            fix=f"`sentiment promote {version}` judges it.",
        ) from error


def gather_facts(settings: Settings, *, registry: Registry, version: ModelVersion, decision: Decision) -> CardFacts:
    """Read what a card says. What is not there any more, such as an old snapshot, is left out."""
    candidate = registry.candidate(version.run_id)
    with registry.client(f"read run {version.run_id}") as client:
        run = client.get_run(version.run_id).data
    storage = Storage(settings)
    data, written = _data(storage, version.snapshot)
    return CardFacts(
        model=settings.registry.model_name,
        version=version,
        train_rows=candidate.train_rows,
        test_rows=candidate.test_rows,
        data=data,
        written=written,
        evaluation=_evaluation(registry, version),
        decision=decision,
        policy=settings.gate.model_dump(mode="json"),
        training={name: run.params[name] for name in sorted(run.params) if not name.startswith("rows_")},
        requirements=tuple(run.tags.get("sentiment.requirements", " ".join(requirements())).split()),
        drift=_drift_before(storage, version.created_at),
    )


def _evaluation(registry: Registry, version: ModelVersion) -> Evaluation | None:
    try:
        path = registry.artifact(version, f"{EVALUATION}/evaluation.json")
    except ServiceError:
        raise
    except ModelError as error:
        log.warning("the card of version %s has no evaluation: %s", version.version, error)
        return None
    found: Evaluation = TypeAdapter(Evaluation).validate_json(path.read_bytes())
    return found


def _data(storage: Storage, snapshot: str) -> tuple[SnapshotSummary | None, tuple[datetime, datetime] | None]:
    number, ends = parse_snapshot(snapshot), list[datetime]()
    try:
        held = summarise(storage, number)
    except DataError as error:
        log.warning("the card has no data: %s", error)
        return None, None
    for batch in Reviews(storage).read_batches(columns=["written_at"], version=number):
        found = pc.min_max(batch["written_at"]).as_py()
        ends += [moment for moment in found.values() if moment is not None]
    return held, (min(ends), max(ends)) if ends else None


def _drift_before(storage: Storage, moment: datetime) -> DriftContext | None:
    """Return the newest complete drift check before a moment."""
    verdicts = [item for item in storage.objects(_DRIFT_REPORTS) if item.path.endswith("/verdict.json")]
    earlier = [item for item in verdicts if item.modified <= moment]
    if not earlier:
        return None
    newest = max(earlier, key=lambda item: item.modified)
    found = storage.read_json(newest.path)
    verdict = found["verdict"]
    return DriftContext(found["id"], verdict["state"], tuple(verdict["reasons"]), found["report"] or "not published")
