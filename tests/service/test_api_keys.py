"""Who may ask: keys that change while the server runs, rates, and pages of other origins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from bentos import BuiltBentos
from served import Served, running

from sentiment.cli import main
from sentiment.serving.keys import KeyScope, NewKey, create, revoke
from sentiment.settings import load_settings

pytestmark = pytest.mark.slow

SHOP = "https://shop.example"
TEXT = {"text": "a wonderful film"}


@dataclass(frozen=True)
class Guarded:
    served: Served
    file: Path
    admin: NewKey

    def ask(self, key: str = "", path: str = "/predict", **headers: str) -> httpx.Response:
        sent = {**headers, **({"Authorization": f"Bearer {key}"} if key else {})}
        return self.served.client.post(path, json=TEXT, headers=sent)

    def wait_for(self, key: str, status: int) -> None:
        deadline = time.monotonic() + 20
        while self.ask(key).status_code != status:
            assert time.monotonic() < deadline, f"still not {status}"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def guarded(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("keys")
    file = folder / "keys.json"
    admin = create(file, name="operator", scopes=(KeyScope.admin,))
    serving = {"keys_file": str(file), "cors_origins": (SHOP,), "probe_key": "of-the-deployment", "burst": 5}
    settings = load_settings(storage={"root": str(folder / "var")}, serving=serving)
    with running(bentos.first.path, folder, settings) as served:
        yield Guarded(served, file, admin)


def test_without_a_key_nothing_is_answered_but_health_and_the_document(guarded: Guarded) -> None:
    client = guarded.served.client
    for path in ("/predict", "/predict_batch", "/explain", "/feedback", "/nowhere"):
        reply = client.post(path, json=TEXT)
        assert (reply.status_code, reply.json()["title"]) == (401, "Not authorized")
        assert reply.headers["www-authenticate"] == 'Bearer realm="sentiment"'
    assert client.get("/model").status_code == client.get("/recent").status_code == 401
    for path in ("/livez", "/readyz", "/metrics", "/docs.json", "/"):
        assert client.get(path).status_code == 200
    for wrong in ("nonsense", guarded.admin.key[:-1] + "_", guarded.admin.key.upper()):
        reply = guarded.ask(wrong)
        assert reply.status_code == 401
        assert 'error="invalid_token"' in reply.headers["www-authenticate"]
        assert wrong not in reply.text


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["keys", *arguments])
    return int(ended.value.code or 0)


def test_keys_are_made_scoped_and_revoked_while_the_server_runs(
    guarded: Guarded, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--file", str(guarded.file)]
    assert run("create", "shop", "--scope", "predict", *arguments) == 0
    key = capsys.readouterr().out.strip()
    guarded.wait_for(key, 200)
    assert guarded.served.client.post("/predict", json=TEXT, headers={"X-API-Key": key}).status_code == 200
    reply = guarded.ask(key, "/feedback")
    assert reply.status_code == 403
    assert 'error="insufficient_scope", scope="feedback"' in reply.headers["www-authenticate"]
    assert guarded.ask(guarded.admin.key, "/feedback").status_code == 422  # allowed; it only makes no sense
    assert run("list", *arguments) == 0
    listed = capsys.readouterr().out
    assert "shop" in listed
    assert key not in listed
    assert run("revoke", key.split("_")[1], *arguments) == 0
    guarded.wait_for(key, 401)
    assert guarded.ask(guarded.admin.key).status_code == 200
    assert run("revoke", "00000000", *arguments) == 2


def test_a_broken_key_file_changes_nothing_until_it_is_whole_again(guarded: Guarded) -> None:
    whole = guarded.file.read_bytes()
    guarded.file.write_bytes(whole[:-20])
    time.sleep(1.5)
    assert guarded.ask(guarded.admin.key).status_code == 200
    guarded.file.write_bytes(whole)
    new = create(guarded.file, name="later")
    guarded.wait_for(new.key, 200)
    assert "the keys stay as they were" in guarded.served.service.log_path.read_text()
    revoke(guarded.file, new.stored.id)


def test_a_key_that_asks_too_often_is_told_when_to_come_again(guarded: Guarded) -> None:
    slow = create(guarded.file, name="slow", requests_per_minute=6)
    guarded.wait_for(slow.key, 200)
    replies = [guarded.ask(slow.key) for _ in range(10)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused
    assert all(1 <= int(reply.headers["retry-after"]) <= 10 for reply in refused)
    assert refused[0].json()["title"] == "Too many requests"
    assert guarded.ask(guarded.admin.key).status_code == 200


def test_pages_of_the_allowed_origin_may_ask_and_read_refusals(guarded: Guarded) -> None:
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = guarded.served.client.options("/predict", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, SHOP)
    refused = guarded.ask(Origin=SHOP)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, SHOP)
    other = {**asked, "Origin": "https://evil.example"}
    assert "access-control-allow-origin" not in guarded.served.client.options("/predict", headers=other).headers


def test_who_started_the_server_may_ask_for_a_first_answer(guarded: Guarded) -> None:
    assert guarded.ask(**{"X-Sentiment-Probe": "of-the-deployment"}).status_code == 200
    assert guarded.ask(**{"X-Sentiment-Probe": "1"}).status_code == 401


def test_the_document_says_how_to_send_a_key(guarded: Guarded) -> None:
    document = guarded.served.client.get("/docs.json").json()
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert (schemes["header"]["in"], schemes["header"]["name"]) == ("header", "X-API-Key")
    operation = document["paths"]["/feedback"]["post"]
    assert operation["security"] == [{"bearer": ["feedback"]}, {"header": ["feedback"]}]
    assert {"401", "403", "429"} <= set(operation["responses"])
    assert guarded.served.client.get("/model", headers={"X-API-Key": guarded.admin.key}).json()["features"]["keys"]


def test_keys_never_reach_the_log(guarded: Guarded) -> None:
    guarded.ask("sent_00000000_" + "y" * 43)
    said = guarded.served.service.log_path.read_text()
    assert guarded.admin.key not in said
    assert "y" * 43 not in said
