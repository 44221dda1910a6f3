"""### Retrain

Learns from the latest snapshot of the reviews, has the gate compare the challenger with the champion on the same
held-out reviews, and moves the `champion` alias only if the challenger is provably no worse. A snapshot that the
champion has learned from already is not learned again, and a version that was rolled back from does not come back.
Where `gate.approval` wants a person's word, it is asked for under *Required Actions*; no answer in time means no.
With *tune*, better settings are searched first, by cross-validation on the training reviews.

*Runs* when drift was detected (its report: **Drift report** on the task `train`), every week, or by hand.
*Emits* `champion` when one was promoted.
"""

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from search_tasks import TUNE, search
from sentiment_approval import ApprovalOperator, record_answer
from sentiment_catalog import CHAMPION, DAG, DRIFT_DETECTED, cause_of, clear_failures, task_settings
from sentiment_links import linked


@dag(
    **DAG,
    dag_id="sentiment_retrain",
    dag_display_name="Sentiment: retrain",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("@weekly", timezone="UTC"), assets=DRIFT_DETECTED),
    params={
        "snapshot": Param(
            None,
            type=["null", "string"],
            pattern="^(reviews@v[0-9]+)?$",
            description="Snapshot to learn from, such as reviews@v12. Empty: the latest.",
        ),
        "tune": TUNE,
        "promote": Param(
            True, type="boolean", description="Promote if the gate agrees. Off: register the challenger only."
        ),
    },
)
def sentiment_retrain() -> None:
    @task
    def train(chosen, *, dag_run=None, triggering_asset_events=None):
        from sentiment.registry import Registry
        from sentiment.training.promotion import nothing_new
        from sentiment.training.train import train
        from sentiment.training.tune import tuned

        settings = tuned(task_settings(), chosen["training"])
        registry = Registry(settings)
        with clear_failures():
            cause = cause_of(dag_run, triggering_asset_events)
            candidate = train(
                settings, registry=registry, snapshot=chosen["snapshot"], cause=cause, searched=chosen["run_id"]
            )
        if known := nothing_new(registry, candidate):
            raise AirflowSkipException(known)
        return candidate.to_dict()

    @task
    def judge(candidate):
        from sentiment.registry import Registry
        from sentiment.training.promotion import judge

        settings = task_settings()
        registry = Registry(settings)
        with clear_failures():
            challenger, decision = judge(
                settings, registry=registry, challenger=registry.candidate(candidate["run_id"])
            )
        return {"version": challenger.version, "outcome": decision.outcome.value, "reason": decision.reason}

    @task(outlets=[CHAMPION])
    def promote(decision, answer, *, params=None, dag_run=None, outlet_events=None):
        from sentiment.registry import Registry
        from sentiment.training.promotion import promote

        settings, version = task_settings(), decision["version"]
        with clear_failures():
            now = record_answer(settings, version=version, answer=answer, run_id=dag_run.run_id)
            if not now.allowed or not params["promote"]:
                raise AirflowSkipException(f"The champion stays: {now.reason}")
            champion = promote(settings, registry=Registry(settings), version=version)
        outlet_events[CHAMPION].extra = {"version": champion.version, "reason": decision["reason"]}
        return champion.version

    judged = judge(linked(train(search())))
    promote(judged, ApprovalOperator(task_id="ask", judged=judged).output)


sentiment_retrain()
