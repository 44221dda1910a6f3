"""The dashboard of the service: is it up, fast, does it answer, and does the canary differ from the stable one."""

from __future__ import annotations

from monitoring.panels import BAD, WARN, Dashboard, Panel, Query, Row

HERE = 'namespace=~"$namespace",track=~"$track"'
ASKED = f'{HERE},endpoint!="probe"'  # requests of callers, not those that only try the service
SERVED = f"sentiment_model_info{{{HERE}}}"
RATE = "[$__rate_interval]"


def _requests(matchers: str = "", by: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate(sentiment_requests_total{{{ASKED}{matchers}}}{RATE}))"


def _failed(by: str = "") -> str:
    failed = _requests(',outcome="failed"', by)
    return f"({failed} or 0 * {_requests(by=by)}) / {_requests(by=by)}"


def _percentile(share: float, by: str = "", metric: str = "sentiment_request_seconds", matchers: str = "") -> str:
    grouped = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({metric}_bucket{{{HERE}{matchers}}}{RATE})))"


def _mean(metric: str) -> str:
    return (
        f"sum by (track) (rate({metric}_sum{{{HERE}}}{RATE})) / sum by (track) (rate({metric}_count{{{HERE}}}{RATE}))"
    )


def _lost(kind: str) -> str:
    return f"sum by (track) (increase(sentiment_{kind}_log_dropped_total{{{HERE}}}{RATE}))"


PREDICT = ',endpoint="/predict"'
PREDICTIONS = f"sum by (track) (rate(sentiment_predictions_total{{{HERE}}}{RATE}))"
ERROR_STEPS = ((0.001, WARN), (0.01, BAD))

NOW = Row(
    "Now",
    (
        Panel(
            "Servers",
            "Processes that tell which model they serve.",
            (Query(f"count({SERVED})"),),
            kind="stat", width=4, height=4, alerts=("SentimentDown", "SentimentUnreachable"),
        ),
        Panel(
            "Model versions",
            "What is served, by track.",
            (Query(f"count by (model_version, track) ({SERVED})", "v{{model_version}} {{track}}"),),
            kind="stat", text="name", width=4, height=4, alerts=("SentimentVersionsDiffer",),
        ),
        Panel(
            "Requests a second", "All endpoints, refusals and failures too.", (Query(_requests()),),
            kind="stat", unit="reqps", width=4, height=4, alerts=("SentimentNoPredictions",),
        ),
        Panel(
            "Failed requests", "Share of the requests that the service could not answer (5xx).", (Query(_failed()),),
            kind="stat", unit="percentunit", decimals=2, width=4, height=4, steps=ERROR_STEPS,
            alerts=("SentimentErrors",),
        ),
        Panel(
            "99% of predictions within", "99th percentile of /predict, from the first byte in to the last byte out.",
            (Query(_percentile(0.99, matchers=PREDICT)),),
            kind="stat", unit="s", width=4, height=4, steps=((0.25, WARN), (0.5, BAD)), alerts=("SentimentSlow",),
        ),
        Panel(
            "Error budget left", "Of the 0.1% of the requests that may fail in 30 days.",
            (
                Query(
                    f'1 - (sum(increase(sentiment_requests_total{{{ASKED},outcome="failed"}}[30d])) or vector(0)) '
                    f"/ sum(increase(sentiment_requests_total{{{ASKED}}}[30d])) / 0.001"
                ),
            ),
            kind="stat", unit="percentunit", width=4, height=4,
            alerts=("SentimentErrorBudgetFast", "SentimentErrorBudgetSlow"),
        ),
    ),
)  # fmt: skip

TRAFFIC = Row(
    "Traffic",
    (
        Panel(
            "Requests by outcome", "Answered (ok), refused because of the caller (4xx), failed (5xx).",
            (Query(_requests(by="outcome"), "{{outcome}}"),), unit="reqps", stacked=True,
        ),
        Panel(
            "Requests without an answer", "By type; docs/metrics.md says what each is.",
            (Query(f"sum by (type) (rate(sentiment_errors_total{{{HERE}}}{RATE}))", "{{type}}"),),
            unit="reqps", stacked=True,
        ),
        Panel(
            "Time of a prediction", "Percentiles of /predict.",
            tuple(Query(_percentile(share, matchers=PREDICT), f"{share:.0%}") for share in (0.5, 0.95, 0.99)),
            unit="s", steps=((0.5, BAD),), alerts=("SentimentSlow",),
        ),
    ),
)  # fmt: skip

