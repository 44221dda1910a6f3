"""### Maintain

Merges the many small files of the tables into few, and removes what nothing needs any more: files of versions that
no registered model names, what killed writes left, and originals, predictions, reports and Bentos that are older
than `[retention]` says. Every snapshot that a registered model names **stays readable**; if MLflow does not answer,
nothing is removed and the run fails.

*Runs* every day, or by hand. *Emits* nothing: the reviews stay the same.
"""

from airflow.sdk import Param, dag, task
from sentiment_catalog import DAG, clear_failures, task_settings


@dag(
    **DAG,
    dag_id="sentiment_maintain",
    dag_display_name="Sentiment: maintain",
    doc_md=__doc__,
    schedule="@daily",
    params={"dry_run": Param(False, type="boolean", description="Only tell what would be merged and removed.")},
)
def sentiment_maintain() -> None:
    @task
    def maintain(*, params=None):
        from datetime import UTC, datetime

        from sentiment.maintenance import maintain

        with clear_failures():
            result = maintain(task_settings(), now=datetime.now(UTC), dry_run=params["dry_run"])
        return result.to_dict()

    maintain()


sentiment_maintain()
