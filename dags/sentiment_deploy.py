"""### Deploy

Packages the champion as a Bento, after proving that the served model answers exactly as the trained one, starts it,
and moves the traffic once it is ready. A Bento that does not become ready leaves the old one serving.

*Runs* when a champion was promoted, or by hand. *Emits* `release`.
"""

from airflow.sdk import Param, dag, task
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
    },
)
def sentiment_deploy() -> None:
    @task
    def package(*, params=None):
        from sentiment.packaging import package
        from sentiment.registry import Registry

        settings = task_settings()
        with clear_failures():
            return package(settings, Registry(settings), version=params["version"] or None).to_dict()

    @task(outlets=[RELEASE])
    def deploy(packaged, *, outlet_events=None):
        from sentiment.deployment.release import deploy
        from sentiment.packaging import BentoPackage

        with clear_failures():
            release = deploy(task_settings(), BentoPackage(**packaged))
        outlet_events[RELEASE].extra = release.to_dict()
        return release.to_dict()

    deploy(package())


sentiment_deploy()
