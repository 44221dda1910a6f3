"""What the gate decides on is gathered from the platform's own models and tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sentiment.errors import ModelError
from sentiment.model_records import Candidate, ModelVersion
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.reviews.table import Reviews, read_snapshot
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training import evidence_gathering
from sentiment.training.evidence import Evidence
from sentiment.training.evidence_gathering import gather_evidence
from sentiment.training.gate import decide
from sentiment.training.promotion import judge, promote, read_decision
from sentiment.training.train import train


@dataclass(frozen=True)
class Platform:
    """A platform with a champion of film reviews and a candidate that has read of kitchens too."""

    settings: Settings
    registry: Registry
    champion: ModelVersion
    candidate: Candidate
    folder: Path


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The module shares one: each training takes seconds."""
    folder = tmp_path_factory.mktemp("gathering")
    settings = load_settings(storage={"root": str(folder / "var")}, training={"learning_curve": False})
    registry = Registry(settings)
    ingest(settings, paths=[write_sample(folder / "film.csv", "film", 800, seed=1)])
    version, decision = judge(settings, registry=registry, challenger=train(settings, registry=registry))
    assert decision.permits
    champion = promote(settings, registry=registry, version=version.version)
    ingest(settings, paths=[write_sample(folder / "kitchen.csv", "kitchen", 800, seed=2)])
    return Platform(settings, registry, champion, train(settings, registry=registry), folder)


def gathered(platform: Platform, *, now: datetime | None = None) -> Evidence:
    return gather_evidence(
        platform.settings,
        registry=platform.registry,
        challenger=platform.candidate,
        champion=platform.champion,
        now=now or datetime.now(UTC),
    )


def refusals(found: Evidence, settings: Settings) -> list[str]:
    return [item.name for item in decide(found, settings.gate).checks if item.outcome == "reject"]


def test_the_evidence_is_about_the_held_out_reviews_of_the_snapshot(platform: Platform) -> None:
    found = gathered(platform)
    rows = read_snapshot(Storage(platform.settings), 2, split="test")
    kitchen = (rows["source"] == "kitchen").to_numpy()
    assert found.labels == ("negative", "positive")
    assert np.array_equal(np.array(found.labels)[found.truth], rows["label"].to_numpy(str))
    assert np.array_equal(found.known, ~kitchen), "what the champion's snapshot holds"
    assert np.array_equal(found.slices["newest reviews"], kitchen)
    assert np.array_equal(found.slices["source kitchen"], kitchen)
    assert sorted(rows.sum() for rows in found.deliveries.values()) == sorted([kitchen.sum(), (~kitchen).sum()])
    scorer = platform.registry.load_scorer(platform.candidate)
    assert np.array_equal(found.challenger.probabilities, scorer.probabilities(rows["text"].tolist()))
    assert found.challenger.train_rows == platform.candidate.train_rows == sum(found.train_labels.values())
    assert found.champion is not None
    assert found.champion.version == "1"
    assert found.champion.train_rows < found.challenger.train_rows
    assert 0 < found.champion.megabytes < 5
    assert (found.challenger.milliseconds > 0).all()
    assert found.leaked == 0


def test_the_age_is_that_of_the_newest_review(platform: Platform) -> None:
    now = datetime.now(UTC) + timedelta(days=100)
    found = gathered(platform, now=now)
    assert found.age_days == pytest.approx(100, abs=0.1)
    assert "snapshot_age" in refusals(found, platform.settings)


def test_a_held_out_text_among_the_training_texts_is_found_however_it_is_written(tmp_path: Path) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")}, training={"learning_curve": False})
    registry = Registry(settings)
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 300, seed=1)])
    candidate = train(settings, registry=registry)
    rows = read_snapshot(Storage(settings), 1)
    copies = rows[rows["split"] == "train"].head(3).assign(split="test", review_id=["f" * 31 + x for x in "abc"])
    copies["text"] = [f"{text.upper()} !!" for text in copies["text"]]
    Reviews(Storage(settings)).append(copies, ids=["copies"])
    leaked = gather_evidence(
        settings, registry=registry, challenger=Candidate(**{**vars(candidate), "snapshot": "reviews@v2"}),
        champion=None, now=datetime.now(UTC),
    )  # fmt: skip
    assert leaked.leaked == 3
    assert "leakage" in refusals(leaked, settings)


def test_very_many_held_out_reviews_are_judged_by_some_always_the_same(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_gathering, "MOST_ROWS", 100)
    first, again = gathered(platform), gathered(platform)
    assert len(first.truth) == 100
    assert np.array_equal(first.challenger.probabilities, again.challenger.probabilities)
    assert 0.3 < first.known.mean() < 0.7


def test_a_champion_of_other_labels_is_refused(platform: Platform) -> None:
    other = ModelVersion(**{**vars(platform.champion), "labels": ("1", "2", "3", "4", "5")})
    with pytest.raises(ModelError, match=r"Use another registry.model_name"):
        gather_evidence(
            platform.settings, registry=platform.registry, challenger=platform.candidate, champion=other,
            now=datetime.now(UTC),
        )  # fmt: skip


def test_a_dry_run_records_all_and_moves_nothing(platform: Platform, tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"text": "The kettle is a delight.", "expect": "positive", "kind": "kettles"}\n')
    gate = {"mode": "dry_run", "behaviour_file": str(cases)}
    dry = platform.settings.model_copy(update={"gate": load_settings(gate=gate).gate})
    registry = Registry(dry)  # MLflow has one address at a time, and other tests had theirs
    version, decision = judge(dry, registry=registry, challenger=platform.candidate)
    assert (decision.outcome, decision.permits, decision.policy["mode"]) == ("promote", False, "dry_run")
    assert "behaviour kettles" in [item.name for item in decision.checks]
    with pytest.raises(ModelError, match="Dry run, nothing is promoted"):
        promote(dry, registry=registry, version=version.version)
    assert registry.champion().version == platform.champion.version

    storage = Storage(platform.settings)
    kept = storage.read(f"reports/gate/v{version.version}/evidence.npz")
    assert len(kept) < 60_000
    assert decide(Evidence.from_bytes(kept, where="kept"), dry.gate) == decision
    assert read_decision(storage, version.version) == decision


def test_the_gate_that_is_off_promotes_what_it_would_have_refused(tmp_path: Path) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")}, training={"learning_curve": False})
    registry = Registry(settings)
    rng = np.random.default_rng(1)
    texts = [f"word{number} word{rng.integers(9)} and more of it" for number in range(400)]
    table = pd.DataFrame({"text": texts, "label": rng.choice(["negative", "positive"], 400)})
    table.to_csv(tmp_path / "noise.csv", index=False)
    ingest(settings, paths=[tmp_path / "noise.csv"])
    candidate = train(settings, registry=registry)
    _, decision = judge(settings, registry=registry, challenger=candidate)
    assert not decision.permits
    off = settings.model_copy(update={"gate": load_settings(gate={"mode": "off"}).gate})
    version, decision = judge(off, registry=registry, challenger=candidate)
    assert decision.permits
    assert "nothing was compared" in decision.reason
    assert promote(off, registry=registry, version=version.version).version == registry.champion().version
