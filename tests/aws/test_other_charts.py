"""helm/airflow-values.yaml, helm/mlflow-values.yaml and helm/deployer.yaml say what exists, and no secret."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes_validate
import pytest
import yaml
from airflow_chart import AIRFLOW, MLFLOW, paths, unknown
from cloud_templates import Template

from sentiment.settings import Settings, load_settings

PROJECT = Path(__file__).resolve().parents[2]
HELM = PROJECT / "helm"
GUIDE = (PROJECT / "docs" / "aws.md").read_text()


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((HELM / name).read_text())
    return found


@pytest.mark.parametrize(("name", "known"), [("airflow-values.yaml", AIRFLOW), ("mlflow-values.yaml", MLFLOW)])
def test_every_key_is_one_of_the_chart(name: str, known: set[str]) -> None:
    assert unknown(read(name), known) == []
    assert unknown({"workers": {"resorces": {}}, "imge": {"tag": ""}}, known), "the check finds what is wrong"


def test_airflow_knows_every_option() -> None:
    from airflow.configuration import conf

    kubernetes = {  # of the provider, which the image has and this environment has not: kubernetes_executor's options
        *("delete_worker_pods", "delete_worker_pods_on_failure", "worker_pods_creation_batch_size"),
    }
    for section, options in read("airflow-values.yaml")["config"].items():
        for option in options:
            known = option in kubernetes if section == "kubernetes_executor" else conf.has_option(section, option)
            assert known, f"[{section}] {option}"


def test_nothing_secret_and_no_default_password() -> None:
    for name in ("airflow-values.yaml", "mlflow-values.yaml"):
        for path in paths(read(name)):
            last = path.rpartition(".")[2].lower()
            assert not re.search(r"password|passwd|token$|fernetkey$|secretkey$|jwtsecret$|accesskey", last), path
    values = read("airflow-values.yaml")
    assert values["createUserJob"]["enabled"] is False
    for secret in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"):
        assert f"generic {values[secret]} " in GUIDE
    assert f"generic {values['data']['metadataSecretName']} " in GUIDE
    assert f"generic {read('mlflow-values.yaml')['backendStore']['existingDatabaseSecret']['name']} " in GUIDE


def test_the_parts_of_airflow_3_run_with_bounds() -> None:
    values = read("airflow-values.yaml")
    assert values["executor"] == "KubernetesExecutor"
    assert values["dagProcessor"]["enabled"]
    assert values["triggerer"]["enabled"]
    for part in ("workers", "scheduler", "dagProcessor", "triggerer", "apiServer", "migrateDatabaseJob"):
        assert set(values[part]["resources"]["requests"]) >= {"cpu", "memory"}
        assert "memory" in values[part]["resources"]["limits"]
        assert values[part]["securityContexts"]["container"]["allowPrivilegeEscalation"] is False
    assert values["config"]["logging"]["remote_logging"] == "True"


def test_the_service_accounts_are_those_that_the_roles_trust() -> None:
    text = (PROJECT / "cloudformation" / "roles.yaml").read_text()
    values, roles = read("airflow-values.yaml"), Template.read("roles")
    named = [values[part]["serviceAccount"]["name"] for part in ("workers", "triggerer", "apiServer")]
    assert all(f"${{AirflowNamespace}}:{name}" in text for name in named)
    assert f"${{MlflowNamespace}}:{read('mlflow-values.yaml')['serviceAccount']['name']}" in text
    assert roles.parameters["ServingServiceAccount"]["Default"] == "sentiment"
    groups = {one["Properties"]["NodegroupName"] for one in Template.read("cluster").of("AWS::EKS::Nodegroup").values()}
    assert values["workers"]["nodeSelector"]["workload"] in groups
    assert read("mlflow-values.yaml")["nodeSelector"]["workload"] in groups


def test_the_settings_of_the_guide_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = re.findall(r"settings\.env <<EOF\n(.*?)^EOF$", GUIDE, re.MULTILINE | re.DOTALL)
    for name in [name for name in os.environ if name.startswith("SENTIMENT_")]:
        monkeypatch.delenv(name)
    digest = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/sentiment-runtime@sha256:{'0' * 64}"
    for line in block.splitlines():
        name, _, value = line.partition("=")
        repository = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sentiment-bentos"
        value = value.replace("$RUNTIME_IMAGE", digest).replace("$(out registry BentosRepository)", repository)
        monkeypatch.setenv(name, re.sub(r"\$\(out (\w+) (\w+)\)", r"s3://\1-\2", value))
    assert load_settings().storage.root == "s3://storage-StorageRoot"
    assert load_settings().deployment.target == "kubernetes"
    assert isinstance(load_settings(), Settings)


def test_what_the_deployer_may_do_is_what_the_chart_makes() -> None:
    documents = list(yaml.safe_load_all((HELM / "deployer.yaml").read_text()))
    for document in documents:
        for version in ("1.31", "1.37"):
            kubernetes_validate.validate(document, version, strict=True)
    [role] = [one for one in documents if one["kind"] == "Role"]
    writes = {
        (group, kind)
        for rule in role["rules"]
        if {"create", "patch", "delete"} <= set(rule["verbs"])
        for group in rule["apiGroups"]
        for kind in rule["resources"]
    }
    made = set()
    for golden in (PROJECT / "tests" / "helm" / "golden").glob("*.yaml"):
        for document in yaml.safe_load_all(golden.read_text()):
            if document:
                group = document["apiVersion"].rpartition("/")[0]
                plural = "ies" if document["kind"].endswith("y") else "ses" if document["kind"].endswith("s") else "s"
                stem = document["kind"].lower()
                made.add((group, (stem[:-1] if plural == "ies" else stem[:-1] if plural == "ses" else stem) + plural))
    assert made <= writes, made - writes
    assert writes - made <= {("", "secrets")}, "Helm keeps its releases there"
    assert all("*" not in rule["verbs"] + rule["resources"] for rule in role["rules"])
    bound = {subject["name"] for one in documents if one["kind"].endswith("Binding") for subject in one["subjects"]}
    [entry] = Template.read("roles").of("AWS::EKS::AccessEntry").values()
    assert bound == set(entry["Properties"]["KubernetesGroups"])


def sizes() -> Any:
    path = PROJECT / "images" / "platform" / "airflow_local_settings.py"
    spec = importlib.util.spec_from_file_location("platform_sizes", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pod(dag_id: str, task_id: str) -> Any:
    resources = SimpleNamespace(requests={"cpu": "1"}, limits={"cpu": "2"})
    return SimpleNamespace(
        metadata=SimpleNamespace(annotations={"dag_id": dag_id, "task_id": task_id}),
        spec=SimpleNamespace(containers=[SimpleNamespace(name="base", resources=resources)]),
    )


def test_tasks_get_what_they_need() -> None:
    module = sizes()
    large, usual = pod("sentiment_retrain", "train"), pod("sentiment_ingest", "ingest")
    module.pod_mutation_hook(large)
    module.pod_mutation_hook(usual)
    assert large.spec.containers[0].resources.requests == {"cpu": "2", "memory": "6Gi", "ephemeral-storage": "4Gi"}
    assert large.spec.containers[0].resources.limits["cpu"] == "4000m"
    assert large.spec.containers[0].resources.limits["memory"] == "6Gi"
    assert usual.spec.containers[0].resources.requests == {"cpu": "1"}


def test_tasks_with_a_size_exist() -> None:
    source = {path.stem: path.read_text() for path in (PROJECT / "dags").glob("*.py")}
    for dag_id, task_id in sizes().SIZES:
        group, _, name = task_id.rpartition(".")
        file = source[f"{group}_tasks"] if group else source[dag_id]
        assert re.search(rf"^ +def {name}\(", file, re.MULTILINE), (dag_id, task_id)


def pinned(name: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", (PROJECT / name).read_text(), re.MULTILINE)
    return dict(found)


def test_the_platform_image_runs_what_was_tested() -> None:
    ours, image = pinned("constraints.txt"), pinned("images/platform/requirements.txt")
    assert {name: image[name] for name in image if name in ours} == {name: ours[name] for name in image if name in ours}
    assert {"apache-airflow", "mlflow", "bentoml", "psycopg2-binary"} <= set(image)
    assert image["apache-airflow"] == read("airflow-values.yaml")["airflowVersion"]
    assert f"slim-{image['apache-airflow']}-python3.12" in (PROJECT / "images" / "platform" / "Dockerfile").read_text()
    assert "--require-hashes" in (PROJECT / "images" / "platform" / "Dockerfile").read_text()


def test_all_that_the_platform_image_copies_exists_and_is_let_through() -> None:
    dockerfile = (PROJECT / "images" / "platform" / "Dockerfile").read_text()
    allowed = set((PROJECT / "images" / "platform" / "Dockerfile.dockerignore").read_text().split())
    for line in re.findall(r"^COPY --chown=\S+ (.+) \S+$", dockerfile, re.MULTILINE):
        for source in line.split():
            assert (PROJECT / source).exists(), source
            assert f"!{source.split('/')[0]}" in allowed, source
