"""What another policy would have decided: the recorded evidence, judged again.

Each challenger is compared with the champion that it was compared with: had an earlier decision been another, later
challengers would have met another champion, and that is not replayed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sentiment.errors import ModelError, SettingsError
from sentiment.settings import GatePolicy, Settings
from sentiment.storage import Storage
from sentiment.training.decision import Decision, Outcome
from sentiment.training.evidence import Evidence
from sentiment.training.gate import decide
from sentiment.training.paired import Pairs
from sentiment.training.promotion import read_decision

FOLDER = "reports/gate"


@dataclass(frozen=True)
class Replay:
    """One recorded decision and what it would have been.

    Attributes
    ----------
    before, after : Outcome
        As recorded, and under the other policy.
    promoted_before, promoted_after : bool
        Whether the challenger was, and would have been, let through.
    reason : str
        Of the decision under the other policy.
    cost : float or None
        Accuracy that the change loses on the held-out reviews, below zero what it gains; None without a change or
        a champion.
    low, high : float or None
        Its 90% interval.
    """

    version: str
    champion: str | None
    before: Outcome
    after: Outcome
    promoted_before: bool
    promoted_after: bool
    reason: str
    cost: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def changed(self) -> bool:
        """Whether another model would have been promoted."""
        return self.promoted_before != self.promoted_after


@dataclass(frozen=True)
class Backtest:
    """All replays, oldest first, and the versions whose evidence was not recorded."""

    replays: tuple[Replay, ...]
    without_evidence: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {**asdict(self), "changed": [replay.version for replay in self.replays if replay.changed]}


def read_policy(path: Path, current: GatePolicy) -> GatePolicy:
    """Return the policy of the section ``[gate]`` of a TOML file; what it does not name stays as it is.

    Raises
    ------
    SettingsError
        The file cannot be read, has no such section, or a setting in it is unknown or out of bounds.
    """
    fix = "Write it like a sentiment.toml: [gate], then lines like margin = 0.02."
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return GatePolicy(**{**current.model_dump(), **found["gate"]})
    except ValidationError as error:
        problems = "; ".join(f"gate.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Bad policy in {path}: {problems}.", fix=fix) from error
    except (KeyError, TypeError) as error:
        raise SettingsError(f"{path} has no section [gate].", fix=fix) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"Cannot read {path}: {error}.", fix=fix) from error


def backtest(settings: Settings, policy: GatePolicy) -> Backtest:
    """Judge every recorded challenger again under another policy. Nothing is written and nothing changes.

    Raises
    ------
    ModelError
        No decision has been recorded yet.
    DataError
        Recorded evidence is damaged.
    """
    storage = Storage(settings)
    there = set(storage.list(f"{FOLDER}/"))
    versions = _judged(sorted(there))
    if not versions:
        raise ModelError("No challenger was judged yet.", fix="`sentiment promote` judges one.")
    kept = [version for version in versions if _path(version) in there]
    return Backtest(
        replays=tuple(_replay(storage, version, policy) for version in kept),
        without_evidence=tuple(version for version in versions if version not in kept),
    )


def _judged(paths: Sequence[str]) -> list[str]:
    found = (re.fullmatch(rf"{FOLDER}/v(\d+)/decision\.json", path) for path in paths)
    return sorted((match[1] for match in found if match), key=int)


def _path(version: str) -> str:
    return f"{FOLDER}/v{version}/evidence.npz"


def _replay(storage: Storage, version: str, policy: GatePolicy) -> Replay:
    evidence = Evidence.from_bytes(storage.read(_path(version)), where=storage.uri(_path(version)))
    before, after = read_decision(storage, version), decide(evidence, policy)
    replay = Replay(
        version=version,
        champion=before.champion,
        before=before.outcome,
        after=after.outcome,
        promoted_before=before.permits,
        promoted_after=after.permits,
        reason=after.reason,
    )
    return _with_cost(replay, evidence, before)


def _with_cost(replay: Replay, evidence: Evidence, before: Decision) -> Replay:
    if not replay.changed or evidence.champion is None:
        return replay
    ours, theirs = evidence.right(evidence.challenger), evidence.right(evidence.champion)
    kept, chosen = (ours, theirs) if before.permits else (theirs, ours)
    lost = Pairs.of(challenger=kept, champion=chosen)  # what is given up against what is taken instead
    gained = Pairs.of(challenger=chosen, champion=kept)
    given = {"cost": lost.difference, "low": lost.low(0.05), "high": -gained.low(0.05)}
    return Replay(**{**vars(replay), **given})
