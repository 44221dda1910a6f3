"""Where an answer comes from, in a real Airflow UI: who may read it, what it shows, from the answer to the files."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentiment.ledger import Ledger
from sentiment.reviews.ingest import ingest
from sentiment.reviews.predictions import ingest_predictions
from sentiment.reviews.sample import write_sample
from sentiment.settings import load_settings
from sentiment.storage import Storage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ANSWERED, WAITING = "0123456789abcdef" * 2, "fedcba9876543210" * 2
CHECK = "20261120T063000-v1-0123abcd"
REASON = "Version <b>1</b> & others: +1.2 points."


@pytest.fixture(scope="module")
def told(airflow_server, tmp_path_factory) -> Storage:
    """A ledger that tells of two versions, one answer in the table and one that has just been given."""
    root = airflow_server.storage.root
    settings = load_settings(storage={"root": root}, data={"settle_seconds": 0})
    storage = Storage(settings)
    shutil.rmtree(Path(root) / "tables", ignore_errors=True)
    folder = tmp_path_factory.mktemp("files")
    ingest(settings, paths=[write_sample(folder / "film.csv", "film", 120, seed=1)])
    ingest(settings, paths=[write_sample(folder / "kitchen.csv", "kitchen", 80, seed=2)])
    ledger = Ledger(storage)
    drift = {"what": "drift", "check": CHECK, "reasons": ["Scores moved by 0.31."]}
    for version, cause in (("1", {"what": "schedule", "check": None, "reasons": []}), ("2", drift)):
        facts = {"run_id": f"run{version}", "snapshot": f"reviews@v{version}"}
        ledger.append("trained", **facts, reason="accuracy 91.0%", detail={"cause": cause}, digests={"data": "d" * 32})
        facts["model_version"] = version
        ledger.append("decided", **facts, reason=f"promote: {REASON}")
        if version == "2":
            ledger.append("approved", **facts, actor="Ada", reason="read the card", detail={"champion": "1"})
        detail = {"approved_by": "Ada"} if version == "2" else {}
        ledger.append("promoted", **facts, reason=REASON, detail=detail)
    checks = [
        {"name": "superiority", "outcome": "promote", "numbers": {}, "reason": "Better."},
        {"name": "slice short", "outcome": "inconclusive", "numbers": {}, "reason": "Too few."},
    ]
    decision = {"outcome": "promote", "champion": "1", "reason": REASON, "checks": checks}
    storage.write("reports/gate/v2/decision.json", json.dumps(decision).encode())
    storage.write("reports/gate/v2/card.html", b"<h1>Card</h1><p id=o></p><script>o.textContent = self.origin</script>")
    for request_id in (ANSWERED, WAITING):
        answer = {
            "request_id": request_id, "text": "Write to eve@example.org <script>alert(1)</script>", "label": "positive",
            "score": 0.875, "model_version": "2", "predicted_at": datetime(2026, 11, 21, 8, tzinfo=UTC).isoformat(),
        }  # fmt: skip
        storage.write(f"landing/predictions/20261121T080000-{request_id}.jsonl", json.dumps(answer).encode() + b"\n")
        if request_id == ANSWERED:
            ingest_predictions(settings)
    return storage


def client(server, user="reader"):
    found = server.client(user)
    found.base_url = f"{server.url}/sentiment-why"
    return found


@pytest.mark.parametrize("path", ["/", f"/?q={ANSWERED}", "/?q=2", "/cards/2", "/documents/2"])
@pytest.mark.parametrize(("user", "status"), [(None, 401), ("stranger", 403)])
def test_only_those_who_may_read_the_dag_may_read_why(airflow_server, told, path, user, status):
    with client(airflow_server, user) as http:
        answer = http.get(path)
    assert answer.status_code == status
    assert "points" not in answer.text


def test_the_champions_are_listed_newest_first_with_their_approvers(airflow_server, told):
    with client(airflow_server) as http:
        page = http.get("/").text
    assert page.index("<strong>v2</strong>") < page.index("<strong>v1</strong>")
    assert "approved by Ada" in page
    assert "Version &lt;b&gt;1&lt;/b&gt; &amp; others" in page
    assert page.count(">Now<") == 1


@pytest.mark.parametrize("request_id", [ANSWERED, WAITING])
def test_an_answer_leads_back_to_its_files(airflow_server, told, request_id):
    with client(airflow_server) as http:
        page = http.get("/", params={"q": f" {request_id} "}).text
    for fact in (
        "Why this answer", "Write to [email] &lt;script&gt;", "0.875", "Model version 2", "by <strong>Ada</strong>",
        "read the card", "run2", CHECK, "Scores moved by 0.31.", "reviews@v2", "film.csv", "120 reviews", "kitchen.csv",
        'href="cards/2"', "its report has been removed", 'href="../sentiment/day?on=',
    ):  # fmt: skip
        assert fact in page, fact
    assert page.index(">Too few.<") < page.index(">Better.<"), "what objected comes first"
    assert "eve@example.org" not in page
    assert "<script" not in page


def test_a_version_leads_back_to_the_files_of_its_own_snapshot(airflow_server, told):
    with client(airflow_server) as http:
        page = http.get("/?q=v1").text
    assert "Why version 1" in page
    assert "Schedule" in page
    assert "film.csv" in page
    assert "kitchen.csv" not in page


@pytest.mark.parametrize("asked", ["9", "no such answer", "<script>alert(1)</script>", "../../etc/passwd", "x" * 5_000])
def test_what_is_not_known_is_said(airflow_server, told, asked):
    with client(airflow_server) as http:
        answer = http.get("/", params={"q": asked})
    assert answer.status_code == 404
    assert "Nothing is known of that" in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize("page", ["cards", "documents"])
@pytest.mark.parametrize("version", ["1", "99", "...", "2x", "champion"])
def test_other_cards_are_not_found(airflow_server, told, page, version):
    with client(airflow_server) as http:
        answer = http.get(f"/{page}/{version}")
    assert answer.status_code == 404
    assert "No such model card" in answer.text


def test_a_card_is_served_without_the_origin_of_the_ui(airflow_server, told):
    with client(airflow_server) as http:
        answer = http.get("/documents/2")
    assert "<h1>Card</h1>" in answer.text
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts allow-popups;")


def test_a_reader_asks_in_the_navigation_of_the_ui(told, reader):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.expected_conditions import (
        element_to_be_clickable,
        frame_to_be_available_and_switch_to_it,
        visibility_of_element_located,
    )
    from selenium.webdriver.support.wait import WebDriverWait

    wait = WebDriverWait(reader, 60)
    wait.until(element_to_be_clickable((By.LINK_TEXT, "Why"))).click()
    wait.until(frame_to_be_available_and_switch_to_it((By.CSS_SELECTOR, "iframe")))
    box = wait.until(visibility_of_element_located((By.NAME, "q")))
    box.send_keys(ANSWERED, Keys.ENTER)
    wait.until(lambda page: page.find_element(By.TAG_NAME, "h1").text == "Why this answer")
    shown = reader.find_element(By.TAG_NAME, "main").text
    assert "Approved by Ada" in shown
    assert "kitchen.csv" in shown
    summary = reader.find_element(By.TAG_NAME, "summary")
    summary.click()
    assert "Too few." in reader.find_element(By.TAG_NAME, "details").text
    reader.find_element(By.LINK_TEXT, "Model card").click()
    wait.until(frame_to_be_available_and_switch_to_it((By.CSS_SELECTOR, "iframe[src$='documents/2']")))
    assert wait.until(visibility_of_element_located((By.TAG_NAME, "h1"))).text == "Card"
    assert reader.find_element(By.ID, "o").text == "null"
