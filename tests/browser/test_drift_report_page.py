"""The drift report as a file in a real browser: read offline, by anybody, on paper and on a phone."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from test_profile_page import CONTRASTS, as_before, show

from sentiment.drift.accuracy import measure_accuracy
from sentiment.drift.archive import DriftCheck, publish_check
from sentiment.drift.check import judge_drift
from sentiment.drift.sample import Sample, measure
from sentiment.drift.signals import compare
from sentiment.drift.verdict import Confirmation
from sentiment.reviews.sample import generate
from sentiment.settings import DriftPolicy, load_settings
from sentiment.storage import Storage

__all__ = ["as_before"]

pytestmark = pytest.mark.slow

END = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)


def one_side(seed: int, *, kitchen: int = 0) -> Sample:
    texts = [review.text for review in generate("film", 400 - kitchen, seed=seed)]
    texts += [review.text for review in generate("kitchen", kitchen, seed=seed)] if kitchen else []
    texts[3] += " " + "anunbrokenword" * 40
    scores = np.random.default_rng(seed).beta(0.6, 0.6 + kitchen / 400, 400)
    answers = np.where(scores > 0.5, "positive", "negative").tolist()
    sources = ["a_source_with_a_name_that_never_ends_and_has_no_spaces"] * 200 + ["app"] * 200
    return measure(texts, scores=scores, predictions=answers, sources=sources)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with every section in it, published by the platform."""
    storage = Storage(load_settings(storage={"root": str(tmp_path_factory.mktemp("var"))}))
    reference = one_side(1)
    for day in (3, 2, 1, 0):
        current = one_side(2 + day, kitchen=120 - 40 * day)
        verdict = judge_drift(
            signals=compare(reference=reference, current=current),
            live_accuracy=measure_accuracy(correct=70, rows=100),
            reference_accuracy=measure_accuracy(correct=920, rows=1000),
            reference_rows=400,
            current_rows=400,
            policy=DriftPolicy(),
        )
        verdict = replace(
            verdict,
            signals=tuple(replace(signal, threshold=0.1) for signal in verdict.signals),
            estimated_accuracy=measure_accuracy(correct=330, rows=400),
            confirmation=Confirmation(2, 2, 3),
            false_alarm_days=91,
            level=0.011,
            detectable=("A shift of 8 points in the mix of answers.",),
        )
        end = END - timedelta(days=day)
        check = DriftCheck(f"{end:%Y%m%dT%H%M%S}-v3-0a1b2c3d", verdict, start=end, end=end, champion="3")
        if day:
            storage.write(f"reports/drift/{check.id}/verdict.json", json.dumps(check.to_dict()).encode())
    done = publish_check(storage, check, facts={"Champion": "version 3"}, reference=reference, current=current)
    return Path(storage.uri(str(done.report))).as_uri()


@pytest.fixture
def recorded(chromium: Chrome) -> Iterator[Chrome]:
    """The browser, telling what a page asks the network for."""
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    yield chromium
    chromium.execute_cdp_cmd("Network.disable", {})


@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_nothing_is_cut_off_at_any_width(chromium: Chrome, page: str, width: int) -> None:
    show(chromium, page, width=width)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    boxes = (
        "return [...document.querySelectorAll('th, td, dd, h1, h2, h3, p, li, blockquote, figcaption')]"
        ".filter(e => !e.closest('details, thead, caption, .strip')).map(e => e.scrollWidth - e.clientWidth)"
    )
    assert max(chromium.execute_script(boxes)) <= 1


@pytest.mark.parametrize(("scheme", "media"), [("light", "screen"), ("dark", "screen"), ("dark", "print")])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_text_has_enough_contrast(chromium: Chrome, page: str, scheme: str, media: str, width: int) -> None:
    show(chromium, page, width=width, scheme=scheme, media=media)
    chromium.execute_script("document.querySelectorAll('details').forEach(e => e.open = true)")
    found = chromium.execute_script(CONTRASTS)
    assert len(found) > 200
    assert [(text, round(ratio, 2)) for ratio, text in found if ratio < 4.5] == []


