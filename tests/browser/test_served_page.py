"""The page that the served Bento shows at ``/``, in a real browser: what is written there, and what it says."""

import time

import pytest
from selenium.webdriver.common.keys import Keys
from served_page import ATTACK, LONGEST, Page

from sentiment.reviews.feedback import Feedback
from sentiment.reviews.ingest import ingest
from sentiment.storage import Storage

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_went_wrong")]


def test_what_is_typed_is_judged_and_the_words_that_decide_are_marked(site: Page) -> None:
    site.open()
    site.find("#text").send_keys("a wonderful")
    site.until(lambda: site.texts("#marks mark") and "wonderful" in site.texts("#marks mark"))
    assert site.find("#marks mark.for").get_property("textContent") == "wonderful"
    alone = site.find("#label").text
    assert alone in ("Positive", "Unsure")
    site.find("#text").send_keys(" story, but tedious, dreadful and clumsy")
    site.until(lambda: "clumsy" in site.texts("#marks mark.against"))
    said = site.served.client.post("/explain", json={"text": site.find("#text").get_property("value")}).json()
    assert said["label"] == "negative"
    assert site.find("#label").text == ("Unsure" if said["abstained"] else "Negative")
    assert site.texts("#probabilities dd")[1] in (f"{said['probabilities']['negative']:.1%}", "> 99.9%")
    strongest = max(said["words"], key=lambda word: -word["weight"])
    assert site.texts("#against .word")[0] == strongest["word"]
    assert site.texts("#against .number")[0] == f"\u2212{abs(strongest['weight']):.2f}"
    assert "wonderful" in site.texts("#marks mark.for")
    site.until(lambda: site.texts("#said")[0].startswith("Negative, "))
    assert [row["text"] for row in site.served.client.get("/recent").json()["recent"] if "clumsy" in row["text"]] == []


def test_marks_tell_the_sides_apart_without_colour_and_have_their_numbers(site: Page) -> None:
    site.open()
    site.paste("a wonderful film with a dreadful plot")
    style = "return getComputedStyle(document.querySelector(arguments[0])).borderBottomStyle"
    assert site.browser.execute_script(style, "mark.for") == "solid"
    assert site.browser.execute_script(style, "mark.against") == "dotted"
    site.find("#text").send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    site.until(lambda: site.find("#tip").is_displayed())
    weight = dict(zip(site.texts("#for .word"), site.texts("#for .number"), strict=True))["wonderful"]
    assert f"wonderful{weight}" in site.texts("#tip span")
    site.find("#text").send_keys(Keys.ESCAPE)
    site.until(lambda: not site.find("#tip").is_displayed())


def test_an_emoji_does_not_shift_the_marks(site: Page) -> None:
    site.open()
    faces, flag, pilot = "\U0001f600\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "\U0001f469\u200d\U0001f680"
    site.paste(f"{faces} wonderful {flag} cafe\u0301 dreadful {pilot}")
    assert site.texts("#marks mark.for") == ["wonderful"]
    assert site.texts("#marks mark.against") == ["dreadful"]


def test_answers_that_come_late_are_not_shown(site: Page) -> None:
    site.open()
    site.browser.execute_script(
        "const real = window.fetch; window.asked = [];"
        "window.fetch = async (path, options) => {"
        "  if (path !== 'explain') return real(path, options);"
        "  const first = asked.push(options.signal) === 1;"
        "  const reply = await real(path, first ? {...options, signal: undefined} : options);"
        "  if (first) await new Promise(resolve => setTimeout(resolve, 1200));"
        "  return reply; }"
    )
    site.find("#text").send_keys("wonderful")
    site.until(lambda: site.browser.execute_script("return asked.length === 1"))
    site.find("#text").send_keys(" dreadful tedious clumsy")
    site.until(lambda: "clumsy" in site.texts("#marks mark.against"))
    assert site.browser.execute_script("return asked[0].aborted")
    before = site.texts("#answer")
    time.sleep(1.5)
    assert site.texts("#answer") == before


def test_a_correction_reaches_the_feedback_table(site: Page) -> None:
    site.open()
    text = "so bad that it is a superb kettle"
    site.paste(text)
    first, second = site.texts("#choices button")
    assert {first.split()[0], second.split()[0]} == {"Yes,", "No,"}
    site.find("#choices button:nth-child(2)").click()
    site.until(lambda: "Thank you" in site.find("#thanks").text)
    assert not site.find("#choices").is_displayed()
    time.sleep(1)  # until it has landed
    ingest(site.served.settings)
    (said,) = Feedback(Storage(site.served.settings)).read().to_pylist()
    assert said["label"] == second.removeprefix("No, ")
    recent = site.served.client.get("/recent").json()["recent"]
    assert said["request_id"] in {row["request_id"] for row in recent if row["text"] == text}


