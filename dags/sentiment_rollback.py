"""### Roll back

Makes an earlier model version the champion again and serves it, on this machine or in the cluster: alias and release
together. Refuses a version that never was champion, that a person rejected, or whose files are not those that were
registered. Without a version, each run goes one champion further back; a task that is tried again goes on where it was.

*Runs* by hand. *Emits* `release`, unless there was nothing to do.
"""

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from sentiment_catalog import DAG, RELEASE, clear_failures
from sentiment_cluster import cluster_settings


@dag(
    **DAG,
    dag_id="sentiment_rollback",
    dag_display_name="Sentiment: roll back",
    doc_md=__doc__,
    schedule=None,
    params={
        "version": Param(
            None,
            type=["null", "string"],
            pattern="^(v?[0-9]+)?$",
            description="Model version to go back to. Empty: the champion before this one.",
        ),
        "reason": Param("", type="string", maxLength=500, description="Why; goes to the ledger."),
    },
)
def sentiment_rollback() -> None:
    @task(outlets=[RELEASE])
    def rollback(*, params=None, dag_run=None, outlet_events=None):
        from sentiment.deployment.rollback import rollback
        from sentiment.registry import Registry

        with cluster_settings() as settings, clear_failures():
            found = rollback(
                settings,
                registry=Registry(settings),
                to=params["version"] or None,
                reason=params["reason"],
                request=dag_run.run_id,
            )
        if not found.changed:
            raise AirflowSkipException(found.said)
        outlet_events[RELEASE].extra = found.release.to_dict()
        return found.release.to_dict()

    rollback()


sentiment_rollback()
