"""Values that cannot work are refused before anything is changed, in words that help."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from functools import reduce
from typing import Any

import pytest
import yaml
from conftest import CHART, Helm

from helm.document import SET_BY_CHART, documents, values
from sentiment.settings import ServingSettings, StorageSettings

DIGEST = "sha256:" + "0" * 64
BENTO = {"uri": f"s3://bucket/bentos/by-digest/{'0' * 64}.bento", "sha256": "0" * 64}
GOOD: dict[str, Any] = {"image": {"repository": "registry.example.com/sentiment", "digest": DIGEST}}


BY_THE_SCHEMA = [
    ({"image": {"tag": "latest"}}, "at '/image/tag': 'latest' does not match pattern"),
    ({"canary": {"tag": "main"}}, "at '/canary/tag': 'main' does not match pattern"),
    ({"image": {"digest": "sha256:abc"}}, "'sha256:abc' does not match pattern '^$|^sha256:[0-9a-f]{64}$'"),
    ({"image": {"repository": "https://registry.example.com/x"}}, "at '/image/repository': 'https:"),
    ({"image": {"digets": DIGEST}}, "at '/image': additional properties 'digets' not allowed"),
    ({"replica": 3}, "at '': additional properties 'replica' not allowed"),
    ({"replicas": "3"}, "at '/replicas': got string, want integer"),
    ({"strategy": "bluegreen"}, "at '/strategy': value must be one of 'rolling', 'canary', 'blueGreen'"),
    ({"canary": {"weight": 101}}, "at '/canary/weight': maximum: got 101, want 100"),
    ({"settings": {"serving": {"max_bach": 2}}}, "at '/settings/serving': additional properties 'max_bach'"),
    ({"settings": {"serving": {"max_batch": 0}}}, "at '/settings/serving/max_batch': minimum: got 0, want 1"),
    ({"settings": {"training": {"seed": 1}}}, "at '/settings': additional properties 'training' not allowed"),
    ({"env": {"workers": "2"}}, "at '/env': additional properties 'workers' not allowed"),
    ({"resources": {"limits": {"memory": "1G"}}}, "at '/resources/limits/memory': '1G' does not match pattern"),
    ({"serviceAccount": {"roleArn": "sentiment"}}, "at '/serviceAccount/roleArn': 'sentiment' does not match pattern"),
    ({"bento": {"uri": "https://s3.example/x"}}, "at '/bento/uri': 'https://s3.example/x' does not match pattern '^$|^s3://"),
    ({"bento": {"url": "s3://bucket/x"}}, "at '/bento': additional properties 'url' not allowed"),
    ({"canary": {"bento": {"sha256": DIGEST}}}, "does not match pattern '^$|^[0-9a-f]{64}$'"),
    ({"networkPolicy": {"from": [{"ipBlock": {}}]}}, "at '/networkPolicy/from/0/ipBlock': missing property 'cidr'"),
]  # fmt: skip
BY_THE_CHART = [
    ({"image": {"repository": ""}}, "image.repository is empty"),
    ({"image": {"digest": ""}}, "neither image.digest nor image.tag is set"),
    ({"canary": {"weight": 5}}, "canary.weight is set, but there is no canary"),
    ({"canary": {"weight": 5}}, "canary.weight needs something that splits the traffic"),
    ({"bento": {"uri": "s3://bucket/x"}}, "of bento, only uri or sha256 is set: set both, as `sentiment ship`"),
    ({"canary": {"bento": BENTO}}, "canary.bento is set, but neither canary.digest nor its tag"),
    ({"monitoring": {"serviceMonitor": True}}, "networkPolicy.from is empty"),
    ({"apiKeys": {"source": "secret"}}, "set apiKeys.secretName"),
    ({"serviceAccount": {"identity": "irsa"}}, "set serviceAccount.roleArn"),
    ({"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}}, "autoscaling.minReplicas is more than"),
]
BY_THE_CHART_TOO = [
    ({"strategy": "blueGreen"}, "blueGreen.active is blue, but neither blueGreen.blue.digest nor its tag is set"),
    ({"blueGreen": {"green": {"bento": {"sha256": "1" * 64}}}}, "of blueGreen.green.bento, only uri or sha256 is set"),
    (
        {"bento": {**BENTO, "sha256": "1" * 64}},
        "bento.uri and bento.sha256 are of two different Bentos: set both, as `sentiment ship` prints them",
    ),
    ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is empty"),
    ({"apiKeys": {"source": "externalSecret"}}, "set apiKeys.externalSecret.storeName"),
    ({"serviceAccount": {"roleArn": "arn:aws:iam::123456789012:role/x"}}, "set serviceAccount.identity to irsa"),
]
RUNS = {"schema": BY_THE_SCHEMA, "chart": BY_THE_CHART, "chart, too": BY_THE_CHART_TOO}


@pytest.fixture(scope="module")
def refusals(new_helm: Callable[[], Helm]) -> dict[str, str]:
    """What is said to all values of a run together: everything is said at once."""
    helm, said = new_helm(), {}
    for run, refused in RUNS.items():
        ended = helm("install", "sentiment", str(CHART), values=reduce(together, [bad for bad, _ in refused], GOOD))
        assert ended.returncode == 1
        said[run] = ended.stderr
    assert {key[0] for key in helm.cluster.objects} <= {"secrets"}
    return said


@pytest.mark.parametrize(("run", "said"), [(run, said) for run, refused in RUNS.items() for _, said in refused])
def test_bad_values_are_refused_with_the_place_and_the_reason(run: str, said: str, refusals: dict[str, str]) -> None:
    assert said in refusals[run]


def together(one: Any, other: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return {**one, **{name: together(one.get(name), value) for name, value in other.items()}}


FOUND = list(values((CHART / "values.yaml").read_text()))


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_what_is_said_about_the_values_is_current(path: Any) -> None:
    """If not: ``python -m helm.document``."""
    assert path.read_text() == documents()[path]


@pytest.mark.parametrize("value", FOUND, ids=lambda value: value.path)
def test_every_value_has_a_comment(value: Any) -> None:
    assert value.comment.endswith((".", "?")) or value.path in (
        "canary.tag",
        "blueGreen.blue.tag",
        "blueGreen.green.tag",
    )


def test_the_schema_knows_the_values_and_no_others() -> None:
    rules = json.loads((CHART / "values.schema.json").read_text())
    given = {value.path for value in FOUND}
    listed = set(_paths(rules["properties"], ""))
    assert {path for path in listed if not path.startswith(("settings.storage.", "settings.serving."))} == given | {
        "global"
    }
    assert {path.split(".")[2] for path in listed if path.startswith("settings.serving.")} == (
        set(ServingSettings.model_fields) - set(SET_BY_CHART["serving"])
    )
    assert {path.split(".")[2] for path in listed if path.startswith("settings.storage.")} == (
        set(StorageSettings.model_fields) - set(SET_BY_CHART["storage"])
    )


def _paths(properties: dict[str, Any], before: str) -> Any:
    for name, rule in properties.items():
        yield before + name
        yield from _paths(rule.get("properties", {}), f"{before}{name}.")


def test_nothing_undeclared_is_allowed_anywhere() -> None:
    def objects(rule: Any, place: str) -> Any:
        if isinstance(rule, dict):
            if rule.get("type") == "object":
                yield place, rule
            for name, inner in rule.items():
                yield from objects(inner, f"{place}/{name}")

    found = dict(objects(json.loads((CHART / "values.schema.json").read_text()), ""))
    assert [place for place, rule in found.items() if rule.get("additionalProperties") is not False] == [
        "/properties/global"
    ]


def test_the_chart_is_of_this_version_of_the_platform() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]
