"""Registered models on a real MLflow: one champion, moved by exactly one of several callers."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentiment.errors import ModelError, NoChampionError, PromotionConflictError, ServiceError
from sentiment.labels import LabelScheme
from sentiment.ledger import Ledger
from sentiment.model_records import Candidate
from sentiment.promotions import Promotions
from sentiment.registry import Registry
from sentiment.reviews.sample import generate
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training.model import TRUSTED_TYPES, compile_scorer, fit


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Registry, list[Candidate]]]:
    """A registry with three trained candidates; logging one takes seconds, so the module shares them."""
    settings = load_settings(storage={"root": str(tmp_path_factory.mktemp("registry"))})
    registry = Registry(settings)
    return settings, registry, [_train(registry, settings, seed) for seed in (1, 2, 3)]


def _train(registry: Registry, settings: Settings, seed: int) -> Candidate:
    reviews = list(generate("film", 300, seed=seed))
    pipeline = fit(
        [review.text for review in reviews],
        [review.label for review in reviews],
        settings=settings.training,
        scheme=LabelScheme.binary,
    )
    candidate = registry.log_candidate(
        key=f"key-{seed}",
        pipeline=pipeline,
        scorer=compile_scorer(pipeline),
        trusted_types=TRUSTED_TYPES,
        params={"seed": seed},
        metrics={"accuracy": 0.9},
        tags={
            "sentiment.snapshot": f"reviews@v{seed}",
            "sentiment.labels": '["negative", "positive"]',
            "sentiment.train_rows": "240",
            "sentiment.test_rows": "60",
            "sentiment.code": "1.2.3",
        },
        files={"notes/seed.txt": str(seed).encode()},
    )
    Ledger(Storage(settings)).append(
        "trained",
        run_id=candidate.run_id,
        digests={"model": candidate.digest, "pipeline": candidate.pipeline_digest},
    )
    return candidate


def test_the_story_of_three_candidates(shared: tuple[Settings, Registry, list[Candidate]]) -> None:
    settings, registry, candidates = shared
    with pytest.raises(NoChampionError, match="no champion yet"):
        registry.champion()
    assert registry.find_run("key-2") == candidates[1]
    assert registry.find_run("never trained") is None
    assert registry.newest_candidate() == candidates[2]

    first, second, third = (registry.register(candidate, decision="promote") for candidate in candidates)
    assert registry.register(candidates[0], decision="promote").version == first.version, "a retry registers once"
    assert [version.version for version in registry.versions()] == ["3", "2", "1"]
    assert not Storage(settings).list("candidates"), "what MLflow has is not kept twice"

    assert "champion" in registry.promote(first.version, expected=None, reason="first").aliases
    assert registry.promote(first.version, expected=None, reason="retried").version == first.version

    outcomes: list[str] = []

    def attempt(version: str) -> None:
        try:
            outcomes.append(Registry(settings).promote(version, expected=first.version, reason="race").version)
        except PromotionConflictError:
            outcomes.append("lost")

    threads = [threading.Thread(target=attempt, args=(v,)) for v in (second.version, third.version) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = registry.champion().version
    loser = ({second.version, third.version} - {winner}).pop()
    assert set(outcomes) == {winner, "lost"}, "several calls for the winner may succeed, none for the loser"
    assert outcomes.count("lost") == 3
    assert registry.version("previous_champion").version == first.version

    with pytest.raises(PromotionConflictError, match=f"judged against version {first.version}"):
        registry.promote(loser, expected=first.version, reason="late")

    back = registry.promote(first.version, expected=winner, reason="bad", rollback=True)
    assert back.version == registry.champion().version == first.version
    last = Promotions(Storage(settings)).last()
    assert last is not None
    assert last.rollback
    assert not any("previous_champion" in version.aliases for version in registry.versions()), (
        "there is nothing before the first champion, and a second rollback must not go forward again"
    )


def test_an_unknown_version_is_named(shared: tuple[Settings, Registry, list[Candidate]]) -> None:
    with pytest.raises(ModelError, match="There is no model sentiment 99"):
        shared[1].version("99")


def test_a_person_reads_on_the_version_what_it_is(shared: tuple[Settings, Registry, list[Candidate]]) -> None:
    from mlflow import MlflowClient
    from mlflow.models import Model

    settings, registry, candidates = shared
    version = registry.register(candidates[0], decision="promote")
    registry.describe(version.version, "**What it is**")
    found = MlflowClient(settings.tracking_uri).get_model_version("sentiment", version.version)
    assert found.description == "**What it is**"
    assert found.tags["requirements"].split()[0].startswith("numpy==")
    assert {name: found.tags[name] for name in ("snapshot", "digest", "pipeline_digest", "decision", "code")} == {
        "snapshot": "reviews@v1",
        "digest": candidates[0].digest,
        "pipeline_digest": candidates[0].pipeline_digest,
        "decision": "promote",
        "code": "1.2.3",
    }
    [folder] = (
        path.parent
        for path in Path(settings.storage.root).rglob("MLmodel")
        if candidates[0].pipeline_digest == hashlib.sha256((path.parent / "model.skops").read_bytes()).hexdigest()
    )
    assert str(Model.load(folder).signature.inputs) == "[string (required)]"
    assert set(found.tags["requirements"].split()) <= set((folder / "requirements.txt").read_text().split())
    assert registry.artifact(version, "notes/seed.txt").read_text() == "1"


def test_a_server_that_does_not_answer_is_a_service_error(tmp_path: Path) -> None:
    settings = load_settings(
        storage={"root": str(tmp_path)},
        registry={"tracking_uri": "http://127.0.0.1:9", "timeout_seconds": 1},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(ServiceError, match=r"127\.0\.0\.1:9 does not answer"):
            Registry(settings).champion()
