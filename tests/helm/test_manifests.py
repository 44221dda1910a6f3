"""What the chart makes: reviewed, valid for every Kubernetes that EKS offers, safe, and of one piece."""

from __future__ import annotations

import copy
import json
import runpy
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import kubernetes_validate.utils as schemas
import pytest
import yaml
from chart_lint import problems
from conftest import VALUES, Rendered

from sentiment.deployment.shipping import MOST_BYTES
from sentiment.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
CASES = [path.stem for path in VALUES]
KUBERNETES = [f"1.{minor}" for minor in range(31, int(schemas.latest_version().split(".")[1]) + 1)]
FOREIGN = {"ExternalSecret", "HTTPRoute", "PrometheusRule", "ServiceMonitor"}
"""Kinds of operators: Kubernetes has no schemas for them."""


@pytest.mark.parametrize("case", CASES)
def test_the_manifests_are_the_reviewed_ones(
    case: str, rendered: dict[str, Rendered], request: pytest.FixtureRequest
) -> None:
    """After a change that is meant: ``pytest tests/helm --update-golden``, and review the diff."""
    path = GOLDEN / f"{case}.yaml"
    if request.config.getoption("--update-golden"):
        path.write_text(rendered[case].text)
    assert rendered[case].text == path.read_text()


@pytest.fixture
def quick_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each schema once: the package reads all definitions for every manifest."""
    monkeypatch.setattr(schemas, "schema_contents", _contents)


_contents = lru_cache(maxsize=64)(schemas.schema_contents)


@pytest.mark.usefixtures("quick_schemas")
@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_valid(version: str, rendered: dict[str, Rendered]) -> None:
    distinct = {json.dumps(one, sort_keys=True): one for case in rendered.values() for one in case.documents}
    kinds = set()
    for document in distinct.values():
        if document["kind"] not in FOREIGN:
            schemas.validate(document, version, strict=True)
            kinds.add(document["kind"])
    assert {"Deployment", "Service", "Ingress", "HorizontalPodAutoscaler", "NetworkPolicy", "Pod"} <= kinds


@pytest.mark.usefixtures("quick_schemas")
def test_a_misspelt_field_is_not_valid(rendered: dict[str, Rendered]) -> None:
    [deployment] = rendered["minimal"].of("Deployment")
    spoiled = copy.deepcopy(deployment)
    spoiled["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(schemas.ValidationError, match="readynessProbe"):
        schemas.validate(spoiled, KUBERNETES[-1], strict=True)


def test_each_version_is_tried_with_its_own_schemas() -> None:
    assert {schemas.major_minor(version) for version in schemas.all_versions()} >= set(KUBERNETES)
    assert len(KUBERNETES) >= 7


@pytest.mark.parametrize("case", CASES)
def test_the_pods_are_restricted(case: str, rendered: dict[str, Rendered]) -> None:
    assert problems(rendered[case].documents) == []


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(spec: dict[str, Any]) -> None:
        *parents, last = [int(name) if name.isdigit() else name for name in path.split("/")]
        for name in parents:
            spec = spec[name]
        if value is None:
            del spec[last]
        else:
            spec[last] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change("securityContext/runAsNonRoot", False), "root"),
        (change("securityContext/seccompProfile", None), "seccomp"),
        (change("automountServiceAccountToken", None), "token"),
        (change("hostNetwork", True), "hostNetwork"),
        (change("volumes/0/emptyDir", {}), "size limit"),
        (change("volumes/0", {"name": "node", "hostPath": {"path": "/"}}), "another kind"),
        (change("containers/0/securityContext/privileged", True), "privileges"),
        (change("containers/0/securityContext/readOnlyRootFilesystem", None), "root file system"),
        (change("containers/0/securityContext/capabilities/add", ["NET_ADMIN"]), "capabilities"),
        (change("containers/0/resources/limits/memory", None), "limits of memory"),
        (change("containers/0/image", "registry.example.com:5000/sentiment:latest"), "may change"),
        (change("containers/0/image", "registry.example.com:5000/sentiment"), "may change"),
        (change("containers/0/livenessProbe", None), "livenessProbe"),
        (change("containers/0/readinessProbe/timeoutSeconds", 1), "readinessProbe"),
        (change("containers/0/lifecycle", None), "load balancers"),
        (change("terminationGracePeriodSeconds", 30), "killed"),
        (change("topologySpreadConstraints/0", None), "zone"),
    ],
)
def test_the_lint_sees_what_is_wrong(
    spoil: Callable[[dict[str, Any]], None], said: str, rendered: dict[str, Rendered]
) -> None:
    deployment = copy.deepcopy(rendered["minimal"].of("Deployment")[0])
    spoil(deployment["spec"]["template"]["spec"])
    assert said in " ".join(problems([deployment]))


def test_the_lint_sees_what_runs_before_the_server_too(rendered: dict[str, Rendered]) -> None:
    deployment = copy.deepcopy(rendered["fetched"].of("Deployment")[0])
    change("initContainers/0/securityContext", None)(deployment["spec"]["template"]["spec"])
    change("initContainers/0/resources/limits", None)(deployment["spec"]["template"]["spec"])
    said = " ".join(problems([deployment]))
    assert "container fetch: its root file system can be written" in said
    assert "container fetch: it has no limits of memory" in said


@pytest.mark.parametrize("case", CASES)
def test_what_names_something_names_what_is_there(case: str, rendered: dict[str, Rendered]) -> None:
    """Selectors, references and names fit together: nothing in Kubernetes would say so if they did not."""
    chart = rendered[case]
    pods = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in chart.of("Deployment")}
    ports = {port["name"] for one in chart.of("Deployment") for port in _container(one)["ports"]}
    services = {one["metadata"]["name"]: one for one in chart.of("Service")}
    for one in chart.of("Deployment"):
        assert selects(one["spec"]["selector"]["matchLabels"], pods) == {one["metadata"]["name"]}
        assert [source["configMapRef"]["name"] for source in _container(one)["envFrom"]] == [
            config["metadata"]["name"] for config in chart.of("ConfigMap")
        ]
    for one in services.values():
        assert len(selects(one["spec"]["selector"], pods)) == 1
        assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports
    assert len({tuple(selects(one["spec"]["selector"], pods)) for one in services.values()}) == len(pods)
    for one in chart.of("PodDisruptionBudget"):
        assert selects(one["spec"]["selector"]["matchLabels"], pods) == {one["metadata"]["name"]}
    for one in chart.of("HorizontalPodAutoscaler"):
        target = one["spec"]["scaleTargetRef"]["name"]
        assert "replicas" not in next(d for d in chart.of("Deployment") if d["metadata"]["name"] == target)["spec"]
    for one in chart.of("NetworkPolicy"):
        assert selects(one["spec"]["podSelector"]["matchLabels"], pods) == set(pods)
    for one in chart.of("ServiceMonitor"):
        labels = {name: service["metadata"]["labels"] for name, service in services.items()}
        assert selects(one["spec"]["selector"]["matchLabels"], labels) == set(services)
    for one in chart.of("HTTPRoute"):
        named = {ref["name"]: ref["weight"] for rule in one["spec"]["rules"] for ref in rule.get("backendRefs", [])}
        assert named.keys() <= services.keys()
        assert sum(named.values()) == 100
    for one in chart.of("Ingress"):
        action = json.loads(one["metadata"]["annotations"]["alb.ingress.kubernetes.io/actions.weighted"])
        groups = {group["serviceName"]: group["weight"] for group in action["forwardConfig"]["targetGroups"]}
        assert groups.keys() <= services.keys()
        assert sum(groups.values()) == 100
    names = [(one["kind"], one["metadata"]["name"]) for one in chart.documents]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 for _, name in names)


def selects(wanted: dict[str, str], labels: dict[str, dict[str, str]]) -> set[str]:
    return {name for name, given in labels.items() if wanted.items() <= given.items()}


def _container(deployment: dict[str, Any]) -> dict[str, Any]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("case", CASES)
def test_every_setting_of_the_pods_is_one(case: str, rendered: dict[str, Rendered]) -> None:
    [config] = rendered[case].of("ConfigMap")
    known = {
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        for name in getattr(field.annotation, "model_fields", {})
    }
    given = {name.removeprefix("SENTIMENT_").lower().replace("__", ".") for name in config["data"]}
    assert given
    assert given <= known


def test_settings_arrive_as_they_were_given(rendered: dict[str, Rendered], monkeypatch: pytest.MonkeyPatch) -> None:
    [config] = rendered["production"].of("ConfigMap")
    for name, value in config["data"].items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.storage.root == "s3://sentiment-production/platform"
    assert (settings.serving.max_batch, settings.serving.log_flush_seconds) == (128, 2.5)
    assert settings.serving.cors_origins == ("https://shop.example",)
    assert (settings.serving.keys_file, settings.serving.timeout_seconds) == ("/etc/sentiment/keys/keys.json", 30)


@pytest.mark.parametrize("case", CASES)
def test_the_logs_stay_within_the_spool(case: str, rendered: dict[str, Rendered]) -> None:
    """A pod whose spool grows over its limit is evicted, with all that is in it."""
    [config] = rendered[case].of("ConfigMap")
    for one in rendered[case].of("Deployment"):
        volumes = {volume["name"]: volume for volume in one["spec"]["template"]["spec"]["volumes"]}
        limit = volumes["spool"]["emptyDir"]["sizeLimit"]
        size = int(limit[:-2]) * {"Mi": 2**20, "Gi": 2**30}[limit[-2:]]
        assert 0.7 * size < 2 * int(config["data"]["SENTIMENT_SERVING__SPOOL_BYTES"]) < 0.9 * size
        disk = _container(one)["resources"]["limits"]["ephemeral-storage"]
        assert int(disk[:-2]) * {"Mi": 2**20, "Gi": 2**30}[disk[-2:]] > size


def test_what_is_fetched_is_what_is_served(rendered: dict[str, Rendered]) -> None:
    """The volume, the folder and the bounds that fetch.py and the server's container must agree on."""
    script = runpy.run_path(str(GOLDEN.parents[2] / "images" / "serving" / "fetch.py"))
    digests = []
    for one in rendered["fetched"].of("Deployment"):
        pod, server = one["spec"]["template"]["spec"], _container(one)
        [fetching] = pod["initContainers"]
        uri, sha256, folder = fetching["args"]
        script["_check_call"](uri, sha256, Path(folder))
        digests.append(sha256)
        assert fetching["image"] == server["image"]
        assert fetching["envFrom"] == server["envFrom"]
        assert {"name": "BENTO_PATH", "value": folder} in server["env"]
        assert {env["name"] for env in server["env"]} >= {env["name"] for env in fetching["env"]}
        [mount] = fetching["volumeMounts"]
        assert mount["mountPath"] == str(Path(folder).parent)
        assert {**mount, "readOnly": True} in server["volumeMounts"]
        [volume] = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
        bounds = script["PACKED_BYTES"] + script["UNPACKED_BYTES"]
        assert volume["emptyDir"] == {"sizeLimit": f"{bounds // 2**20}Mi"}
    assert script["PACKED_BYTES"] == MOST_BYTES
    assert len(set(digests)) == 2


