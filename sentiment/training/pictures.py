"""The pictures of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sentiment.training.charts import BLUE, HEIGHT, ORANGE, SOFT, WIDTH, Axis, Chart, count, drawing, percent, text
from sentiment.training.evaluation import Evaluation, Share

_MARKED = (0.8, 0.9, 1.0)  # coverages whose accuracy is written out


def pictures(evaluation: Evaluation) -> dict[str, str]:
    """Return the SVG documents by name; the learning curve only where there is one."""
    drawn = {
        "confusion": confusion(evaluation),
        "reliability": reliability(evaluation),
        "confidence": confidence(evaluation),
        "coverage": coverage(evaluation),
    }
    return drawn | ({"learning": learning(evaluation)} if len(evaluation.learning) > 1 else {})


def confusion(evaluation: Evaluation) -> str:
    """Draw how the answers to each label are spread; shades are shares of the row."""
    names, cells = evaluation.labels, np.array(evaluation.confusion)
    left, top, size = 170.0, 150.0, len(names)
    width, height = (WIDTH - left - 30) / size, (HEIGHT - top - 20) / size
    parts = [
        text(left + width * size / 2, top - 40, "answered"),
        text(30, top + height * size / 2, "right label", turned=True),
    ]
    for row, name in enumerate(names):
        middle = top + height * (row + 0.5)
        parts.append(text(left + width * (row + 0.5), top - 14, name, colour=SOFT))
        parts.append(text(left - 14, middle + 5, name, anchor="end", colour=SOFT))
        whole = max(int(cells[row].sum()), 1)
        for column in range(size):
            share, x = cells[row, column] / whole, left + width * column
            parts.append(
                f'<rect x="{x + 1:.1f}" y="{top + height * row + 1:.1f}" width="{width - 2:.1f}" '
                f'height="{height - 2:.1f}" fill="{BLUE if row == column else ORANGE}" '
                f'fill-opacity="{0.06 + 0.9 * share:.2f}" stroke="#d5dbe2"/>'
            )
            colour = "#ffffff" if share > 0.72 else "#1b2430"
            at = x + width / 2
            parts.append(text(at, middle, count(cells[row, column]), size=19, bold=True, colour=colour))
            parts.append(text(at, middle + 22, percent(share), size=14, colour=colour))
    subtitle = f"{evaluation.rows:,} reviews; percentages are of each row"
    return drawing("Confusion matrix", subtitle, parts)


def reliability(evaluation: Evaluation) -> str:
    """Draw how often answers of each confidence are right; on the diagonal, confidence can be believed."""
    bins = evaluation.calibration
    lowest = min([0.5, *(item.share.accuracy_low for item in bins), *(item.confidence for item in bins)])
    low = float(np.floor(lowest * 10) / 10)
    ticks = [round(tick, 1) for tick in np.arange(low, 1.01, 0.1).tolist()]
    chart = Chart(
        "Reliability",
        f"Calibration error {_said(evaluation, 'expected_calibration_error')}; bars are 95% intervals, "
        "larger dots are more reviews",
        x=Axis("confidence of the answer", low, 1.0, ticks),
        y=Axis("share that is right", low, 1.0, ticks),
    )
    chart.line([(low, low), (1.0, 1.0)], SOFT, dashed=True)
    chart.line([(item.confidence, item.share.accuracy) for item in bins])
    most = max(item.share.rows for item in bins)
    for item in bins:
        said = f"{percent(item.share.accuracy)} right at confidence {percent(item.confidence)}: {_rows(item.share)}"
        _dot(chart, item.confidence, item.share, said=said, radius=4 + 6 * (item.share.rows / most) ** 0.5)
    return chart.svg()


def confidence(evaluation: Evaluation) -> str:
    """Draw how many answers are how sure, right and wrong ones."""
    bins = evaluation.confidence
    ticks = np.linspace(bins[0].low, 1.0, 6).tolist()
    right, wrong = sum(item.right for item in bins), sum(item.wrong for item in bins)
    chart = Chart(
        "Confidence",
        f"{right:,} right answers (blue) on {wrong:,} wrong ones (orange)",
        x=Axis("confidence of the answer", bins[0].low, 1.0, ticks),
        y=Axis.from_zero("reviews", max(item.right + item.wrong for item in bins)),
    )
    for item in bins:
        where = f"at confidence {percent(item.low)} to {percent(item.high)}"
        chart.bar(item.low, item.high, 0, item.wrong, ORANGE, said=f"{item.wrong:,} wrong {where}")
        chart.bar(item.low, item.high, item.wrong, item.wrong + item.right, BLUE, said=f"{item.right:,} right {where}")
    return chart.svg()


def coverage(evaluation: Evaluation) -> str:
    """Draw the accuracy on the surest answers against the share of reviews that get one."""
    points = [point for point in evaluation.coverage if point.coverage >= 0.1] or list(evaluation.coverage)
    chart = Chart(
        "Accuracy and coverage",
        _answered(evaluation) or "Accuracy on the surest answers, if the others are left to a person",
        x=Axis("share of the reviews that are answered", 0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        y=Axis.around("accuracy", _ends([point.share for point in points])),
    )
    chart.band(
        [(point.coverage, point.share.accuracy_low) for point in points],
        [(point.coverage, point.share.accuracy_high) for point in points],
    )
    chart.line([(point.coverage, point.share.accuracy) for point in points])
    for point in (min(points, key=lambda point: abs(point.coverage - mark)) for mark in _MARKED):
        said = f"{percent(point.share.accuracy)} right from confidence {percent(point.threshold)} on"
        _dot(chart, point.coverage, point.share, said=said)
        chart.note(point.coverage, point.share.accuracy_low, percent(point.share.accuracy), anchor="end", below=True)
    if (band := evaluation.band) and (share := band.answered):
        said = f"{percent(share.accuracy)} right above confidence {percent(band.min_confidence)}: {_rows(share)}"
        _dot(chart, band.coverage, share, said=said, colour=ORANGE)
    return chart.svg()


def learning(evaluation: Evaluation) -> str:
    """Draw the accuracy of models that learned from fewer reviews, which tells whether more would still help."""
    points = evaluation.learning
    sizes = [point.train_rows for point in points]
    chart = Chart(
        "Learning curve",
        f"Accuracy on the same {evaluation.rows:,} held-out reviews; bars are 95% intervals",
        x=Axis("reviews learned from", sizes[0] * 0.8, sizes[-1] * 1.25, sizes, count, logarithmic=True),
        y=Axis.around("accuracy", _ends([point.share for point in points])),
    )
    chart.line([(point.train_rows, point.share.accuracy) for point in points])
    for point in points:
        said = f"{percent(point.share.accuracy)} after {point.train_rows:,} reviews"
        _dot(chart, point.train_rows, point.share, said=said)
        chart.note(point.train_rows, point.share.accuracy_high, percent(point.share.accuracy))
    return chart.svg()


def _answered(evaluation: Evaluation) -> str:
    """Say what the orange dot is; nothing without one."""
    band = evaluation.band
    if band is None:
        return ""
    if band.answered is None:
        return "No answer is sure enough to be given"
    given = f"{percent(band.coverage)} are surer than {percent(band.min_confidence)}"
    return f"{given}, {percent(band.answered.accuracy)} of them right (orange); the others are unsure"


def _dot(chart: Chart, x: float, share: Share, *, said: str, radius: float = 6, colour: str = BLUE) -> None:
    ends = {"low": share.accuracy_low, "high": share.accuracy_high}
    chart.dot(x, share.accuracy, **ends, said=said, radius=radius, colour=colour)


def _ends(found: Sequence[Share]) -> list[float]:
    return [end for share in found for end in (share.accuracy_low, share.accuracy_high)]


def _said(evaluation: Evaluation, name: str) -> str:
    value, low, high = (evaluation.metrics[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def _rows(share: Share) -> str:
    return f"{share.right:,} of {share.rows:,} reviews"
