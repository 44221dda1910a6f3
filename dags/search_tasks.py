"""The tasks of a search for better settings of training, as a group that other DAGs put at their beginning."""

from airflow.sdk import Param, task, task_group
from sentiment_catalog import clear_failures, task_settings

TUNE = Param(
    None,
    type=["null", "boolean"],
    description="Search better settings of training first. Empty: as the setting tune.before_retraining says.",
)


@task_group
def search():
    """Plan the search, try each path as a mapped task, choose; no path is tried unless form or settings ask for it.

    Needs the fields `tune` and `snapshot` of the form. Gives the snapshot, the settings to train with (none: those
    in force) and the run of the search.
    """

    @task
    def plan(*, params=None):
        from sentiment.registry import Registry
        from sentiment.training.tune import plan

        settings = task_settings()
        if not (settings.tune.before_retraining if params["tune"] is None else params["tune"]):
            return []
        with clear_failures():
            begun = plan(settings, registry=Registry(settings), snapshot=params["snapshot"] or None).to_dict()
        return [{"plan": begun, "path": path} for path in begun["trials"]]

    @task(map_index_template="{{ task.op_kwargs['job']['path'] }}", max_active_tis_per_dagrun=2)
    def try_path(job):
        from sentiment.registry import Registry
        from sentiment.training.conduct import Plan
        from sentiment.training.tune import try_path

        settings = task_settings()
        with clear_failures():
            found = try_path(settings, Plan(**job["plan"]), job["path"], registry=Registry(settings))
        return {result.trial: result.metrics["accuracy"] for result in found}

    @task(trigger_rule="none_failed")
    def choose(jobs, _, *, params=None):
        from sentiment.registry import Registry
        from sentiment.training.conduct import Plan
        from sentiment.training.tune import conclude

        if not jobs:
            return {"snapshot": params["snapshot"] or None, "training": {}, "run_id": None}
        settings = task_settings()
        with clear_failures():
            found = conclude(settings, Plan(**jobs[0]["plan"]), registry=Registry(settings))
        return {"snapshot": found.snapshot, "training": found.training, "run_id": found.run_id, "why": found.reason}

    jobs = plan()
    return choose(jobs, try_path.expand(job=jobs))
