"""The dashboard of the pipeline: is data coming in, is it good, and does Airflow do its work."""

from __future__ import annotations

from monitoring.model import PLATFORM
from monitoring.panels import BAD, WARN, Dashboard, Panel, Query, Row

DAGS = 'namespace=~"$platform",dag_id=~"sentiment_.+"'
QUEUED = f'{PLATFORM},place!="rejected"'
CHANGED = f"sentiment_table_changed_timestamp_seconds{{{PLATFORM}}}"
REFUSED = f'sentiment_day_rows{{{PLATFORM},outcome!~"accepted|duplicate|neutral_rating"}}'
DELIVERED = f'sentiment_day_rows{{{PLATFORM},outcome!="duplicate"}}'

NOW = Row(
    "Now",
    (
        Panel(
            "Snapshot", "Version of the newest snapshot of the reviews.",
            (Query(f"max(sentiment_snapshot_version{{{PLATFORM}}})"),), kind="stat", width=4, height=4,
        ),
        Panel(
            "Reviews", "Rows of the reviews table.",
            (Query(f'sum(sentiment_table_rows{{{PLATFORM},table="reviews"}})'),), kind="stat", width=4, height=4,
        ),
        Panel(
            "Files waiting", "In the inbox and the landing zone.",
            (Query(f"sum(sentiment_waiting_files{{{QUEUED}}})"),), kind="stat", width=4, height=4,
            alerts=("SentimentIngestLag",),
        ),
        Panel(
            "Rows refused", "Share of the rows of the last 24 hours.", (Query(f"sum({REFUSED}) / sum({DELIVERED})"),),
            kind="stat", unit="percentunit", decimals=1, width=4, height=4, steps=((0.1, WARN), (0.2, BAD)),
            alerts=("SentimentRowsRefused",),
        ),
        Panel(
            "Batches held", "They wait for a person: `sentiment quarantine list`.",
            (Query(f"sum(sentiment_held_batches{{{PLATFORM}}})"),),
            kind="stat", width=4, height=4, steps=((1, WARN),),
        ),
        Panel(
            "State read", "Since `sentiment metrics` read the state.",
            (Query(f"time() - max(sentiment_state_timestamp_seconds{{{PLATFORM}}})"),),
            kind="stat", unit="dtdurations", width=4, height=4, steps=((300, WARN), (900, BAD)),
            alerts=("SentimentStateUnread",),
        ),
    ),
)  # fmt: skip

DATA = Row(
    "Data",
    (
        Panel(
            "Rows of a day", "What came in during 24 hours: accepted, or why it was refused.",
            (Query(f"sum by (outcome) (sentiment_day_rows{{{PLATFORM}}})", "{{outcome}}"),), stacked=True,
            alerts=("SentimentRowsRefused",),
        ),
        Panel(
            "Files waiting", "By where they lie; rejected ones could not be read and stay until somebody looks.",
            (Query(f"sum by (place) (sentiment_waiting_files{{{PLATFORM}}})", "{{place}}"),),
        ),
        Panel(
            "Longest wait", "Of a file that is not in the tables yet.",
            (Query(f"time() - min by (place) (sentiment_waiting_since_timestamp_seconds{{{QUEUED}}})", "{{place}}"),),
            unit="dtdurations", steps=((3 * 3600, BAD),), alerts=("SentimentIngestLag",),
        ),
        Panel(
            "Rows of the tables", "Everything that is kept.",
            (Query(f"sum by (table) (sentiment_table_rows{{{PLATFORM}}})", "{{table}}"),), width=12,
        ),
        Panel(
            "Since the tables changed", "Nothing new, or nothing taken in: see what waits.",
            (Query(f"time() - max by (table) ({CHANGED})", "{{table}}"),),
            unit="dtdurations", width=12,
        ),
    ),
)  # fmt: skip

EVENTS = Row(
    "What happened",
    (
        Panel(
            "Since the last", "Training, decision, promotion, deployment and so on, from the ledger.",
            (Query(f"time() - max by (event) (sentiment_event_timestamp_seconds{{{PLATFORM}}})", "{{event}}"),),
            kind="bargauge", unit="dtdurations", width=12, height=9,
        ),
        Panel(
            "Entries of the ledger", "In a day.",
            (Query(f"sum(delta(sentiment_ledger_entries{{{PLATFORM}}}[1d]))", "entries"),), width=6, height=9,
        ),
        Panel(
            "Reading the state", "How long `sentiment metrics` took, by part.",
            (Query(f"max by (part) (sentiment_state_read_seconds{{{PLATFORM}}})", "{{part}}"),),
            unit="s", width=6, height=9, alerts=("SentimentStateUnread",),
        ),
    ),
)  # fmt: skip

AIRFLOW = Row(
    "Airflow",
    (
        Panel(
            "Failed runs", "In an hour, by DAG.",
            (Query(f"sum by (dag_id) (increase(airflow_dagrun_failed_count{{{DAGS}}}[1h]))", "{{dag_id}}"),),
            width=6, steps=((1, BAD),), alerts=("SentimentDagFailed",),
        ),
        Panel(
            "Time of a run", "Successful runs, 99th percentile.",
            (Query(f'max by (dag_id) (airflow_dagrun_duration{{{DAGS},quantile="0.99"}})', "{{dag_id}}"),),
            unit="s", width=6,
        ),
        Panel(
            "Late starts", "How long after their time scheduled runs started, 99th percentile.",
            (Query(f'max by (dag_id) (airflow_dagrun_schedule_delay{{{DAGS},quantile="0.99"}})', "{{dag_id}}"),),
            unit="s", width=6, steps=((900, BAD),), alerts=("SentimentDagLate",),
        ),
        Panel(
            "Scheduler heartbeats", "A minute.",
            (Query(f"sum(rate(airflow_scheduler_heartbeat{{{PLATFORM}}}[5m])) * 60", "heartbeats"),),
            width=6, alerts=("SentimentSchedulerDown",),
        ),
    ),
)  # fmt: skip

PIPELINE = Dashboard(
    "sentiment-pipeline",
    "Sentiment: pipeline",
    "Data on its way in, what it became, and the DAGs.",
    {"platform": ("namespace", "sentiment_state_timestamp_seconds")},
    (NOW, DATA, EVENTS, AIRFLOW),
    since="now-2d",
)
