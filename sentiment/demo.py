"""``sentiment demo``: the whole loop on one machine, told step by step.

Every step goes through the real scheduler: files land in the inbox, DAGs are triggered or trigger each other through
assets, and the API is asked over HTTP while its model is replaced.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sentiment.console import Reporter
from sentiment.deployment.release import status as deployment_status
from sentiment.deployment.release import stop as stop_deployment
from sentiment.drift.archive import DriftCheck, list_checks, read_check
from sentiment.errors import ModelError, ServiceError
from sentiment.model_records import ModelVersion
from sentiment.platform import USER, Platform, running, running_addresses
from sentiment.registry import Registry
from sentiment.reviews.sample import write_sample
from sentiment.scheduler import DagRun, Scheduler
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.traffic import Traffic
from sentiment.training.gate import Decision
from sentiment.training.promotion import read_decision

OLD, NEW = "film", "kitchen"
LABELLED = 5_000
ASKED = 600
MARK = "demo.json"
DAGS = tuple(f"sentiment_{name}" for name in ("ingest", "release", "drift", "retrain", "deploy", "rollback"))


@dataclass(frozen=True)
class Summary:
    """What the story came to."""

    first: ModelVersion
    second: ModelVersion
    decision: Decision
    drifted: DriftCheck
    afterwards: DriftCheck
    answered: int
    failed: int


def run_demo(settings: Settings, out: Reporter, *, once: bool) -> None:
    """Tell the story, show the summary, and keep everything running unless `once`.

    Raises
    ------
    ServiceError
        A service or a DAG failed, or the traffic met a failed request.
    """
    settings = _fresh_root(settings, out)
    started = time.monotonic()
    with ExitStack() as stack:
        with out.step("Starting MLflow, Airflow and the API") as notes:
            platform = stack.enter_context(running(settings, announce=out.say))
            notes.append("all healthy")
        airflow = stack.enter_context(
            Scheduler(platform.addresses.airflow, user=USER, password=platform.password, check=platform.check)
        )
        summary = _Story(platform, airflow, out).tell(stack)
        _show(summary, platform, out, seconds=time.monotonic() - started)
        if not once:
            out.say("Everything keeps running. Ctrl-C stops it.")
            platform.wait()


class _Story:
    """The steps, in order."""

    def __init__(self, platform: Platform, airflow: Scheduler, out: Reporter) -> None:
        self._platform = platform
        self._airflow = airflow
        self._out = out
        self._settings = platform.settings
        self._storage = Storage(platform.settings)
        self._inbox = Path(self._storage.uri("inbox"))
        self._shifted_at = datetime.now(UTC)

    def tell(self, stack: ExitStack) -> Summary:
        first = self._learn_first_model()
        traffic = stack.enter_context(Traffic(self._platform.addresses.api, domain=OLD, seed=1_000_000))
        self._calm_traffic(traffic)
        drifted = self._shifted_traffic(traffic)
        second = self._learn_again(first, traffic)
        afterwards = self._traffic_after(traffic)
        if traffic.failed:
            raise ServiceError(
                f"{traffic.failed} requests failed, {traffic.answered} were answered. {traffic.last_failure}",
                fix=f"Look at {self._settings.local_dir / 'log'}.",
            )
        return Summary(
            first=first,
            second=second,
            decision=read_decision(self._storage, second.version),
            drifted=drifted,
            afterwards=afterwards,
            answered=traffic.answered,
            failed=traffic.failed,
        )

    def _learn_first_model(self) -> ModelVersion:
        with self._step(
            f"{LABELLED:,} labelled {OLD} reviews land in the inbox; sentiment_ingest notices and takes them in"
        ) as say:
            self._airflow.wait_for_dags(*DAGS)
            taken = self._land(OLD, seed=1)
            say(f"{taken['accepted']:,} accepted, {sum(taken['refused'].values()):,} refused: {taken['snapshot']}")
        with self._step("sentiment_retrain trains, judges, registers and promotes the first model") as say:
            since = datetime.now(UTC)
            self._airflow.wait(self._airflow.trigger("sentiment_retrain"))
            first = Registry(self._settings).champion()
            say(f"version {first.version}, accuracy {first.metrics['accuracy']:.1%} on held-out reviews")
        with self._step("the new champion triggers sentiment_deploy: Bento built, started, serving") as say:
            self._airflow.wait_for_run("sentiment_deploy", since=since)
            say(f"version {self._served()} at {self._platform.addresses.api}")
        return first

    def _calm_traffic(self, traffic: Traffic) -> None:
        with self._step(f"people ask the API about {OLD} reviews; their predictions trigger sentiment_drift") as say:
            traffic.wait(ASKED, check=self._platform.check)
            say(self._checked().verdict.state)

    def _shifted_traffic(self, traffic: Traffic) -> DriftCheck:
        traffic.shift(NEW)
        with self._step(f"the traffic shifts to {NEW} reviews, and {LABELLED:,} labelled ones arrive") as say:
            traffic.wait(ASKED, check=self._platform.check)
            self._shifted_at = datetime.now(UTC)
            check = self._checked(landing=NEW)
            say(check.verdict.state)
        if not check.verdict.retrain:
            raise ServiceError(
                f"The drift check missed the shift: {check.verdict.state}. {' '.join(check.verdict.reasons)}",
                fix=f"Open {self._settings.storage.root}/{check.report}.",
            )
        return check

    def _learn_again(self, first: ModelVersion, traffic: Traffic) -> ModelVersion:
        traffic.shift(OLD, NEW)  # from now on both, as in what the new champion learns from
        with self._step("drift triggers sentiment_retrain; the gate compares challenger and champion") as say:
            self._airflow.wait_for_run("sentiment_retrain", since=self._shifted_at)
            second = Registry(self._settings).champion()
            say(f"version {second.version} replaces version {first.version}")
        if second.version == first.version:
            raise ModelError("The gate kept the old champion.", fix="`sentiment status` shows the decision.")
        with self._step("sentiment_deploy swaps the served version while requests keep coming") as say:
            self._airflow.wait_for_run("sentiment_deploy", since=self._shifted_at)
            say(f"version {self._served()} at {self._platform.addresses.api}")
        return second

    def _traffic_after(self, traffic: Traffic) -> DriftCheck:
        with self._step(f"the new champion answers {OLD} and {NEW} reviews; sentiment_drift looks again") as say:
            traffic.wait(ASKED, check=self._platform.check)
            check = self._checked()
            say(check.verdict.state)
        return check

    def _checked(self, *, landing: str = "") -> DriftCheck:
        """Take in what the API has logged, with reviews that land, and return the drift check that follows."""
        time.sleep(self._settings.serving.log_flush_seconds + 0.5)
        since = datetime.now(UTC)
        if landing:
            self._land(landing, seed=2)
        else:
            self._airflow.wait(self._airflow.trigger("sentiment_ingest"))
        self._airflow.wait_for_run("sentiment_drift", since=since)
        found = read_check(self._storage, list_checks(self._storage)[0])
        if found is None:
            raise ServiceError("sentiment_drift left no report.", fix="Look at its log in Airflow.")
        return found

    def _land(self, domain: str, *, seed: int) -> dict[str, Any]:
        """Drop reviews into the inbox, trigger nothing, and return what the run did that took them in."""
        since = datetime.now(UTC)
        write_sample(self._inbox / f"{domain}.csv", domain, LABELLED, seed=seed)
        seen: set[str] = set()
        while True:  # a run of the schedule may come first, and take them in
            run = self._airflow.wait_for_run("sentiment_ingest", since=since, but=seen, ended=True)
            taken = self._returned(run)
            if taken["files"]:
                return taken
            seen.add(run.run_id)

    def _returned(self, run: DagRun) -> dict[str, Any]:
        returned: dict[str, Any] = self._airflow.returned(run, "ingest")
        return returned

    def _served(self) -> str:
        release = deployment_status(self._settings).release
        return release.model_version if release else "none"

    @contextmanager
    def _step(self, title: str) -> Iterator[Callable[[str], None]]:
        with self._out.step(title) as notes:
            yield notes.append


def _fresh_root(settings: Settings, out: Reporter) -> Settings:
    """Return settings whose root holds nothing: an earlier demo is set aside, anybody else's data is left alone."""
    root = settings.local_dir
    if running_addresses(settings):
        raise ServiceError(f"The platform already runs on {root}.", fix="Stop it first: `sentiment down`.")
    if not (root / MARK).exists() and any((root / name).exists() for name in ("tables", "mlflow", "inbox", "airflow")):
        out.say(f"{root} holds data of yours, so the demo uses {root / 'demo'}.")
        root = root / "demo"
    shown = {
        "storage": settings.storage.model_copy(update={"root": str(root)}),
        "serving": settings.serving.model_copy(update={"show_recent": True}),
    }
    settings = settings.model_copy(update=shown)
    if (root / MARK).exists():
        stop_deployment(settings)
        aside = root / "earlier" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        aside.mkdir(parents=True)
        for path in root.iterdir():
            if path.name not in {"earlier", "demo"}:
                path.rename(aside / path.name)
        out.say(f"The demo before this one is kept in {aside}.")
    Storage(settings).write(MARK, json.dumps({"started": datetime.now(UTC).isoformat()}).encode())
    return settings


