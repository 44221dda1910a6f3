"""What came of drift checks, and why it retrained on a day: checks and ledger entries put together. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sentiment.drift.records import STATES, UNREADABLE, WORDS, CheckRecord, time_in
from sentiment.history import Reign, champions_at
from sentiment.ledger import LedgerEntry

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Retraining:
    """One training and what became of its model.

    Attributes
    ----------
    trained : LedgerEntry
    check : str or None
        The drift check that asked for it.
    cause : str
        Why it was trained, in a word: ``drift``, ``schedule``, ``by hand``, or somebody's words.
    reasons : tuple of str
        What that check said; kept here, because its report may be removed one day.
    later : tuple of LedgerEntry
        What the ledger says of the model afterwards, oldest first.
    """

    trained: LedgerEntry
    check: str | None
    cause: str
    reasons: tuple[str, ...]
    later: tuple[LedgerEntry, ...]

    @property
    def version(self) -> str | None:
        """The model's version; None if it was never registered."""
        return next((entry.model_version for entry in self.later if entry.model_version), None)

    def first(self, event: str) -> LedgerEntry | None:
        """Return the first entry of a kind."""
        return next((entry for entry in self.later if entry.event == event), None)

    @property
    def because(self) -> str:
        """Why it was trained, as part of a sentence."""
        if self.check:
            time = time_in(self.check)
            return f"because the drift check {f'of {_moment(time)}' if time else self.check} asked for it"
        known = {"schedule": "because it was time by the schedule", "by hand": "because somebody started it by hand"}
        return known.get(self.cause, f"because of: {self.cause}")

    @property
    def outcome(self) -> str:
        """What became of it, in one sentence."""
        promoted, decided, rejected = (self.first(event) for event in ("promoted", "decided", "rejected"))
        if promoted:
            approver = promoted.detail.get("approved_by")
            by = f"{promoted.actor}{f', approved by {approver}' if approver else ''}"
            return f"Version {self.version} was promoted on {_moment(promoted.time)} by {by}."
        if rejected:
            return f"Version {self.version} was rejected by {rejected.actor}: {rejected.reason}"
        if decided:
            return f"Version {self.version} was not promoted: {decided.reason}"
        return "It was never judged, so nothing changed." if self.version is None else "It has not been judged yet."


@dataclass(frozen=True)
class Day:
    """What happened on one day, in UTC, oldest first."""

    day: date
    checks: tuple[CheckRecord, ...]
    entries: tuple[LedgerEntry, ...]
    retrainings: tuple[Retraining, ...]
    caused: dict[str, Retraining]
    champions: tuple[Reign, ...]

    @property
    def asked(self) -> tuple[CheckRecord, ...]:
        """The checks that asked for retraining."""
        return tuple(check for check in self.checks if "retrain" in check.actions)

    def to_dict(self) -> dict[str, Any]:
        """Return the day as JSON types."""
        return {
            "day": self.day.isoformat(),
            "answer": list(answer(self)),
            "checks": [{"id": c.id, "state": c.state, "actions": list(c.actions)} for c in self.checks],
            "retrainings": [
                {"run_id": r.trained.run_id, "cause": r.cause, "check": r.check, "version": r.version}
                for r in self.retrainings
            ],
            "entries": [entry.to_dict() for entry in self.entries],
            "champions": [reign.to_dict() for reign in self.champions],
        }

    @property
    def others(self) -> tuple[LedgerEntry, ...]:
        """What the ledger says besides the retrainings of the day."""
        told = [entry for r in self.retrainings for entry in (r.trained, *r.later)]
        return tuple(entry for entry in self.entries if not any(entry is one for one in told))


def retrainings(entries: Iterable[LedgerEntry]) -> list[Retraining]:
    """Return all trainings that the ledger knows, oldest first."""
    of_run: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        if entry.run_id:
            of_run.setdefault(entry.run_id, []).append(entry)
    trained = [(entry, own) for own in of_run.values() for entry in own if entry.event == "trained"]
    return [_retraining(entry, own) for entry, own in sorted(trained, key=lambda found: found[0].time)]


