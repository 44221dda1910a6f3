"""What the init container runs: a Bento from S3 is in its folder, whole and the right one, or it is not there."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pytest
from faults import Fault, S3Server
from loopback import answering, certificate, pod_identity_agent, sts_of

SCRIPT = Path(__file__).resolve().parents[2] / "images" / "serving" / "fetch.py"
FILES = {"bento.yaml": b"service: bento.service:SentimentService\n", "src/model/scorer.npz": bytes(range(256)) * 400}
ROLE = "arn:aws:iam::123456789012:role/sentiment-serving"


def packed(entries: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz", preset=0) as archive:
        for name, content in entries.items():
            entry = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
            archive.addfile(entry, BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


BENTO = packed(FILES)


def put(store: S3Server, data: bytes = BENTO) -> tuple[str, str]:
    """Put a file into the bucket; return its address and digest."""
    sha256 = hashlib.sha256(data).hexdigest()
    store.client().put_object(Bucket=store.bucket, Key=f"platform/bentos/by-digest/{sha256}.bento", Body=data)
    return f"s3://{store.bucket}/platform/bentos/by-digest/{sha256}.bento", sha256


def start(store: S3Server | None, *arguments: object, **env: str) -> subprocess.Popen[str]:
    named = {"AWS_ENDPOINT_URL": store.url} if store else {}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, **named, **env},
        stderr=subprocess.PIPE,
        text=True,
    )


def run(store: S3Server | None, *arguments: object, **env: str) -> tuple[int, str]:
    process = start(store, *arguments, **env)
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the Bento shall be; nothing else is beside it."""
    return tmp_path / "volume" / "served"


