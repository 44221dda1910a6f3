"""What the API promises: answers, explanations, one shape of refusals, a document that says all of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import httpx
import pytest
from bentos import UNSURE, BuiltBentos
from served import Served, running

from sentiment.settings import load_settings

pytestmark = pytest.mark.slow

SECRET = "my secret diary"
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def served(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("contract")
    settings = load_settings(storage={"root": str(folder / "var")}, serving={"max_batch": 8})
    with running(bentos.first.path, folder, settings) as served:
        yield served


def refused(reply: httpx.Response, status: int, title: str) -> dict[str, object]:
    """Check that a reply is a refusal, and return it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == PROBLEM
    problem = reply.json()
    assert set(problem) - {"errors"} == {"type", "title", "status", "detail"}
    assert (problem["status"], problem["title"]) == (status, title)
    assert problem["type"] == f"urn:problem:sentiment:{title.lower().replace(' ', '-')}"
    assert SECRET not in reply.text
    return problem


@pytest.mark.parametrize(
    ("path", "body", "status", "title", "says"),
    [
        ("/predict", {"text": 5}, 422, "Invalid request", "/text: Input should be a valid string"),
        ("/predict", {"text": [SECRET]}, 422, "Invalid request", "/text"),
        ("/predict", {"texts": SECRET}, 422, "Invalid request", "/text: Field required"),
        ("/predict", [SECRET], 422, "Invalid request", "the body"),
        ("/predict", {"text": SECRET * 5_000}, 413, "Text too long", "75000 characters, at most 50000"),
        ("/explain", {"text": None}, 422, "Invalid request", "/text"),
        ("/explain", {"text": SECRET * 5_000}, 413, "Text too long", "at most 50000"),
        ("/predict_batch", {"texts": []}, 422, "Empty batch", "at least one"),
        ("/predict_batch", {"texts": [SECRET] * 9}, 413, "Batch too large", "9 texts, at most 8"),
        ("/predict_batch", {"texts": SECRET}, 422, "Invalid request", "/texts: Input should be a valid array"),
        ("/feedback", {"request_id": "ab" * 16}, 422, "Invalid request", "/label: Field required"),
        ("/feedback", {"request_id": 5, "label": "positive"}, 422, "Invalid request", "/request_id"),
        ("/feedback", {"request_id": "../../keys", "label": "positive"}, 422, "Not a request id", "32 hexadecimal"),
        ("/feedback", {"request_id": "ab" * 16, "label": SECRET}, 422, "Unknown label", "negative, positive"),
        (
            "/feedback",
            {"request_id": "ab" * 16, "label": "positive", "comment": SECRET * 200},
            413,
            "Comment too long",
            "3000 characters",
        ),
        (
            "/feedback",
            {"request_id": "ab" * 16, "label": "positive", "reporter": SECRET * 20},
            413,
            "Reporter too long",
            "at most 200",
        ),
    ],
)
def test_what_it_cannot_answer_it_refuses_in_words(
    served: Served, path: str, body: object, status: int, title: str, says: str
) -> None:
    problem = refused(served.client.post(path, json=body), status, title)
    assert says in str(problem["detail"])
    if title == "Invalid request":
        assert all({"pointer", "detail"} == set(error) for error in problem["errors"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "half',
        b"\xff\xfe\x00",
        b'{"text": "\\ud800"}',
        b'{"text": "my secret diary" oops}',
        b"[" * 100_000,
        b'{"text": "\xe9"}',
        '{"text": "fine"}'.encode("utf-16"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/predict_batch", "/explain", "/feedback"])
def test_a_body_that_is_not_json_is_refused(served: Served, path: str, body: bytes) -> None:
    reply = served.client.post(path, content=body, headers={"content-type": "application/json"})
    refused(reply, 400, "Malformed JSON")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "12345678901234567890123"])
def test_numbers_that_json_should_not_have_are_no_texts(served: Served, number: str) -> None:
    headers = {"content-type": "application/json"}
    refused(served.client.post("/predict", content=f'{{"text": {number}}}', headers=headers), 422, "Invalid request")
    reply = served.client.post("/predict_batch", content=f'{{"texts": ["fine", {number}]}}', headers=headers)
    assert reply.status_code == 200
    assert reply.json()["predictions"][1]["error"]["title"] == "Not a text"


@pytest.mark.parametrize(
    ("headers", "title"),
    [
        ({"content-type": "multipart/form-data; boundary=x"}, "Not JSON"),
        ({"content-type": "application/x-www-form-urlencoded"}, "Not JSON"),
        ({"content-type": "text/plain"}, "Not JSON"),
        ({"content-type": "application/vnd.bentoml+pickle"}, "Not JSON"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "Compressed body"),
    ],
)
def test_what_says_it_is_not_plain_json_is_refused(served: Served, headers: dict[str, str], title: str) -> None:
    refused(served.client.post("/predict", content=b'{"text": "fine"}', headers=headers), 415, title)


def test_errors_of_the_framework_have_the_same_shape(served: Served) -> None:
    refused(served.client.get("/nowhere"), 404, "Not Found")
    refused(served.client.post("/nowhere", json={"text": SECRET}), 404, "Not Found")
    reply = served.client.get("/predict")
    refused(reply, 405, "Method Not Allowed")
    assert reply.headers["allow"] == "POST"
    reply = served.client.delete("/model")
    refused(reply, 405, "Method Not Allowed")
    assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_a_text_that_alone_is_wrong_does_not_spoil_the_batch(served: Served) -> None:
    texts = ["a wonderful film", SECRET * 5_000, 5, None, "a dreadful film"]
    reply = served.client.post("/predict_batch", json={"texts": texts})
    first, long, number, nothing, last = reply.json()["predictions"]
    assert (first["label"], last["label"]) == ("positive", "negative")
    assert (long["error"]["status"], long["error"]["title"]) == (413, "Text too long")
    for item in (number, nothing):
        assert (item["error"]["status"], item["error"]["title"]) == (422, "Not a text")
    assert SECRET not in reply.text
    alone = served.client.post("/predict_batch", json={"texts": [5]})
    assert (alone.status_code, list(alone.json()["predictions"][0])) == (200, ["error"])


def test_an_explanation_adds_up_and_says_where_its_words_stand(served: Served) -> None:
    text = "\U0001f600 <b>What</b> a KETTLE <i>WONDERFUL</i>, not dreadful"
    found = served.client.post("/explain", json={"text": text}).json()
    answer = served.client.post("/predict", json={"text": text}).json()
    assert found["request_id"] is None
    for name in ("label", "score", "probabilities", "abstained", "model_version"):
        assert found[name] == answer[name]
    weights = [word["weight"] for word in found["words"]]
    assert found["baseline"] + math.fsum(weights) == pytest.approx(found["margin"], abs=1e-9)
    assert 1 / (1 + math.exp(-found["margin"])) == pytest.approx(answer["probabilities"]["positive"], abs=1e-9)
    assert weights == sorted(weights, key=abs, reverse=True)
    shown = {word["word"]: [text[begin:end] for begin, end in word["spans"]] for word in found["words"]}
    assert shown["wonderful"] == ["WONDERFUL"]
    assert shown["a kettle wonderful"] == ["a KETTLE <i>WONDERFUL"]
    assert all(shown.values())


def test_explanations_are_neither_counted_nor_logged(served: Served) -> None:
    sample = "sentiment_predictions_total{"
    before = [line for line in served.client.get("/metrics").text.splitlines() if line.startswith(sample)]
    served.client.post("/explain", json={"text": "only as one types"})
    after = [line for line in served.client.get("/metrics").text.splitlines() if line.startswith(sample)]
    assert before == after


def test_it_says_which_model_answers(served: Served, bentos: BuiltBentos) -> None:
    facts = served.client.get("/model").json()
    assert facts["model_version"] == "1"
    assert facts["snapshot"] == "reviews@v1"
    assert facts["run_id"] == "run-1"
    assert facts["scorer_digest"] == bentos.shelf.version("1").digest
    assert facts["bento_digest"] == bentos.first.digest
    assert facts["thresholds"] == {"min_confidence": UNSURE}
    assert facts["limits"] == {"max_characters": 50_000, "max_batch": 8, "max_body_bytes": 16 * 1024 * 1024}
    assert facts["features"] == {"explain": True, "feedback": True, "recent": False, "keys": False}
    assert (facts["promoted_at"], facts["promotion_reason"]) == (None, None)
    assert set(facts["curves"]) == {"reliability", "coverage"}
    assert "probes" not in facts


def test_pages_of_other_origins_may_not_ask(served: Served) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    assert served.client.options("/predict", headers=headers).status_code == 405
    reply = served.client.post("/predict", json={"text": "fine"}, headers=headers)
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_the_document_says_what_is_taken_and_answered(served: Served) -> None:
    document = served.client.get("/docs.json").json()
    assert {path: list(item) for path, item in document["paths"].items()} == {
        "/predict": ["post"],
        "/predict_batch": ["post"],
        "/explain": ["post"],
        "/feedback": ["post"],
        "/model": ["get"],
        "/livez": ["get"],
        "/healthz": ["get"],
        "/readyz": ["get"],
        "/metrics": ["get"],
    }
    schemas = document["components"]["schemas"]
    assert "better left to a person" in schemas["Prediction"]["properties"]["abstained"]["description"]
    for path in ("/predict", "/predict_batch", "/explain", "/feedback"):
        operation = document["paths"][path]["post"]
        content = operation["requestBody"]["content"]["application/json"]
        good = next(status for status in operation["responses"] if status.startswith("2"))
        request_id = served.client.post("/predict", json={"text": "fine"}).json()["request_id"]
        example = {**content["example"], **({"request_id": request_id} if path == "/feedback" else {})}
        reply = served.client.post(path, json=example)
        assert reply.status_code == int(good)
        shown = operation["responses"][good]["content"]["application/json"]["example"]
        assert set(reply.json()) == set(shown)
        assert set(operation["responses"]) - {good} == {"400", "408", "413", "415", "422", "500", "503"}
        for status, response in operation["responses"].items():
            assert status == good or list(response["content"]) == [PROBLEM]
    assert "security" not in json.dumps(document)
