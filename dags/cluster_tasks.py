"""The tasks of a deployment to Kubernetes, as a group; where the target is this machine, none of them starts."""

from datetime import timedelta

from airflow.sdk import task, task_group
from sentiment_catalog import RELEASE, clear_failures, task_settings
from sentiment_cluster import CanaryOperator, PlanOperator, answered, cluster_settings

HOURS = timedelta(hours=4)  # an upgrade may wait for its pods for `deployment.helm_timeout_seconds`, twice


@task_group
def cluster(packaged, trial):
    """Ship, plan, upgrade, watch the canary, finish, test. Killed anywhere, a task that is tried again goes on.

    Needs the field `dry_run` of the form.
    """

    @task(execution_timeout=HOURS)
    def ship(packaged):
        from sentiment.deployment.shipping import ship
        from sentiment.packaging import BentoPackage

        with clear_failures():
            return ship(task_settings(), BentoPackage(**packaged)).to_dict()

    @task(execution_timeout=HOURS)
    def upgrade(shipped, trial, answer, *, dag_run=None):
        from sentiment.deployment.kubernetes import upgrade
        from sentiment.deployment.shipping import Shipped
        from sentiment.registry import Registry

        who = answered(answer)
        with cluster_settings() as settings, clear_failures():
            what = Shipped.from_dict(shipped)
            done = upgrade(settings, Registry(settings), what, request=dag_run.run_id, trial=trial)
        return {**done.to_dict(), "approved_by": who}

    @task(execution_timeout=HOURS, outlets=[RELEASE])
    def finish(shipped, trial, upgraded, *, dag_run=None, outlet_events=None):
        from sentiment.deployment.kubernetes import finish
        from sentiment.deployment.shipping import Shipped
        from sentiment.registry import Registry

        with cluster_settings() as settings, clear_failures():
            release = finish(
                settings,
                Registry(settings),
                Shipped.from_dict(shipped),
                request=dag_run.run_id,
                trial=trial,
                approved_by=upgraded["approved_by"],
            )
        outlet_events[RELEASE].extra = release.to_dict()
        return release.to_dict()

    @task
    def smoke(packaged):
        from airflow.sdk.exceptions import AirflowSkipException

        from sentiment.deployment.smoke import smoke_test
        from sentiment.packaging import BentoPackage

        with clear_failures():
            found = smoke_test(task_settings(), BentoPackage(**packaged))
        if found.passed is None:
            raise AirflowSkipException(found.said)
        return found.to_dict()

    shipped = ship(packaged)
    upgraded = upgrade(shipped, trial, PlanOperator(task_id="plan", shipped=shipped).output)
    watch = CanaryOperator(task_id="watch", shipped=shipped, trial=trial, execution_timeout=HOURS)
    upgraded >> watch >> finish(shipped, trial, upgraded) >> smoke(packaged)
