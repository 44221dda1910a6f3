"""The signals of a drift check as pictures: their distances now and over time, and the distributions behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sentiment.drift.report_html import bar, dot, line, note, numbers, plot, section, table
from sentiment.drift.report_verdict import STATES
from sentiment.drift.sample import Sample
from sentiment.drift.verdict import TITLES, DriftVerdict, JudgedSignal, show, show_p
from sentiment.settings import DriftPolicy

_BINS = 24
_UNRECORDED = 0.1  # the threshold of every signal before each had its own in the verdict


@dataclass(frozen=True)
class PastCheck:
    """A check of the same champion, to be seen beside the present one."""

    end: datetime
    verdict: DriftVerdict


def signals(verdict: DriftVerdict) -> str:
    """Return the table of signals with their distances against the thresholds."""
    if not verdict.signals:
        return ""
    widest = max(max(signal.distance, 1.25 * threshold_of(signal)) for signal in verdict.signals)
    rows = [_signal_row(signal, widest) for signal in verdict.signals]
    heads = ("Signal", "Reference", "Current", "Distance", "p (Holm)", "Counts")
    level = "" if verdict.level is None else f" Here, more than chance is a p of at most {show_p(verdict.level)}."
    return section(
        "Signals",
        table(heads, rows, caption="Each signal and how far it moved", kind="signals")
        + note(
            "The distance runs from 0 (the same) to 1 (nothing in common). The dashed line on each bar is the distance "
            f"from which the signal counts, if it is more than chance.{level}"
        ),
        name="signals",
    )


def threshold_of(signal: JudgedSignal) -> float:
    """Return the distance from which a signal counts."""
    return signal.threshold if signal.threshold is not None else _UNRECORDED


def _signal_row(signal: JudgedSignal, widest: float) -> tuple[str, ...]:
    needed, css = threshold_of(signal), "counting" if signal.counts else "quiet"
    tick = 100 * needed / widest
    shapes = bar(100, "track") + bar(100 * signal.distance / widest, css) + line(tick, 0, tick, 100, "threshold")
    picture = plot(shapes, label=f"distance {signal.distance:.3f}, {needed:.3f} counts", height=14)
    return (
        f"{escape(TITLES.get(signal.name, signal.name))}<small>{escape(signal.description)}</small>",
        escape(show(signal, signal.reference)),
        escape(show(signal, signal.current)),
        f'<span class="figures">{signal.distance:.3f} <small>of {needed:.3f}</small></span>{picture}',
        escape(show_p(signal.adjusted_p)),
        '<strong class="yes">● yes</strong>' if signal.counts else "○ no",
    )


def over_time(verdict: DriftVerdict, *, end: datetime | None, history: Sequence[PastCheck]) -> str:
    """Return each signal over the checks of this champion, relative to its threshold; this one last.

    Those are followed that mean drift on their own, unless a policy says otherwise.
    """
    if end is None or not verdict.signals:
        return ""
    checks = sorted((past for past in history if past.end < end), key=lambda past: past.end)
    if not checks:
        return section(
            "Over time", note("This is the first check of this champion; what follows will be seen here."), name="time"
        )
    checks.append(PastCheck(end, verdict))
    names = [name for name in DriftPolicy().decisive if any(_ratio(check, name) is not None for check in checks)]
    panels = "".join(_panel(name, checks) for name in names)
    heads = ("Check", "Verdict", *(TITLES.get(name, name) for name in names))
    figures = numbers(
        heads, (_numbers(check, names) for check in checks), caption="Distance as a multiple of the threshold"
    )
    return section(
        "Over time",
        f'{_strip(checks)}<div class="panels">{panels}</div>'
        + note(
            "Distance as a multiple of its threshold, which is the dashed line; drawn by its square root. "
            "A large point counted, a small one did not."
        )
        + figures,
        name="time",
    )


def _strip(checks: Sequence[PastCheck]) -> str:
    cells = "".join(
        f'<li class="{check.verdict.state}" title="{_day(check.end)}: {STATES[check.verdict.state][0]}">'
        f'<span class="unseen">{_day(check.end)}: {STATES[check.verdict.state][0]}</span></li>'
        for check in checks
    )
    return (
        f'<ol class="strip" aria-label="Verdicts, oldest first">{cells}</ol><p class="span" aria-hidden="true">'
        f"<span>{_day(checks[0].end)}</span><span>this check</span></p>"
    )


def _panel(name: str, checks: Sequence[PastCheck]) -> str:
    found = [(check, ratio) for check in checks if (ratio := _ratio(check, name)) is not None]
    start, span = checks[0].end, (checks[-1].end - checks[0].end).total_seconds()
    top = max(1.6, max(ratio for _, ratio in found) * 1.1) ** 0.5
    points = [
        (2 + 96 * (check.end - start).total_seconds() / span, 100 - 100 * ratio**0.5 / top, _counted(check, name))
        for check, ratio in found
    ]
    limit = 100 - 100 / top
    steps = "".join(line(a[0], a[1], b[0], b[1], "course") for a, b in pairwise(points))
    dots = "".join(dot(x, y, "counted" if counts else "not-counted") for x, y, counts in points)
    last = found[-1][1]
    title = escape(TITLES.get(name, name))
    picture = plot(
        bar(100, "track") + line(0, limit, 100, limit, "threshold") + steps + dots,
        label=f"{TITLES.get(name, name)}: {last:.1f} times the threshold in the last of {len(found)} checks",
        height=84,
    )
    return (
        f"<figure><figcaption>{title} <strong>{last:.1f}\N{MULTIPLICATION SIGN}</strong></figcaption>{picture}</figure>"
    )


def _signal_of(check: PastCheck, name: str) -> JudgedSignal | None:
    return next((signal for signal in check.verdict.signals if signal.name == name), None)


def _ratio(check: PastCheck, name: str) -> float | None:
    signal = _signal_of(check, name)
    return None if signal is None else signal.distance / max(threshold_of(signal), 1e-6)


def _counted(check: PastCheck, name: str) -> bool:
    signal = _signal_of(check, name)
    return signal is not None and signal.counts


def _numbers(check: PastCheck, names: Sequence[str]) -> tuple[str, ...]:
    ratios = (_ratio(check, name) for name in names)
    shown = ("\N{EN DASH}" if ratio is None else f"{ratio:.2f}" for ratio in ratios)
    return (_day(check.end), STATES[check.verdict.state][0], *shown)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def distributions(*, reference: Sample, current: Sample) -> str:
    """Return how scores and lengths are spread on both sides; empty where a side is."""
    if not (len(reference) and len(current)):
        return ""
    longest = float(max(np.quantile(reference.words, 0.98), np.quantile(current.words, 0.98), 1))
    charts = [
        _histogram("Words in a text", reference.words, current.words, high=longest, ends=("0", f"{longest:,.0f}"))
    ]
    if reference.scores is not None and current.scores is not None:
        ends = ("0 · negative", "positive · 1")
        charts.insert(0, _histogram("Scores", reference.scores, current.scores, high=1, ends=ends))
    return section("How they differ", f'{key()}<div class="columns">{"".join(charts)}</div>', name="distributions")


def key() -> str:
    """Return the key to the two colours."""
    return (
        '<p class="key"><span><i class="reference"></i>reference</span><span><i class="current"></i>current</span></p>'
    )


def _histogram(
    title: str, reference: NDArray[np.float64], current: NDArray[np.float64], *, high: float, ends: tuple[str, str]
) -> str:
    edges = np.linspace(0, high, _BINS + 1)
    shares = [np.histogram(np.clip(side, 0, high), bins=edges)[0] / len(side) for side in (reference, current)]
    top = max(float(share.max()) for share in shares) or 1.0
    areas = "".join(
        f'<path class="{css}-area" d="{_steps(share / top)}"/>'
        for css, share in zip(("reference", "current"), shares, strict=True)
    )
    picture = plot(
        areas + line(0, 100, 100, 100, "axis"),
        label=f"{title}: how the texts of each side are spread",
        height=150,
        ticks=[
            (0, 0, "above", f"{top:.0%} of the texts"),
            (0, 100, "under", ends[0]),
            (100, 100, "under-end", ends[1]),
        ],
    )
    rows = [
        (
            f"{edges[i]:,.2f} to {edges[i + 1]:,.2f}" if high <= 1 else f"{edges[i]:,.0f} to {edges[i + 1]:,.0f}",
            f"{old:.1%}",
            f"{new:.1%}",
        )
        for i, (old, new) in enumerate(zip(*shares, strict=True))
    ]
    figures = numbers(("From", "Reference", "Current"), rows, caption=f"{title}: share of the texts")
    return f"<figure><figcaption>{escape(title)}</figcaption>{picture}{figures}</figure>"


def _steps(heights: NDArray[np.float64]) -> str:
    width = 100 / len(heights)
    points = [f"V{100 - 92 * height:.4g}H{width * (i + 1):.4g}" for i, height in enumerate(heights)]
    return f"M0 100{''.join(points)}V100Z"
