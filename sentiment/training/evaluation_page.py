"""The files of an evaluation: one HTML page that opens offline, its pictures, and the numbers as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from html import escape

from sentiment.serving.explain import TellingWord, TellingWords
from sentiment.training.evaluation import SLICE_METRICS, Evaluation, Slice
from sentiment.training.pictures import pictures

TITLES: Mapping[str, str] = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "auc": "AUC",
    "log_loss": "Log-loss",
    "brier": "Brier score",
    "expected_calibration_error": "Calibration error",
    "coverage": "Answered surely",
    "answered_accuracy": "Accuracy of these",
}
"""What the metrics are called, in the order in which they are shown."""

AS_NUMBERS = ("auc", "log_loss", "brier")  # the others are percentages

_SHOWN_WORDS = 30
_STYLE = (
    ":root{color-scheme:light dark;--ink:#1b2430;--soft:#5b6777;--line:#dfe4ea;--page:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa7b8;--line:#303946;--page:#12161c}}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:var(--ink);"
    "background:var(--page)}h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}"
    "p,th,small{color:var(--soft)}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;"
    "font-variant-numeric:tabular-nums}th{text-align:left;font-weight:500;font-size:.85rem}"
    "th,td{padding:.35rem 1rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}"
    ".n{text-align:right;white-space:nowrap}"
    ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,28rem),1fr));gap:1rem}"
    "figure{margin:0}figure svg{width:100%;height:auto;border:1px solid var(--line);border-radius:8px}"
)


def evaluation_files(evaluation: Evaluation, words: TellingWords, *, title: str) -> dict[str, bytes]:
    """Return every file of an evaluation by name."""
    drawn = pictures(evaluation)
    files = {
        "evaluation.html": render(evaluation, words, title=title, drawn=drawn),
        "evaluation.json": json.dumps(evaluation.to_dict(), indent=1),
        "words.json": json.dumps(words.to_dict(), indent=1, ensure_ascii=False),
        "slices.csv": _slices_csv(evaluation.slices),
        **{f"{name}.svg": picture for name, picture in drawn.items()},
    }
    return {name: content.encode() for name, content in files.items()}


def render(evaluation: Evaluation, words: TellingWords, *, title: str, drawn: Mapping[str, str] | None = None) -> str:
    """Return the page."""
    shown = pictures(evaluation) if drawn is None else drawn
    figures = "".join(f"<figure>{picture}</figure>" for picture in shown.values())
    parts = [
        _section("Metrics", _metrics(evaluation), "With 95% bootstrap intervals."),
        _section("Labels", _labels(evaluation), "Precision: of the answers with this label, how many are right. "
                 "Recall: of the reviews with this label, how many are found."),
        f'<section><h2>Pictures</h2><div class="grid">{figures}</div></section>',
        _section("Slices", _slices(evaluation.slices), "A review is in several. Intervals are Wilson's; what is not "
                 "defined for a slice is left blank."),
        _section("Words that matter most", _words(words), f"On average over {words.texts:,} reviews. The weight is "
                 "what a word adds to the margin of a review in which it occurs."),
    ]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>Measured on {evaluation.rows:,} labelled reviews.</p>"
        f"{''.join(parts)}</body></html>\n"
    )


def written(metrics: Mapping[str, float], name: str) -> str:
    """Write a metric with its interval: ``92.1% (91.4% to 92.9%)``."""
    kind = ".4f" if name in AS_NUMBERS else ".1%"
    value = format(metrics[name], kind)
    if f"{name}_low" not in metrics:
        return value
    return f"{value} ({metrics[f'{name}_low']:{kind}} to {metrics[f'{name}_high']:{kind}})"


def main_metrics(metrics: Mapping[str, float]) -> dict[str, str]:
    """Return the metrics of the whole, written out, by their title."""
    return {title: written(metrics, name) for name, title in TITLES.items() if name in metrics}


def _section(title: str, table: str, note: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p>{escape(note)}</p><div class="scroll">{table}</div></section>'


def _metrics(evaluation: Evaluation) -> str:
    return _table(("Metric", "Value"), list(main_metrics(evaluation.metrics).items()))


def _labels(evaluation: Evaluation) -> str:
    rows = []
    for name, cells in zip(evaluation.labels, evaluation.confusion, strict=True):
        measures = (f"{measure}_{name}" for measure in ("precision", "recall", "f1"))
        said = [written(evaluation.metrics, measure) if measure in evaluation.metrics else "" for measure in measures]
        rows.append((name, f"{sum(cells):,}", *said))
    return _table(("Label", "Reviews", "Precision", "Recall", "F1"), rows)


def _slices(slices: Sequence[Slice]) -> str:
    others = SLICE_METRICS[1:]
    rows = []
    for item in slices:
        share = item.share
        said = f"{share.accuracy:.1%} ({share.accuracy_low:.1%} to {share.accuracy_high:.1%})"
        cells = [written(item.metrics, name) if name in item.metrics else "" for name in others]
        rows.append((item.name, f"{share.rows:,}", said, *cells))
    return _table(("Slice", "Reviews", "Accuracy", *(TITLES[name] for name in others)), rows)


def _words(words: TellingWords) -> str:
    sides = (("Positive", words.positive), ("Negative", words.negative))
    return f'<div class="grid">{"".join(_word_table(*side) for side in sides)}</div>'


def _word_table(title: str, words: Sequence[TellingWord]) -> str:
    rows = [(item.word, f"{item.support:,}", f"{item.weight:+.2f}", f"{item.effect:+.3f}") for item in words]
    return _table((title, "Reviews", "Weight", "Adds on average"), rows[:_SHOWN_WORDS])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        first = f"<{tag}{' scope=col' if tag == 'th' else ''}>{escape(values[0])}</{tag}>"
        return first + "".join(f'<{tag} class="n">{escape(value)}</{tag}>' for value in values[1:])

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>"


def _slices_csv(slices: Sequence[Slice]) -> str:
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(["slice", "rows", "accuracy", "accuracy_low", "accuracy_high", *SLICE_METRICS[1:]])
    for item in slices:
        share = item.share
        ends = (share.accuracy, share.accuracy_low, share.accuracy_high)
        table.writerow([item.name, share.rows, *ends, *(item.metrics.get(name, "") for name in SLICE_METRICS[1:])])
    return lines.getvalue()
