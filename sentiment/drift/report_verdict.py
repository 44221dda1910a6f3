"""The head of the drift report: the verdict, what to do, why, how right the answers are, what could be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from sentiment.drift.accuracy import Accuracy
from sentiment.drift.report_html import dot, items, line, note, plot, section
from sentiment.drift.verdict import DriftVerdict

STATES: Mapping[str, tuple[str, str, str]] = {
    "stable": ("Stable", "The current texts are like the reference.", "check"),
    "watch": ("Watch", "Something moved, but it is not certain that it matters.", "eye"),
    "drifted": ("Drifted", "The current texts have moved away from the reference.", "warning"),
    "insufficient_data": ("Not enough data", "There are too few rows to judge.", "clock"),
}
"""What each state is called, what it means, and its icon."""

_ACTIONS: Mapping[str, tuple[str, str]] = {
    "retrain": ("Retrain", "so that the champion learns what it is asked now."),
    "ask_for_labels": ("Ask for labels", "only they can tell whether the answers are still right."),
}

_NOTHING: Mapping[str, str] = {
    "stable": "there is no sign that the model is asked anything new.",
    "watch": "look again at the next check.",
    "drifted": "the policy asks for nothing here; read the reasons.",
    "insufficient_data": "wait until more texts have come in.",
}

_ICONS = {
    "check": '<circle cx="12" cy="12" r="10"/><path d="m7.5 12.5 3 3 6-6.5"/>',
    "eye": '<path d="M1.5 12S5.5 5 12 5s10.5 7 10.5 7-4 7-10.5 7S1.5 12 1.5 12Z"/><circle cx="12" cy="12" r="3"/>',
    "warning": '<path d="M12 3 1.8 20.5h20.4L12 3Z"/><path d="M12 10v4.5M12 17.5v.2"/>',
    "clock": '<circle cx="12" cy="12" r="10"/><path d="M12 6.5V12l3.5 2"/>',
}


def banner(verdict: DriftVerdict) -> str:
    """Return the verdict in one word and one sentence, and what to do."""
    word, meaning, icon = STATES[verdict.state]
    return (
        f'<header class="banner {verdict.state}">'
        '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true" focusable="false">{_ICONS[icon]}</svg>'
        f'<div><p class="word">{word}</p><p>{meaning}</p></div></header>'
        f'<section id="do" aria-labelledby="do-title"><h2 id="do-title">What to do</h2>'
        f'<ul class="actions">{"".join(_actions(verdict))}</ul>{_confirmation(verdict)}</section>'
    )


def _actions(verdict: DriftVerdict) -> Iterator[str]:
    if not verdict.actions:
        yield f"<li><strong>Nothing</strong>: {_NOTHING[verdict.state]}</li>"
    for action in verdict.actions:
        word, why = _ACTIONS[action]
        yield f"<li><strong>{word}</strong>: {why}</li>"


def _confirmation(verdict: DriftVerdict) -> str:
    found = verdict.confirmation
    if found is None:
        return ""
    dots = "".join(f'<i class="{"full" if i < found.found else "empty"}"></i>' for i in range(found.checks))
    needed = f"drift must be found in {found.needed} of {found.checks} before anything is done"
    alone = ""
    if verdict.alone is not None and verdict.alone != verdict.state:
        alone = f" This check alone says <strong>{STATES[verdict.alone][0].lower()}</strong>."
    return (
        f'<p class="confirmed"><span class="dots" aria-hidden="true">{dots}</span>'
        f"<span>Drift was found in {found.found} of the last {found.checks} checks of this champion, this one "
        f"included; {needed}.{alone}</span></p>"
    )


def reasons(verdict: DriftVerdict) -> str:
    """Return the reasons, the most important first."""
    return section("Why", f'<ol class="reasons">{items(verdict.reasons)}</ol>', name="why")


def facts(shown: Mapping[str, str], verdict: DriftVerdict) -> str:
    """Return what was compared with what."""
    rows = {"Reference rows": f"{verdict.reference_rows:,}", "Current rows": f"{verdict.current_rows:,}"}
    pairs = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in {**shown, **rows}.items())
    return section("What was compared", f"<dl>{''.join(pairs)}</dl>", name="compared")


def sight(verdict: DriftVerdict) -> str:
    """Return what this check could have seen, and how often it may be wrong; empty where that is not known."""
    found = ""
    if verdict.detectable:
        found = (
            "<p>With this many rows, it would have found in 95 of 100 cases:</p>"
            f"<ul>{items(verdict.detectable)}</ul>{note('A smaller shift may be there and not be seen.')}"
        )
    budget = ""
    if verdict.false_alarm_days is not None:
        budget = (
            "<p>Where nothing has changed, at most <strong>one false alarm in "
            f"{verdict.false_alarm_days:,} daily checks</strong> is expected.</p>"
        )
    return section("What this check could see", found + budget, name="sight") if found or budget else ""


def accuracy(verdict: DriftVerdict) -> str:
    """Return how often the champion is right, where anybody knows, and the estimate where nobody does."""
    rows = [
        ("When it was trained", "held-out rows", verdict.reference_accuracy, "known"),
        ("Now", "newly labelled rows", verdict.live_accuracy, "known"),
        (
            "Now, estimated",
            "an estimate without labels, from how sure the champion is",
            verdict.estimated_accuracy,
            "guess",
        ),
    ]
    measured = [row[2] for row in rows if row[2] is not None]
    if not measured:
        return ""
    low = max(0.0, min(each.low for each in measured) - 0.02)
    body = "".join(_accuracy_row(name, of, value, css, low) for name, of, value, css in rows if value is not None)
    missing = ""
    if verdict.live_accuracy is None:
        missing = note("No labelled rows are newer than the champion, so nobody knows how right it is now.")
    warning = ""
    if verdict.estimated_accuracy is not None:
        warning = note(
            "The estimate takes the champion at its word. It holds while the champion is as sure as it should be, "
            "which texts of a new kind can break."
        )
    return section(
        "How often the champion is right", f'<dl class="accuracy">{body}</dl>{missing}{warning}', name="accuracy"
    )


def _accuracy_row(name: str, of: str, value: Accuracy, css: str, low: float) -> str:
    at = [100 * (x - low) / (1 - low) if low < 1 else 100.0 for x in (value.low, value.value, value.high)]
    shapes = line(0, 50, 100, 50, "axis") + line(at[0], 50, at[2], 50, f"whisker {css}") + dot(at[1], 50, css)
    said = f"{value.value:.1%}, 95% interval {value.low:.1%} to {value.high:.1%}"
    tag = ' <span class="tag">estimate</span>' if css == "guess" else ""
    return (
        f"<div><dt>{name}{tag}<small>{value.rows:,} rows: {of}</small></dt>"
        f"<dd><strong>{value.value:.1%}</strong> <span>{value.low:.1%} to {value.high:.1%}</span></dd>"
        f"<dd>{plot(shapes, label=f'{name}: {said}', height=22)}</dd></div>"
    )