@pytest.fixture
def fetch(store: S3Server, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with little patience."""
    spec = importlib.util.spec_from_file_location("fetch", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "_end", signal.SIG_DFL)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
    return module


def test_the_bento_is_fetched_once_and_left_alone_afterwards(store: S3Server, folder: Path) -> None:
    uri, sha256 = put(store)
    assert run(store, uri, sha256, folder)[0] == 0
    assert content(folder) == {**FILES, ".fetched": sha256.encode()}
    assert list(folder.parent.iterdir()) == [folder]
    asked = len(store.seen())
    assert asked
    code, said = run(store, uri, sha256, folder)
    assert (code, said) == (0, f"fetch: {folder} holds {uri} already.\n")
    assert len(store.seen()) == asked


def test_another_bento_takes_the_place_of_the_one_before(store: S3Server, folder: Path) -> None:
    assert run(store, *put(store), folder)[0] == 0
    uri, sha256 = put(store, packed({"bento.yaml": b"service: other\n"}))
    assert run(store, uri, sha256, folder)[0] == 0
    assert content(folder) == {"bento.yaml": b"service: other\n", ".fetched": sha256.encode()}
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_was_ended_leaves_no_half_bento_and_the_next_one_finishes(
    store: S3Server, folder: Path, kind: signal.Signals
) -> None:
    uri, sha256 = put(store)
    store.misbehave(Fault("slow", seconds=2))
    process = start(store, uri, sha256, folder)
    while not store.seen():
        time.sleep(0.02)
    process.send_signal(kind)
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if kind == signal.SIGKILL else 128 + signal.SIGTERM)
    assert not folder.exists()
    store.misbehave()
    assert run(store, uri, sha256, folder)[0] == 0
    assert content(folder)["bento.yaml"] == FILES["bento.yaml"]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_store_that_fails_for_the_moment_is_asked_again(
    store: S3Server, folder: Path, fetch: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    uri, sha256 = put(store)
    faults = [Fault(kind, times=1) for kind in ("throttle", "error", "drop", "cut", "too_many")]
    store.misbehave(*faults)
    assert fetch.main([uri, sha256, str(folder)]) == 0
    assert store.injected() == len(faults)
    assert content(folder)["src/model/scorer.npz"] == FILES["src/model/scorer.npz"]
    assert [line.split(",")[0] for line in capfd.readouterr().err.splitlines()[:-1]] == [
        f"fetch: Attempt {number} of 6" for number in range(1, 6)
    ]


def test_a_store_that_stays_down_is_said_with_the_number_of_attempts(
    store: S3Server, folder: Path, fetch: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    store.misbehave(Fault("throttle"))
    assert fetch.main([*put(store), str(folder)]) == fetch.NO_ANSWER
    last = capfd.readouterr().err.splitlines()[-1]
    assert "503" in last
    assert "networkPolicy.httpsTo" in last
    assert last.endswith("(6 attempts)")
    assert store.injected() == 6
    assert list(folder.parent.iterdir()) == []


def test_a_store_that_is_silent_is_not_waited_for_for_ever(
    store: S3Server, folder: Path, fetch: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "STALL_SECONDS", 1)
    monkeypatch.setattr(fetch, "ATTEMPTS", 2)
    store.misbehave(Fault("slow", seconds=5))
    assert fetch.main([*put(store), str(folder)]) == fetch.NO_ANSWER


REFUSED = {
    "a link": ({**FILES, "x": special("x", tarfile.SYMTYPE, "/etc/passwd")}, "holds 'x', no file and no folder"),
    "a hard link": ({**FILES, "x": special("x", tarfile.LNKTYPE, "bento.yaml")}, "no file and no folder"),
    "a device": ({**FILES, "x": special("x", tarfile.CHRTYPE)}, "no file and no folder"),
    "a pipe": ({**FILES, "x": special("x", tarfile.FIFOTYPE)}, "no file and no folder"),
    "a way out": ({**FILES, "src/../../out": b"x"}, "outside of it"),
    "the root": ({**FILES, "/out": b"x"}, "outside of it"),
    "no Bento": ({"readme": b"x"}, "is no Bento: it has no bento.yaml"),
    "too many files": ({**FILES, **{f"f{number}": b"" for number in range(20)}}, "too large"),
    "too many bytes": ({**FILES, "zeros": bytes(2**20)}, "too large: over 500,000 bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_bento_holds_is_refused(
    case: str,
    store: S3Server,
    folder: Path,
    fetch: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    entries, said = REFUSED[case]
    monkeypatch.setattr(fetch, "UNPACKED_BYTES", 500_000)
    monkeypatch.setattr(fetch, "ENTRIES", 20)
    assert fetch.main([*put(store, packed(entries)), str(folder)]) == fetch.WRONG_BENTO
    assert said in capfd.readouterr().err
    assert list(folder.parent.iterdir()) == []
    assert not list(folder.parents[1].glob("out"))


def test_what_was_not_shipped_is_refused_before_it_is_unpacked(
    store: S3Server, folder: Path, fetch: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetch, "_unpack", lambda *_: pytest.fail("it was unpacked"))
    uri, sha256 = put(store)
    store.client().put_object(
        Bucket=store.bucket, Key=uri.split("/", 3)[3], Body=packed({**FILES, "src/evil.py": b"x"})
    )
    assert fetch.main([uri, sha256, str(folder)]) == fetch.WRONG_BENTO
    assert f"not {sha256}: it is not what was shipped" in capfd.readouterr().err
    monkeypatch.setattr(fetch, "PACKED_BYTES", 100)
    assert fetch.main([uri, sha256, str(folder)]) == fetch.WRONG_BENTO
    assert "too large" in capfd.readouterr().err
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("data", [b"no archive", BENTO[: len(BENTO) // 2]], ids=["no archive", "half of one"])
def test_a_file_that_was_damaged_before_it_was_shipped_is_refused(
    data: bytes, store: S3Server, folder: Path, fetch: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fetch.main([*put(store, data), str(folder)]) == fetch.WRONG_BENTO
    assert "cannot be unpacked" in capfd.readouterr().err
    assert list(folder.parent.iterdir()) == []


def test_wrong_calls_are_said(
    store: S3Server, tmp_path: Path, fetch: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    uri, sha256 = put(store)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("three years")
    (tmp_path / "file").write_text("")
    calls: list[tuple[list[str], str, int]] = [
        ([uri, sha256], "called as", fetch.WRONG_CALL),
        (["https://x/y", sha256, "f"], "not s3://bucket/key", fetch.WRONG_CALL),
        ([uri, sha256[1:], "f"], "64 hexadecimal digits", fetch.WRONG_CALL),
        ([uri, sha256, str(mine)], "something that was not fetched", fetch.WRONG_CALL),
        ([uri, sha256, "/proc"], "mount point", fetch.WRONG_CALL),
        ([uri, sha256, str(tmp_path / "file" / "served")], "cannot be written", fetch.NO_ACCESS),
        ([uri + "x", sha256, str(tmp_path / "served")], "is not there", fetch.NO_ACCESS),
    ]
    for arguments, said, code in calls:
        assert fetch.main(arguments) == code
        error = capfd.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert (mine / "thesis.txt").read_text() == "three years"


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "SENTIMENT_STORAGE__ENDPOINT"])
def test_a_store_that_is_not_aws_is_named_by(name: str, store: S3Server, folder: Path) -> None:
    assert run(None, *put(store), folder, **{name: store.url})[0] == 0


@pytest.fixture
def pod(store: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A pod without keys; the file of its token."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")  # as where the node's role is out of reach
    (tmp_path / "token").write_text("a token of the cluster")
    return tmp_path / "token"


def test_a_role_by_irsa_gives_credentials(store: S3Server, pod: Path, folder: Path, tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    with answering(sts_of(store.direct), tls=tls) as sts:
        code, said = run(
            store,
            *put(store),
            folder,
            AWS_ROLE_ARN=ROLE,
            AWS_WEB_IDENTITY_TOKEN_FILE=str(pod),
            AWS_ENDPOINT_URL_STS=sts.url,
            SSL_CERT_FILE=str(tls[0]),
        )
    assert code == 0, said
    assert "WebIdentityToken=a+token+of+the+cluster" in sts.asked[0][0]
    assert {request["key"][:4] for request in store.seen()} == {"ASIA"}


def test_eks_pod_identity_gives_credentials(store: S3Server, pod: Path, folder: Path) -> None:
    with answering(pod_identity_agent) as agent:
        code, said = run(
            store,
            *put(store),
            folder,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{agent.url}/v1/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(pod),
        )
    assert code == 0, said
    assert [headers["authorization"] for _, headers in agent.asked] == ["a token of the cluster"]
    assert {request["key"] for request in store.seen()} == {"ASIAPOD"}


def test_the_agent_is_asked_over_http_where_the_store_is_https(pod: Path, folder: Path, tmp_path: Path) -> None:
    """As on EKS: the agent is http://169.254.170.23, and nothing else may go unencrypted."""
    tls = certificate(tmp_path)
    with answering(pod_identity_agent) as agent, answering(lambda _: (404, b""), tls=tls) as s3:
        code, said = run(
            None,
            f"s3://bucket/{'0' * 64}.bento",
            "0" * 64,
            folder,
            AWS_ENDPOINT_URL=s3.url,
            SSL_CERT_FILE=str(tls[0]),
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{agent.url}/v1/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(pod),
        )
    assert (code, "is not there" in said) == (6, True), said
    assert ["ASIAPOD" in headers["authorization"] for _, headers in s3.asked] == [True]


DENIED = b"<Error><Code>AccessDenied</Code><Message>may not sts:AssumeRoleWithWebIdentity</Message></Error>"


def test_a_role_that_may_not_is_said_at_once_with_what_to_do(
    store: S3Server, pod: Path, folder: Path, tmp_path: Path
) -> None:
    uri, sha256 = put(store)
    code, said = run(store, uri, sha256, folder)
    assert code == 6
    assert f"There are no credentials for {uri}" in said
    assert "serviceAccount.identity" in said
    code, said = run(store, uri, sha256, folder, AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "gone"))
    assert (code, "token file" in said) == (6, True)

    tls, keys = certificate(tmp_path), {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    with answering(lambda _: (403, DENIED), tls=tls) as sts:
        identity = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(pod), "SSL_CERT_FILE": str(tls[0])}
        code, said = run(store, uri, sha256, folder, AWS_ENDPOINT_URL_STS=sts.url, **identity)
    assert code == 6
    assert "may not sts:AssumeRoleWithWebIdentity" in said
    with answering(lambda _: (403, DENIED)) as s3:
        code, said = run(None, uri, sha256, folder, AWS_ENDPOINT_URL=s3.url, **keys)
    assert code == 6
    assert "s3:GetObject" in said
    with answering(lambda _: (301, b"")) as s3:
        code, said = run(None, uri, sha256, folder, AWS_ENDPOINT_URL=s3.url, **keys)
    assert (code, "in another region" in said) == (6, True)
    assert not folder.exists()