def test_headings_are_in_order_and_every_picture_says_what_it_shows(chromium: Chrome, page: str) -> None:
    show(chromium, page, width=1280)
    levels = chromium.execute_script("return [...document.querySelectorAll('h1,h2,h3')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    pictures = chromium.execute_script("return [...document.querySelectorAll('.plot')].map(e => [e.role, e.ariaLabel])")
    assert len(pictures) > 15
    assert all(role == "img" and len(label) > 10 for role, label in pictures)
    silent = "return [...document.querySelectorAll('svg')].filter(e => e.ariaHidden !== 'true').length"
    assert chromium.execute_script(silent) == 0


def test_the_numbers_behind_a_picture_open_by_keyboard(chromium: Chrome, page: str) -> None:
    show(chromium, page, width=360)
    summary = chromium.find_element(By.CSS_SELECTOR, "#time summary")
    numbers = chromium.find_element(By.CSS_SELECTOR, "#time details table")
    assert not numbers.is_displayed()
    summary.send_keys(Keys.ENTER)
    assert numbers.is_displayed()
    assert len(numbers.find_elements(By.CSS_SELECTOR, "tbody tr")) == 4
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 360


def test_it_opens_offline_with_evidently_and_our_signals_in_its_frame(recorded: Chrome, page: str) -> None:
    recorded.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    recorded.get_log("browser")
    try:
        show(recorded, page, width=1280)
        assert "Drifted" in recorded.find_element(By.CLASS_NAME, "banner").text
        frame = recorded.find_element(By.TAG_NAME, "iframe")
        recorded.execute_script("arguments[0].scrollIntoView()", frame)
        default_height = 1400
        WebDriverWait(recorded, 60).until(lambda _: frame.size["height"] > default_height + 100)
        asked = "return performance.getEntriesByType('resource').map(e => e.name)"
        assert recorded.execute_script(asked) == []
        recorded.switch_to.frame(frame)
        body = recorded.find_element(By.TAG_NAME, "body")
        WebDriverWait(recorded, 60).until(lambda _: "Dataset Drift" in body.text)
        assert "Unknown words" not in body.text  # nobody measured them
        assert "distance; 0.100 counts" in body.text
        recorded.find_element(By.XPATH, "//*[normalize-space(text())='Tests']").click()
        for said in ("Signal: Scores counts", "Drift for column Score"):
            WebDriverWait(recorded, 30).until(lambda _, said=said: said in body.text, said)
        assert recorded.execute_script(asked) == []
        time.sleep(0.2)
        assert [line["message"] for line in recorded.get_log("browser") if line["level"] == "SEVERE"] == []
    finally:
        recorded.switch_to.default_content()
        recorded.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
        )


def test_it_is_sandboxed_in_airflow_too(chromium: Chrome, page: str, tmp_path: Path) -> None:
    outer = tmp_path / "airflow.html"
    outer.write_text(f'<iframe sandbox="allow-scripts" src="{page}" width="1100" height="9000"></iframe>')
    chromium.get(outer.as_uri())
    chromium.switch_to.frame(0)
    assert "Drifted" in chromium.find_element(By.CLASS_NAME, "banner").text
    chromium.switch_to.frame(chromium.find_element(By.TAG_NAME, "iframe"))
    WebDriverWait(chromium, 60).until(lambda b: "Dataset Drift" in b.find_element(By.TAG_NAME, "body").text)
    chromium.switch_to.default_content()


def test_paper_has_a_note_in_place_of_the_frame_and_the_colours_that_mean_something(
    chromium: Chrome, page: str
) -> None:
    show(chromium, page, width=794, scheme="dark", media="print")
    assert not chromium.find_element(By.TAG_NAME, "iframe").is_displayed()
    assert chromium.find_element(By.CLASS_NAME, "on-paper").is_displayed()
    colours = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    assert chromium.execute_script(colours, "body") == "rgb(255, 255, 255)"
    adjust = "return getComputedStyle(document.querySelector('.banner')).printColorAdjust"
    assert chromium.execute_script(adjust) == "exact"


def test_nothing_of_ours_needs_a_script(chromium: Chrome, page: str) -> None:
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(chromium, page, width=1280)
        text = chromium.find_element(By.TAG_NAME, "main").text
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    for said in (
        "Drifted",
        "What to do",
        "Over time",
        "Words that moved",
        "Texts that show it",
        "Parts of the traffic",
    ):
        assert said in text
