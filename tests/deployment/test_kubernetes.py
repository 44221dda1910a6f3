"""Deployments to Kubernetes with Helm's own engine: alias, ledger and release agree, whatever goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from clusters import CHART, TESTS, Helm, helm_command, new_helm
from kubernetes_cluster import Cluster, Object
from prepared_prometheus import Prepared, prometheus
from registered import crown, register

from sentiment.deployment.cluster import ClusterRelease
from sentiment.deployment.kubernetes import _at_once, canary_step, finish, upgrade
from sentiment.deployment.planning import plan
from sentiment.deployment.release import Release
from sentiment.deployment.shipping import Shipped
from sentiment.deployment.tracks import Tracks, Version
from sentiment.errors import ModelError, ServiceError, SettingsError, TakenBackError
from sentiment.ledger import Ledger, LedgerEntry
from sentiment.registry import Registry
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

__all__ = ["helm_command", "new_helm"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REPOSITORY = "registry.example.com/sentiment"
ROUTE = {
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    "networkPolicy": {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]},
}
QUICK = {"step_minutes": 1e-6, "patience_minutes": 1e-3, "look_seconds": 0.05, "steps": [5, 50]}


def shipped(version: str) -> Shipped:
    return Shipped("image", version, version * 64, REPOSITORY, "sha256:" + version * 64)


@dataclass(frozen=True)
class Place:
    """An empty cluster, a registry with the champions 1 and then 2, and what Prometheus says."""

    helm: Helm
    registry: Registry
    prometheus: Prepared
    overrides: dict[str, Any]

    @property
    def cluster(self) -> Cluster:
        return self.helm.cluster

    def settings(self, strategy: str = "rolling", **more: Any) -> Settings:
        deployment = {**self.overrides["deployment"], "strategy": strategy, **more}
        return load_settings(**{**self.overrides, "deployment": deployment})

    def state(self) -> Any:
        return ClusterRelease(self.settings()).state()

    def serves(self) -> str:
        return str(self.state().tracks)

    def deploy(self, version: str, strategy: str = "rolling", **more: Any) -> Release:
        """All steps, as the DAG calls them."""
        settings, what = self.settings(strategy), shipped(version)
        progress = upgrade(settings, self.registry, what, **more)
        while progress.state == "watch":
            progress = canary_step(settings, self.registry, what, **more)
        return finish(settings, self.registry, what, **more)

    def champion(self) -> str:
        return self.registry.champion().version

    def told(self) -> list[LedgerEntry]:
        """What the ledger says of this cluster."""
        name = f"{self.overrides['deployment']['namespace']}/sentiment"
        entries = Ledger(Storage(self.settings())).entries()
        return [entry for entry in entries if name in (entry.detail.get("release"), entry.detail.get("cluster"))]

    def words(self) -> list[tuple[str, str | None]]:
        return [(e.event, e.detail.get("verdict") or e.model_version) for e in self.told()]

    def statuses(self) -> list[str]:
        return [revision.status for revision in ClusterRelease(self.settings()).helm.history()]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Registry]:
    root = str(tmp_path_factory.mktemp("kubernetes") / "var")
    return root, register(load_settings(storage={"root": root}), ("1", "2", "3"))


@pytest.fixture(scope="module")
def prepared() -> Iterator[Prepared]:
    with prometheus() as server:
        yield server


@pytest.fixture
def place(
    registered: tuple[str, Registry],
    prepared: Prepared,
    new_helm: Callable[[], Helm],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Place:
    root, registry = registered
    crown(registry, "1", "2")
    helm = new_helm()
    monkeypatch.setenv("PATH", str(helm.command.parent), prepend=":")
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(ROUTE))
    prepared.versions, prepared.failed = {"stable": "1", "canary": "2"}, {}
    deployment = {
        "target": "kubernetes",
        "namespace": tmp_path.name.replace("_", "-").strip("-")[:50],
        "kubeconfig": helm.env["KUBECONFIG"],
        "values_files": [str(values)],
        "helm_timeout_seconds": 30,
    }
    policy = {**QUICK, "prometheus_url": prepared.url}
    return Place(helm, registry, prepared, {"storage": {"root": root}, "deployment": deployment, "canary": policy})


def breaks(version: str) -> Callable[[Object], bool]:
    """The pods of a version do not become ready."""
    return lambda deployment: f"sha256:{version * 64}" not in json.dumps(deployment["spec"])


def put_back(place: Place) -> None:
    """Version 1 serves alone and is champion, and the ledger says why."""
    assert place.serves() == "version 1 100% (stable)"
    assert place.champion() == "1"
    last = place.told()[-1]
    assert (last.event, last.model_version, last.detail["from"]) == ("rolled_back", "1", "2")
    assert last.detail["revision"] == place.state().revision


def test_first_install_and_then_another_version(place: Place) -> None:
    first = place.deploy("1", trial=True)
    assert (first.target, first.model_version, first.revision, first.previous) == ("kubernetes", "1", 1, None)
    second = place.deploy("2")
    assert (second.revision, second.previous) == (2, first.tag)
    assert place.serves() == "version 2 100% (stable)"
    [deployment] = place.cluster.all("deployments")
    assert deployment["metadata"]["annotations"]["sentiment/model-version"] == "2"
    again = place.deploy("2")
    assert again == replace(second, previous=first.tag), "asked for again, nothing changes"
    assert place.words() == [("canary", "passed"), ("deployed", "1"), ("canary", "passed"), ("deployed", "2")]
    assert [entry.detail["revision"] for entry in place.told() if entry.event == "deployed"] == [1, 2]


def test_other_values_reach_the_cluster_though_the_version_stays(place: Place, tmp_path: Path) -> None:
    place.deploy("2")
    (tmp_path / "values.yaml").write_text(json.dumps({**ROUTE, "replicas": 5}))
    assert "+  replicas: 5" in plan(place.settings(), shipped("2")).diff
    assert place.deploy("2").revision == 2
    assert place.cluster.all("deployments")[0]["spec"]["replicas"] == 5


def test_the_plan_shows_steps_and_differences_and_changes_nothing(place: Place) -> None:
    new = plan(place.settings(), shipped("1"))
    assert new.steps == ("version 1 100% (stable)",)
    assert "+kind: Deployment" in new.diff
    assert place.state().revision == 0
    place.deploy("1", trial=True)
    found = plan(place.settings("canary"), shipped("2"))
    assert found.steps[:2] == (
        "version 1 100% (stable), version 2 0% (canary)",
        "version 1 95% (stable), version 2 5% (canary)",
    )
    changed = [line for line in found.diff.splitlines() if line[:1] in "+-"]
    assert any(f"{REPOSITORY}@sha256:{'1' * 64}" in line for line in changed if line[0] == "-"), found.diff
    assert any(f"{REPOSITORY}@sha256:{'2' * 64}" in line for line in changed if line[0] == "+")
    assert not any("kind:" in line for line in changed), "in the end there is no canary"
    assert plan(place.settings(), shipped("1")).diff == "No difference."
    assert place.state().revision == 1


def test_pods_that_do_not_start_put_alias_and_release_back(place: Place) -> None:
    place.deploy("1", trial=True)
    place.cluster.becomes_ready = breaks("2")
    with pytest.raises(TakenBackError, match=r"(?s)Version 2 was taken back.*Version 1 is champion again"):
        place.deploy("2")
    put_back(place)
    assert place.statuses() == ["superseded", "failed", "deployed"]
    assert place.words()[-2:] == [("canary", "failed"), ("rolled_back", "1")]


def test_a_trial_that_fails_moves_no_alias(place: Place) -> None:
    place.deploy("2")
    place.cluster.becomes_ready = breaks("3")
    with pytest.raises(TakenBackError, match="The champion stays as it was"):
        place.deploy("3", trial=True)
    assert (place.serves(), place.champion()) == ("version 2 100% (stable)", "2")


def test_a_canary_that_is_no_worse_takes_over_step_by_step(place: Place) -> None:
    place.deploy("1", trial=True)
    settings, what = place.settings("canary"), shipped("2")
    seen = [upgrade(settings, place.registry, what)]
    while seen[-1].state == "watch":
        assert upgrade(settings, place.registry, what).said == str(place.state().tracks), "called again, it stays"
        seen.append(canary_step(settings, place.registry, what))
    assert [step.said.split(". ")[0] for step in seen] == [
        "version 1 95% (stable), version 2 5% (canary)",
        "version 1 50% (stable), version 2 50% (canary)",
        "version 1 50% (stable), version 2 50% (canary)",
    ]
    release = finish(settings, place.registry, what)
    assert (place.serves(), place.champion()) == ("version 2 100% (stable)", "2")
    assert place.words()[2:] == [("canary", "passed"), ("canary", "passed"), ("deployed", "2")]
    assert [entry.detail.get("weight") for entry in place.told()[2:4]] == [5, 50]
    assert release.revision == place.state().revision == 7


def test_a_canary_that_fails_is_taken_back_with_the_alias(place: Place) -> None:
    place.deploy("1", trial=True)
    stable = place.cluster.get("deployments", "sentiment", place.overrides["deployment"]["namespace"])["spec"]
    place.prometheus.failed = {"canary": 600}
    with pytest.raises(TakenBackError, match=r"(?s)failed at 5%.*Version 1 is champion again"):
        place.deploy("2", "canary")
    put_back(place)
    [left] = place.cluster.all("deployments")
    assert left["spec"] == stable, "no pod of the stable version was touched"
    with pytest.raises(ModelError, match="version 1 was made champion meanwhile"):
        place.deploy("2", "canary")


def test_a_canary_waits_for_traffic(place: Place) -> None:
    place.deploy("1", trial=True)
    place.prometheus.versions = {}
    settings = place.settings("canary").model_copy(
        update={"canary": load_settings(canary={"prometheus_url": place.prometheus.url}).canary}
    )
    upgrade(settings, place.registry, shipped("2"))
    revision = place.state().revision
    for _ in range(2):
        assert canary_step(settings, place.registry, shipped("2")).state == "watch"
    assert place.state().revision == revision
    assert [entry.event for entry in place.told()][2:] == []


def test_who_stops_being_champion_gets_no_traffic(place: Place) -> None:
    place.deploy("1", trial=True)
    settings = place.settings("canary")
    upgrade(settings, place.registry, shipped("2"))
    crown(place.registry, "3")
    with pytest.raises(ModelError, match="version 3 was made champion meanwhile"):
        canary_step(settings, place.registry, shipped("2"))
    assert (place.serves(), place.champion()) == ("version 1 100% (stable)", "3")


def test_what_was_replaced_meanwhile_says_so(place: Place) -> None:
    place.deploy("1", trial=True)
    settings = place.settings("canary")
    upgrade(settings, place.registry, shipped("2"))
    with pytest.raises(ModelError, match="was not released"):
        finish(settings, place.registry, shipped("2"))  # too early: it has 5% and has not passed
    place.deploy("3", trial=True)
    assert place.serves() == "version 3 100% (stable)"
    for step in (canary_step, finish):
        with pytest.raises(ModelError, match="something else was deployed meanwhile"):
            step(settings, place.registry, shipped("2"))
    assert place.serves() == "version 3 100% (stable)"


def test_colours_are_switched_and_a_broken_one_never_serves(place: Place) -> None:
    place.deploy("1", "blueGreen", trial=True)
    place.deploy("2", "blueGreen")
    assert place.serves() == "version 1 0% (blue), version 2 100% (green)"
    place.cluster.becomes_ready = breaks("3")
    crown(place.registry, "3")
    with pytest.raises(TakenBackError, match="Version 2 is champion again"):
        place.deploy("3", "blueGreen")
    assert (place.serves(), place.champion()) == ("version 1 0% (blue), version 2 100% (green)", "2")


def test_a_killed_upgrade_is_put_back_and_tried_again(place: Place, helm_command: Path) -> None:
    place.deploy("1", trial=True)
    settings = place.settings()
    half_done(place, "2", by="run-1")
    assert place.statuses()[-1] == "pending-upgrade"
    assert upgrade(settings, place.registry, shipped("2"), request="run-1").said == "version 2 100% (stable)"
    assert place.statuses()[-1] == "deployed"
    assert not [status for status in place.statuses() if status.startswith("pending")]


def test_an_upgrade_of_somebody_else_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deploy("1", trial=True)
    half_done(place, "3", by="somebody@else")
    monkeypatch.setattr("sentiment.deployment.cluster.POLL_SECONDS", 0.2)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (place.deploy("2"), done.set()))
    thread.start()
    assert not done.wait(4), "it may still be running"
    assert place.statuses()[-1] == "pending-upgrade"
    monkeypatch.setattr(ClusterRelease, "_is_over", lambda *_: True)  # now it cannot be running any more
    thread.join(60)
    assert done.is_set()
    assert place.serves() == "version 2 100% (stable)"


def test_of_two_on_one_machine_one_waits(place: Place) -> None:
    place.deploy("1", trial=True)
    place.cluster.becomes_ready = lambda _: None
    threads = [threading.Thread(target=place.deploy, args=("2",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: place.statuses()[-1] == "pending-upgrade")
    place.cluster.becomes_ready = lambda _: True
    place.cluster.look_again()
    for thread in threads:
        thread.join(60)
    assert place.statuses() == ["superseded", "deployed"], "the second found it done"
    assert [word for word in place.words() if word[0] == "deployed"] == [("deployed", "1"), ("deployed", "2")]


def test_a_rollback_ends_a_canary_at_once(place: Place) -> None:
    place.deploy("1", trial=True)
    settings = place.settings("canary")
    upgrade(settings, place.registry, shipped("2"))
    cluster = ClusterRelease(settings)
    before = place.cluster.get("deployments", "sentiment", settings.deployment.namespace)["spec"]
    with cluster.alone() as state:
        _at_once(settings, cluster, state, shipped("1"))
    assert place.serves() == "version 1 100% (stable)"
    assert place.cluster.all("deployments")[0]["spec"] == before


@pytest.mark.parametrize(
    ("values", "more", "said"),
    [
        ({"replica": 3}, {}, "values_files"),
        ({"ingress": {"enabled": True}}, {}, "networkPolicy.from is empty"),
        (ROUTE, {"values_files": ["nowhere.yaml"]}, "There is no file nowhere.yaml"),
        (ROUTE, {"chart": "/nowhere"}, "There is no chart at /nowhere"),
        (ROUTE, {"kubeconfig": "/nowhere"}, "deployment.kubeconfig"),
    ],
)
def test_what_cannot_work_is_refused_and_says_why(
    place: Place, tmp_path: Path, values: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    (tmp_path / "values.yaml").write_text(json.dumps(values))
    with pytest.raises((SettingsError, ServiceError), match=said):
        upgrade(place.settings(**more), place.registry, shipped("2"))
    assert place.state().revision == 0


def test_strategies_that_do_not_fit_are_refused_before_anything_moves(place: Place) -> None:
    place.deploy("1", trial=True)
    with pytest.raises(SettingsError, match="gap without servers"):
        upgrade(place.settings("blueGreen"), place.registry, shipped("2"))
    with pytest.raises(SettingsError, match="cannot be side by side"):
        upgrade(place.settings("canary"), place.registry, replace(shipped("2"), repository="elsewhere"))
    blind = place.settings("canary").model_copy(update={"canary": load_settings().canary})
    with pytest.raises(SettingsError, match=r"canary\.prometheus_url is not set"):
        upgrade(blind, place.registry, shipped("2"))
    assert place.state().revision == 1


def test_without_helm_it_says_what_to_install(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SettingsError, match="command `helm` cannot be run"):
        place.state()


@pytest.mark.parametrize("good", [True, False])
def test_killed_anywhere_it_ends_in_the_same(
    place: Place, helm_command: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, good: bool
) -> None:
    """The deployer is killed between its steps, and together with a `helm` that is amid an upgrade."""
    place.deploy("1", trial=True)
    place.prometheus.failed = {} if good else {"canary": 600}
    pids, count = tmp_path / "pids", tmp_path / "count"
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "helm"
    shim.write_text(SHIM.format(helm=helm_command, pids=pids, count=count))
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent), prepend=":")
    seen = 0

    def kill(event: str, key: tuple[str, str, str], found: Object) -> None:
        nonlocal seen
        if key[0] != "deployments" or not pids.exists():
            return
        seen += 1
        if seen in KILLED_AT:
            for pid in pids.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    overrides = {**place.overrides, "deployment": {**place.overrides["deployment"], "strategy": "canary"}}
    with place.cluster.listening(kill):
        ended = subprocess.run(
            [
                sys.executable,
                str(TESTS / "killing_deployment.py"),
                json.dumps(overrides),
                json.dumps(shipped("2").to_dict()),
            ],
            capture_output=True,
            text=True,
            timeout=500,
        )
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = json.loads(ended.stdout)
    assert said["killed"] >= 3, said
    words = [word for word in place.words() if word[0] != "canary"]
    if good:
        assert said["said"] == "2"
        assert (place.serves(), place.champion()) == ("version 2 100% (stable)", "2")
        assert words == [("deployed", "1"), ("deployed", "2")]
    else:
        put_back(place)
        assert words == [("deployed", "1"), ("rolled_back", "1")]
    assert [one["metadata"]["name"] for one in place.cluster.all("deployments")] == ["sentiment"]
    assert place.statuses()[-1] == "deployed"
    assert not [status for status in place.statuses() if status.startswith("pending")]


KILLED_AT = (1, 3, 4, 9, 11)  # of the changes of Deployments
SHIM = """#!/bin/sh
case "$*" in *--dry-run*) exec '{helm}' "$@";; upgrade*|rollback*) ;; *) exec '{helm}' "$@";; esac
echo . >> '{count}'
'{helm}' "$@" &
echo "$! $PPID" > '{pids}'
wait $!
status=$?
rm -f '{pids}'
[ $(($(wc -l < '{count}') % 4)) = 0 ] && kill -9 $PPID
exit $status
"""


def half_done(place: Place, version: str, *, by: str) -> None:
    """Leave an upgrade as a killed `helm` does."""
    tracks = Tracks("rolling", stable=Version.of(shipped(version)))
    place.cluster.becomes_ready = lambda _: None
    values = {**ROUTE, **tracks.values(), "deployedBy": by}
    namespace = ("--namespace", place.overrides["deployment"]["namespace"])
    process = place.helm.start(
        "upgrade", "sentiment", str(CHART), *namespace, "--wait", "--timeout", "60s", values=values
    )
    wait_for(lambda: f"sha256:{version * 64}" in json.dumps(place.cluster.all("deployments")))
    process.kill()
    process.communicate(timeout=30)
    place.cluster.becomes_ready = lambda _: True


def wait_for(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
