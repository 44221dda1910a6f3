"""Images in ECR and in CodeBuild, as moto plays them, and in a registry that wants a password."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from bentos import BuiltBentos
from moto import mock_aws
from moto.codebuild.models import codebuild_backends

from sentiment.deployment import codebuild, images
from sentiment.deployment.image_registry import EcrRepository, OciRepository
from sentiment.deployment.images import Image, build_and_push, records_of
from sentiment.errors import ServiceError, SettingsError
from sentiment.packaging import bento_file
from sentiment.settings import Settings
from sentiment.storage import Storage

ACCOUNT, REGION = "123456789012", "eu-central-1"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/sentiment"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # botocore's own


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS account with an empty, immutable repository and a CodeBuild project."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(codebuild, "LOOK_SECONDS", 0.01)
    with mock_aws():
        boto3.client("ecr", REGION).create_repository(
            repositoryName="team/sentiment",
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
        )
        boto3.client("codebuild", REGION).create_project(
            name="bentos",
            source={"type": "S3", "location": "bucket/none.zip"},  # moto knows no project without a source
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
            serviceRole=f"arn:aws:iam::{ACCOUNT}:role/builder",
        )
        yield


def push(tag: str) -> str:
    """Put an image into the repository, as a builder does; return its digest."""
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": f"sha256:{tag}", "size": 1}, "layers": []})
    put = boto3.client("ecr", REGION).put_image(
        repositoryName="team/sentiment", imageManifest=manifest, imageTag=tag,
        imageManifestMediaType="application/vnd.docker.distribution.manifest.v2+json",
    )  # fmt: skip
    return str(put["image"]["imageId"]["imageDigest"])


def test_ecr_says_what_is_there(aws: None) -> None:
    repository = EcrRepository(REPOSITORY)
    assert repository.digest("v1") is None
    digest = push("v1")
    assert repository.digest("v1") == digest
    login = repository.login()
    assert (login.host, login.user) == (REPOSITORY.partition("/")[0], "AWS")
    assert login.password
    assert login.password not in repr(login)


def test_a_repository_that_is_not_there_is_said(aws: None) -> None:
    with pytest.raises(ServiceError, match=r"did not say whether .*/other:v1 is there: .*RepositoryNotFound"):
        EcrRepository(REPOSITORY.replace("sentiment", "other")).digest("v1")


def changed(settings: Settings, **deployment: Any) -> Settings:
    section = settings.deployment.model_copy(update={"image_repository": REPOSITORY, **deployment})
    return settings.model_copy(update={"deployment": section})


def test_an_image_that_is_there_is_not_built_and_gets_an_sbom(
    aws: None, bentos: BuiltBentos, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing could build it: there is no docker on the PATH."""
    monkeypatch.setenv("PATH", "/nowhere")
    digest = push(bentos.first.version)
    settings = changed(bentos.settings)
    assert build_and_push(settings, bentos.first) == Image(REPOSITORY, bentos.first.version, digest)
    records = records_of(bentos.first.version)
    assert json.loads(Storage(settings).read(records["sbom"]))["metadata"]["component"]["version"] == digest
    assert records["provenance"] not in Storage(settings).list(images.IMAGES), "nobody knows who built it"
    with pytest.raises(ServiceError, match="There is no command docker here"):
        build_and_push(settings, bentos.second)


def test_findings_of_the_scan_can_refuse_an_image(aws: None, bentos: BuiltBentos) -> None:
    push(bentos.first.version)
    boto3.client("ecr", REGION).start_image_scan(
        repositoryName="team/sentiment", imageId={"imageTag": bentos.first.version}
    )
    counts = EcrRepository(REPOSITORY).findings(push_digest(bentos.first.version))
    assert counts["HIGH"] > 0
    build_and_push(changed(bentos.settings), bentos.first)
    with pytest.raises(ServiceError, match=rf"the registry's scan found .*{counts['HIGH']} HIGH"):
        build_and_push(changed(bentos.settings, refuse_findings="HIGH"), bentos.first)


def push_digest(tag: str) -> str:
    digest = EcrRepository(REPOSITORY).digest(tag)
    assert digest
    return digest


