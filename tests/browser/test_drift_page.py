"""The drift reports in a real Airflow UI: who may read them, what they show, how reports are sandboxed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from sentiment.drift.accuracy import measure_accuracy
from sentiment.drift.verdict import Confirmation, JudgedSignal
from sentiment.ledger import Ledger

pytestmark = pytest.mark.slow

ID = "20261120T063000-v3-0123abcd"
PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.mark.parametrize("path", ["/", "/?page=2", f"/checks/{ID}", f"/reports/{ID}"])
@pytest.mark.parametrize(("user", "status"), [(None, 401), ("stranger", 403)])
def test_only_those_who_may_read_the_dag_may_read_its_reports(airflow_server, publish, path, user, status):
    assert publish("drifted", "Scores moved by 0.31.") == ID
    with airflow_server.client(user) as client:
        answer = client.get(path)
    assert answer.status_code == status
    assert "moved" not in answer.text


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_nothing_describes_the_pages_to_strangers(airflow_server, path):
    with airflow_server.client(None) as client:
        assert client.get(path).status_code == 404


def test_the_session_cookie_of_the_ui_is_enough(airflow_server, publish):
    publish()
    with airflow_server.client() as client:
        token = client.headers.pop("Authorization").removeprefix("Bearer ")
        assert client.get("/").status_code == 401
        client.cookies.set("_token", token)
        assert client.get("/").status_code == 200


def test_checks_are_listed_newest_first_with_verdict_and_first_reason(airflow_server, publish):
    publish("drifted", "Scores moved by 0.31.", "Unknown words doubled.")
    publish("insufficient_data", "12 rows, 100 are needed.")
    with airflow_server.client() as client:
        page = client.get("/").text
    assert page.index(">Drifted<") < page.index(">Not enough data<")
    assert "Scores moved by 0.31." in page
    for fact in ("20 Nov 2026", "06:30:00", "and 1 more", "v3", "reviews@v12", "7 days", "640"):
        assert fact in page
    assert "Unknown words doubled." not in page
    assert "Showing 1 to 2 of 2" in page


def test_without_checks_the_page_says_how_to_make_one(airflow_server, publish):
    with airflow_server.client() as client:
        page = client.get("/").text
    assert "No drift check yet" in page
    assert "<code>sentiment drift</code>" in page


def test_many_checks_are_paged_and_a_page_beyond_the_end_is_the_last(airflow_server, publish):
    ids = [publish() for _ in range(51)]
    with airflow_server.client() as client:
        first, last = client.get("/").text, client.get("/", params={"page": "9" * 5_000}).text
        odd = client.get("/", params={"page": "-1"}).text
    assert "Showing 1 to 50 of 51" in first
    assert f"Open the report {ids[0]}" in first
    assert f"Open the report {ids[50]}" not in first
    assert "Showing 51 to 51 of 51" in last
    assert ids[50] in last
    assert odd == first


def test_an_unreadable_verdict_does_not_hide_the_others(airflow_server, publish):
    publish("watch", "Texts grew longer.")
    for number, content in enumerate((b"{", b"\xff", b"[]", b'{"verdict": "?"}', b'{"verdict": {"state": []}}')):
        airflow_server.storage.write(f"reports/drift/2026111{number}T000000-v1-ff/verdict.json", content)
    with airflow_server.client() as client:
        page = client.get("/").text
    assert "Texts grew longer." in page
    assert page.count('class="badge shaped unknown"') == 5


def test_what_strangers_wrote_is_shown_as_text(airflow_server, publish):
    publish("drifted", "New word: <script>alert(1)</script>")
    with airflow_server.client() as client:
        page = client.get("/").text
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_a_report_is_served_as_it_was_written_without_the_origin_of_the_ui(airflow_server, publish):
    check = publish()
    with airflow_server.client() as client:
        answer = client.get(f"/reports/{check}")
    assert answer.content == airflow_server.storage.read(f"reports/drift/{check}/report.html")
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts allow-popups;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("page", ["checks", "reports"])
@pytest.mark.parametrize("check", ["20200101T000000-v1-00", "...", "../../secret", "a.b", "a\n", "é", "x" * 129])
def test_other_ids_are_not_found(airflow_server, publish, page, check):
    publish()
    for name in ("report.html", "verdict.json"):
        airflow_server.storage.write(f"secret/{name}", b"{}")
    with airflow_server.client() as client:
        answer = client.get(httpx.URL(f"/{page}/{quote(check, safe='')}"))
    assert answer.status_code == 404
    assert "No such drift check" in answer.text


def test_bad_settings_are_one_clear_message(airflow_server):
    file = airflow_server.home / "sentiment.toml"
    file.write_text("[drift]\nalpha = 7\n")
    try:
        with airflow_server.client() as client:
            answer = client.get("/")
    finally:
        file.unlink()
    assert answer.status_code == 503
    assert "drift.alpha" in answer.text
    assert "Traceback" not in answer.text


def test_a_reader_opens_a_report_from_the_navigation_of_the_ui(publish, reader):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.expected_conditions import (
        element_to_be_clickable,
        frame_to_be_available_and_switch_to_it,
        visibility_of_element_located,
    )
    from selenium.webdriver.support.wait import WebDriverWait

    check = publish("drifted", "Scores moved by 0.31.")
    publish("stable")
    wait = WebDriverWait(reader, 30)
    wait.until(element_to_be_clickable((By.LINK_TEXT, "Drift reports"))).click()
    wait.until(frame_to_be_available_and_switch_to_it((By.CSS_SELECTOR, "iframe")))
    rows = wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, "tbody tr"))
    assert [row.find_element(By.CLASS_NAME, "badge").text for row in rows] == ["Drifted", "Stable"]

    rows[0].click()
    wait.until(frame_to_be_available_and_switch_to_it((By.CSS_SELECTOR, f"iframe[src$='{check}']")))
    assert wait.until(visibility_of_element_located((By.TAG_NAME, "h1"))).text == "What moved"
    assert reader.find_element(By.ID, "origin").text == "null"


SCORES = JudgedSignal(
    "scores", 0.001, 0.31, 0.5, 0.7, "the mean score", adjusted_p=0.002, counts=True, threshold=0.12, detectable=0.2
)
CALM = replace(SCORES, p_value=0.5, distance=0.05, current=0.52, adjusted_p=1.0, counts=False)


@pytest.fixture
def ledger(airflow_server, publish) -> Iterator[Ledger]:
    """An empty ledger beside the checks of the test."""
    tables = Path(airflow_server.storage.root) / "tables"
    shutil.rmtree(tables, ignore_errors=True)
    yield Ledger(airflow_server.storage)
    shutil.rmtree(tables, ignore_errors=True)


def retrain(ledger: Ledger, check: str, version: str = "4") -> None:
    """Write what a retraining for a drift check leaves in the ledger."""
    facts = {"run_id": f"run{version}", "snapshot": "reviews@v16"}
    cause = {"what": "drift", "check": check, "reasons": ["Scores moved by 0.31."]}
    ledger.append("trained", **facts, reason="accuracy 91.0%", detail={"cause": cause}, actor="airflow")
    ledger.append("decided", **facts, model_version=version, reason="promote: Better.", actor="airflow")
    ledger.append("approved", **facts, model_version=version, reason="read the card", actor="Ada")
    ledger.append(
        "promoted", **facts, model_version=version, reason="Better.", detail={"approved_by": "Ada"}, actor="airflow"
    )


@pytest.mark.parametrize(
    ("path", "contents"),
    [
        (f"/json/{ID}", "moved"),
        (f"/compare?check={ID}&check=20261119T063000-v3-0123abcd", "moved"),
        ("/day?on=2026-11-20", "moved"),
        ("/?state=drifted", "moved"),
    ],
)
@pytest.mark.parametrize(("user", "status"), [(None, 401), ("stranger", 403), ("reader", 200)])
def test_json_comparison_and_days_are_for_those_who_may_read_the_dag(
    airflow_server, publish, path, contents, user, status
):
    publish("drifted", "Scores moved by 0.31.")
    publish("stable")
    with airflow_server.client(user) as client:
        answer = client.get(path)
    assert answer.status_code == status
    assert (contents in answer.text) == (status == 200)


def test_the_json_of_a_check_is_served_as_it_was_written(airflow_server, publish):
    check = publish("drifted", "Scores moved by 0.31.", signals=(SCORES,))
    with airflow_server.client() as client:
        answer = client.get(f"/json/{check}")
        page = client.get(f"/checks/{check}").text
        missing = client.get("/json/20200101T000000-v1-00")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["verdict"]["signals"][0]["threshold"] == 0.12
    assert f'href="../json/{check}"' in page
    assert missing.status_code == 404


def test_the_timeline_shows_verdicts_thresholds_and_old_checks_without_one(airflow_server, publish):
    publish("drifted", "Scores moved by 0.31.", signals=(SCORES,), actions=("retrain",))
    publish("insufficient_data", "12 rows, 100 are needed.")
    publish("stable", signals=(replace(CALM, threshold=None),))
    with airflow_server.client() as client:
        page = client.get("/").text
    assert page.count('class="mark drifted"') == page.count('class="mark insufficient_data"') == 2, "wide and narrow"
    assert "20 Nov 2026 06:30: Drifted. Scores moved by 0.31." in page
    assert "counts from 0.120" in page
    assert 'class="action">Retrain<' in page
    assert "which is not the same as stable" in page
    for path in Path(airflow_server.storage.root).glob("reports/drift/*/verdict.json"):
        data = json.loads(path.read_text())
        for name in ("actions", "alone", "confirmation", "level", "false_alarm_days", "detectable"):
            del data["verdict"][name]
        for signal in data["verdict"]["signals"]:
            del signal["threshold"], signal["detectable"]
        path.write_text(json.dumps(data))
    with airflow_server.client() as client:
        old = client.get("/").text
    assert "threshold not recorded" in old
    assert 'class="action">Retrain<' in old
    assert ">Unreadable<" not in old


def test_checks_are_filtered_by_an_address_that_can_be_shared(airflow_server, publish):
    drifted = publish("drifted", "Scores moved.", actions=("retrain",))
    watched = publish("watch", actions=("ask_for_labels",))
    stable = publish("stable", champion="2")

    def listed(query: str) -> set[str]:
        page = client.get(f"/?{query}").text
        return {check for check in (drifted, watched, stable) if f'aria-label="Open the report {check}"' in page}

    with airflow_server.client() as client:
        assert listed("") == {drifted, watched, stable}
        assert listed("state=drifted&state=stable") == {drifted, stable}
        assert listed("champion=2") == {stable}
        assert listed("since=2026-11-19&until=2026-11-19") == {watched}
        assert listed("action=retrain") == {drifted}
        assert listed("action=none") == {stable}
        assert listed("state=no-such&action=no-such") == {drifted, watched, stable}
        nothing = client.get("/?champion=9")
        wrong = client.get("/?since=yesterday")
    assert "No check is like that" in nothing.text
    assert wrong.status_code == 400
    assert "&#39;yesterday&#39; is not a day. Write it like 2026-11-14." in wrong.text


def test_the_pages_of_a_filtered_list_keep_the_filter(airflow_server, publish):
    for _ in range(51):
        publish("watch")
    with airflow_server.client() as client:
        page = client.get("/?state=watch&champion=3").text
    assert 'href="?state=watch&amp;champion=3&amp;page=2"' in page


def test_two_checks_are_compared(airflow_server, publish):
    newer = publish("drifted", "Scores moved: from 0.50 to 0.70.", signals=(SCORES,), actions=("retrain",))
    older = publish("stable", "Scores moved: from 0.50 to <b>0.52</b>.", signals=(CALM,))
    with airflow_server.client() as client:
        page = client.get("/compare", params={"check": [newer, older]}).text
        one = client.get("/compare", params={"check": [newer, newer]})
        none = client.get("/compare")
        gone = client.get("/compare", params={"check": [newer, "20200101T000000-v1-00"]})
    assert "From Stable to Drifted." in page
    assert "Moved only in the newer: Scores." in page
    assert "The windows share 6 days of the newer one&#39;s 7 days." in page
    assert "<mark>0.70.</mark>" in page
    assert "<mark>&lt;b&gt;0.52&lt;/b&gt;.</mark>" in page
    assert page.index("0.050") < page.index("0.310"), "the older stands first"
    assert "+0.260" in page
    assert (one.status_code, none.status_code, gone.status_code) == (400, 400, 404)
    assert "tick two checks to compare; 1 was ticked" in one.text


def test_a_day_tells_from_the_check_to_the_promotion_and_back(airflow_server, publish, ledger):
    now = datetime.now(UTC)
    check = publish("drifted", "Scores moved by <b>0.31</b>.", at=now, actions=("retrain",))
    retrain(ledger, check)
    day = f"{ledger.entries()[0].time:%Y-%m-%d}"
    with airflow_server.client() as client:
        page = client.get("/day", params={"on": day}).text
        listed = client.get("/").text
        report = client.get(f"/checks/{check}").text
    for fact in (
        "It retrained at ", "asked for it.", "Scores moved by &lt;b&gt;0.31&lt;/b&gt;.", "Version 4 was promoted on",
        "by airflow, approved by Ada", "How version 4 came about", f'href="checks/{check}"', "read the card",
        'href="../sentiment-why/?q=4"',
    ):  # fmt: skip
        assert fact in page, fact
    assert f'<a href="day?on={day}">led to version 4, promoted</a>' in listed
    assert f'<a href="../day?on={day}">Led to version 4</a>' in report
    assert 'class="mark trained"' in listed


def test_a_day_without_anything_says_so_and_leads_to_the_nearest(airflow_server, publish, ledger):
    publish(at=datetime(2026, 11, 3, 6, tzinfo=UTC))
    publish(at=datetime(2026, 11, 14, 6, tzinfo=UTC))
    with airflow_server.client() as client:
        page = client.get("/day?on=2026-11-10").text
        wrong = client.get("/day?on=the+14th")
    for fact in ("Nothing was retrained that day.", "No drift check was made.", "There was no champion."):
        assert fact in page
    assert 'href="day?on=2026-11-03"' in page
    assert 'href="day?on=2026-11-14"' in page
    assert wrong.status_code == 400
    assert "is not a day" in wrong.text


def test_a_ledger_that_cannot_be_read_does_not_hide_the_checks(airflow_server, publish, ledger):
    publish("drifted", "Scores moved by 0.31.")
    airflow_server.storage.write("tables/ledger/_delta_log/00000000000000000000.json", b"broken")
    with airflow_server.client() as client:
        answer = client.get("/")
    assert answer.status_code == 200
    assert "Trainings and champions are not shown." in answer.text
    assert "Scores moved by 0.31." in answer.text
    assert "Traceback" not in answer.text


def test_the_page_costs_other_airflow_processes_nothing():
    """All of them load plugins; only the API server may pay for tables and statistics."""
    code = (
        "import sys, airflow.plugins_manager, fastapi, jinja2, sentiment.storage\n"
        "before = set(sys.modules); sys.path[:0] = sys.argv[1:]; import sentiment_drift_page\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert not new & {'scipy', 'pandas', 'pyarrow', 'deltalake', 'evidently', 'sklearn', 'mlflow'}, new\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(PLUGINS)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture
def full(publish, ledger) -> list[str]:
    """A dozen checks of all kinds that led to a new champion."""
    states = ("stable", "watch", "drifted", "insufficient_data")
    found = []
    for number in range(12):
        state, drifted = states[number % 4], number % 4 == 2
        found.append(
            publish(
                state,
                "Scores moved: the mean score went from 0.50 to 0.70, " * 2,
                "Words moved.",
                signals=(SCORES if drifted else CALM, replace(CALM, name="text", distance=0.02)),
                actions=("retrain", "ask_for_labels") if drifted else (),
                live_accuracy=measure_accuracy(correct=180 + number, rows=200),
                reference_accuracy=measure_accuracy(correct=1_830, rows=2_000),
                estimated_accuracy=measure_accuracy(correct=580, rows=640),
                confirmation=Confirmation(2, 2, 3),
                detectable=("a share of positive answers 9 points higher",),
            )
        )
    retrain(ledger, found[2])
    return found


def open_page(browser, airflow_server, path: str, *, dark: bool = False, width: int = 1280) -> None:
    """Open one of our pages by itself, with the session of the Airflow UI."""
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(f"{airflow_server.url}/sentiment{path}")


@pytest.fixture
def browser(reader) -> Iterator[Any]:
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.wait import WebDriverWait

    moving_on = (WebDriverException,)  # a question asked while the login goes to the next page
    WebDriverWait(reader, 60, ignored_exceptions=moving_on).until(lambda page: page.get_cookie("_token"))
    yield reader
    reader.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    reader.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def pages_of(checks: list[str]) -> tuple[str, ...]:
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return ("/", f"/compare?check={checks[2]}&check={checks[3]}", f"/day?on={today}", f"/checks/{checks[2]}")


CONTRASTS = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = color => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
};
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const behind = element => {
  if (!element) return rgba('Canvas');
  const own = rgba(getComputedStyle(element).backgroundColor);
  return own[3] === 1 ? own : over(own, behind(element.parentElement));
};
const light = c => {
  const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
document.querySelectorAll('details').forEach(part => { part.open = true; });
return [...document.querySelectorAll('body *')].filter(element =>
  element.checkVisibility() && [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim()) &&
  !element.closest('title, option')
).map(element => {
  const style = getComputedStyle(element), back = behind(element);
  const ink = over(rgba(element.closest('svg') ? style.fill : style.color), back);
  const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
  return [(a + 0.05) / (b + 0.05), element.textContent.trim().slice(0, 40)];
});
"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_has_the_contrast_that_wcag_asks_for(airflow_server, full, browser, dark):
    for path in pages_of(full):
        open_page(browser, airflow_server, path, dark=dark)
        found = browser.execute_script(CONTRASTS)
        assert len(found) > 5
        assert not [(round(ratio, 2), text) for ratio, text in found if ratio < 4.5], path


@pytest.mark.parametrize("width", [390, 900, 1180])
def test_nothing_is_wider_than_the_screen(airflow_server, full, browser, width):
    from selenium.webdriver.common.by import By

    for path in pages_of(full):
        open_page(browser, airflow_server, path, width=width)
        parts = "[document.documentElement, ...document.querySelectorAll('.card')]"
        cut = f"return {parts}.filter(part => part.scrollWidth > part.clientWidth).map(part => part.className)"
        assert not browser.execute_script(cut), path
    open_page(browser, airflow_server, "/", width=width)
    shown = [
        svg.get_attribute("class")
        for svg in browser.find_elements(By.CSS_SELECTOR, "svg.timeline")
        if svg.is_displayed()
    ]
    assert all(("narrow" in name) == (width < 820) for name in shown)
    assert shown


def test_whatever_can_be_used_has_a_name_for_screen_readers(airflow_server, full, browser):
    from selenium.webdriver.common.by import By

    for path in pages_of(full):
        open_page(browser, airflow_server, path)
        used = browser.find_elements(
            By.CSS_SELECTOR, "a:not([tabindex='-1']), button, input, select, svg[role], iframe"
        )
        nameless = [
            one.get_attribute("outerHTML")[:80] for one in used if one.is_displayed() and not one.accessible_name
        ]
        assert not nameless, path
        assert len(browser.find_elements(By.TAG_NAME, "h1")) <= 1


def test_the_list_is_filtered_and_compared_with_the_keyboard(airflow_server, full, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    wait = WebDriverWait(browser, 30)
    open_page(browser, airflow_server, "/")
    pill = browser.find_element(By.CSS_SELECTOR, "input[value=drifted]")
    pill.send_keys(Keys.SPACE)
    pill.send_keys(Keys.ENTER)
    wait.until(lambda page: "state=drifted" in page.current_url)
    rows = browser.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert [row.find_element(By.CLASS_NAME, "badge").text for row in rows] == ["Drifted"] * 3

    for row in rows[:2]:
        row.find_element(By.NAME, "check").send_keys(Keys.SPACE)
    rows[1].find_element(By.NAME, "check").send_keys(Keys.ENTER)
    wait.until(lambda page: page.find_element(By.TAG_NAME, "h1").text == "Two checks compared")
    assert "Both say Drifted." in browser.find_element(By.TAG_NAME, "main").text


def test_a_reader_asks_why_it_retrained_and_follows_the_links_to_the_report_and_back(airflow_server, full, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    wait = WebDriverWait(browser, 30)
    open_page(browser, airflow_server, "/")
    browser.execute_script("document.getElementById('on').value = arguments[0]", f"{datetime.now(UTC):%Y-%m-%d}")
    browser.find_element(By.XPATH, "//button[text()='Tell me']").click()
    wait.until(lambda page: "/day?" in page.current_url)
    assert "Version 4 was promoted" in browser.find_element(By.CLASS_NAME, "answer").text
    browser.find_element(By.PARTIAL_LINK_TEXT, "drift check").click()
    wait.until(lambda page: f"/checks/{full[2]}" in page.current_url)
    browser.find_element(By.LINK_TEXT, "Led to version 4").click()
    wait.until(lambda page: "/day?" in page.current_url)
    browser.find_element(By.LINK_TEXT, "All about version 4").click()
    wait.until(lambda page: "/sentiment-why/" in page.current_url)
    assert "Why version 4" in browser.find_element(By.TAG_NAME, "h1").text
