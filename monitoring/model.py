"""The dashboard of the model: who is champion, how it answers, and whether it is asked what it did not learn."""

from __future__ import annotations

from monitoring.panels import BAD, WARN, Dashboard, Panel, Query, Row
from monitoring.service import HERE, RATE

PLATFORM = 'namespace=~"$platform"'
STATES = {
    "stable": ("stable", "green"),
    "watch": ("watch", "yellow"),
    "drifted": ("drifted", "red"),
    "insufficient_data": ("not enough data", "blue"),
}
ONE = {"0": ("", "transparent"), "1": ("yes", "blue")}


def _age(metric: str) -> str:
    return f"time() - max(sentiment_{metric}_timestamp_seconds{{{PLATFORM}}})"


def _rates(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate(sentiment_{metric}{{{HERE}}}{RATE}))"


VERSION = "model_version"
ANSWERED = _rates("predictions_total", VERSION)

NOW = Row(
    "Now",
    (
        Panel(
            "Champion", "The version that should be served, and the snapshot that it learned from.",
            (
                Query(
                    f"max by (model_version, snapshot) (sentiment_champion_info{{{PLATFORM}}})",
                    "v{{model_version}} ({{snapshot}})",
                ),
            ),
            kind="stat", text="name", width=4, height=4, alerts=("SentimentNotDeployed",),
        ),
        Panel(
            "Trained", "Age of the champion.", (Query(_age("champion_trained")),),
            kind="stat", unit="dtdurations", width=4, height=4, steps=((60 * 86_400, WARN), (90 * 86_400, BAD)),
            alerts=("SentimentModelOld",),
        ),
        Panel(
            "Last drift check",
            "Its verdict.",
            tuple(
                Query(f'max(sentiment_drift_verdict{{{PLATFORM},state="{state}"}}) == 1', text)
                for state, (text, _) in STATES.items()
            ),
            kind="stat", text="name", width=4, height=4, alerts=("SentimentDrift",),
        ),
        Panel(
            "Checked", "Since the end of the window that the last drift check looked at.",
            (Query(_age("drift_checked")),),
            kind="stat", unit="dtdurations", width=4, height=4, steps=((86_400, WARN), (2 * 86_400, BAD)),
            alerts=("SentimentDriftUnchecked",),
        ),
        Panel(
            "Accuracy", "On newly labelled rows, or as estimated without labels.",
            (Query(f'max by (kind) (sentiment_accuracy{{{PLATFORM},kind!="reference"}})', "{{kind}}"),),
            kind="stat", unit="percentunit", decimals=1, width=4, height=4,
        ),
        Panel(
            "The gate's last decision", "About the newest challenger that was judged.",
            (
                Query(
                    f"max by (model_version, outcome) (sentiment_decision_info{{{PLATFORM}}})",
                    "v{{model_version}}: {{outcome}}",
                ),
            ),
            kind="stat", text="name", width=4, height=4,
        ),
    ),
)  # fmt: skip

ANSWERS = Row(
    "Answers",
    (
        Panel(
            "Labels", "Texts answered a second, by label.", (Query(_rates("predictions_total", "label"), "{{label}}"),),
            stacked=True, alerts=("SentimentOneLabel", "SentimentMixShift"),
        ),
        Panel(
            "Versions", "Texts answered a second, by model version.",
            (Query(ANSWERED, "v{{model_version}}"),), stacked=True,
        ),
        Panel(
            "Confidence", "Percentiles of the probability of the label that was answered.",
            tuple(
                Query(
                    f"histogram_quantile({share}, {_rates('prediction_confidence_bucket', 'le')})", f"{share:.0%}"
                )
                for share in (0.1, 0.5, 0.9)
            ),
            unit="percentunit", most=1,
        ),
        Panel(
            "Unsure answers", "Share of the texts whose answer is marked `abstained`, by version.",
            (
                Query(f"({_rates('abstentions_total', VERSION)} or 0 * {ANSWERED}) / {ANSWERED}", "v{{model_version}}"),
            ),
            unit="percentunit", alerts=("SentimentUnsure",),
        ),
        Panel(
            "Unknown words", "Share of a text's words that the model does not know: median and 90th percentile.",
            tuple(
                Query(f"histogram_quantile({share}, {_rates('unknown_share_bucket', 'le')})", f"{share:.0%}")
                for share in (0.5, 0.9)
            ),
            unit="percentunit",
        ),
        Panel(
            "Feedback", "Corrections and confirmations of answers in an hour.",
            (
                Query(
                    f"sum by (outcome) (increase(sentiment_feedback_agreement_total{{{HERE}}}[1h]))", "{{outcome}}"
                ),
            ),
            stacked=True,
        ),
    ),
)  # fmt: skip

DRIFT = Row(
    "Drift",
    (
        Panel(
            "Verdicts", "The verdict of the last check, over time.",
            (Query(f"max by (state) (sentiment_drift_verdict{{{PLATFORM}}})", "{{state}}"),),
            kind="state-timeline", words=ONE, alerts=("SentimentDrift",),
        ),
        Panel(
            "Distance to the threshold",
            "Distance of each signal from the reference, as a share of the distance from which it counts.",
            (
                Query(
                    f"max by (signal) (sentiment_drift_distance{{{PLATFORM}}}) "
                    f"/ max by (signal) (sentiment_drift_threshold{{{PLATFORM}}})",
                    "{{signal}}",
                ),
            ),
            kind="bargauge", unit="percentunit", most=2, steps=((0.8, WARN), (1, BAD)),
        ),
        Panel(
            "Accuracy", "Of the champion: on newly labelled rows (live), estimated without labels, on the reference.",
            (Query(f"max by (kind) (sentiment_accuracy{{{PLATFORM}}})", "{{kind}}"),), unit="percentunit", most=1,
        ),
        Panel(
            "Distances", "Of each signal from the reference, 0 to 1.",
            (Query(f"max by (signal) (sentiment_drift_distance{{{PLATFORM}}})", "{{signal}}"),), width=16,
        ),
        Panel(
            "Rows compared", "Too few, and nothing can be seen.",
            (Query(f"max by (side) (sentiment_drift_rows{{{PLATFORM}}})", "{{side}}"),),
        ),
    ),
)  # fmt: skip

MODEL = Dashboard(
    "sentiment-model",
    "Sentiment: model and drift",
    "The champion, its answers, and the drift checks.",
    {
        "namespace": ("namespace", "sentiment_model_info"),
        "track": ("track", "sentiment_model_info"),
        "platform": ("namespace", "sentiment_state_timestamp_seconds"),
    },
    (NOW, ANSWERS, DRIFT),
    since="now-7d",
)
