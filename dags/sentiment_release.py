"""### Release a held batch

A delivered file of which too much was refused, whose labels are all the same, or which is too large is **held whole**:
the ingest run failed with the reason and the numbers. This asks a person, under *Required Actions*, and then takes the
file in, or drops it.

*Runs* by hand. *Emits* `reviews` if it was released.
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import AssetAlias, Param, dag, task
from sentiment_catalog import DAG, REVIEWS, clear_failures, task_settings

SETTLED = AssetAlias("settled")


@dag(
    **DAG,
    dag_id="sentiment_release",
    dag_display_name="Sentiment: release a held batch",
    doc_md=__doc__,
    schedule=None,
    params={
        "batch": Param(
            "",
            type="string",
            pattern="^([0-9a-f]{12,64})?$",
            description="The held batch, as the failed run names it. Empty: the one that is held longest.",
        ),
    },
)
def sentiment_release() -> None:
    @task
    def look(*, params=None):
        from sentiment.errors import DataError
        from sentiment.reviews.held import held_batches, require
        from sentiment.storage import Storage

        storage = Storage(task_settings())
        with clear_failures():
            waiting = held_batches(storage)
            if not params["batch"] and not waiting:
                raise DataError("No batch is held.", fix="There is nothing to do.")
            return (require(storage, params["batch"]) if params["batch"] else waiting[0]).to_dict()

    ask = HITLOperator(
        task_id="ask",
        subject="{{ ti.xcom_pull(task_ids='look')['name'] }} is held: release or drop it?",
        body="{% set held = ti.xcom_pull(task_ids='look') %}"
        "{% for reason in held['reasons'] %}- {{ reason }}\n{% endfor %}\n"
        "Batch `{{ held['batch'] }}`, {{ '{:,}'.format(held['counts']['rows']) }} rows, since {{ held['held_at'] }}. "
        "*Release* takes it in all the same, *Drop* removes it for good.",
        options=["Release", "Drop"],
        params={"reason": Param("", type="string", maxLength=500, description="Why; goes to the ledger.")},
        response_timeout=timedelta(days=7),
        execution_timeout=timedelta(minutes=10),
    )

    @task(outlets=[SETTLED])
    def settle(batch, answer, *, outlet_events=None):
        from sentiment.reviews.quarantine import drop, release

        settings = task_settings()
        person = answer["responded_by_user"]
        said = {"reason": answer["params_input"].get("reason", ""), "actor": person and person["name"]}
        with clear_failures():
            if answer["chosen_options"] == ["Drop"]:
                return {"dropped": drop(settings, batch=batch["batch_id"], **said)}
            loaded = release(settings, batch=batch["batch_id"], **said)
        if loaded.accepted:
            outlet_events[SETTLED].add(REVIEWS, extra={"rows": loaded.accepted})
        return {"accepted": loaded.accepted, "refused": dict(loaded.refused)}

    found = look()
    found >> ask
    settle(found, ask.output)


sentiment_release()
