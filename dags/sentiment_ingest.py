"""### Ingest

Takes in what lies in the **inbox** (csv, tsv, jsonl, parquet, xlsx, txt; optionally .gz or .zst) and the
**predictions** and the **feedback** that the API has written since. Every row is checked against the data contract;
refused rows go to the quarantine with a reason; a file that is beyond policy is held whole. Feedback becomes labelled
reviews; bursts, what exceeds the caps and disagreements wait in the quarantine for a person. The same file twice, or
a retried task, adds nothing. A file that is held or cannot be read fails the run at its end; everything else is taken
in and told to the DAGs that follow. New reviews get a **profile**, an HTML page under `reports/data/`.

*Runs* when files have landed in the inbox (the triggerer watches it), every hour, or by hand.
*Emits* `reviews` when rows were added and `predictions` when answers were.
"""

from airflow.sdk import AssetAlias, AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from sentiment_catalog import DAG, INBOX, PREDICTIONS, REVIEWS, clear_failures, task_settings

INGESTED = AssetAlias("ingested")


def column(content: str) -> Param:
    return Param(None, type=["null", "string"], description=f"Column that holds {content}. Empty: found by its name.")


@dag(
    **DAG,
    dag_id="sentiment_ingest",
    dag_display_name="Sentiment: ingest",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("@hourly", timezone="UTC"), assets=INBOX),
    params={
        "files": Param(
            [],
            type="array",
            items={"type": "string"},
            description="Files to take in, one a line: full path, https:// or s3:// address. Empty: all of the inbox.",
        ),
        "text": column("the text"),
        "label": column("the label or rating"),
        "time": column("when a review was written"),
    },
)
def sentiment_ingest() -> None:
    @task(outlets=[INGESTED])
    def ingest(*, params=None, outlet_events=None):
        from sentiment.errors import DataError
        from sentiment.reviews.ingest import ingest

        unread = None
        with clear_failures():
            try:
                result = ingest(
                    task_settings(),
                    paths=params["files"],
                    text=params["text"] or None,
                    label=params["label"] or None,
                    time=params["time"] or None,
                )
            except DataError as error:  # a task that fails emits nothing, so what was taken in would go unnoticed
                if error.result is None:
                    raise
                result, unread = error.result, str(error)
        if result.accepted:
            outlet_events[INGESTED].add(REVIEWS, extra={"snapshot": result.snapshot, "rows": result.accepted})
        if result.predictions:
            outlet_events[INGESTED].add(PREDICTIONS, extra={"rows": result.predictions})
        return {**result.to_dict(), "unread": unread}

    @task
    def name_unread(taken):
        if taken["unread"]:
            raise AirflowFailException(taken["unread"])

    @task
    def profile(taken):
        from sentiment.reviews.profile_page import publish_profile

        if not taken["accepted"]:
            raise AirflowSkipException("No new reviews.")
        with clear_failures():
            return publish_profile(task_settings(), taken["snapshot"])

    taken = ingest()
    profile(taken)
    name_unread(taken)


sentiment_ingest()
