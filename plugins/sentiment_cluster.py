"""Deploying to a cluster in Airflow: credentials of a connection, the question to a person, the deferrable watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator, Param
from airflow.sdk.exceptions import AirflowSkipException

DEPLOY, LEAVE = "Deploy", "Leave it"
SHOWN = 20_000  # characters of a difference in a form; the log has all of it


@contextmanager
def cluster_settings() -> Iterator[Any]:
    """Give the settings of a task, with a kubeconfig of the connection where ``deployment.eks_cluster`` is set.

    The kubeconfig asks AWS for a token of its own whenever one is needed. It is gone when the task ends.
    """
    from sentiment_catalog import task_settings

    settings = task_settings()
    to = settings.deployment
    if not to.eks_cluster:
        yield settings
        return
    from airflow.providers.amazon.aws.hooks.eks import EksHook

    with EksHook(aws_conn_id=to.aws_conn_id).generate_config_file_with_credentials(
        eks_cluster_name=to.eks_cluster, pod_namespace=to.namespace
    ) as (kubeconfig, _):
        yield settings.model_copy(
            update={"deployment": to.model_copy(update={"kubeconfig": kubeconfig, "context": ""})}
        )


class PlanOperator(HITLOperator):
    """Writes what would change in the cluster to the log; asks a person if ``deployment.approval`` wants it.

    With `dry_run` in the form of the DAG nothing follows.

    Parameters
    ----------
    shipped : XComArg or dict
        What `ship` returned.
    """

    template_fields = ("shipped", "subject", "body")

    def __init__(self, *, shipped: Any, **kwargs: Any) -> None:
        why = "Why; stays with the run."
        kwargs["params"] = {"reason": Param("", type="string", maxLength=500, description=why, source="task")}
        super().__init__(
            subject="Shall this version be deployed?",
            options=[DEPLOY, LEAVE],
            defaults=[LEAVE],
            response_timeout=timedelta(hours=72),  # as deployment.approval_hours says, once it runs
            execution_timeout=timedelta(minutes=10),
            **kwargs,
        )
        self.shipped = shipped

    def execute(self, context: Any) -> Any:
        """Plan, and wait for the answer if one is wanted."""
        from sentiment_catalog import clear_failures

        from sentiment.deployment.planning import plan
        from sentiment.deployment.shipping import Shipped

        with cluster_settings() as settings, clear_failures():
            found = plan(settings, Shipped.from_dict(self.shipped))
        self.log.info("%s", found)
        if context["params"]["dry_run"]:
            raise AirflowSkipException("A dry run: what would change is in the log above.")
        if settings.deployment.approval == "never":
            return {}
        version = self.shipped["model_version"]
        self.subject = f"Deploy version {version} to {found.release}?"
        steps = "".join(f"1. {step}\n" for step in found.steps) or "No step: only values or the chart differ.\n"
        rest = "\n(the rest is in the log)" if len(found.diff) > SHOWN else ""
        self.body = f"It serves {found.now}. Steps:\n\n{steps}\n```diff\n{found.diff[:SHOWN]}{rest}\n```\n"
        self.response_timeout = timedelta(hours=settings.deployment.approval_hours)
        return super().execute(context)


def answered(answer: dict[str, Any]) -> str:
    """Return who let it be deployed; empty if nobody was asked. Without a yes, the task is skipped."""
    if not answer:
        return ""
    person = answer["responded_by_user"]
    if answer["chosen_options"] != [DEPLOY]:
        who = f"{person['name']} said to leave it" if person else "Nobody answered in time"
        raise AirflowSkipException(f"{who}: nothing changes.")
    return str(person["name"]) if person else ""


class CanaryOperator(BaseOperator):
    """Looks at a canary, and between looks waits without a worker; without a canary it is done at once.

    Parameters
    ----------
    shipped, trial : XComArg
        What is deployed, and whether it need not be the champion.
    """

    template_fields = ("shipped", "trial")

    def __init__(self, *, shipped: Any, trial: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shipped, self.trial = shipped, trial

    def execute(self, context: Any) -> Any:
        """Look for the first time."""
        return self._look(context)

    def look_again(self, context: Any, event: Any = None) -> Any:
        """Look after a pause."""
        return self._look(context)

    def _look(self, context: Any) -> Any:
        from sentiment_catalog import clear_failures

        from sentiment.deployment.kubernetes import canary_step
        from sentiment.deployment.shipping import Shipped
        from sentiment.registry import Registry

        with cluster_settings() as settings, clear_failures():
            progress = canary_step(
                settings,
                Registry(settings),
                Shipped.from_dict(self.shipped),
                request=context["dag_run"].run_id,
                trial=self.trial,
            )
        self.log.info("%s", progress.said)
        if progress.state == "ready":
            return progress.to_dict()
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=settings.canary.look_seconds)), method_name="look_again")
        return None