class Cloud:
    """CodeBuild, as moto plays it, with the ends of builds that a test wants; a build that succeeds pushes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, Any]] = []
        self.ends: list[str] = []
        self.backend = codebuild_backends[ACCOUNT][REGION]
        self._look = self.backend.batch_get_builds
        monkeypatch.setattr(self.backend, "batch_get_builds", self._looked)
        boto3.setup_default_session(region_name=REGION)
        boto3.DEFAULT_SESSION.events.register("before-call.codebuild.StartBuild", self._started)

    @property
    def variables(self) -> list[dict[str, str]]:
        return [{one["name"]: one["value"] for one in body["environmentVariablesOverride"]} for body in self.asked]

    def _started(self, params: dict[str, Any], **_: Any) -> None:
        self.asked.append(json.loads(params["body"]))

    def _looked(self, ids: list[str]) -> list[dict[str, Any]]:
        *_, build = self._look(ids)
        build["buildStatus"] = self.ends.pop(0) if self.ends else "SUCCEEDED"
        build["phases"][-2] |= {"phaseStatus": "FAILED", "contexts": [{"message": "docker build: exit status 1"}]}
        if build["buildStatus"] == "SUCCEEDED":
            push(self.variables[-1]["REFERENCE"].rpartition(":")[2])
        return [build]


@pytest.fixture
def cloud(aws: None) -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:  # undone before moto forgets its backends
        yield Cloud(patch)


PLAN = codebuild.CloudPlan(
    "s3://bucket/b.bento", "ab" * 32, f"{REPOSITORY}:v7", {"a": "1", "b": "2"}, "python@sha256:x"
)


def project(seconds: float = 60) -> codebuild.CodeBuild:
    return codebuild.CodeBuild("bentos", region=REGION, timeout_seconds=seconds)


def test_codebuild_is_told_everything_and_no_secret(cloud: Cloud) -> None:
    build_id = project().build_and_push(PLAN)
    assert build_id.startswith("bentos:")
    [asked] = cloud.asked
    assert asked["sourceTypeOverride"] == "NO_SOURCE"
    assert cloud.variables == [
        {
            "BENTO_URI": "s3://bucket/b.bento",
            "BENTO_SHA256": "ab" * 32,
            "REFERENCE": f"{REPOSITORY}:v7",
            "LABELS": "a=1\nb=2",
            "BASE": "python@sha256:x",
        }
    ]


def test_what_codebuild_itself_broke_is_tried_again_a_bounded_number_of_times(cloud: Cloud) -> None:
    cloud.ends = ["FAULT", "FAULT", "IN_PROGRESS", "TIMED_OUT", "TIMED_OUT", "SUCCEEDED"]  # each end is looked at twice
    project().build_and_push(PLAN)
    assert len(cloud.asked) == 3


def test_what_codebuild_breaks_every_time_is_given_up(cloud: Cloud) -> None:
    cloud.ends = ["FAULT"] * 10
    with pytest.raises(ServiceError, match="ended as FAULT"):
        project().build_and_push(PLAN)
    assert len(cloud.asked) == codebuild.ATTEMPTS


def test_a_build_that_failed_is_not_tried_again_and_says_why(cloud: Cloud) -> None:
    cloud.ends = ["FAILED"]
    with pytest.raises(ServiceError, match=r"ended as FAILED: .*docker build: exit status 1") as raised:
        project().build_and_push(PLAN)
    assert "https://console.aws.amazon.com/" in raised.value.fix
    assert len(cloud.asked) == 1


def test_a_build_that_does_not_end_is_given_up_and_taken_up_again(cloud: Cloud) -> None:
    """What a task does that was killed while its build ran."""
    cloud.ends = ["IN_PROGRESS"] * 3
    with pytest.raises(ServiceError, match="is not done after 0 s"):
        project(seconds=0).build_and_push(PLAN)
    [kept] = cloud.backend.build_metadata_history["bentos"]
    kept["environment"]["environmentVariables"] = PLAN.variables()  # which moto forgets
    cloud.ends = ["IN_PROGRESS", "IN_PROGRESS"]
    assert project().build_and_push(PLAN) == kept["id"]
    assert len(cloud.asked) == 1


def test_a_bento_in_s3_becomes_an_image_in_ecr_without_docker(
    s3: Settings, cloud: Cloud, bentos: BuiltBentos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    settings = changed(s3, builder="codebuild", codebuild_project="bentos")
    file = bento_file(bentos.first.version)
    data = Storage(bentos.settings).read(file)
    Storage(s3).write(file, data)
    image = build_and_push(settings, bentos.first)
    assert image.digest == push_digest(bentos.first.version)
    [told] = cloud.variables
    assert told["BENTO_URI"] == Storage(s3).uri(file)
    assert told["BENTO_SHA256"] == hashlib.sha256(data).hexdigest()
    provenance = json.loads(Storage(s3).read(records_of(image.tag)["provenance"]))
    run = provenance["predicate"]["runDetails"]
    assert run["builder"]["id"].endswith(":codebuild")
    assert run["metadata"]["invocationId"].startswith("bentos:")
    assert build_and_push(settings, bentos.first) == image
    assert len(cloud.asked) == 1


def test_codebuild_needs_a_project_ecr_and_s3(cloud: Cloud, bentos: BuiltBentos) -> None:
    with pytest.raises(SettingsError, match="codebuild_project"):
        build_and_push(changed(bentos.settings, builder="codebuild", codebuild_project="bentos"), bentos.first)
    assert cloud.asked == []


@pytest.fixture
def locked_registry() -> Iterator[tuple[str, list[str]]]:
    """A registry on this machine that wants a token, and what it was asked."""
    asked: list[str] = []
    basic = "Basic " + base64.b64encode(b"me:hush-hush").decode()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            asked.append(self.path)
            given = self.headers.get("Authorization", "")
            if self.path.startswith("/token"):
                body = json.dumps({"token": "abc" if given == basic else "anonymous"}).encode()
                self.reply(200, {}, body)
            elif given != "Bearer abc":
                realm = f"http://{self.headers['Host']}/token"
                self.reply(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="here"'})
            elif self.path == "/v2/team/sentiment/manifests/v1":
                self.reply(200, {"Docker-Content-Digest": "sha256:" + "1" * 64})
            else:
                self.reply(404, {})

        def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_a_registry_that_wants_a_token_gets_what_docker_login_kept(
    locked_registry: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host, asked = locked_registry
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    repository = OciRepository(f"{host}/team/sentiment")
    with pytest.raises(ServiceError, match=r"it answered 401\. Try `docker login"):
        repository.digest("v1")
    auth = base64.b64encode(b"me:hush-hush").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    assert repository.digest("v1") == "sha256:" + "1" * 64
    assert repository.digest("v2") is None
    assert any("scope=repository%3Ateam%2Fsentiment%3Apull" in path for path in asked)


def test_a_registry_that_is_not_there_is_said() -> None:
    with pytest.raises(ServiceError, match=r"The registry 127\.0\.0\.1:9 did not say"):
        OciRepository("127.0.0.1:9/sentiment").digest("v1")


def test_without_a_repository_nothing_is_built(bentos: BuiltBentos) -> None:
    with pytest.raises(SettingsError, match="image_repository is empty"):
        build_and_push(bentos.settings, bentos.first)
