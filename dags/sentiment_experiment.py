"""### Experiment

Compares features and classifiers by cross-validation on the training split of a snapshot: one of the three classical
studies. Every trial is a task and an MLflow run below that of the study, which gets the comparison as a table and as
pictures. Held-out reviews are not looked at, and nothing is promoted.

*Runs* by hand. *Emits* nothing.
"""

from airflow.sdk import Param, dag, task
from sentiment_catalog import DAG, clear_failures, task_settings


@dag(
    **DAG,
    dag_id="sentiment_experiment",
    dag_display_name="Sentiment: experiment",
    doc_md=__doc__,
    schedule=None,
    params={
        "study": Param(
            "baseline",
            type="string",
            enum=["baseline", "features", "regularization"],
            description="Which study: a logistic-regression baseline; bag of words against tf-idf across five models; "
            "a grid over strength and penalty of the regularization.",
        ),
        "snapshot": Param(
            None,
            type=["null", "string"],
            pattern="^(reviews@v[0-9]+)?$",
            description="Snapshot to learn from, such as reviews@v12. Empty: the latest.",
        ),
        "newest": Param(
            None,
            type=["null", "integer"],
            minimum=100,
            description="Only the newest so many training reviews. Empty: all of them.",
        ),
    },
)
def sentiment_experiment() -> None:
    @task
    def plan(*, params=None):
        from sentiment.registry import Registry
        from sentiment.training.experiment import plan

        settings = task_settings()
        with clear_failures():
            begun = plan(
                settings,
                registry=Registry(settings),
                study=params["study"],
                snapshot=params["snapshot"] or None,
                newest=params["newest"] or None,
            )
        return begun.to_dict()

    @task
    def trials(begun):
        return begun["trials"]

    @task(map_index_template="{{ task.op_kwargs['trial'] }}", max_active_tis_per_dagrun=2)
    def try_one(begun, trial):
        from sentiment.registry import Registry
        from sentiment.training.conduct import Plan
        from sentiment.training.experiment import try_one

        settings = task_settings()
        with clear_failures():
            return try_one(settings, Plan(**begun), trial, registry=Registry(settings)).metrics

    @task
    def compare(begun, _):
        from sentiment.registry import Registry
        from sentiment.training.conduct import Plan
        from sentiment.training.experiment import conclude

        settings = task_settings()
        with clear_failures():
            found = conclude(settings, Plan(**begun), registry=Registry(settings))
        return {"best": found.results[0].trial, "run_id": found.run_id}

    begun = plan()
    compare(begun, try_one.partial(begun=begun).expand(trial=trials(begun)))


sentiment_experiment()
