"""The drift report: one HTML page that opens offline, our verdict on top and Evidently's report below.

Everything that comes from data is escaped. Evidently's document sits in a sandboxed frame without the
page's origin, and the page's content security policy lets nothing reach the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from sentiment.drift.accuracy import Accuracy
from sentiment.drift.sample import Sample
from sentiment.drift.verdict import TITLES, DriftVerdict, JudgedSignal, show, show_p
from sentiment.drift.words import MovedWord, MovedWords

EXAMPLE_CHARACTERS = 400

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:; font-src data:; worker-src blob:"
)

_STATES = {
    "stable": (
        "Stable",
        "Nothing to do: the current texts are like those the champion was tested on.",
        "check",
    ),
    "watch": ("Watch", "Look at it, but do not retrain yet: something moved that may not matter.", "eye"),
    "drifted": ("Drifted", "Retrain: the champion is asked what it did not learn.", "warning"),
    "insufficient_data": ("Not enough data", "Wait for more rows: there is too little to judge.", "clock"),
}

_ICONS = {
    "check": '<circle cx="12" cy="12" r="10"/><path d="m7.5 12.5 3 3 6-6.5"/>',
    "eye": '<path d="M1.5 12S5.5 5 12 5s10.5 7 10.5 7-4 7-10.5 7S1.5 12 1.5 12Z"/><circle cx="12" cy="12" r="3"/>',
    "warning": '<path d="M12 3 1.8 20.5h20.4L12 3Z"/><path d="M12 10v4.5M12 17.5v.2"/>',
    "clock": '<circle cx="12" cy="12" r="10"/><path d="M12 6.5V12l3.5 2"/>',
}

_FRAME_REPORTS = (  # also by a timer: an observer sleeps in a frame that is not in view
    "<script>{const tell=()=>parent.postMessage({evidentlyHeight:document.body.scrollHeight},'*');"
    "new ResizeObserver(tell).observe(document.body);setTimeout(tell,300);setTimeout(tell,2000)}</script>"
)

_PAGE_LISTENS = (
    "<script>addEventListener('message',e=>{const f=document.querySelector('iframe');"
    "const h=Number(e.data&&e.data.evidentlyHeight);"
    "if(f&&e.source===f.contentWindow&&h>0)f.style.height=Math.min(h+24,20000)+'px'})</script>"
)


def render_report(
    *,
    title: str,
    facts: Mapping[str, str],
    verdict: DriftVerdict,
    reference: Sample,
    current: Sample,
    moved: MovedWords,
    examples: Sequence[str],
    evidently: str | None,
) -> str:
    """Return the report as one self-contained HTML document.

    Parameters
    ----------
    title : str
        Name of the check.
    facts : mapping of str to str
        What was compared with what, shown as a list.
    verdict : DriftVerdict
    reference, current : Sample
        Both sides, for the charts.
    moved : MovedWords
    examples : sequence of str
        Current texts that show what is new; shortened here.
    evidently : str or None
        Evidently's document; None leaves its section out.
    """
    style = files("sentiment.drift").joinpath("page.css").read_text(encoding="utf-8")
    sections = (
        _banner(verdict),
        _section("Why", f'<ol class="reasons">{_items(verdict.reasons)}</ol>'),
        _section("What was compared", _facts(facts, verdict)),
        _section("Signals", _signals(verdict.signals)) if verdict.signals else "",
        _charts(reference=reference, current=current),
        _words(moved),
        _examples(examples),
        _evidently(evidently),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_STATES[verdict.state][0])} · drift check {escape(title)}</title>"
        f"<style>{style}</style></head>\n<body><main>"
        f"<h1>Drift check <small>{escape(title)}</small></h1>\n"
        + "\n".join(section for section in sections if section)
        + f"\n</main>{_PAGE_LISTENS}</body></html>\n"
    )


def _section(title: str, body: str, *, kind: str = "") -> str:
    css = f' class="{kind}"' if kind else ""
    return f"<section{css}><h2>{escape(title)}</h2>{body}</section>"


def _items(lines: Iterable[str]) -> str:
    return "".join(f"<li>{escape(line)}</li>" for line in lines)


def _banner(verdict: DriftVerdict) -> str:
    word, action, icon = _STATES[verdict.state]
    return (
        f'<section class="banner {verdict.state}" role="status">'
        '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true">{_ICONS[icon]}</svg>'
        f"<div><strong>{word}</strong><p>{action}</p></div></section>"
    )


def _facts(facts: Mapping[str, str], verdict: DriftVerdict) -> str:
    shown = {
        **facts,
        "Reference rows": f"{verdict.reference_rows:,}",
        "Current rows": f"{verdict.current_rows:,}",
        "Accuracy on held-out rows": _accuracy(verdict.reference_accuracy),
        "Accuracy on newly labelled rows": _accuracy(verdict.live_accuracy),
    }
    pairs = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in shown.items())
    return f"<dl>{''.join(pairs)}</dl>"


def _accuracy(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return "no labelled rows"
    return f"{accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%}) of {accuracy.rows:,}"


def _signals(signals: Sequence[JudgedSignal]) -> str:
    heads = ("Reference", "Current", "Distance", "p (Holm)")
    columns = "".join(f'<th class="number" scope="col">{head}</th>' for head in heads)
    rows = "".join(map(_signal_row, signals))
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">Signal</th>{columns}'
        f'<th scope="col">Counts</th></tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="note">Distance runs from 0 (the same) to 1 (nothing in common). A signal counts when it '
        "is more than chance and its distance is large enough to matter.</p>"
    )


def _signal_row(signal: JudgedSignal) -> str:
    figures = (
        show(signal, signal.reference),
        show(signal, signal.current),
        f"{signal.distance:.2f}",
        show_p(signal.adjusted_p),
    )
    cells = "".join(f'<td class="number">{escape(figure)}</td>' for figure in figures)
    title = escape(TITLES.get(signal.name, signal.name))
    return (
        f"<tr><td>{title}<small>{escape(signal.description)}</small></td>"
        f"{cells}<td>{'<strong>● yes</strong>' if signal.counts else '○ no'}</td></tr>"
    )


def _charts(*, reference: Sample, current: Sample) -> str:
    if not (len(reference) and len(current)):
        return ""
    key = (
        '<p class="key"><span><i style="background:var(--reference)"></i>reference</span>'
        '<span><i style="background:var(--current)"></i>current</span></p>'
    )
    longest = float(max(np.quantile(reference.words, 0.98), np.quantile(current.words, 0.98), 1))
    charts = [_histogram("Words in a text", reference.words, current.words, high=longest)]
    if reference.scores is not None and current.scores is not None:
        charts.insert(0, _histogram("Scores: negative to positive", reference.scores, current.scores, high=1))
    return _section("How they differ", f'{key}<div class="columns">{"".join(charts)}</div>')


def _histogram(
    title: str, reference: NDArray[np.float64], current: NDArray[np.float64], *, high: float, bins: int = 24
) -> str:
    edges = np.linspace(0, high, bins + 1)
    shares = [np.histogram(np.clip(side, 0, high), bins=edges)[0] / len(side) for side in (reference, current)]
    top = max(float(share.max()) for share in shares) or 1.0
    steps = [_steps(share / top) for share in shares]
    return (
        f'<div><h3>{escape(title)}</h3><svg class="chart" viewBox="0 0 400 172" role="img" '
        f'aria-label="{escape(title)}, reference and current">'
        f'<path class="reference-fill" d="{steps[0]}"/><path class="current-fill" d="{steps[1]}"/>'
        '<path class="axis" d="M8 150H392"/><text x="8" y="166">0</text>'
        f'<text x="392" y="166" text-anchor="end">{high:,.0f}</text>'
        f'<text x="200" y="166" text-anchor="middle">highest bar: {top:.0%} of the texts</text></svg></div>'
    )


def _steps(heights: NDArray[np.float64]) -> str:
    width = 384 / len(heights)
    points = [f"V{150 - 140 * height:.1f}H{8 + width * (i + 1):.1f}" for i, height in enumerate(heights)]
    return f"M8 150{''.join(points)}V150Z"


def _words(moved: MovedWords) -> str:
    if not (moved.rose or moved.fell):
        return _section("Words that moved", '<p class="note">No word became clearly more or less frequent.</p>')
    tables = _word_table("More frequent now", moved.rose) + _word_table("Less frequent now", moved.fell)
    return _section("Words that moved", f'<div class="columns">{tables}</div>')


def _word_table(title: str, words: Sequence[MovedWord]) -> str:
    if not words:
        return ""
    rows = "".join(
        f'<tr><td>{escape(item.word)}</td><td class="number">{item.reference:.1f}</td>'
        f'<td class="number">{item.current:.1f}</td></tr>'
        for item in words
    )
    heads = '<th class="number" scope="col">Before</th><th class="number" scope="col">Now</th>'
    return (
        f"<div><h3>{title} <small>(of a thousand words)</small></h3>"
        f'<table><thead><tr><th scope="col">Word</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _examples(examples: Sequence[str]) -> str:
    quotes = "".join(f"<blockquote>{escape(_short(text))}</blockquote>" for text in examples)
    return _section("Texts most unlike the reference", quotes) if quotes else ""


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= EXAMPLE_CHARACTERS else plain[: EXAMPLE_CHARACTERS - 1].rstrip() + "…"


def _evidently(document: str | None) -> str:
    if document is None:
        return ""
    before, end, after = document.rpartition("</body>")
    source = f"{before}{_FRAME_REPORTS}{end}{after}".replace("&", "&amp;").replace('"', "&quot;")
    return _section(
        "Evidently's report",
        '<p class="note">Evidently judges each column on its own, by its effect size, and knows nothing of '
        "labels or policy. The verdict at the top of this page is the one that the platform acts on.</p>"
        f'<iframe title="Evidently\'s report" sandbox="allow-scripts" srcdoc="{source}"></iframe>',
        kind="embedded",
    )
