"""Tasks take their way to S3 from the Airflow connection."""

import json
from pathlib import Path
from typing import Any

import pytest
from faults import S3Server

from sentiment.ledger import Ledger
from sentiment.reviews.sample import write_sample
from sentiment.settings import Settings
from sentiment.storage import Storage

FOLDER = Path(__file__).resolve().parents[2] / "dags"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # botocore's own


@pytest.fixture
def connection(s3: Settings, store: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection, and nothing else that leads to the store."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    extra = {"region_name": "eu-central-1", "endpoint_url": store.url}
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_DEFAULT",
        json.dumps({"conn_type": "aws", "login": "from-connection", "password": "hush-hush", "extra": extra}),
    )
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", s3.storage.root)


def test_objects_tables_and_artifacts_take_the_connection(
    connection: None, store: S3Server, capfd: pytest.CaptureFixture[str]
) -> None:
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
    from sentiment_catalog import task_settings

    settings = task_settings()
    storage = Storage(settings)
    storage.write("a.txt", b"1")
    Ledger(storage).append("trained")
    storage.share_with_mlflow()
    S3ArtifactRepository(f"{storage.root}/mlflow").list_artifacts()
    seen = store.seen()
    assert {request["key"] for request in seen} == {"from-connection"}
    for part in ("a.txt", "ledger", "mlflow"):
        assert any(part in request["path"] for request in seen), part
    out, err = capfd.readouterr()
    assert "hush-hush" not in out + err + repr(settings) + settings.model_dump_json()


def test_a_task_runs_on_it(connection: None, s3: Settings, store: S3Server, tmp_path: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    data = write_sample(tmp_path / "film.csv", "film", 200, seed=1)
    store.client().upload_file(str(data), store.bucket, "platform/inbox/film.csv")
    ingest: Any = DagBag(dag_folder=str(FOLDER)).dags["sentiment_ingest"].get_task("ingest")
    events: Any = type("Events", (dict,), {"__missing__": lambda self, _: self, "add": lambda *_, **__: None})()
    taken = ingest.python_callable(
        params={"files": [], "text": None, "label": None, "time": None}, outlet_events=events
    )
    assert taken["accepted"] == 200
    assert {request["key"] for request in store.seen()} == {"from-connection"}


def test_without_a_connection_it_is_the_chain_of_aws(
    s3: Settings, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentiment_catalog import task_settings

    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", s3.storage.root)
    monkeypatch.setenv("SENTIMENT_STORAGE__ENDPOINT", store.url)
    Storage(task_settings()).write("a.txt", b"1")
    assert {request["key"] for request in store.seen()} == {"from-environment"}


def test_on_a_folder_no_connection_is_asked_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.amazon.aws.hooks import base_aws
    from sentiment_catalog import task_settings

    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    monkeypatch.setattr(base_aws, "AwsGenericHook", None)
    assert task_settings().storage.root == settings.storage.root
    assert all("load_settings(" not in path.read_text() for path in FOLDER.glob("*.py")), "one way to the settings"
