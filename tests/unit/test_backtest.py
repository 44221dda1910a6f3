"""Recorded decisions, replayed under another policy."""

import json
from pathlib import Path

import numpy as np
import pytest

from sentiment.cli import main
from sentiment.errors import DataError, ModelError, SettingsError
from sentiment.settings import GateMode, GatePolicy, Settings
from sentiment.storage import Storage
from sentiment.training.backtest import backtest, read_policy
from sentiment.training.evidence import Evidence, ModelEvidence
from sentiment.training.gate import decide

ROWS = 2_000
AT = np.arange(ROWS)


def model(wrong: np.ndarray, version: str) -> ModelEvidence:
    columns = np.where(wrong, 1 - AT % 2, AT % 2)
    probabilities = np.where(np.eye(2, dtype=bool)[columns], 0.9, 0.1)
    return ModelEvidence(version, probabilities, np.zeros(0, bool), 1.0, np.ones(5), ROWS)


def record(settings: Settings, version: str, *, lost: int, gained: int, policy: GatePolicy | None = None) -> None:
    """Record a challenger that is wrong on some reviews that the champion gets right, and right on some others."""
    evidence = Evidence(
        "reviews@v2", ("negative", "positive"), AT % 2, model(180 + lost > AT, version),
        model((AT < 180) | (ROWS - gained <= AT), "1"), known=np.ones(ROWS, bool),
        train_labels={"negative": 900, "positive": 900},
    )  # fmt: skip
    storage = Storage(settings)
    storage.write(f"reports/gate/v{version}/evidence.npz", evidence.to_bytes())
    decision = decide(evidence, policy or settings.gate)
    storage.write(f"reports/gate/v{version}/decision.json", json.dumps(decision.to_dict()).encode())


@pytest.fixture
def recorded(settings: Settings) -> Settings:
    record(settings, "2", lost=10, gained=40)
    record(settings, "10", lost=46, gained=10)
    record(settings, "3", lost=10, gained=11, policy=GatePolicy(mode=GateMode.dry_run))
    Storage(settings).write("reports/gate/v4/decision.json", Storage(settings).read("reports/gate/v3/decision.json"))
    return settings


def test_the_same_policy_changes_nothing_but_what_was_only_tried(recorded: Settings) -> None:
    found = backtest(recorded, recorded.gate)
    assert [(item.version, item.before, item.after) for item in found.replays] == [
        ("2", "promote", "promote"), ("3", "promote", "promote"), ("10", "reject", "reject"),
    ]  # fmt: skip
    assert [item.version for item in found.replays if item.changed] == ["3"]
    assert found.without_evidence == ("4",)


def test_a_loose_policy_lets_a_worse_model_through_and_tells_what_that_costs(recorded: Settings) -> None:
    loose = backtest(recorded, GatePolicy(margin=0.1)).replays[-1]
    assert (loose.before, loose.after, loose.changed) == ("reject", "promote", True)
    assert loose.cost == pytest.approx(0.018)
    assert loose.low is not None
    assert loose.high is not None
    assert 0.008 < loose.low < 0.018 < loose.high < 0.028


def test_a_strict_policy_keeps_a_better_model_out_and_that_costs_too(recorded: Settings) -> None:
    strict = backtest(recorded, GatePolicy(margin=1e-5, alpha=1e-6)).replays[0]
    assert (strict.before, strict.after) == ("promote", "inconclusive")
    assert strict.cost == pytest.approx(0.015)


def test_the_command_shows_what_would_change(
    recorded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", recorded.storage.root)
    policy = tmp_path / "new.toml"
    policy.write_text("[gate]\nmargin = 0.1\n")
    with pytest.raises(SystemExit) as ended:
        main(["backtest", "--policy", str(policy), "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["changed"] == ["3", "10"]
    with pytest.raises(SystemExit):
        main(["backtest", "--policy", str(policy)])
    said = capsys.readouterr()
    assert "Version 10 would be promoted; that loses +1.8 points of accuracy" in said.out
    assert "Version 4 has no recorded evidence." in said.out
    assert "3 decisions, 2 would be others" in said.err


def test_a_policy_names_only_what_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text("[gate]\nmargin = 0.05\n")
    assert read_policy(path, GatePolicy(alpha=0.1)) == GatePolicy(alpha=0.1, margin=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gate]\nmargn = 0.1", "gate.margn: Extra inputs"),
        ("[gate]\nmargin = 3", "gate.margin"),
        ("margin = 0.1", r"has no section \[gate\]"),
        ("gate = 3", r"has no section \[gate\]"),
        ("[gate", "Cannot read"),
        (None, "Cannot read"),
    ],
)
def test_a_bad_policy_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "new.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        read_policy(path, GatePolicy())


def test_without_decisions_there_is_nothing_to_replay(settings: Settings) -> None:
    with pytest.raises(ModelError, match="No challenger was judged yet"):
        backtest(settings, settings.gate)


def test_damaged_evidence_is_named(recorded: Settings) -> None:
    Storage(recorded).write("reports/gate/v3/evidence.npz", b"nothing")
    with pytest.raises(DataError, match=r"reports/gate/v3/evidence.npz is no readable evidence"):
        backtest(recorded, recorded.gate)
