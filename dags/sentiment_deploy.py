"""### Deploy

Packages the champion as a Bento, after proving that the served model answers exactly as the trained one, and serves it
where `deployment.target` says. **local**: it is started on this machine, and the traffic moves once it is ready; one
that does not become ready leaves the old one serving. **kubernetes**: it is shipped, what would change is written to
the log of `plan` (and asked about under *Required Actions*, if `deployment.approval` says so), Helm upgrades, a canary
is watched without taking up a worker and gets more traffic step by step. A version that fails is taken back, and the
alias `champion` with it.

*Runs* when a champion was promoted, or by hand. *Emits* `release`.
"""

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from cluster_tasks import cluster
from sentiment_catalog import CHAMPION, DAG, RELEASE, clear_failures, task_settings


@dag(
    **DAG,
    dag_id="sentiment_deploy",
    dag_display_name="Sentiment: deploy",
    doc_md=__doc__,
    schedule=[CHAMPION],
    params={
        "version": Param(
            None,
            type=["null", "string"],
            pattern="^(v?[0-9]+)?$",
            description="Model version to deploy, for a trial; the alias does not move. Empty: the champion.",
        ),
        "target": Param(
            None,
            type=["null", "string"],
            enum=[None, "local", "kubernetes"],
            description="Where to. Empty: as the setting deployment.target says.",
        ),
        "dry_run": Param(False, type="boolean", description="Only write to the log what would change, and stop."),
    },
)
def sentiment_deploy() -> None:
    @task.branch
    def package(*, params=None, ti=None):
        from sentiment.packaging import package
        from sentiment.registry import Registry

        settings = task_settings()
        registry = Registry(settings)
        with clear_failures():
            packaged = package(settings, registry, version=params["version"] or None)
            trial = bool(params["version"]) and not registry.is_champion(packaged.model_version)
        ti.xcom_push("packaged", packaged.to_dict())
        ti.xcom_push("trial", trial)
        if (params["target"] or settings.deployment.target) == "kubernetes":
            return "cluster.ship"
        if params["dry_run"]:
            raise AirflowSkipException(f"A dry run: {packaged.tag} would be served on this machine.")
        return "deploy"

    @task(outlets=[RELEASE])
    def deploy(packaged, *, outlet_events=None):
        from sentiment.deployment.release import deploy_here
        from sentiment.packaging import BentoPackage

        with clear_failures():
            release = deploy_here(task_settings(), BentoPackage(**packaged))
        outlet_events[RELEASE].extra = release.to_dict()
        return release.to_dict()

    result = package()
    deploy(result["packaged"])
    cluster(result["packaged"], result["trial"])


sentiment_deploy()