TRACKS = Row(
    "Stable and canary, side by side",
    (
        Panel(
            "Requests", "How the traffic is split.", (Query(_requests(by="track"), "{{track}}"),),
            unit="reqps", stacked=True,
        ),
        Panel(
            "Failed requests", "Share of the requests (5xx).", (Query(_failed("track"), "{{track}}"),),
            unit="percentunit", steps=((0.01, BAD),), alerts=("SentimentErrors",),
        ),
        Panel(
            "99% of predictions within", "99th percentile of /predict.",
            (Query(_percentile(0.99, "track", matchers=PREDICT), "{{track}}"),),
            unit="s", steps=((0.5, BAD),), alerts=("SentimentSlow",),
        ),
        Panel(
            "Positive answers", "Share of the texts; a canary that answers 200 with the wrong label shows here.",
            (
                Query(
                    f'sum by (track) (rate(sentiment_predictions_total{{{HERE},label="positive"}}{RATE})) '
                    f"/ {PREDICTIONS}",
                    "{{track}}",
                ),
            ),
            unit="percentunit", most=1, width=6, alerts=("SentimentOneLabel", "SentimentMixShift"),
        ),
        Panel(
            "Unsure answers", "Share of the texts whose answer is marked `abstained`.",
            (
                Query(
                    f"(sum by (track) (rate(sentiment_abstentions_total{{{HERE}}}{RATE})) or 0 * {PREDICTIONS}) "
                    f"/ {PREDICTIONS}",
                    "{{track}}",
                ),
            ),
            unit="percentunit", width=6, alerts=("SentimentUnsure",),
        ),
        Panel(
            "Confidence", "Mean probability of the label that was answered.",
            (Query(_mean("sentiment_prediction_confidence"), "{{track}}"),), unit="percentunit", width=6,
        ),
        Panel(
            "Unknown words", "Mean share of a text's words that the model does not know.",
            (Query(_mean("sentiment_unknown_share"), "{{track}}"),), unit="percentunit", width=6,
        ),
    ),
)  # fmt: skip

BUDGET = Row(
    "Error budget",
    (
        Panel(
            "Burn rate",
            "How many times faster than allowed the budget of 30 days burns. Above 14.4 over an hour, or 6 over six, "
            "somebody is woken. Needs the recorded series of the rules.",
            tuple(
                Query(
                    f'sum(sentiment:failures:rate{window}{{namespace=~"$namespace"}}) '
                    f'/ sum(sentiment:requests:rate{window}{{namespace=~"$namespace"}}) / 0.001',
                    window,
                )
                for window in ("1h", "6h", "3d")
            ),
            width=12, steps=((6, WARN), (14.4, BAD)), alerts=("SentimentErrorBudgetFast", "SentimentErrorBudgetSlow"),
        ),
        Panel(
            "Texts in a batch", "Percentiles of the size of /predict_batch requests.",
            tuple(Query(_percentile(share, metric="sentiment_batch_texts"), f"{share:.0%}") for share in (0.5, 0.99)),
            width=12,
        ),
    ),
)  # fmt: skip

LOG = Row(
    "The prediction log",
    (
        Panel(
            "Not in the storage yet", "Answers and feedback in memory or in the spool.",
            (
                Query(f"sum by (track) (sentiment_prediction_log_waiting{{{HERE}}})", "answers, {{track}}"),
                Query(f"sum by (track) (sentiment_feedback_log_waiting{{{HERE}}})", "feedback, {{track}}"),
            ),
        ),
        Panel(
            "Longest wait", "For how long the oldest of them has waited.",
            (
                Query(f"max by (track) (sentiment_prediction_log_age_seconds{{{HERE}}})", "answers, {{track}}"),
                Query(f"max by (track) (sentiment_feedback_log_age_seconds{{{HERE}}})", "feedback, {{track}}"),
            ),
            unit="s", steps=((600, BAD),), alerts=("SentimentLogStuck",),
        ),
        Panel(
            "Lost", "Answers and feedback that will never be in the storage.",
            (
                Query(_lost("prediction"), "answers, {{track}}"),
                Query(_lost("feedback"), "feedback, {{track}}"),
            ),
            steps=((1, BAD),), alerts=("SentimentAnswersLost",),
        ),
    ),
)  # fmt: skip

SERVICE = Dashboard(
    "sentiment-service",
    "Sentiment: service",
    "The API: availability, speed, errors, stable against canary, the prediction log.",
    {"namespace": ("namespace", "sentiment_model_info"), "track": ("track", "sentiment_model_info")},
    (NOW, TRAFFIC, TRACKS, BUDGET, LOG),
)
