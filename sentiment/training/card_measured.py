"""The sections of a model card about data and figures. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sentiment.reviews.versions import UNLABELLED
from sentiment.training.card_facts import CardFacts
from sentiment.training.documents import Block, Facts, Paragraph, Picture, Section, Table
from sentiment.training.evaluation import Evaluation
from sentiment.training.evaluation_page import TITLES, written
from sentiment.training.pictures import reliability

_SHOWN_SOURCES = 20
_MEANINGS = {
    "accuracy": "Share of the reviews whose label is right.",
    "macro_f1": "Mean over the labels of how well each is found; low if any one of them is missed.",
    "weighted_f1": "The same, each label counted by its reviews.",
    "auc": "Of a positive and a negative review drawn at random, how often the positive one scores higher.",
    "log_loss": "How surprised the model is by the right label; a sure mistake costs most. Lower is better.",
    "brier": "Mean squared distance of the probabilities from the truth. Lower is better.",
    "expected_calibration_error": "How far its confidence and the share of right answers are apart. Lower is better.",
    "coverage": "Share of the reviews that get a sure answer; the others count as unsure.",
    "answered_accuracy": "Share of the sure answers that are right.",
}


def data(facts: CardFacts) -> Section:
    """Tell what it learned from."""
    held = facts.data
    if held is None:
        return Section("Data", [Paragraph(f"The snapshot {facts.version.snapshot} is not kept any more.")])
    span = f"{facts.written[0]:%Y-%m-%d} to {facts.written[1]:%Y-%m-%d}" if facts.written else "the files did not say"
    sources = sorted(held.sources.items(), key=lambda item: (-item[1], item[0]))
    blocks: list[Block] = [
        Facts(
            {
                "Snapshot": held.snapshot,
                "Digest of the reviews": held.digest,
                "Reviews": f"{held.rows:,}",
                "Written": span,
                "Learned from": f"{facts.train_rows:,}",
                "Held out": f"{facts.test_rows:,}",
            }
        ),
        Paragraph(
            "A review is held out by a hash of its text, so the same review is never on both sides, in this snapshot "
            "or any other.",
            soft=True,
        ),
        Table(("Label", "Reviews", "Share"), _shares(held.labels.items(), held.rows)),
        Table(("Source", "Reviews", "Share"), _shares(sources[:_SHOWN_SOURCES], held.rows)),
    ]
    if len(sources) > _SHOWN_SOURCES:
        blocks.append(Paragraph(f"And {len(sources) - _SHOWN_SOURCES:,} more sources.", soft=True))
    return Section("Data", blocks)


def metrics(evaluation: Evaluation | None) -> Section:
    """Tell how good it is on the whole and on each label, with intervals."""
    if evaluation is None:
        return Section("Metrics", [Paragraph("The run of this model keeps no evaluation.")])
    found = evaluation.metrics
    whole = [(TITLES[name], written(found, name), _MEANINGS[name]) for name in TITLES if name in found]
    labels = []
    for name, cells in zip(evaluation.labels, evaluation.confusion, strict=True):
        measures = [f"{measure}_{name}" for measure in ("precision", "recall")]
        said = [written(found, measure) if measure in found else "" for measure in measures]
        labels.append((name, f"{sum(cells):,}", *said))
    return Section(
        "Metrics",
        [
            Paragraph(
                f"On {evaluation.rows:,} reviews that it did not learn from. In brackets the 95% interval: how far the "
                "figure could be off by the luck of the draw."
            ),
            Table(("Metric", "Value", "What it means"), whole, words=(2,)),
            Table(("Label", "Reviews", "Right when it says so", "Found of those there are"), labels),
        ],
    )


def calibration(evaluation: Evaluation | None) -> Section:
    """Show whether its confidence can be believed."""
    if evaluation is None:
        return Section("Calibration", [Paragraph("Not measured.")])
    rows = [
        (f"{item.confidence:.1%}", f"{item.share.accuracy:.1%}", _interval(item.share.interval), f"{item.share.rows:,}")
        for item in evaluation.calibration
    ]
    return Section(
        "Calibration",
        [
            Paragraph("Can its confidence be believed? Where it can, 90% sure means right nine times in ten."),
            Picture(
                reliability(evaluation),
                "On the dashed line confidence can be believed; below it the model is too sure, above it too modest.",
                Table(("Confidence", "Right", "95% interval", "Reviews"), rows),
            ),
        ],
    )


def slices(evaluation: Evaluation | None) -> Section:
    """Tell how good it is on groups of reviews."""
    if evaluation is None:
        return Section("Slices", [Paragraph("Not measured.")])
    rows = [
        (item.name, f"{item.share.rows:,}", f"{item.share.accuracy:.1%}", _interval(item.share.interval))
        for item in evaluation.slices
    ]
    return Section(
        "Slices",
        [
            Paragraph("Groups of reviews on which a model may do worse than on the whole. A review is in several."),
            Table(("Group", "Reviews", "Accuracy", "95% interval"), rows),
        ],
    )


def _shares(counts: Iterable[tuple[str, int]], rows: int) -> list[tuple[str, str, str]]:
    return [
        ("without a label" if name == UNLABELLED else name, f"{count:,}", f"{count / max(rows, 1):.1%}")
        for name, count in counts
    ]


def _interval(interval: tuple[float, float, float]) -> str:
    return f"{interval[1]:.1%} to {interval[2]:.1%}"