def caused(trained: Iterable[Retraining]) -> dict[str, Retraining]:
    """Return the retraining that each check led to, by the check's id; the first if there were several."""
    found: dict[str, Retraining] = {}
    for retraining in trained:
        if retraining.check:
            found.setdefault(retraining.check, retraining)
    return found


def day_of(day: date, *, checks: Sequence[CheckRecord], entries: Sequence[LedgerEntry]) -> Day:
    """Gather what happened on a day from the checks of that day and the whole ledger."""
    trained = retrainings(entries)
    return Day(
        day=day,
        checks=tuple(sorted(checks, key=lambda check: (check.time or NEVER, check.id))),
        entries=tuple(entry for entry in entries if _day(entry.time) == day and (entry.model_version or entry.run_id)),
        retrainings=tuple(r for r in trained if _day(r.trained.time) == day),
        caused=caused(trained),
        champions=tuple(champions_at(entries, day.isoformat())),
    )


def answer(day: Day) -> tuple[str, ...]:
    """Say in plain sentences why it retrained on a day, or why not, and what else happened."""
    return (*_trained(day), *_changed(day), _checked(day), _champion(day))


def _trained(day: Day) -> tuple[str, ...]:
    if day.retrainings:
        return tuple(sentence for retraining in day.retrainings for sentence in _why(retraining, day))
    if not day.asked:
        return ("Nothing was retrained that day.",)
    later = next((day.caused[check.id] for check in day.asked if check.id in day.caused), None)
    if later:
        return (
            f"A drift check asked for retraining; it began on {_moment(later.trained.time)}.",
            later.outcome,
        )
    return (
        "A drift check asked for retraining, but no training names it as its cause.",
        "The request was joined to that of another check, the retraining failed or waits, or there were no reviews "
        "that the champion had not learned from.",
    )


def _why(retraining: Retraining, day: Day) -> tuple[str, ...]:
    check = next((check for check in day.checks if check.id == retraining.check), None)
    reasons = check.reasons if check else retraining.reasons
    began = f"It retrained at {retraining.trained.time:%H:%M} {retraining.because}."
    return (began, *(f"The check said: {reason}" for reason in reasons[:1]), retraining.outcome)


def _changed(day: Day) -> tuple[str, ...]:
    told = [retraining.first("promoted") for retraining in day.retrainings]
    words = {"promoted": "was promoted", "rolled_back": "came back by a rollback"}
    return tuple(
        f"Version {entry.model_version} {words[entry.event]} at {entry.time:%H:%M} by {entry.actor}: {entry.reason}"
        for entry in day.entries
        if entry.event in words and not any(entry is one for one in told)
    )


def _checked(day: Day) -> str:
    if not day.checks:
        return "No drift check was made."
    states = Counter(check.state for check in day.checks)
    found = [f"{states[state]} {WORDS[state].lower()}" for state in (*STATES, UNREADABLE) if states[state]]
    count = len(day.checks)
    return f"{count} drift check{'' if count == 1 else 's'}: {', '.join(found)}."


def _champion(day: Day) -> str:
    if not day.champions:
        return "There was no champion."
    first, *others = day.champions
    began = f"Version {first.version} was champion"
    if _day(first.since) == day.day:
        began += f" from {first.since:%H:%M}"
    return "".join([began, *(f", from {reign.since:%H:%M} version {reign.version}" for reign in others), "."])


def _retraining(trained: LedgerEntry, own: Sequence[LedgerEntry]) -> Retraining:
    cause = trained.detail.get("cause") or {}
    return Retraining(
        trained=trained,
        check=cause.get("check"),
        cause=str(cause.get("what", "not recorded")),
        reasons=tuple(cause.get("reasons", ())),
        later=tuple(entry for entry in own if entry is not trained),
    )


def _day(time: datetime) -> date:
    return time.astimezone(UTC).date()


def _moment(time: datetime) -> str:
    return f"{time.day} {time:%b %Y at %H:%M}"
