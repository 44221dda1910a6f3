"""The sections of a model card about how the gate judged it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sentiment.training.card_facts import CardFacts, DriftContext
from sentiment.training.decision import BEHAVIOUR, SLICE, Check, Decision, Outcome
from sentiment.training.documents import Facts, Items, Paragraph, Section, Table

VERDICTS = {
    Outcome.promote: ("good", "The gate says: promote"),
    Outcome.reject: ("bad", "The gate says: reject"),
    Outcome.inconclusive: ("open", "The gate says: inconclusive"),
}
_QUESTIONS = {
    "first_model": "Good enough for a first model?",
    "non_inferiority": "No worse than the champion?",
    "superiority": "Better than the champion? (it need not be)",
    "macro_f1": "Macro-F1",
    "log_loss": "Log-loss",
    "calibration": "Can its confidence be believed?",
    "new_labels": "Can the labels of new reviews be trusted?",
    "known_before": "Does it keep what was known?",
    "model_size": "Small enough?",
    "latency": "Fast enough?",
    "snapshot_age": "Are the reviews recent?",
    "leakage": "Were the held-out reviews held out?",
    "label_balance": "Does every label have its share?",
    "training_size": "Did it learn from enough reviews?",
    "mode": "Was it judged at all?",
}
_SAYS = {Outcome.promote: "no objection", Outcome.reject: "objects", Outcome.inconclusive: "cannot tell"}


def verdict(decision: Decision) -> tuple[str, str]:
    """Return the kind of banner and the words for an outcome."""
    return VERDICTS[decision.outcome]


def behaviour(checks: Sequence[Check]) -> Section:
    """Tell which behavioural tests it passed."""
    found = [check for check in checks if check.name.startswith(BEHAVIOUR)]
    if not found:
        return Section("Behaviour", [Paragraph("The gate ran no behavioural tests for this decision.")])
    rows = [(check.name.removeprefix(BEHAVIOUR), *_said(check)) for check in found]
    return Section(
        "Behaviour",
        [
            Paragraph(
                "Small texts whose right answer is known, or that must not change the answer: a negation, a name, "
                "a typing error."
            ),
            Table(("Test", "Gate", "Result"), rows, words=(1, 2)),
        ],
    )


def comparison(decision: Decision) -> Section:
    """Put it beside the champion, on the same reviews."""
    title = "Against the champion"
    if decision.champion is None:
        return Section(title, [Paragraph("There was no champion to compare with: this is a first model.")])
    rows = []
    for name, numbers in decision.slices.items():
        new, old = numbers["challenger"], numbers.get("champion")
        compared = ("", "") if old is None else (f"{old:.1%}", f"{(new - old) * 100:+.1f}")
        rows.append((name, f"{numbers['rows']:,.0f}", f"{new:.1%}", *compared))
    return Section(
        title,
        [
            Paragraph(
                f"Both answered the same held-out reviews of {decision.snapshot}, which neither learned from. Accuracy "
                f"of this version and of version {decision.champion}, the champion at the time:"
            ),
            Table(("Group", "Reviews", "This version", "Champion", "Points"), rows),
        ],
    )


def decided(facts: CardFacts) -> Section:
    """Tell what the gate asked, what it found, and under which policy."""
    decision = facts.decision
    groups: dict[str, list[tuple[str, str, str]]] = {"Question": [], "Guarded group": []}
    for check in decision.checks:
        if check.name.startswith(SLICE):
            groups["Guarded group"].append((check.name.removeprefix(SLICE), *_said(check)))
        elif not check.name.startswith(BEHAVIOUR):
            groups["Question"].append((_QUESTIONS.get(check.name, check.name.replace("_", " ")), *_said(check)))
    asked = [Table((name, "Gate", "Reason"), rows, words=(1, 2)) for name, rows in groups.items() if rows]
    policy = [(name, _value(value)) for name, value in _flat(facts.policy) if value not in ("", None)]
    return Section(
        "Decision",
        [
            Paragraph(f"{verdict(decision)[1]}. {decision.reason}"),
            Paragraph("A single objection rejects. Whether it was then made champion is in the ledger.", soft=True),
            *asked,
            Paragraph("The policy that it was judged by (settings under gate, shares as fractions):"),
            Table(("Setting", "Value"), policy),
        ],
    )


def drift_before(drift: DriftContext | None) -> Section:
    """Tell what the newest drift check had said."""
    title = "Drift before it"
    if drift is None:
        return Section(title, [Paragraph("No drift check had been made when this version was registered.")])
    return Section(
        title,
        [
            Paragraph(f"The newest drift check when this version was registered said: {drift.state}."),
            Facts({"Check": drift.check, "Report": drift.report}),
            Paragraph("Its reasons:"),
            Items(drift.reasons),
        ],
    )


def _said(check: Check) -> tuple[str, str]:
    return _SAYS[check.outcome], check.reason


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