def _show(summary: Summary, platform: Platform, out: Reporter, *, seconds: float) -> None:
    slices = summary.decision.slices.get(f"source {NEW}", {})
    first, second = summary.first, summary.second
    out.panel(
        "The loop closed",
        {
            f"Accuracy on {NEW} reviews": f"version {first.version}: {slices.get('champion', 0):.1%} → "
            f"version {second.version}: {slices.get('challenger', 0):.1%} "
            f"({slices.get('rows', 0):,.0f} held-out reviews)",
            "Drift noticed": summary.drifted.verdict.state
            + "".join(f"\n· {r}" for r in summary.drifted.verdict.reasons),
            "Gate": f"{summary.decision.outcome}: {summary.decision.reason}",
            "Drift afterwards": summary.afterwards.verdict.state,
            "Requests": f"{summary.answered:,} answered, {summary.failed} failed, through two deployments",
            "Versions": f"{second.version} champion ({second.snapshot}), {first.version} before ({first.snapshot})",
            "Took": f"{seconds:.0f} s",
        },
    )
    for name, value in {
        **platform.facts(),
        "Drift report": f"{platform.settings.storage.root}/{summary.drifted.report}",
        "Try": f"curl -s {platform.addresses.api}/predict -H 'content-type: application/json' "
        """-d '{"text": "Not bad at all, the blender is sturdy."}'""",
    }.items():
        out.result({}, f"{name + ':':<14}{value}")
