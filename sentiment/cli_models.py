"""``sentiment evaluate``, ``explain`` and ``card``: how good a registered model is, why it answers so, what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentiment.console import Reporter
from sentiment.errors import SettingsError, storage_errors
from sentiment.settings import load_settings

if TYPE_CHECKING:
    from sentiment.serving.explain import Explanation, TellingWords

_SHOWN = 20

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
Version = Annotated[str | None, typer.Option(help="Model version; the champion if not given.")]


def evaluate(
    data: Annotated[Path, typer.Option(readable=False, help="File or label folder with labelled reviews.")],
    text: Annotated[
        str | None, typer.Option(help="Column that holds the text; found by its name if not given.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column that holds the label; found by its name if not given.")
    ] = None,
    version: Version = None,
    report: Annotated[Path | None, typer.Option(help="Where to write the HTML page with pictures.")] = None,
    as_json: Json = False,
) -> None:
    """Measure a model version on a file of labelled reviews. Nothing is taken in and nothing changes.

    The rows pass the contract as in `ingest`; without labels they do not count.
    """
    from sentiment.registry import Registry
    from sentiment.training.evaluation_page import main_metrics
    from sentiment.training.file_evaluation import evaluate_file

    out, settings = Reporter(as_json=as_json), load_settings()
    with out.step("Evaluating") as notes:
        found = evaluate_file(
            settings, data, registry=Registry(settings), version=version, text=text, label=label, report=report
        )
        evaluation = found.evaluation
        notes.append(f"version {found.version}, {evaluation.rows:,} reviews")
    out.panel(f"Version {found.version} on {data.name}, with 95% intervals", main_metrics(evaluation.metrics))
    out.table(
        "Slices",
        ["slice", "reviews", "accuracy", "from", "to"],
        [
            (item.name, f"{item.share.rows:,}", *(f"{value:.1%}" for value in item.share.interval))
            for item in evaluation.slices
        ],
    )
    out.result(found.to_dict(), *found.left_out(), *([f"Report: {report}"] if report else []))


def explain(
    text: Annotated[str | None, typer.Argument(help="A text; the words of the whole model if not given.")] = None,
    top: Annotated[int, typer.Option(min=1, max=200, help="Words to show to each side.")] = _SHOWN,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Tell which words made a model answer a text as it does, or which matter most over all texts.

    What the words of a text add, together with the baseline, sums to the margin from which its probability follows.
    """
    from sentiment.registry import Registry
    from sentiment.serving.explain import explain as take_apart
    from sentiment.training.candidate_evaluation import read_words

    out, settings = Reporter(as_json=as_json), load_settings()
    registry = Registry(settings)
    model = registry.version(version) if version else registry.champion()
    if text is None:
        words = read_words(registry, model)
        _show_words(out, words, top)
        if as_json:
            out.result(words.top(top).to_dict())
        return
    explanation = take_apart(registry.load_scorer(model), text)
    _show_explanation(out, explanation, top)
    if as_json:
        out.result(explanation.to_dict())


def card(
    version: Annotated[str | None, typer.Argument(help="Model version; the champion if not given.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write: .html or .md; without it, Markdown is shown.")
    ] = None,
) -> None:
    """Show the model card of a version: what it is, is for and learned from, how good it is, what the gate said."""
    from sentiment.registry import Registry
    from sentiment.storage import Storage
    from sentiment.training.card_files import HTML, MARKDOWN, read_card

    out, settings = Reporter(), load_settings()
    if output is not None and output.suffix not in (".html", ".md"):
        raise SettingsError(f"--output {output} is neither .html nor .md.", fix="Name the file card.html or card.md.")
    registry = Registry(settings)
    number = (registry.version(version) if version else registry.champion()).version
    content = read_card(Storage(settings), number, HTML if output and output.suffix == ".html" else MARKDOWN)
    if output is None:
        typer.echo(content, nl=False)
        return
    with storage_errors(str(output)):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(content, encoding="utf-8")
    out.result({}, f"Model card of version {number}: {output}")


def _show_words(out: Reporter, words: TellingWords, top: int) -> None:
    for title, side in (("Most positive", words.positive), ("Most negative", words.negative)):
        out.table(
            title,
            ["words", f"reviews of {words.texts:,}", "weight", "adds on average"],
            [(item.word, f"{item.support:,}", f"{item.weight:+.3f}", f"{item.effect:+.4f}") for item in side[:top]],
        )


def _show_explanation(out: Reporter, explanation: Explanation, top: int) -> None:
    shown, others = explanation.words[:top], explanation.words[top:]
    rows = [(word, f"{value:+.3f}") for word, value in shown]
    if others:
        rows.append((f"({len(others):,} more)", f"{sum(value for _, value in others):+.3f}"))
    rows += [("(baseline)", f"{explanation.baseline:+.3f}"), ("= margin", f"{explanation.margin:+.3f}")]
    unsure = f"; unsure, it is no surer than {explanation.min_confidence:.1%}" if explanation.abstained else ""
    out.table(f"{explanation.label}, probability {explanation.probability:.1%}{unsure}", ["words", "adds"], rows)
