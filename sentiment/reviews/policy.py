"""When a whole batch looks wrong: too much of it refused, one label only, or too large. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sentiment.settings import BatchPolicy


@dataclass(frozen=True)
class BatchCounts:
    """What there is to count in a batch that was read to its end; `labels` are those of the accepted rows."""

    accepted: int
    duplicates: int
    refused: Mapping[str, int]
    labels: Mapping[str, int]

    @property
    def rows(self) -> int:
        """All rows that were delivered."""
        return self.accepted + self.duplicates + sum(self.refused.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON types."""
        return {**asdict(self), "rows": self.rows}


def judge_batch(counts: BatchCounts, policy: BatchPolicy) -> list[str]:
    """Return why a batch must be held, with the numbers; nothing if it may pass.

    Shares of fewer than ``batch.min_rows`` rows say little and are not judged.
    """
    reasons = []
    if counts.rows > policy.max_rows:
        reasons.append(f"{counts.rows:,} rows are more than the {policy.max_rows:,} of batch.max_rows")
    refused = sum(counts.refused.values())
    if counts.rows >= policy.min_rows and refused > policy.max_refused_share * counts.rows:
        worst = ", ".join(f"{reason} {count:,}" for reason, count in _largest_first(counts.refused))
        reasons.append(
            f"{refused:,} of {counts.rows:,} rows ({refused / counts.rows:.1%}) were refused ({worst}), "
            f"more than the {policy.max_refused_share:.1%} of batch.max_refused_share"
        )
    labelled = sum(counts.labels.values())
    if labelled >= policy.min_rows:
        label, count = _largest_first(counts.labels)[0]
        if count > policy.max_label_share * labelled:
            reasons.append(
                f"{count:,} of {labelled:,} new labels ({count / labelled:.1%}) are {label!r}, "
                f"more than the {policy.max_label_share:.1%} of batch.max_label_share"
            )
    return reasons


def _largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
