"""The drift reports in a real Airflow UI: who may read them, what they show, how reports are sandboxed."""

from urllib.parse import quote

import httpx
import pytest

pytestmark = pytest.mark.slow

ID = "20261120T063000-v3-0123abcd"


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
    assert ids[0] in first
    assert ids[50] not in first
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
    assert page.count(">Unreadable<") == 5


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