def test_the_model_says_what_it_is(site: Page) -> None:
    site.open("#model")
    facts = site.served.client.get("/model").json()
    said = site.find("#facts").text
    assert f"{facts['metrics']['accuracy']:.1%}" in said
    assert facts["snapshot"] in said
    assert f"no surer than {facts['min_confidence']:.1%}" in said
    assert f"At most {LONGEST} characters a text, 8 texts a batch" in said


def test_curves_are_drawn_with_their_numbers(site: Page) -> None:
    site.open()
    points = [[0.6, 0.58, 0.5, 0.66], [0.8, 0.79, 0.7, 0.85], [0.97, 0.96, 0.94, 0.98]]
    drawn = site.loads(
        "charts.js",
        "(f => [f.querySelectorAll('circle').length, f.querySelector('.ideal') !== null,"
        " f.querySelector('tbody').textContent, f.querySelector('svg').getAttribute('aria-label')])"
        "(m.curve('Confidence', v[0], {across: 'x', along: 'y', says: 'It says.', straight: true}))",
        points,
    )
    assert drawn == [3, True, "60.0%58.0%80.0%79.0%97.0%96.0%", "Confidence. It says."]


def test_recent_answers_are_listed_without_personal_data_and_as_text(site: Page) -> None:
    site.served.client.post("/predict", json={"text": f"superb, write to ann@example.org {ATTACK}"})
    site.open("#recent")
    site.until(lambda: site.texts("#recent-rows tr"))
    newest = site.texts("#recent-rows tr")[0]
    assert "[email]" in newest
    assert ATTACK in newest
    assert "ann@" not in newest
    before = site.find("#recent-said").text
    site.served.client.post("/predict", json={"text": "the newest of all"})
    site.find("#again").click()
    site.until(lambda: "the newest of all" in site.texts("#recent-rows tr")[0])
    assert before.endswith("the newest first.")


def test_markup_in_a_text_stays_text(site: Page) -> None:
    site.open()
    site.paste(f"superb {ATTACK} dreadful")
    assert site.find("#marks").get_property("textContent") == f"superb {ATTACK} dreadful\n"
    site.find("#tab-file").click()
    site.drop(f"{ATTACK}.csv", f'text,"{ATTACK.replace(chr(34), chr(34) * 2)}"\nfine,x\n{ATTACK},y\n'.encode())
    site.judge()
    assert ATTACK in site.texts("#file-name")[0]
    assert any(ATTACK[:20] in text for text in site.texts("#rows td"))


def test_a_key_is_asked_for_and_kept_in_the_tab(site: Page) -> None:
    site.open(key="")
    site.until(lambda: site.find("#key").is_displayed())
    site.find("#key-value").send_keys("sent_00000000_wrong", Keys.ENTER)
    site.until(lambda: "not valid" in site.find("#key-says").text)
    site.find("#key-value").send_keys(site.key, Keys.ENTER)
    site.until(lambda: "Version 1" in site.find("#serving").text)
    assert not site.find("#key").is_displayed()
    site.paste("a wonderful film")
    stored = site.browser.execute_script("return [sessionStorage.length, localStorage.length, document.cookie]")
    assert stored[:2] == [1, 0]
    assert site.key not in stored[2], "cookies go to every port of this host"


def test_a_service_that_is_busy_is_asked_again(site: Page) -> None:
    site.open()
    site.browser.execute_script(
        "const real = window.fetch; window.turns = 0;"
        "window.fetch = (path, options) => path === 'explain' && ++turns === 1"
        "  ? Promise.resolve(new Response(JSON.stringify({detail: 'Too many at once.'}),"
        "      {status: 429, headers: {'Retry-After': '1'}}))"
        "  : real(path, options)"
    )
    site.find("#text").send_keys("superb")
    site.until(lambda: site.find("#trouble").text == "Too many at once.")
    site.until(lambda: site.find("#label").text)
    assert site.find("#trouble").text == ""


def test_numbers_and_labels_are_said_as_they_are(site: Page) -> None:
    site.open()
    assert site.loads("words.js", "[0, 0.0004, 0.5, 0.9999, 1].map(share => m.percent(share, 1))") == [
        *("0.0%", "< 0.1%", "50.0%", "> 99.9%", "100.0%")
    ]
    stars = ["1", "2", "3", "4", "5"]
    tones = ["against", "against", "neither", "for", "for"]
    assert site.loads("words.js", "v[0].map(label => m.toneOf(label, v[0]))", stars) == tones
    assert site.loads("words.js", "v[0].map(m.spoken)", ["1", "4", "neutral"]) == ["1 star", "4 stars", "neutral"]
    assert "better left to a person" in str(site.loads("words.js", "m.confidence('positive', 0.6, true)"))
    assert str(site.loads("words.js", "m.confidence('positive', 0.98, false)")).startswith("Very sure: of 100")
