"""### Score

Answers every row of a whole table with one model version: a file or folder, an S3 object or prefix, or a snapshot of
the reviews. Writes Parquet files with label, score, probabilities, `abstained`, model version, source file, row number.
The model, and the snapshot if it is the latest, are chosen once, at the start. A retried task, or another run with the
same fields, **goes on where it was**. A file that cannot be read fails the run at its end; all others are scored.

*Runs* by hand. *Emits* nothing: the reviews stay the same.
"""

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowFailException
from sentiment_catalog import DAG, clear_failures, task_settings


def optional(description: str, pattern: str = ".*") -> Param:
    return Param(None, type=["null", "string"], pattern=pattern, description=description)


@dag(
    **DAG,
    dag_id="sentiment_score",
    dag_display_name="Sentiment: score",
    doc_md=__doc__,
    schedule=None,
    params={
        "input": Param(
            "reviews@latest",
            type="string",
            minLength=1,
            description="What to score: full path of a file or folder, s3://bucket/prefix, https:// file, reviews@v12, "
            "or reviews@latest.",
        ),
        "output": optional(
            "Where the scores go: full path of a folder, or s3://bucket/prefix, of its own. Empty: a folder under "
            "scores/ in the storage root, named after input and model version."
        ),
        "version": optional("Model version. Empty: the champion.", "^(v?[0-9]+)?$"),
        "column": optional("Column that holds the texts. Empty: found by its name."),
        "keep": Param(
            [],
            type="array",
            items={"type": "string"},
            description="Columns of the input to carry along, one a line; they are called input_COLUMN.",
        ),
        "anew": Param(False, type="boolean", description="Remove what another job left at the output."),
    },
)
def sentiment_score() -> None:
    @task
    def plan(*, params=None):
        from sentiment.registry import Registry
        from sentiment.scoring.plan import plan

        settings, form = task_settings(), {name: params[name] or None for name in ("output", "version", "column")}
        with clear_failures():
            found = plan(settings, params["input"], registry=Registry(settings), keep=params["keep"], **form)
        return found.to_dict()

    @task
    def score(planned, *, params=None, ti=None):
        from sentiment.errors import SourceError
        from sentiment.registry import Registry
        from sentiment.scoring.run import score

        settings, unread = task_settings(), None
        anew = params["anew"] and ti.try_number == 1  # a retry goes on
        with clear_failures():
            try:
                result = score(settings, **planned, registry=Registry(settings), anew=anew)
            except SourceError as error:
                if error.result is None:
                    raise
                result, unread = error.result, str(error)
        return {**result.to_dict(), "unread": unread}

    @task
    def name_unread(scored):
        if scored["unread"]:
            raise AirflowFailException(scored["unread"])

    name_unread(score(plan()))


sentiment_score()
