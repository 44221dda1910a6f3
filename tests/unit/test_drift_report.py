"""The drift report: what it says, in which order, and that nothing from data can act in it."""

import html
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sentiment.drift.accuracy import measure_accuracy
from sentiment.drift.check import judge_drift
from sentiment.drift.evidently_page import evidently_page
from sentiment.drift.explanation import Explanation, explain
from sentiment.drift.moved_words import MovedWord, MovedWords
from sentiment.drift.report import render_report
from sentiment.drift.report_signals import PastCheck
from sentiment.drift.report_texts import EXAMPLE_CHARACTERS, marked
from sentiment.drift.report_texts import shown as shown_word
from sentiment.drift.sample import Sample, measure
from sentiment.drift.signals import compare
from sentiment.drift.slices import slices
from sentiment.drift.verdict import Confirmation, DriftVerdict
from sentiment.settings import DriftPolicy

ATTACK = "<script>document.title='pwned'</script>\"'><img src=x onerror=alert(1)>"
END = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)


def plain(markup: str) -> str:
    """What a reader sees of HTML, without its frames and styles."""
    text = re.sub(r"<style>.*?</style>|srcdoc=\"[^\"]*\"", "", markup, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", re.sub(r"</?(?:strong|mark)>", "", text))
    return " ".join(html.unescape(text).split())


def sample(seed: int, rows: int, *, shift: float = 0.0, word: str = "film") -> Sample:
    rng = np.random.default_rng(seed)
    scores = np.clip(rng.beta(0.6, 0.6, rows) + shift, 0, 1)
    said = ["this", "that", "is", "was", "fine", "good", "bad", "so", "very", "and", "with", "of", "a", "the", "it"]
    texts = [" ".join(rng.choice([*said, word], 4 + int(length))) for length in rng.poisson(16, rows)]
    labels = np.where(scores > 0.5, "positive", "negative").tolist()
    return measure(texts, scores=scores, predictions=labels, unknown_share=rng.beta(1, 20, rows))


def judged(reference: Sample, current: Sample, **changes: Any) -> DriftVerdict:
    verdict = judge_drift(
        signals=compare(reference=reference, current=current),
        live_accuracy=measure_accuracy(correct=70, rows=100),
        reference_accuracy=measure_accuracy(correct=920, rows=1000),
        reference_rows=len(reference),
        current_rows=len(current),
        policy=DriftPolicy(),
    )
    return replace(verdict, **changes)


def page(
    *,
    reference: Sample,
    current: Sample,
    evidently: str | None = None,
    explanation: Explanation | None = None,
    title: str = "20261121T061500-v3-0a1b2c3d",
    facts: dict[str, str] | None = None,
    verdict: DriftVerdict | None = None,
    history: Sequence[PastCheck] = (),
) -> str:
    return render_report(
        title=title,
        facts=facts or {"Champion": "version 3"},
        verdict=verdict or judged(reference, current),
        reference=reference,
        current=current,
        explanation=explanation or explain(reference=reference.texts, current=current.texts),
        evidently=evidently,
        end=END,
        history=history,
    )


@cache
def drifted_page() -> str:
    reference, current = sample(1, 300), sample(2, 250, shift=0.3, word="kettle")
    verdict = judged(reference, current)
    document = evidently_page(reference=reference, current=current, signals=verdict.signals)
    past = [PastCheck(END - timedelta(days=days), verdict) for days in (2, 1)]
    return page(reference=reference, current=current, verdict=verdict, evidently=document, history=past)


def test_the_verdict_its_action_and_its_reasons_come_before_the_pictures_and_evidently() -> None:
    order = [
        '<header class="banner drifted"',
        '<p class="word">Drifted</p>',
        "<strong>Retrain</strong>",
        "The champion is wrong more often: live accuracy is 70.0%",
        "Scores moved",
        ">How often the champion is right<",
        ">What was compared<",
        ">How they differ<",
        ">Over time<",
        ">Signals<",
        "<li><strong>kettle</strong>",
        "<mark>kettle</mark>",
        ">Parts of the traffic<",
        "Evidently&#x27;s report",
        "<iframe",
    ]
    found = [drifted_page().find(text) for text in order]
    assert -1 not in found
    assert found == sorted(found)


def test_what_to_do_is_said_for_every_outcome() -> None:
    reference, current = sample(1, 150), sample(2, 150)

    def shown(**changes: Any) -> str:
        return plain(page(reference=reference, current=current, verdict=judged(reference, current, **changes)))

    both = shown(state="drifted", actions=("retrain", "ask_for_labels"))
    assert "Retrain: so that the champion learns" in both
    assert "Ask for labels: only they can tell" in both
    for state in ("stable", "watch", "drifted", "insufficient_data"):
        assert "Nothing:" in shown(state=state, actions=())


def test_what_confirms_a_verdict_and_what_the_check_could_see_are_said() -> None:
    reference, current = sample(1, 150), sample(2, 150)
    verdict = judged(
        reference,
        current,
        state="watch",
        alone="drifted",
        actions=(),
        confirmation=Confirmation(found=1, needed=2, checks=3),
        false_alarm_days=91,
        detectable=("A shift of 8 points in the mix of answers.",),
    )
    shown = plain(page(reference=reference, current=current, verdict=verdict))
    assert "found in 1 of the last 3 checks" in shown
    assert "in 2 of 3 before anything is done. This check alone says drifted." in shown
    assert "A shift of 8 points in the mix of answers." in shown
    assert "one false alarm in 91 daily checks" in shown


def test_an_estimate_without_labels_is_marked_as_one() -> None:
    reference, current = sample(1, 150), sample(2, 150)
    guess = measure_accuracy(correct=130, rows=150)
    verdict = judged(reference, current, live_accuracy=None, estimated_accuracy=guess)
    shown = plain(page(reference=reference, current=current, verdict=verdict))
    assert "Now, estimated estimate 150 rows: an estimate without labels" in shown
    assert "nobody knows how right it is now" in shown
    assert "takes the champion at its word" in shown
    assert "estimate without labels" not in plain(drifted_page())


def test_signals_are_followed_over_the_checks_before_relative_to_their_thresholds() -> None:
    reference, current = sample(1, 300), sample(2, 250, shift=0.3)
    verdict = judged(reference, current)
    scores = next(signal for signal in verdict.signals if signal.name == "scores")
    half = replace(scores, distance=0.05, threshold=0.1, counts=False)
    now = replace(verdict, signals=(replace(scores, distance=0.3, threshold=0.2),))
    past = PastCheck(END - timedelta(days=1), replace(verdict, state="stable", signals=(half,)))
    later = PastCheck(END + timedelta(days=1), replace(verdict, state="insufficient_data"))
    shown = page(reference=reference, current=current, verdict=now, history=[later, past])
    assert "<figcaption>Scores <strong>1.5" in shown
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", shown[shown.index('id="time"') : shown.index('id="signals"')])
    assert [plain(row) for row in rows[1:]] == ["2026-11-20 06:15 Stable 0.50", "2026-11-21 06:15 Drifted 1.50"]
    assert "2026-11-22" not in shown
    assert "This is the first check of this champion" in page(reference=reference, current=current)


def test_slices_with_enough_rows_say_where_it_moved() -> None:
    reference, current = sample(1, 300), sample(2, 300, shift=0.2)
    fresh = sample(3, 60, word="kettle")
    mixed = measure(
        [*current.texts[:240], *fresh.texts],
        scores=current.scores,
        predictions=current.predictions,
        sources=["web"] * 240 + ["app"] * 50 + ["rare"] * 10,
    )
    reference = replace(reference, sources=("web",) * 300)
    found = explain(reference=reference.texts, current=mixed.texts)
    by_source = {
        each.value: each
        for each in slices(reference=reference, current=mixed, unlike=found.unlike)
        if each.kind == "source"
    }
    assert set(by_source) == {"web", "app"}  # ten rows are too few to speak of
    assert by_source["app"].reference_share == 0
    assert by_source["app"].current_share == pytest.approx(50 / 300)
    assert by_source["app"].reference_score is None
    assert by_source["app"].unlike is not None
    assert by_source["app"].unlike > 0.5
    assert by_source["web"].unlike is not None
    assert by_source["web"].unlike < 0.2


def test_lengths_are_cut_by_the_reference_and_come_in_order() -> None:
    reference = measure(["word " * length for length in range(1, 301)])
    current = measure(["word " * 10] * 100 + ["word " * 280] * 100)
    found = slices(reference=reference, current=current, unlike=np.full(200, np.nan))
    assert [each.value for each in found] == ["up to 100 words", "101 to 200 words", "over 200 words"]
    assert [each.current_share for each in found] == [0.5, 0, 0.5]
    assert all(each.unlike is None for each in found)


def test_our_signals_are_metrics_and_tests_of_evidently() -> None:
    from evidently import Report

    from sentiment.drift.evidently_signals import signal_metrics

    reference, current = sample(1, 300), sample(2, 250, shift=0.3)
    signals = [replace(signal, threshold=0.1) for signal in judged(reference, current).signals]
    frames = [pd.DataFrame({"words": side.words}) for side in (current, reference)]
    found = Report(signal_metrics(signals), include_tests=True).run(*frames).dict()
    assert [metric["value"] for metric in found["metrics"]] == [signal.distance for signal in signals]
    assert "signal=scores" in found["metrics"][0]["metric_name"]
    assert "threshold=0.1" in found["metrics"][0]["metric_name"]
    assert [test["status"].value == "FAIL" for test in found["tests"]] == [signal.counts for signal in signals]
    assert "0.100 and more counts" in found["tests"][0]["description"]


def test_evidently_judges_the_same_columns_and_is_framed_without_rights() -> None:
    frame = re.search(r'<iframe[^>]*sandbox="([^"]*)" srcdoc="([^"]*)"', drifted_page())
    assert frame is not None
    assert frame[1] == "allow-scripts"
    inside = html.unescape(frame[2])
    for column in ("Score", "Predicted label", "Unknown words", "Characters", "Words"):
        assert f'"{column}"' in inside
    for title in ("Signal: Scores counts", "Signal: Length in words does not count"):
        assert title in inside
    assert "evidentlyHeight" in inside


def test_the_page_asks_the_network_for_nothing() -> None:
    shell = re.sub(r'srcdoc="[^"]*"', "", drifted_page())
    assert "http://" not in shell
    assert "https://" not in shell
    assert "default-src 'none'" in shell


def test_the_same_data_gives_the_same_bytes() -> None:
    reference, current = sample(1, 120), sample(2, 110)
    pages = {evidently_page(reference=reference, current=current) for _ in range(2)}
    assert len(pages) == 1


def test_everything_from_data_is_escaped() -> None:
    reference, current = sample(1, 150), sample(2, 150)
    hostile = measure(
        [ATTACK + text for text in current.texts], scores=current.scores, predictions=[ATTACK] * len(current)
    )
    hostile = replace(hostile, sources=(ATTACK,) * 100 + ("web",) * 50)
    moved = MovedWords(rose=(MovedWord(ATTACK, 9.0, 0.0, 1.0), MovedWord("fine", 5.0, 0.0, 1.0)), fell=())
    told = Explanation(None, moved, hostile.texts[:2], hostile.texts[:1], np.full(150, np.nan))
    shown = page(
        reference=replace(reference, sources=("web",) * 150),
        current=hostile,
        explanation=told,
        title=ATTACK,
        facts={ATTACK: ATTACK},
    )
    assert "<script>document" not in shown
    assert "<img" not in shown
    assert shown.count("&lt;script&gt;document.title") >= 8  # title, facts, reason, words, examples, slices


def test_hostile_labels_cannot_leave_the_frame_of_evidently() -> None:
    reference, current = sample(1, 120), sample(2, 120)
    hostile = measure(current.texts, scores=current.scores, predictions=[ATTACK, '"></iframe><b>x'] * 60)
    document = evidently_page(reference=reference, current=hostile)
    shown = page(reference=reference, current=current, evidently=document)
    assert shown.count("<iframe") == 1
    assert shown.count("</iframe>") + document.count("</iframe>") == 1 + 2 * document.count("</iframe>")
    source = re.search(r'srcdoc="([^"]*)"></iframe></section>', shown)
    assert source is not None


def test_long_examples_are_cut_to_the_part_with_the_words_that_moved() -> None:
    text = "It was a long day.\n\n" * 40 + "Then the kettle<br />boils, and the  Kettle sings. " + "It ended. " * 60
    shown = marked(text, ["kettle boils", "kettle"])
    bare = re.sub(r"</?mark>", "", shown)
    assert EXAMPLE_CHARACTERS - 30 < len(bare) <= EXAMPLE_CHARACTERS + 2  # and an ellipsis at either end
    assert set(bare.strip("…").split()) <= set(text.replace("<br />", " ").split())  # no half words
    assert len(marked("x" * 1_000, [])) == EXAMPLE_CHARACTERS + 1
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "Then the <mark>kettle boils</mark>, and the <mark>Kettle</mark> sings." in shown


def test_words_are_marked_whole_and_phrases_across_their_punctuation() -> None:
    assert marked("Kettles, a kettle's", ["kettle"]) == "Kettles, a kettle&#x27;s"
    assert marked("Buy now: cheap, watches!", ["cheap , watches", "!"]) == (
        "Buy now: <mark>cheap, watches</mark><mark>!</mark>"
    )
    assert marked("It isn\u2019t", ["isn't"]) == "It <mark>isn\u2019t</mark>"
    assert marked("<b>&</b>", []) == "&lt;b&gt;&amp;&lt;/b&gt;"


def test_phrases_are_shown_as_they_are_written() -> None:
    assert shown_word("use it at https : / / cheap , now !") == "use it at https://cheap, now!"


def test_nothing_to_compare_still_makes_a_page_that_says_so() -> None:
    shown = page(reference=sample(1, 200), current=measure([], scores=[], predictions=[], unknown_share=[]))
    assert "Too few current rows" in shown
    assert "How they differ" not in shown
    assert "<iframe" not in shown


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_evidently_copes_with_a_handful_of_rows_and_constant_columns(rows: int) -> None:
    reference, current = (
        sample(1, rows),
        measure(["x"] * rows, scores=[0.5] * rows, predictions=["positive"] * rows),
    )
    assert "drawDashboard" in evidently_page(reference=reference, current=current)
