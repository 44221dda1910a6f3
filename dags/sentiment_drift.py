"""### Drift

Compares live traffic with what the champion learned from, and its answers with newly labelled reviews. Writes an
HTML report (**Drift reports** in the navigation, **Drift report** on the task) and a verdict: `stable`, `watch`,
`drifted` or `insufficient_data`, each with its reasons.

A check is about a window and says what was known at its end: the champion, the answers and the labels of then. The end
is that of the run's data interval; of a run that was triggered by new data, the moment of the newest of it. So a retry
says the same again, and a **backfill** says what each day would have said. It retrains nothing and alerts nobody.

*Runs* when reviews or predictions arrive, every day, or by hand: with any window, or with any two sides.
*Emits* `drift_detected` when the verdict on live traffic asks for retraining. *Tells* people what `[alerts]` says.
"""

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from sentiment_alerts import is_news, tell_check
from sentiment_catalog import DAG, DRIFT_DETECTED, PREDICTIONS, REVIEWS, clear_failures, task_settings, window_of
from sentiment_links import linked, report_link

SIDE = r"^(reviews@v?\d+(:held-out)?|\d{4}-\d\d-\d\d\S*\.\.\d{4}-\d\d-\d\d\S*)?$"


def moment(description: str) -> Param:
    return Param(None, type=["null", "string"], format="date-time", description=description)


def side(description: str) -> Param:
    return Param(None, type=["null", "string"], pattern=SIDE, description=description)


@dag(
    **DAG,
    dag_id="sentiment_drift",
    dag_display_name="Sentiment: drift",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("@daily", timezone="UTC"), assets=(REVIEWS | PREDICTIONS)
    ),
    params={
        "start": moment("Start of the window of live traffic. Empty: drift.window_days before its end."),
        "end": moment("End of the window. Empty: that of the run's data interval, or when its data came."),
        "reference": side("Two sides of your own: reviews@v12, reviews@v12:held-out, or 2026-11-01..2026-11-08 (UTC)."),
        "current": side("The side that is checked against the reference: likewise."),
    },
)
def sentiment_drift() -> None:
    @task
    def check(*, params=None, dag_run=None):
        from sentiment.drift.comparison import check_sides
        from sentiment.drift.run import check_drift
        from sentiment.errors import NoChampionError
        from sentiment.registry import Registry

        settings, sides = task_settings(), (params["reference"], params["current"])
        with clear_failures():
            if any(sides):
                return check_sides(settings, *sides, registry=Registry(settings)).to_dict()
            try:
                return check_drift(settings, registry=Registry(settings), **window_of(params, dag_run)).to_dict()
            except NoChampionError as nothing_to_check:
                raise AirflowSkipException(str(nothing_to_check)) from nothing_to_check

    @task(outlets=[DRIFT_DETECTED])
    def ask_for_retraining(found, *, dag_run=None, outlet_events=None):
        verdict = found["verdict"]
        if not verdict["retrain"] or not is_news(found, dag_run):
            raise AirflowSkipException(f"Nothing to do: {verdict['state']}. {' '.join(verdict['reasons'])}")
        extra = {"check": found["id"], "reasons": verdict["reasons"], "report": report_link(found["id"])}
        outlet_events[DRIFT_DETECTED].extra = extra

    @task
    def tell(found, *, dag_run=None):
        if not is_news(found, dag_run):
            raise AirflowSkipException("Nobody is told about the past, or about sides that somebody chose.")
        return tell_check(found)

    found = linked(check())
    ask_for_retraining(found)
    tell(found)


sentiment_drift()
