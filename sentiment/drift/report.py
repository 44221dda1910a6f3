"""The drift report: one HTML page that opens offline, our verdict on top and Evidently's report below.

Everything that comes from data is escaped. Evidently's document sits in a sandboxed frame without the
page's origin, and the page's content security policy lets nothing reach the network. Nothing of ours needs
a script; the only one gives the frame the height of what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files

from sentiment.drift import report_signals, report_texts, report_verdict
from sentiment.drift.explanation import Explanation
from sentiment.drift.report_html import note, section
from sentiment.drift.report_signals import PastCheck
from sentiment.drift.sample import Sample
from sentiment.drift.slices import slices
from sentiment.drift.verdict import DriftVerdict

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:; font-src data:; worker-src blob:"
)

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
    explanation: Explanation,
    evidently: str | None,
    end: datetime | None = None,
    history: Sequence[PastCheck] = (),
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
        Both sides, for the pictures and the slices.
    explanation : Explanation
        Of the same rows of `current`.
    evidently : str or None
        Evidently's document; None leaves its section out.
    end : datetime, optional
        The end of the window, by which the check stands among the earlier ones.
    history : sequence of PastCheck
        Checks of the same champion; later ones than `end` are left out.
    """
    style = files("sentiment.drift").joinpath("page.css").read_text(encoding="utf-8")
    found = slices(reference=reference, current=current, unlike=explanation.unlike)
    sections = (
        report_verdict.banner(verdict),
        report_verdict.reasons(verdict),
        report_verdict.accuracy(verdict),
        f'<div class="pair">{report_verdict.facts(facts, verdict)}{report_verdict.sight(verdict)}</div>',
        report_signals.distributions(reference=reference, current=current),
        report_signals.over_time(verdict, end=end, history=history),
        report_signals.signals(verdict),
        report_texts.words(explanation),
        report_texts.examples(explanation),
        report_texts.slice_table(found),
        _evidently(evidently),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report_verdict.STATES[verdict.state][0])} · drift check {escape(title)}</title>"
        f"<style>{style}</style></head>\n<body><main>"
        f"<h1>Drift check <small>{escape(title)}</small></h1>\n"
        + "\n".join(part for part in sections if part)
        + f"\n</main>{_PAGE_LISTENS}</body></html>\n"
    )


def _evidently(document: str | None) -> str:
    if document is None:
        return ""
    before, end, after = document.rpartition("</body>")
    source = f"{before}{_FRAME_REPORTS}{end}{after}".replace("&", "&amp;").replace('"', "&quot;")
    said = note(
        "Our signals are registered in it, each with its threshold as a test. Beside them Evidently judges each "
        "column on its own, by its effect size, and knows nothing of labels or policy. The verdict at the top of this "
        "page is the one that the platform acts on."
    )
    return section(
        "Evidently's report",
        f'{said}<p class="note on-paper">It is interactive, so it is not on paper: open the file in a browser.</p>'
        f'<iframe title="Evidently\'s report" sandbox="allow-scripts" srcdoc="{source}"></iframe>',
        name="evidently",
        kind="embedded",
    )
