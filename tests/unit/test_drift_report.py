"""The drift report: what it says, in which order, and that nothing from data can act in it."""

import html
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sentiment.drift.accuracy import measure_accuracy
from sentiment.drift.check import judge_drift
from sentiment.drift.evidently_page import evidently_page
from sentiment.drift.report import EXAMPLE_CHARACTERS, render_report
from sentiment.drift.signals import Sample, compare, measure
from sentiment.drift.words import MovedWord, MovedWords, moved_words, unusual_texts
from sentiment.settings import DriftPolicy

ATTACK = "<script>document.title='pwned'</script>\"'><img src=x onerror=alert(1)>"
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")


def sample(seed: int, rows: int, *, shift: float = 0.0, word: str = "film") -> Sample:
    rng = np.random.default_rng(seed)
    scores = np.clip(rng.beta(0.6, 0.6, rows) + shift, 0, 1)
    texts = [f"this {word} is fine " * (1 + int(length)) for length in rng.poisson(5, rows)]
    labels = np.where(scores > 0.5, "positive", "negative").tolist()
    return measure(texts, scores=scores, predictions=labels, unknown_share=rng.beta(1, 20, rows))


def page(
    *,
    reference: Sample,
    current: Sample,
    evidently: str | None = None,
    moved: MovedWords | None = None,
    title: str = "20261121T061500-v3-0a1b2c3d",
    facts: dict[str, str] | None = None,
) -> str:
    verdict = judge_drift(
        signals=compare(reference=reference, current=current),
        live_accuracy=measure_accuracy(correct=70, rows=100),
        reference_accuracy=measure_accuracy(correct=920, rows=1000),
        reference_rows=len(reference),
        current_rows=len(current),
        policy=DriftPolicy(),
    )
    moved = moved or moved_words(reference=reference.texts, current=current.texts)
    return render_report(
        title=title,
        facts=facts or {"Champion": "version 3"},
        verdict=verdict,
        reference=reference,
        current=current,
        moved=moved,
        examples=unusual_texts(current.texts, moved=moved),
        evidently=evidently,
    )


@cache
def drifted_page() -> str:
    reference, current = sample(1, 300), sample(2, 250, shift=0.3, word="kettle")
    return page(reference=reference, current=current, evidently=evidently_page(reference=reference, current=current))


def test_the_verdict_its_action_and_its_reasons_come_before_evidently() -> None:
    order = [
        '<section class="banner drifted"',
        "<strong>Drifted</strong>",
        "Retrain:",
        "The champion is wrong more often: live accuracy is 70.0%",
        "Scores moved",
        "<h2>Signals</h2>",
        "<td>kettle</td>",
        "<blockquote>this kettle is fine",
        "Evidently&#x27;s report",
        "<iframe",
    ]
    found = [drifted_page().find(text) for text in order]
    assert -1 not in found
    assert found == sorted(found)


def test_evidently_judges_the_same_columns_and_is_framed_without_rights() -> None:
    frame = re.search(r'<iframe[^>]*sandbox="([^"]*)" srcdoc="([^"]*)"', drifted_page())
    assert frame is not None
    assert frame[1] == "allow-scripts"
    inside = html.unescape(frame[2])
    for column in ("Score", "Predicted label", "Unknown words", "Characters", "Words"):
        assert f'"{column}"' in inside
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
    moved = MovedWords(rose=(MovedWord(ATTACK, 9.0, 0.0, 1.0), MovedWord("fine", 5.0, 0.0, 1.0)), fell=())
    shown = page(reference=reference, current=hostile, moved=moved, title=ATTACK, facts={ATTACK: ATTACK})
    assert "<script>document" not in shown
    assert "<img" not in shown
    assert shown.count("&lt;script&gt;document.title") >= 5  # title, facts, reason, words, examples


def test_hostile_labels_cannot_leave_the_frame_of_evidently() -> None:
    reference, current = sample(1, 120), sample(2, 120)
    hostile = measure(current.texts, scores=current.scores, predictions=[ATTACK, '"></iframe><b>x'] * 60)
    document = evidently_page(reference=reference, current=hostile)
    shown = page(reference=reference, current=current, evidently=document)
    assert shown.count("<iframe") == 1
    assert shown.count("</iframe>") + document.count("</iframe>") == 1 + 2 * document.count("</iframe>")
    source = re.search(r'srcdoc="([^"]*)"></iframe></section>', shown)
    assert source is not None


def test_long_examples_are_shortened_and_spread_lines_joined() -> None:
    reference = sample(1, 150)
    current = measure(["a kettle\n\nboils " + "quite slowly " * 50] * 150, scores=reference.scores)
    quotes = re.findall(r"<blockquote>(.*?)</blockquote>", page(reference=reference, current=current))
    assert len(quotes) == 1  # the same text is shown once
    assert len(quotes[0]) == EXAMPLE_CHARACTERS
    assert quotes[0].endswith("…")


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


@pytest.mark.slow
def test_the_report_opens_in_chromium_inside_a_sandboxed_frame(tmp_path: Path) -> None:
    if not (CHROMIUM.exists() and DRIVER.exists()):
        pytest.skip("Chromium and its driver are not installed")
    report = tmp_path / "report.html"
    report.write_text(drifted_page(), encoding="utf-8")
    outer = tmp_path / "airflow.html"
    outer.write_text('<iframe sandbox="allow-scripts" src="report.html" width="1100" height="3000"></iframe>')
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        browser.get(outer.as_uri())
        browser.switch_to.frame(0)
        assert "Drifted" in browser.find_element(By.CLASS_NAME, "banner").text
        default_height = 1400
        WebDriverWait(browser, 30).until(
            lambda b: b.find_element(By.TAG_NAME, "iframe").size["height"] != default_height
        )
        browser.switch_to.frame(0)
        assert "Dataset Drift" in browser.find_element(By.TAG_NAME, "body").text
        assert [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    finally:
        browser.quit()
