"""What a model card says. Pure: facts in, a document out.

The sections follow Mitchell et al., "Model cards for model reporting" (2019): what it is, what it is for, what it
learned from, how good it is and on whom, what it was compared with, and where it must not be trusted.
"""

from __future__ import annotations

from datetime import datetime

from sentiment.training.card_facts import CardFacts
from sentiment.training.card_judged import behaviour, comparison, decided, drift_before, verdict
from sentiment.training.card_measured import calibration, data, metrics, slices
from sentiment.training.documents import Banner, Code, Document, Facts, Items, Paragraph, Section, Table
from sentiment.training.evaluation import Evaluation
from sentiment.training.evaluation_page import main_metrics

_ENOUGH = 30  # reviews of a group that is named as the weakest


def card(facts: CardFacts) -> Document:
    """Return the card of a model."""
    version, (kind, word) = facts.version, verdict(facts.decision)
    return Document(
        title=f"Model card: {facts.model}, version {version.version}",
        subtitle=f"Learned from {version.snapshot} · registered {_moment(version.created_at)}",
        banner=Banner(kind, word, facts.decision.reason),
        sections=[
            _what(facts),
            _use(facts),
            data(facts),
            metrics(facts.evaluation),
            calibration(facts.evaluation),
            slices(facts.evaluation),
            behaviour(facts.decision.checks),
            comparison(facts.decision),
            decided(facts),
            drift_before(facts.drift),
            _limits(facts),
            _reproduce(facts),
        ],
    )


def summary(facts: CardFacts) -> Document:
    """Return what the page of the registered version says: the figures and the decision."""
    decision, version = facts.decision, facts.version
    kind, word = verdict(decision)
    figures = main_metrics(facts.evaluation.metrics) if facts.evaluation else {}
    return Document(
        title=f"{facts.model}, version {version.version}",
        subtitle=f"Tells how a review judges: {', '.join(version.labels)}. Learned from {facts.train_rows:,} reviews "
        f"of {version.snapshot}, measured on {facts.test_rows:,} that were held out (95% intervals).",
        banner=Banner(kind, word, decision.reason),
        sections=[Section("Metrics", [Table(("Metric", "Value"), list(figures.items()))])],
    )


def _what(facts: CardFacts) -> Section:
    version = facts.version
    return Section(
        "What it is",
        [
            Paragraph(
                f"A model that reads one review and answers with one of {len(version.labels)} labels "
                f"({', '.join(version.labels)}) and a probability for each. It is a logistic regression over words and "
                "short word sequences: every answer is a sum of what each word adds, and can be taken apart word by "
                "word:"
            ),
            Code(f'sentiment explain "Not bad at all, I loved it." --version {version.version}'),
            Facts(
                {
                    "Model": f"{facts.model}, version {version.version}",
                    "Registered": _moment(version.created_at),
                    "Learned from": f"{facts.train_rows:,} reviews of {version.snapshot}",
                    "Measured on": f"{facts.test_rows:,} held-out reviews",
                    "Code version": version.code or "not recorded",
                    "MLflow run": version.run_id,
                }
            ),
        ],
    )


def _use(facts: CardFacts) -> Section:
    return Section(
        "Intended use",
        [
            Paragraph("Made to sort and count reviews of the kind it learned from:"),
            Items(
                [
                    "Follow how customers judge over time, by product or source, over many reviews.",
                    "Sort reviews for people to read, the surest or the most doubtful first.",
                ]
            ),
            Paragraph("Not made for:"),
            Items(
                [
                    "Decisions about a person, such as the one who wrote a review: single answers are wrong as often "
                    "as the figures below say.",
                    "Other kinds of text (news, conversations, support tickets) or other languages than those it "
                    "learned from.",
                    "Judging single aspects: it gives one label to the whole text.",
                ]
            ),
        ],
    )


def _limits(facts: CardFacts) -> Section:
    evaluation, lines = facts.evaluation, []
    if evaluation is not None:
        wrong = 1 - evaluation.metrics["accuracy"]
        lines.append(f"About {_one_in(wrong)} answers on reviews like these is wrong.")
        if weak := _weakest(evaluation):
            lines.append(weak)
    lines += [
        "The intervals tell how sure the figures are for reviews like these. On others it may be much worse; the "
        "drift check watches for that.",
        "It knows words, not the world: irony, comparison with another product and praise of somebody else mislead it.",
        "Labels are those of the files it learned from, with their mistakes and the taste of those who wrote them.",
    ]
    return Section("Limits and caveats", [Items(lines)])


def _reproduce(facts: CardFacts) -> Section:
    version = facts.version
    settings = "\n".join(f"  {name} = {value}" for name, value in facts.training.items())
    commands = (
        f"pip install {' '.join(facts.requirements)}\n"
        f"sentiment data show {version.snapshot}      # digest {facts.data.digest if facts.data else '(gone)'}\n"
        f"sentiment train --snapshot {version.snapshot}\n"
        f"sentiment promote {version.version}      # judges it again, against the champion of today"
    )
    return Section(
        "How to reproduce it",
        [
            Paragraph(
                f"With code version {version.code or '(not recorded)'} and these settings the same snapshot gives the "
                "same scorer; compare the digests."
            ),
            Code(commands),
            Code(f"training settings\n{settings}"),
            Facts({"Digest of the scorer": version.digest, "Digest of the pipeline file": version.pipeline_digest}),
        ],
    )


def _weakest(evaluation: Evaluation) -> str:
    """Name the group on which it is surely worse than on the whole, if there is one."""
    whole = evaluation.metrics["accuracy"]
    worse = [item for item in evaluation.slices if item.share.rows >= _ENOUGH and item.share.accuracy_high < whole]
    if not worse:
        return ""
    item = min(worse, key=lambda item: item.share.accuracy)
    found = f"{item.share.accuracy:.1%} of {item.share.rows:,} reviews"
    return f"It is weakest on the group “{item.name}”: right on {found}, and on {whole:.1%} of all."


def _one_in(share: float) -> str:
    return f"one in {max(round(1 / share), 1):,}" if share > 0 else "none of the measured"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
