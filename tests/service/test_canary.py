"""The watch of a canary, with real parts: a good one passes, and each bad one fails for what is wrong with it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bentos import BAD, GOOD, PATTERNS, THINGS, UNSURE, BuiltBentos, Shelf
from watched import FAULTS, Watched, break_bento, watched

from sentiment.cli import main
from sentiment.deployment.backend import environment
from sentiment.deployment.canary import CanaryVerdict, look, record
from sentiment.deployment.canary.prometheus import count
from sentiment.labels import LabelScheme
from sentiment.ledger import Ledger
from sentiment.reviews.predictions import ingest_predictions
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VERSIONS = {"good": "3", "errors": "3", "slow": "3", "wrong": "2"}
POLICY = {"steps": [50], "step_minutes": 0.15, "look_seconds": 1, "min_requests": 50, "mirrored": 40}


@dataclass(frozen=True)
class Scene:
    """What runs, since when, and the verdict on each canary."""

    parts: Watched
    since: datetime
    verdicts: dict[str, CanaryVerdict]


def settings_of(parts: Watched, name: str, **more: object) -> Settings:
    policy = {
        **POLICY, "prometheus_url": parts.prometheus, "matchers": f'rollout="{name}"',
        "stable_url": parts.stable, "canary_url": parts.canaries[name], **more,
    }  # fmt: skip
    return load_settings(storage={"root": parts.settings.storage.root}, canary=policy)


def looked(scene_settings: Settings, name: str, since: datetime, **more: str) -> CanaryVerdict:
    step = {"stable": "1", "canary": VERSIONS[name], **more}
    return look(scene_settings, **step, weight=50, since=since, now=datetime.now(UTC))


def third(folder: Path, settings: Settings) -> str:
    """Build the Bento of a version 3 that answers as the first one does, but not with the same probabilities."""
    from sentiment.packaging import package
    from sentiment.training.model import compile_scorer, fit

    words = [(word, "positive") for word in GOOD] + [(word, "negative") for word in BAD]
    rows = [(pattern.format(thing, word), label) for pattern in PATTERNS for thing in THINGS for word, label in words]
    training = settings.training.model_copy(update={"inverse_regularization": 5.0})
    pipeline = fit(
        [text for text, _ in rows], [label for _, label in rows], settings=training, scheme=LabelScheme.binary
    )
    shelf = Shelf(folder)
    shelf.add("3", pipeline, replace(compile_scorer(pipeline), min_confidence=UNSURE))
    return package(settings, shelf, "3").path


@pytest.fixture(scope="module")
def scene(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("canary")
    settings = load_settings(
        storage={"root": str(folder / "var")}, training={"min_documents": 1}, serving={"log_flush_seconds": 0.5}
    )
    good = third(folder / "shelf", settings)
    broken = {name: break_bento(good, folder / f"{name}-bento", fault) for name, fault in FAULTS.items()}
    with watched(folder, settings, bentos.first.path, {"good": good, **broken, "wrong": bentos.second.path}) as parts:
        since, verdicts = datetime.now(UTC), dict[str, CanaryVerdict]()
        deadline = time.monotonic() + 120
        while len(verdicts) < len(VERSIONS) and time.monotonic() < deadline:
            time.sleep(1)
            ingest_predictions(settings)
            for name in set(VERSIONS) - set(verdicts):
                verdict = looked(settings_of(parts, name), name, since)
                if verdict.state != "wait":
                    verdicts[name] = verdict
        parts.stop_calling.set()
        yield Scene(parts, since, verdicts)


def failed(verdict: CanaryVerdict) -> set[str]:
    return {reason.signal for reason in verdict.reasons if reason.state == "fail"}


def test_a_good_canary_passes(scene: Scene) -> None:
    verdict = scene.verdicts["good"]
    assert verdict.state == "pass", verdict.reasons
    mirrored = verdict.evidence["mirrored"]
    assert mirrored["source"] == "the prediction log"
    assert mirrored["compared"] == mirrored["sent"] >= 20
    assert mirrored["probes"] >= 5
    assert mirrored["wrong_probes"] == mirrored["disagreed"] == 0


def test_one_with_errors_fails(scene: Scene) -> None:
    assert failed(scene.verdicts["errors"]) & {"errors", "mirrored_errors"}
    assert "errors" in failed(looked(settings_of(scene.parts, "errors"), "errors", scene.since))


def test_a_slow_one_fails(scene: Scene) -> None:
    assert failed(scene.verdicts["slow"]) == {"latency"}


def test_one_that_answers_200_with_wrong_labels_fails(scene: Scene) -> None:
    assert "disagreement" in failed(scene.verdicts["wrong"])
    unmirrored = looked(settings_of(scene.parts, "wrong", stable_url="", canary_url=""), "wrong", scene.since)
    assert "label_mix" in failed(unmirrored)
    assert not failed(unmirrored) & {"errors", "version", "probes"}


def test_answers_that_are_not_those_of_the_pipeline_fail(scene: Scene) -> None:
    """Asked as version 3, the server of version 2 does not reproduce the probes, nor say the right version."""
    settings = settings_of(scene.parts, "good", canary_url=scene.parts.canaries["wrong"])
    assert {"probes", "version"} <= failed(looked(settings, "good", scene.since))


def test_another_version_on_the_track_fails(scene: Scene) -> None:
    verdict = looked(settings_of(scene.parts, "good"), "good", scene.since, canary="4")
    assert failed(verdict) == {"version"}
    assert "should be version 4, but 3 answers" in verdict.said


def test_every_request_is_counted_once(scene: Scene) -> None:
    """Counters are read at both ends, not estimated from rates, and probes of the watch are not among them."""
    time.sleep(2.5)  # the last scrape
    found = [
        count(settings_of(scene.parts, name).canary, since=scene.since, now=datetime.now(UTC)) for name in VERSIONS
    ]
    requests = sum(tracks["canary"].outcome("ok").total for tracks in found) + found[0]["stable"].outcome("ok").total
    assert requests == sum(scene.parts.sent.values())
    assert found[0]["stable"].answers == found[0]["stable"].outcome("ok").hits == found[0]["stable"].confidence.total


def test_without_series_it_waits_and_then_fails(scene: Scene) -> None:
    settings = settings_of(scene.parts, "good", matchers='rollout="none"', on_patience="pass")
    assert looked(settings, "good", scene.since).state == "wait"
    impatient = settings_of(scene.parts, "good", matchers='rollout="none"', on_patience="pass", patience_minutes=0.15)
    assert looked(impatient, "good", scene.since).state == "fail"


def test_the_command_says_it_and_writes_it_down(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for status, name in ((0, "good"), (10, "wrong")):
        settings = settings_of(scene.parts, name)
        for variable, value in environment(settings).items():
            monkeypatch.setenv(variable, value)
        since = scene.since.strftime("%Y-%m-%dT%H:%M:%SZ")
        command = ["canary", "look", "--stable", "1", "--canary", VERSIONS[name], "--since", since, "--weight", "50"]
        for _ in range(2):
            with pytest.raises(SystemExit) as ended:
                main([*command, "--record", "--json"])
            assert ended.value.code == status
        assert json.loads(capsys.readouterr().out.split("\n}\n")[0] + "}")["state"] == ("fail" if status else "pass")
    entries = [entry for entry in Ledger(Storage(settings)).entries() if entry.event == "canary"]
    assert [(entry.model_version, entry.detail["verdict"]) for entry in entries] == [("3", "passed"), ("2", "failed")]
    assert "disagreement" in {signal for signal, state, _ in entries[1].detail["reasons"] if state == "fail"}


def test_a_verdict_is_written_down_once(scene: Scene, tmp_path: Path) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")})
    for _ in range(2):
        for weight in (5, 25):
            verdict = scene.verdicts["good"]
            step = {"stable": "1", "canary": "3", "weight": weight, "since": scene.since, "release": "r1"}
            record(settings, verdict, **step, digest="d")
    entries = Ledger(Storage(settings)).entries()
    assert [entry.detail["weight"] for entry in entries] == [5, 25]
