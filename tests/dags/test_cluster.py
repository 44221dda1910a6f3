"""sentiment_deploy to Kubernetes, run for real: shipped to S3, upgraded by Helm's engine, watched, taken back."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml
from clusters import Helm, helm_command, new_helm
from faults import S3Server
from moto import mock_aws
from prepared_prometheus import Prepared, prometheus
from registered import crown, register

from sentiment.cli import main
from sentiment.deployment.cluster import ClusterRelease
from sentiment.deployment.shipping import Shipped
from sentiment.ledger import Ledger
from sentiment.registry import Registry
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from tests.dags.test_runs import RUNNER

__all__ = ["helm_command", "new_helm"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # botocore's own
]

FOLDER = str(Path(__file__).resolve().parents[2] / "dags")
RUNTIME = "registry.example.com/runtime@sha256:" + "a" * 64
VALUES = {
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    "networkPolicy": {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]},
}


@pytest.fixture
def prepared() -> Iterator[Prepared]:
    with prometheus() as server:
        yield server


@pytest.fixture
def helm(
    s3: Settings,
    store: S3Server,
    prepared: Prepared,
    new_helm: Callable[[], Helm],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Helm:
    """An empty cluster, and the environment of tasks that deploy to it by canary."""
    helm = new_helm()
    (tmp_path / "values.yaml").write_text(json.dumps(VALUES))
    monkeypatch.setenv("PATH", str(helm.command.parent), prepend=":")
    for name, value in {
        "STORAGE__ROOT": s3.storage.root,
        "STORAGE__ENDPOINT": store.url,
        "DEPLOYMENT__TARGET": "kubernetes",
        "DEPLOYMENT__STRATEGY": "canary",
        "DEPLOYMENT__RUNTIME_IMAGE": RUNTIME,
        "DEPLOYMENT__NAMESPACE": "default",
        "DEPLOYMENT__KUBECONFIG": helm.env["KUBECONFIG"],
        "DEPLOYMENT__VALUES_FILES": json.dumps([str(tmp_path / "values.yaml")]),
        "DEPLOYMENT__HELM_TIMEOUT_SECONDS": "60",
        "CANARY__PROMETHEUS_URL": prepared.url,
        "CANARY__STEPS": "[50]",
        "CANARY__STEP_MINUTES": "0.05",
        "CANARY__PATIENCE_MINUTES": "1",
        "CANARY__LOOK_SECONDS": "2",
    }.items():
        monkeypatch.setenv(f"SENTIMENT_{name}", value)
    return helm


def run(dag_id: str, **conf: Any) -> tuple[str, dict[str, str], str]:
    """Run a DAG; return its state, those of its tasks without their groups, and the log."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, FOLDER],
        input=json.dumps([dag_id, conf]) + "\n",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{FOLDER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        timeout=600,
        check=False,
    )
    log = done.stdout + done.stderr
    assert "RESULT" in done.stdout, log[-5000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    state, tasks, _ = json.loads(line.removeprefix("RESULT"))
    return state, {task.removeprefix("cluster."): said for task, said in tasks.items()}, log


def command(*arguments: str) -> None:
    """Run our command line, which must succeed."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code


def serves() -> str:
    return str(ClusterRelease(load_settings()).state().tracks)


def test_a_champion_reaches_the_cluster_and_a_bad_one_does_not(
    helm: Helm, prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings()
    registry: Registry = register(settings, ("1", "2"))
    crown(registry, "1")
    state, tasks, log = run("sentiment_deploy", dry_run=True)
    assert (state, tasks["package"], tasks["ship"]) == ("success", "success", "success"), log[-5000:]
    assert {tasks[name] for name in ("deploy", "plan", "upgrade", "watch", "finish", "smoke")} == {"skipped"}
    assert "+kind: Deployment" in log
    assert serves() == "nothing"

    state, tasks, log = run("sentiment_deploy")
    assert (state, tasks["finish"], tasks["smoke"]) == ("success", "success", "skipped"), log[-5000:]
    assert "deployment.public_url is not set" in log
    assert serves() == "version 1 100% (stable)"

    crown(registry, "2")
    prepared.versions, prepared.failed = {"stable": "1", "canary": "2"}, {"canary": 600}
    state, tasks, log = run("sentiment_deploy")
    assert (state, tasks["watch"], tasks["finish"]) == ("failed", "failed", "upstream_failed"), log[-5000:]
    assert "Version 1 is champion again" in log
    assert (serves(), registry.champion().version) == ("version 1 100% (stable)", "1")

    crown(registry, "2")
    prepared.failed = {}
    state, tasks, log = run("sentiment_deploy")
    assert (state, tasks["watch"], tasks["finish"]) == ("success", "success", "success"), log[-5000:]
    assert (serves(), registry.champion().version) == ("version 2 100% (stable)", "2")

    state, _, log = run("sentiment_rollback", reason="on call says so")
    assert state == "success", log[-5000:]
    assert (serves(), registry.champion().version) == ("version 1 100% (stable)", "1")
    told = [(e.event, e.model_version) for e in Ledger(Storage(settings)).entries()]
    assert told[-2:] == [("deployed", "1"), ("rolled_back", "1")]
    assert told.count(("shipped", "1")) == 1, "it is the same Bento, whatever is noted about its promotions"
    [deployment] = helm.cluster.all("deployments")
    assert "bentos/by-digest/" in json.dumps(deployment), "the pods fetch what was shipped"

    command("status")
    assert "version 1 100% (stable) in default/sentiment" in " ".join(capsys.readouterr().out.split())
    command("deploy", "--dry-run", "--json")
    planned = json.loads(capsys.readouterr().out)
    assert (planned["steps"], planned["diff"]) == ([], "No difference.")
    command("deploy", "--json")
    assert json.loads(capsys.readouterr().out)["model_version"] == "1"


def test_a_person_is_shown_what_would_change_and_asked(helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput
    from sentiment_cluster import answered

    form: dict[str, Any] = {}
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **given: form.update(given)
    )
    monkeypatch.setenv("SENTIMENT_DEPLOYMENT__APPROVAL", "always")
    monkeypatch.setenv("SENTIMENT_DEPLOYMENT__APPROVAL_HOURS", "5")
    repository, _, digest = RUNTIME.partition("@")
    file = "e" * 64
    uri = f"{load_settings().storage.root}/bentos/by-digest/{file}.bento"
    task = DagBag(dag_folder=FOLDER).dags["sentiment_deploy"].get_task("cluster.plan").prepare_for_execution()
    task.shipped = Shipped("s3", "7", "d" * 64, repository, digest, uri, file).to_dict()
    context = {"params": {"dry_run": False}, "task_instance": SimpleNamespace(id="1")}
    with pytest.raises(TaskAwaitingInput) as waits:
        task.execute(context)
    assert waits.value.timeout == timedelta(hours=5)
    assert form["subject"] == "Deploy version 7 to default/sentiment?"
    assert (form["options"], form["defaults"]) == (["Deploy", "Leave it"], ["Leave it"]), "silence changes nothing"
    assert "```diff\n" in form["body"]
    assert "+kind: Deployment" in form["body"]
    assert uri in form["body"]
    assert not helm.cluster.all("deployments"), "asking changes nothing"

    said = {"chosen_options": ["Deploy"], "responded_by_user": {"id": "7", "name": "Ada"}}
    assert answered(said) == "Ada"
    with pytest.raises(AirflowSkipException, match="Ada said to leave it"):
        answered({**said, "chosen_options": ["Leave it"]})
    with pytest.raises(AirflowSkipException, match="Nobody answered"):
        answered({"chosen_options": ["Leave it"], "responded_by_user": None})


def test_the_kubeconfig_is_made_of_the_connection_and_gone_afterwards(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentiment_cluster import cluster_settings

    connection = {"conn_type": "aws", "login": "key", "password": "hush-hush", "extra": {"region_name": "eu-central-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_EKS", json.dumps(connection))
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    monkeypatch.setenv("SENTIMENT_DEPLOYMENT__EKS_CLUSTER", "production")
    monkeypatch.setenv("SENTIMENT_DEPLOYMENT__AWS_CONN_ID", "eks")
    with mock_aws():
        boto3.client("eks", region_name="eu-central-1").create_cluster(
            name="production",
            roleArn="arn:aws:iam::123456789012:role/eks",
            resourcesVpcConfig={"subnetIds": ["subnet-1"]},
        )
        with cluster_settings() as found:
            path = Path(found.deployment.kubeconfig)
            text = path.read_text()
    said = yaml.safe_load(text)
    assert said["clusters"][0]["cluster"]["server"].startswith("https://")
    assert "eks_get_token" in json.dumps(said["users"])
    assert "hush-hush" not in text
    assert not path.exists()
