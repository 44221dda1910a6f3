"""Releases by the real engine: what is installed, changed, rolled back and left behind, also when it goes wrong."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import CHART, Helm
from kubernetes_cluster import Cluster, Object
from kubernetes_discovery import KINDS

ONE, TWO, THREE = ("sha256:" + digit * 64 for digit in "123")
UPGRADE = ("upgrade", "--install", "sentiment", str(CHART), "--wait", "--timeout", "60s", "--rollback-on-failure")
BUSY = "another operation (install/upgrade/rollback) is in progress"


def version(digest: str, **more: Any) -> dict[str, Any]:
    return {"image": {"repository": "registry.example.com/sentiment", "digest": digest}, **more}


def image(cluster: Cluster, name: str = "sentiment") -> str:
    [container] = cluster.get("deployments", name)["spec"]["template"]["spec"]["containers"]
    return str(container["image"]).partition("@")[2]


def breaks(digest: str) -> Callable[[Object], bool]:
    """Pods of that image do not become ready before the deadline of their Deployment."""
    return lambda deployment: digest not in json.dumps(deployment["spec"])


def statuses(helm: Helm) -> list[tuple[int, str]]:
    return [(row["revision"], row["status"]) for row in json.loads(helm.done("history", "sentiment"))]


def everything(cluster: Cluster) -> dict[str, Any]:
    """What the chart has put there, without what the API adds."""
    return {
        f"{key[0]}/{key[2]}": one.get("spec", one.get("data"))
        for key, one in sorted(cluster.objects.items())
        if key[0] != "secrets"
    }


def test_install_upgrade_history_uninstall(helm: Helm) -> None:
    helm.done(*UPGRADE, "--namespace", "reviews", "--create-namespace", values=version(ONE))
    assert {key[:2] for key in helm.cluster.objects if key[0] == "deployments"} == {("deployments", "reviews")}
    helm.done("uninstall", "sentiment", "--namespace", "reviews", "--wait")
    assert {key[0] for key in helm.cluster.objects} == {"namespaces"}

    helm.done(*UPGRADE, values=version(ONE))
    helm.done(*UPGRADE, values=version(TWO))
    assert image(helm.cluster) == TWO
    assert statuses(helm) == [(1, "superseded"), (2, "deployed")]
    helm.done("uninstall", "sentiment", "--wait")
    assert {key[0] for key in helm.cluster.objects} == {"namespaces"}


def test_a_version_that_does_not_become_ready_is_rolled_back(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE))
    before = everything(helm.cluster)
    helm.cluster.becomes_ready = breaks(TWO)
    ended = helm(*UPGRADE, values=version(TWO, replicas=5))
    assert ended.returncode == 1
    assert "rolled back due to rollback-on-failure" in ended.stderr
    assert statuses(helm) == [(1, "superseded"), (2, "failed"), (3, "deployed")]
    assert everything(helm.cluster) == before


def test_a_first_version_that_does_not_become_ready_leaves_nothing(helm: Helm) -> None:
    helm.cluster.becomes_ready = breaks(ONE)
    ended = helm(*UPGRADE, values=version(ONE))
    assert ended.returncode == 1
    assert helm.cluster.all("deployments") == []
    helm.cluster.becomes_ready = lambda _: True
    helm.done(*UPGRADE, values=version(ONE))
    assert image(helm.cluster) == ONE


def test_back_to_an_earlier_revision(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE))
    before = everything(helm.cluster)
    helm.done(*UPGRADE, values=version(TWO, autoscaling={"enabled": True}))
    helm.done("rollback", "sentiment", "1", "--wait", "--timeout", "60s")
    assert everything(helm.cluster) == before


def test_an_upgrade_that_was_killed_is_taken_up_again(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE))
    helm.cluster.becomes_ready = lambda _: None
    process = helm.start(*UPGRADE, values=version(TWO))
    wait_for(lambda: image(helm.cluster) == TWO)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert statuses(helm) == [(1, "deployed"), (2, "pending-upgrade")]

    helm.cluster.becomes_ready = lambda _: True
    refused = helm(*UPGRADE, values=version(TWO))
    assert refused.returncode == 1
    assert BUSY in refused.stderr
    assert image(helm.cluster) == TWO

    helm.done("rollback", "sentiment", "1", "--wait", "--timeout", "60s")
    assert image(helm.cluster) == ONE
    helm.done(*UPGRADE, values=version(TWO))
    assert image(helm.cluster) == TWO
    assert statuses(helm)[-1][1] == "deployed"
    assert [status for _, status in statuses(helm) if status.startswith("pending")] == []


def fetched(digit: str) -> dict[str, str]:
    return {"uri": f"s3://bucket/bentos/by-digest/{digit * 64}.bento", "sha256": digit * 64}


def test_another_bento_starts_new_pods_and_changes_nothing_else(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE, bento=fetched("a")))
    before = everything(helm.cluster)
    helm.done(*UPGRADE, values=version(ONE, bento=fetched("b")))
    after = everything(helm.cluster)
    assert after != before
    [fetching] = after["deployments/sentiment"]["template"]["spec"]["initContainers"]
    assert fetching["args"][:2] == list(fetched("b").values())
    fetching["args"][:2] = fetched("a").values()
    assert after == before
    helm.done("rollback", "sentiment", "1", "--wait", "--timeout", "60s")
    assert everything(helm.cluster) == before


def test_a_bento_that_cannot_be_fetched_is_rolled_back(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE, bento=fetched("a")))
    before = everything(helm.cluster)
    helm.cluster.becomes_ready = breaks(fetched("b")["uri"])
    assert helm(*UPGRADE, values=version(ONE, bento=fetched("b"))).returncode == 1
    assert everything(helm.cluster) == before


def test_a_canary_of_the_same_image_has_a_bento_of_its_own(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE, bento=fetched("a")))
    before = helm.cluster.get("deployments", "sentiment")["spec"]
    canary = {"digest": ONE, "bento": fetched("b")}
    helm.done(*UPGRADE, values=version(ONE, bento=fetched("a"), strategy="canary", canary=canary))
    assert helm.cluster.get("deployments", "sentiment")["spec"] == before
    pods = helm.cluster.get("deployments", "sentiment-canary")["spec"]["template"]["spec"]
    assert pods["initContainers"][0]["args"][:2] == list(fetched("b").values())


def test_from_fetched_bentos_to_images_and_back(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE, bento=fetched("a")))
    before = everything(helm.cluster)
    helm.done(*UPGRADE, values=version(TWO))
    pods = helm.cluster.get("deployments", "sentiment")["spec"]["template"]["spec"]
    assert not pods.get("initContainers")
    assert "bento" not in [volume["name"] for volume in pods["volumes"]]
    helm.done(*UPGRADE, values=version(ONE, bento=fetched("a")))
    assert everything(helm.cluster) == before


def test_of_two_upgrades_at_once_one_is_refused(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE))
    helm.cluster.becomes_ready = lambda _: None
    first = helm.start(*UPGRADE, values=version(TWO))
    wait_for(lambda: image(helm.cluster) == TWO)
    second = helm(*UPGRADE, values=version(THREE))
    assert second.returncode == 1
    assert BUSY in second.stderr
    helm.cluster.becomes_ready = lambda _: True
    helm.cluster.look_again()
    _, said = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert image(helm.cluster) == TWO


def test_upgrades_that_race_leave_one_of_them(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE))
    racing = {digest: helm.start(*UPGRADE, values=version(digest)) for digest in (TWO, THREE)}
    for process in racing.values():
        process.communicate(timeout=60)
    won = [digest for digest, process in racing.items() if process.returncode == 0]
    assert won
    assert image(helm.cluster) in won
    assert statuses(helm)[-1][1] == "deployed"


def test_what_the_autoscaler_decided_survives_an_upgrade(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE, autoscaling={"enabled": True}))
    scaled = json.loads(json.dumps(helm.cluster.get("deployments", "sentiment")))
    scaled["spec"]["replicas"] = 7
    helm.cluster.put(("deployments", "default", "sentiment"), scaled)
    helm.done(*UPGRADE, values=version(TWO, autoscaling={"enabled": True}))
    assert image(helm.cluster) == TWO
    assert helm.cluster.get("deployments", "sentiment")["spec"]["replicas"] == 7


def test_a_canary_from_its_first_request_to_promotion(helm: Helm) -> None:
    route = {
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
        "networkPolicy": {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]},
    }
    helm.done(*UPGRADE, values=version(ONE, **route))
    stable = helm.cluster.get("deployments", "sentiment")["spec"]["template"]
    for weight in (0, 5, 50):
        helm.done(*UPGRADE, values=version(ONE, **route, strategy="canary", canary={"digest": TWO, "weight": weight}))
        assert weights(helm.cluster) == {"sentiment": 100 - weight, "sentiment-canary": weight}
        assert helm.cluster.get("deployments", "sentiment")["spec"]["template"] == stable  # no pod was touched
        assert image(helm.cluster, "sentiment-canary") == TWO
    for weight in (50, 0):
        helm.done(*UPGRADE, values=version(TWO, **route, strategy="canary", canary={"digest": TWO, "weight": weight}))
        assert weights(helm.cluster) == {"sentiment": 100 - weight, "sentiment-canary": weight}
    helm.done(*UPGRADE, values=version(TWO, **route, strategy="canary"))
    assert weights(helm.cluster) == {"sentiment": 100}
    assert image(helm.cluster) == TWO
    assert [one["metadata"]["name"] for one in helm.cluster.all("deployments")] == ["sentiment"]
    assert [one["metadata"]["name"] for one in helm.cluster.all("services")] == ["sentiment"]


def test_a_canary_that_does_not_start_leaves_the_stable_one_alone(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE))
    before = everything(helm.cluster)
    helm.cluster.becomes_ready = breaks(TWO)
    ended = helm(*UPGRADE, values=version(ONE, strategy="canary", canary={"digest": TWO}))
    assert ended.returncode == 1
    assert everything(helm.cluster) == before


def test_the_colours_are_switched_without_touching_a_pod(helm: Helm) -> None:
    def colours(active: str) -> dict[str, Any]:
        both = {"active": active, "blue": {"digest": ONE}, "green": {"digest": TWO}}
        return {"image": {"repository": "registry.example.com/sentiment"}, "strategy": "blueGreen", "blueGreen": both}

    helm.done(*UPGRADE, values=colours("blue"))
    before = [one["spec"] for one in helm.cluster.all("deployments")]
    assert track(helm.cluster, "sentiment") == "blue"
    helm.done(*UPGRADE, values=colours("green"))
    assert (track(helm.cluster, "sentiment"), track(helm.cluster, "sentiment-preview")) == ("green", "blue")
    assert [one["spec"] for one in helm.cluster.all("deployments")] == before


def test_changing_over_to_colours_leaves_a_gap(helm: Helm) -> None:
    """Helm removes what is not in the chart any more before it waits: docs/kubernetes.md warns of it."""
    helm.done(*UPGRADE, values=version(ONE))
    helm.cluster.becomes_ready = lambda _: None
    colours = {"strategy": "blueGreen", "blueGreen": {"blue": {"digest": TWO}}}
    process = helm.start(*UPGRADE, values=version(ONE, **colours))
    wait_for(lambda: [one["metadata"]["name"] for one in helm.cluster.all("deployments")] == ["sentiment-blue"])
    process.kill()
    process.communicate(timeout=30)


def test_changed_settings_start_new_pods_and_changed_weights_do_not(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE))
    before = helm.cluster.get("deployments", "sentiment")["spec"]["template"]
    helm.done(*UPGRADE, values=version(ONE, settings={"serving": {"max_batch": 8}}))
    assert helm.cluster.get("deployments", "sentiment")["spec"]["template"] != before
    assert helm.cluster.get("configmaps", "sentiment")["data"]["SENTIMENT_SERVING__MAX_BATCH"] == "8"


def test_large_numbers_and_lists_are_written_as_settings_read_them(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE, settings={"serving": {"log_queue": 16777216}}))
    assert helm.cluster.get("configmaps", "sentiment")["data"]["SENTIMENT_SERVING__LOG_QUEUE"] == "16777216"


def test_helm_test_says_how_its_pod_ended(helm: Helm) -> None:
    helm.done(*UPGRADE, values=version(ONE))
    helm.done("test", "sentiment")
    assert image_of_test(helm.cluster).endswith(ONE)
    helm.cluster.succeeds = lambda _: False
    assert helm("test", "sentiment").returncode == 1


def test_the_cluster_refuses_what_is_not_installed_in_it(helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(KINDS, "monitoring.coreos.com/v1")
    monitoring = {"monitoring": {"alerts": True}}
    ended = helm(*UPGRADE, values=version(ONE, **monitoring))
    assert ended.returncode == 1
    assert 'no matches for kind "PrometheusRule"' in ended.stderr
    assert helm.cluster.all("deployments") == []


def track(cluster: Cluster, service: str) -> str:
    return str(cluster.get("services", service)["spec"]["selector"]["track"])


def weights(cluster: Cluster) -> dict[str, int]:
    rules: list[Object] = cluster.get("httproutes", "sentiment")["spec"]["rules"]
    return {ref["name"]: ref["weight"] for ref in rules[-1]["backendRefs"]}


def image_of_test(cluster: Cluster) -> str:
    return str(cluster.get("pods", "sentiment-test")["spec"]["containers"][0]["image"])


def wait_for(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