def test_who_may_reach_the_pods_is_told(rendered: dict[str, Rendered]) -> None:
    [policy] = rendered["production"].of("NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    [rule] = policy["spec"]["ingress"]
    assert {} not in [peer.get("podSelector") for peer in rule["from"]]
    assert {"ipBlock": {"cidr": "10.0.0.0/16"}} in rule["from"]
    assert not [one for one in policy["spec"]["egress"] if not one.get("to") or not one.get("ports")]
    [identity] = rendered["canary_gateway"].of("NetworkPolicy")
    assert "169.254.170.23/32" in yaml.safe_dump(identity)
    assert "169.254.170.23/32" not in yaml.safe_dump(policy)


def test_metrics_are_hidden_from_outside(rendered: dict[str, Rendered]) -> None:
    [ingress] = rendered["production"].of("Ingress")
    paths = {path["path"]: path["backend"]["service"]["name"] for path in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert paths == {"/metrics": "hidden", "/": "weighted"}
    [route] = rendered["canary_gateway"].of("HTTPRoute")
    hidden, rest = route["spec"]["rules"]
    assert [match["path"]["value"] for match in hidden["matches"]] == ["/metrics"]
    assert "backendRefs" not in hidden
    assert len(rest["backendRefs"]) == 2


@pytest.mark.parametrize("case", CASES)
def test_the_notes_tell_what_runs_and_what_to_do_next(case: str, rendered: dict[str, Rendered]) -> None:
    notes = rendered[case].notes
    for deployment in rendered[case].of("Deployment"):
        assert _container(deployment)["image"] in notes
        for fetching in deployment["spec"]["template"]["spec"].get("initContainers", []):
            assert f"serves {fetching['args'][0]}" in notes
    assert "rollback" in notes
