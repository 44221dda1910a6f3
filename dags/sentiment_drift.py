"""### Drift

Compares live traffic with what the champion learned from, and its answers with newly labelled reviews. Writes an
HTML report (**Drift reports** in the navigation) and a verdict: `stable`, `watch`, `drifted` or
`insufficient_data`, each with its reasons.

*Runs* when reviews or predictions arrive, every day, or by hand with any window.
*Emits* `drift_detected` when the verdict asks for retraining.
"""

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from sentiment_catalog import DAG, DRIFT_DETECTED, PREDICTIONS, REVIEWS, clear_failures, task_settings


@dag(
    **DAG,
    dag_id="sentiment_drift",
    dag_display_name="Sentiment: drift",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("@daily", timezone="UTC"), assets=(REVIEWS | PREDICTIONS)
    ),
    params={
        "start": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="Start of the window of live traffic. Empty: drift.window_days before its end.",
        ),
        "end": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="End of the window. Empty: the start of this run.",
        ),
    },
)
def sentiment_drift() -> None:
    @task
    def check(*, params=None, dag_run=None):
        from datetime import datetime

        from sentiment.drift.run import check_drift
        from sentiment.errors import NoChampionError
        from sentiment.registry import Registry

        settings = task_settings()
        with clear_failures():
            try:
                found = check_drift(
                    settings,
                    registry=Registry(settings),
                    start=datetime.fromisoformat(params["start"]) if params["start"] else None,
                    end=datetime.fromisoformat(params["end"]) if params["end"] else dag_run.start_date,
                )
            except NoChampionError as nothing_to_check:
                raise AirflowSkipException(str(nothing_to_check)) from nothing_to_check
        return found.to_dict()

    @task(outlets=[DRIFT_DETECTED])
    def ask_for_retraining(found, *, outlet_events=None):
        verdict = found["verdict"]
        if not verdict["retrain"]:
            raise AirflowSkipException(f"Nothing to do: {verdict['state']}. {' '.join(verdict['reasons'])}")
        outlet_events[DRIFT_DETECTED].extra = {"check": found["id"], "reasons": verdict["reasons"]}

    ask_for_retraining(check())


sentiment_drift()
