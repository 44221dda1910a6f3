"""S3 without boto3, as in the served image: obstore finds the credentials that a pod on EKS has, and renews them."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from faults import S3Server

from sentiment import storage as storage_module
from sentiment.errors import StorageError
from sentiment.settings import Settings
from sentiment.storage import Storage


@pytest.fixture
def without_boto3(s3: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings whose root is the empty bucket, where boto3 is not installed and nobody has given keys yet."""
    monkeypatch.setattr(storage_module, "find_spec", lambda name: None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    return s3


@pytest.fixture
def agent() -> Iterator[str]:
    """The address of a Pod Identity agent that gives other keys each time it is asked by the pod's token."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            allowed = self.headers["Authorization"] == "the pod's token"
            keys = {
                "AccessKeyId": f"from-agent-{len(asked)}",
                "SecretAccessKey": "secret",
                "Token": "token",
                "Expiration": (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            self.send_response(200 if allowed else 403)
            self.end_headers()
            self.wfile.write(json.dumps(keys if allowed else {}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/credentials"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate authority, and with the certificate and key of this machine."""
    folder = tmp_path_factory.mktemp("tls")
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2"]
    for command in (
        [*new, "-subj", "/CN=authority", "-keyout", "authority.key", "-out", "authority.pem"],
        [
            *new, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.pem", "-CA", "authority.pem",
            "-CAkey", "authority.key", "-addext", "subjectAltName=DNS:localhost",
            "-addext", "basicConstraints=CA:FALSE",
        ],
    ):  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def secure_sts(store: S3Server, tls: Path) -> Iterator[str]:
    """The address of moto's STS behind TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = httpx.post(
                store.direct,
                content=self.path.partition("?")[2],
                headers={"Host": "sts.amazonaws.com", "Content-Type": "application/x-www-form-urlencoded"},
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "server.pem", tls / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def keys_used(store: S3Server) -> set[str]:
    return {request["key"] for request in store.seen()}


def test_the_environment_gives_credentials(
    without_boto3: Settings, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    storage = Storage(without_boto3)
    assert storage.create("a", b"1")
    assert not storage.create("a", b"2")
    assert storage.read("a") == b"1"
    assert keys_used(store) == {"from-environment"}


def test_a_web_identity_gives_credentials(
    without_boto3: Settings,
    store: S3Server,
    secure_sts: str,
    tls: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """IRSA: a role and a token file. obstore sends that to nobody without TLS."""
    (tmp_path / "token").write_text("a token of the cluster")
    monkeypatch.setenv("SSL_CERT_FILE", str(tls / "authority.pem"))
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/sentiment")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", secure_sts)
    Storage(without_boto3).write("a", b"1")
    assert keys_used(store), "nothing was signed"
    assert all(key.startswith("ASIA") for key in keys_used(store)), "temporary keys of the role"


def test_pod_identity_gives_credentials_and_renews_them(
    without_boto3: Settings, store: S3Server, agent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("the pod's token")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    storage = Storage(without_boto3)
    storage.write("a", b"1")
    time.sleep(0.2)  # obstore asks at most ten times a second
    storage.write("b", b"2")
    used = keys_used(store)
    assert len(used) == 2
    assert all(key.startswith("from-agent-") for key in used)


def test_no_credentials_are_an_error_and_no_wait_for_ever(
    without_boto3: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="did not write"):
        Storage(without_boto3).write("a", b"1")
