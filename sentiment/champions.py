"""Who is champion: a compare-and-swap of the alias.

MLflow has none, so each promotion first claims the next number of `sentiment.promotions`, which only one caller can
win; the aliases follow the claim.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sentiment.errors import NoChampionError, PromotionConflictError
from sentiment.model_records import ModelVersion
from sentiment.model_versions import Versions, required
from sentiment.promotions import Promotion, Promotions


class Champions:
    """The changes of the champion."""

    def __init__(self, versions: Versions, promotions: Promotions) -> None:
        self._versions, self._promotions = versions, promotions

    def promote(
        self, version: str, *, expected: str | None, reason: str, rollback: bool, request: str | None
    ) -> ModelVersion:
        """Move the alias to `version` if the champion is still `expected`; see `Registry.promote`."""
        target = self._versions.get(version)
        last = self._promotions.last()
        if last is None or last.now != target.version:
            current = self._current(last)
            if current == target.version:
                return target
            if current != expected:
                raise _conflict(target.version, expected=expected, current=current)
            last = self._promotions.claim(
                Promotion(
                    number=last.number + 1 if last else 1,
                    was=current,
                    now=target.version,
                    previous=self._promotions.replaced_by(target.version) if rollback else current,
                    rollback=rollback,
                    reason=reason,
                    at=datetime.now(UTC).isoformat(timespec="microseconds"),
                    request=request,
                )
            )
            if last.now != target.version:
                raise _conflict(target.version, expected=expected, current=last.now)
        return self._versions.crown(target, previous=last.previous)

    def at(self, moment: datetime) -> ModelVersion:
        """Return who was champion just before a moment, by the promotions that were claimed until then."""
        promotion = self._promotions.before(moment)
        if promotion is not None:
            return self._versions.get(promotion.now)
        if self._promotions.last() is None:  # a model that was promoted before promotions were recorded, or none
            return required(self._versions.champion())
        raise NoChampionError(
            f"There was no champion yet at {moment.isoformat(timespec='seconds')}.",
            fix="Name a later end of the window.",
        )

    def _current(self, last: Promotion | None) -> str | None:
        """Return the champion, counting a claimed promotion whose alias has not followed yet."""
        champion = self._versions.champion()
        alias = champion.version if champion else None
        return last.now if last and alias == last.was else alias


def _conflict(version: str, *, expected: str | None, current: str | None) -> PromotionConflictError:
    return PromotionConflictError(
        f"Version {version} was judged against {_name(expected)}, but the champion is {_name(current)} by now.",
        fix=f"Judge it again against the champion of today: `sentiment promote {version}`.",
    )


def _name(version: str | None) -> str:
    return f"version {version}" if version else "no champion"
