"""Small HTTP servers on this machine that stand for what AWS puts beside a pod."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = tuple[int, bytes]


@dataclass
class Loopback:
    """A server, and what it was asked: path and headers."""

    url: str
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)


@contextmanager
def answering(answer: Callable[[str], Answer], *, tls: tuple[Path, Path] | None = None) -> Iterator[Loopback]:
    """Answer every request by its path; over HTTPS with a certificate and its key."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            here.asked.append((self.path, dict(self.headers)))
            status, content = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        here = Loopback(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield here
        finally:
            server.shutdown()


def pod_identity_agent(path: str) -> Answer:
    """Answer as the agent of EKS Pod Identity does."""
    keys = {"AccessKeyId": "ASIAPOD", "SecretAccessKey": "hush", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
    return (200, json.dumps(keys).encode()) if path == "/v1/credentials" else (404, b"no such path")


def sts_of(moto: str) -> Callable[[str], Answer]:
    """Return what passes calls to STS, with their parameters in the address, on to a moto server."""

    def pass_on(path: str) -> Answer:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(moto).netloc, timeout=30)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/", path.partition("?")[2], form)
        answered = connection.getresponse()
        return answered.status, answered.read()

    return pass_on


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return files
