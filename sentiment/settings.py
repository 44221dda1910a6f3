"""The one reader of configuration: environment variables, ``.env`` and ``sentiment.toml``.

Every setting has a default that works on one machine with nothing configured. A setting is named by its
section and its name: ``storage.root`` is ``[storage] root = ...`` in ``sentiment.toml`` and
``SENTIMENT_STORAGE__ROOT`` in the environment or in ``.env``. The environment wins over ``.env``, and that over the
file.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from sentiment.cleaning import Cleaning
from sentiment.errors import SettingsError
from sentiment.labels import LABELS, LabelScheme, plain_label

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_FILE, ENV_FILE = "sentiment.toml", ".env"

Share = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class StorageSettings(Section):
    """Where everything lives."""

    root: str = Field("var", description="A folder, or s3://bucket/prefix.")
    endpoint: str = Field("", description="S3 endpoint, for stores that are not AWS.")
    region: str = Field("", description="S3 region; empty takes the AWS default chain.")
    aws_conn_id: str = Field("aws_default", description="Airflow connection that DAGs take for S3, if it is defined.")
    attempts: int = Field(6, ge=1, le=20, description="Most attempts of one call to S3.")
    retry_seconds: float = Field(60.0, gt=0, le=240, description="No new attempt of a call after so long.")
    timeout_seconds: int = Field(60, ge=1, le=600, description="How long one request to S3 may take.")

    @field_validator("root")
    @classmethod
    def _absolute(cls, root: str) -> str:
        if "://" in root:
            if not root.partition("://")[2].strip("/"):
                raise ValueError(f"{root!r} names no bucket")
            return root.rstrip("/")
        if not root.strip():
            raise ValueError("it is empty; leave it out to use ./var")
        if wrong := sorted(set(root) & set("%?")):  # part of an address to Delta Lake and SQLite
            raise ValueError(f"a folder with {' or '.join(wrong)} in its name cannot be used; choose another")
        return str(Path(root).expanduser().resolve())


class RegistrySettings(Section):
    """The MLflow tracking server and registry."""

    tracking_uri: str = Field("", description="MLflow server; empty means SQLite under the local folder.")
    experiment: str = Field("sentiment", description="MLflow experiment that receives the runs.")
    model_name: str = Field("sentiment", description="Name of the registered model.")
    timeout_seconds: int = Field(30, ge=1, le=600, description="Time limit of one request to MLflow.")

    @field_validator("tracking_uri")
    @classmethod
    def _without_credentials(cls, uri: str) -> str:
        if "@" in uri.partition("://")[2].partition("/")[0]:
            raise ValueError(
                "it holds credentials, and addresses are shown; set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment"
            )
        return uri


class DataSettings(Section):
    """The data contract and the splits."""

    scheme: LabelScheme = Field(LabelScheme.binary, description="binary, ternary or five_star.")
    rating_labels: dict[Annotated[int, Field(ge=1, le=10)], str] = Field(
        default_factory=dict, description="Labels of the ratings 1 to 5 or 1 to 10; empty takes those of the scheme."
    )
    label_words: dict[str, str] = Field(
        default_factory=dict, description="What labels of your own mean: the label of the scheme for each of them."
    )
    max_characters: int = Field(50_000, ge=100, description="Longer texts are quarantined as too_long.")
    languages: tuple[str, ...] = Field(
        (), description="ISO 639-1 codes; texts surely in others are quarantined as wrong_language. Empty takes any."
    )
    max_ahead_hours: float = Field(
        24, ge=0, description="Reviews written later than now by more are quarantined as future_timestamp."
    )
    test_share: Share = Field(0.2, description="Share of the reviews that is held out, by hash of the text.")
    batch_rows: int = Field(20_000, ge=100, description="Rows read at a time.")
    redact: bool = Field(True, description="Replace personal data in texts before they are stored.")
    max_download_bytes: int = Field(20 * 10**9, ge=1, description="Largest file that is fetched from an address.")
    download_timeout_seconds: int = Field(30, ge=1, le=600, description="Longest silence of a server that is read.")
    settle_seconds: float = Field(
        1.0, ge=0, le=3600, description="How long a file in a local inbox must be unchanged to count as complete."
    )
    watch_seconds: float = Field(5.0, ge=0.1, le=3600, description="How often Airflow looks whether files have landed.")

    @field_validator("label_words")
    @classmethod
    def _plain(cls, words: dict[str, str]) -> dict[str, str]:
        return {plain_label(word): label for word, label in words.items()}

    @model_validator(mode="after")
    def _labels_of_the_scheme(self) -> Self:
        for name, chosen in (("rating_labels", self.rating_labels), ("label_words", self.label_words)):
            if wrong := sorted(set(chosen.values()) - set(LABELS[self.scheme])):
                raise ValueError(
                    f"{name} has {', '.join(map(repr, wrong))}, but the labels of the scheme {self.scheme} "
                    f"are {', '.join(LABELS[self.scheme])}"
                )
        return self


class BatchPolicy(Section):
    """When a delivered file is held as a whole, for an operator to release or drop."""

    max_refused_share: Share = Field(0.3, description="Share of the rows that the contract may refuse.")
    max_label_share: Share = Field(0.98, description="Share of the new labels that may be the same.")
    max_rows: int = Field(20_000_000, ge=1, description="Most rows of one file.")
    min_rows: int = Field(100, ge=1, description="Shares of fewer rows are not judged.")


class FeedbackPolicy(Section):
    """What feedback may become training data."""

    max_per_reporter: int = Field(20, ge=1, description="Most texts that one reporter may label in a window.")
    max_per_client: int = Field(
        200, ge=1, description="Most texts that all reporters behind one address may label in a window."
    )
    window_hours: int = Field(24, ge=1, le=720, description="Length of a window; windows follow each other in UTC.")
    burst_rows: int = Field(10, ge=1, description="More texts than this from one reporter at once are a burst.")
    burst_seconds: int = Field(60, ge=1, le=86_400, description="What counts as at once.")
    horizon_days: int = Field(
        7, ge=1, le=365, description="How long feedback waits for its prediction, and how old that may be."
    )


ModelName = Literal["naive_bayes_logistic", "logistic", "linear_svc", "sgd", "bag_of_words"]
"""The models that can be trained and served."""

MODEL_DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "logistic": {"inverse_regularization": 20.0},
        "linear_svc": {"inverse_regularization": 1.0},
        "sgd": {"inverse_regularization": 20.0},
        "bag_of_words": {"inverse_regularization": 0.06, "max_ngram": 1},
    }
)
"""Defaults of `TrainingSettings` for the models that are not the default one, found by cross-validation."""


class TrainingSettings(Section):
    """Features and classifier."""

    model: ModelName = Field("naive_bayes_logistic", description="The classifier; what is not set below suits it.")
    max_ngram: int = Field(3, ge=1, le=3, description="Longest word n-gram.")
    min_documents: int = Field(2, ge=1, description="N-grams in fewer reviews are dropped.")
    max_features: int = Field(200_000, ge=100, description="N-grams kept, those in most reviews first.")
    inverse_regularization: float = Field(20.0, gt=0, description="C of the classifier.")
    balanced: bool | None = Field(
        None, description="Every label counts the same, however rare; unset: only with more than two labels."
    )
    answer_accuracy: float = Field(
        0.95,
        ge=0,
        lt=1,
        description="With two labels: share of right answers among those not marked unsure; 0 marks none.",
    )
    cleaning: Cleaning = Field(Cleaning(), description="What is done to a text before its words are counted.")
    min_rows: int = Field(100, ge=20, description="Fewest labelled training rows worth learning from.")
    learning_curve: bool = Field(True, description="Also learn from parts of the reviews, to draw the learning curve.")
    seed: int = Field(0, description="Seed of everything random in training.")

    @model_validator(mode="before")
    @classmethod
    def _suiting_the_model(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if given.get("model") == "random_forest":
            raise ValueError(
                "model is random_forest, but what is served must be linear in its n-grams; forests are compared by "
                "`sentiment experiment features`"
            )
        return {**MODEL_DEFAULTS.get(given.get("model", ""), {}), **given}


class TuneSettings(Section):
    """The search for better settings of training."""

    before_retraining: bool = Field(
        False, description="Whether the retrain DAG searches first; its form can say so too."
    )
    models: tuple[ModelName, ...] = Field((), description="Models that are tried beside `training.model`.")
    rows: int = Field(25_000, ge=100, description="Newest training reviews that a search looks at.")


class GateMode(StrEnum):
    """`enforce`: only what passes is promoted. `dry_run`: judged, nothing promoted. `off`: promoted unjudged."""

    enforce = "enforce"
    dry_run = "dry_run"
    off = "off"


class GatePolicy(Section):
    """When a challenger may replace the champion."""

    mode: GateMode = Field(
        GateMode.enforce,
        description="enforce; dry_run judges and records but promotes nothing; off promotes without comparing.",
    )
    margin: Share = Field(0.01, description="Accuracy that may be lost at the most (non-inferiority margin).")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="One-sided error rate of each test.")
    macro_f1_margin: Share = Field(
        0.02, description="Macro-F1 that may be lost at the most; judged where there are more than two labels."
    )
    log_loss_margin: float = Field(0.05, ge=0, description="Rise of the log-loss that is too much when it is proved.")
    slice_margin: Share = Field(0.05, description="Accuracy that any slice may lose at the most.")
    min_slice_rows: int = Field(50, ge=10, description="Slices with fewer held-out rows are not judged.")
    max_contradiction: Share = Field(
        0.1, description="How far the labels of new reviews may contradict the champion (negative of Cohen's kappa)."
    )
    min_accuracy_gain: Share = Field(
        0.05, description="What a first model must gain over always guessing the commonest label."
    )
    behaviour_margin: Share = Field(
        0.05, description="Share of the behavioural cases of one kind that may fail in addition to the champion's."
    )
    behaviour_file: str = Field("", description="JSON lines with behavioural cases of your own, beside those built in.")
    calibration_margin: Share = Field(0.02, description="Rise of the calibration error that is too much when proved.")
    max_calibration_error: Share = Field(0.15, description="Calibration error that is too much when it is proved.")
    max_model_mb: float = Field(200.0, gt=0, description="Largest model file, in megabytes.")
    max_size_ratio: float = Field(
        3.0, ge=1, description="Largest model file, as a multiple of the champion's; files under 10 MB may grow freely."
    )
    max_latency_ratio: float = Field(
        2.0, ge=1, description="Longest single prediction, as a multiple of the champion's in the same run."
    )
    max_snapshot_days: float = Field(90, gt=0, description="Age of the newest review of a snapshot at the most.")
    max_leaked_share: Share = Field(
        0.001, description="Share of the held-out reviews whose text may be among the training reviews."
    )
    min_label_share: Share = Field(0.01, description="Share of the rarest label in training and held-out reviews.")
    max_label_share: Share = Field(0.98, description="Share of the commonest label in training and held-out reviews.")
    min_train_ratio: Share = Field(0.3, description="Fewest training reviews, as a share of the champion's.")
    approval: Literal["never", "when_inconclusive", "always"] = Field(
        "never", description="Which decisions a person must approve; what the gate rejected, nobody can."
    )
    approval_hours: float = Field(
        72, gt=0, le=8_760, description="How long Airflow waits for the answer; afterwards the champion stays."
    )


class DriftPolicy(Section):
    """When the traffic counts as drifted."""

    false_alarm_days: int = Field(
        91, ge=2, le=10_000, description="At most one false alarm in so many daily checks: a quarter."
    )
    min_rows: int = Field(100, ge=20, description="Fewer rows on a side give `insufficient_data`.")
    min_labelled: int = Field(
        50, ge=10, description="Fewest newly labelled rows for a live accuracy, and for a retraining to learn from."
    )
    min_distance: Share = Field(0.05, description="Smallest distance between distributions that matters.")
    min_text_distance: Share = Field(0.03, description="Smallest distance between the words of texts that matters.")
    min_word_distance: Share = Field(
        0.1, description="Smallest change of a single word that matters; 0.1 is a new word in 2.5% of the texts."
    )
    max_accuracy_loss: Share = Field(0.05, description="Drop in live accuracy that triggers on its own.")
    decisive: tuple[str, ...] = Field(
        ("scores", "prediction_mix", "label_mix", "text", "unknown_words"),
        description="Signals that mean drift on their own; the others are `watch`.",
    )
    confirm_checks: int = Field(1, ge=1, description="How many of the last `confirm_of` checks must find drift.")
    confirm_of: int = Field(1, ge=1, le=100, description="Checks of the champion that are asked, this one included.")
    reference_rows: int = Field(5_000, ge=100, description="Most held-out rows that make the reference.")
    current_rows: int = Field(5_000, ge=100, description="Most rows of the window that are compared.")
    window_days: int = Field(7, ge=1, le=365, description="How far back a check looks when no window is given.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.confirm_checks > self.confirm_of:
            raise ValueError(
                f"confirm_checks is {self.confirm_checks}, more than the {self.confirm_of} checks of confirm_of"
            )
        return self


class AlertSettings(Section):
    """Whom the DAGs tell what without being asked; nobody, unless one of the three channels is set."""

    on: tuple[Literal["drifted", "watch", "insufficient_data", "stable", "retrain", "ask_for_labels"], ...] = Field(
        ("drifted", "ask_for_labels"), description="Verdicts and actions of a drift check that are told."
    )
    failures: Literal["none", "drift", "all"] = Field(
        "drift", description="Which failed tasks are told: none, those of sentiment_drift, those of all our DAGs."
    )
    email_to: tuple[str, ...] = Field((), description="Addresses that get e-mail.")
    email_from: str = Field("", description="Sender; empty takes that of the connection.")
    smtp_conn_id: str = Field("smtp_default", description="Airflow connection of the mail server.")
    webhook_conn_id: str = Field(
        "", description="Airflow connection of a Slack-compatible webhook: host and, as the password, the secret path."
    )
    sns_topic_arn: str = Field("", description="SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME.")
    sns_conn_id: str = Field("aws_default", description="Airflow connection for SNS.")
    base_url: str = Field("", description="Address of Airflow in links; empty takes its own api.base_url.")
    timeout_seconds: float = Field(10.0, gt=0, le=120, description="How long one request to the webhook may take.")
    attempts: int = Field(3, ge=1, le=10, description="Most attempts to reach the webhook.")

    @field_validator("sns_topic_arn")
    @classmethod
    def _topic(cls, arn: str) -> str:
        if arn and (not arn.startswith("arn:") or len(arn.split(":")) != 6):
            raise ValueError(f"{arn!r} is not like arn:aws:sns:REGION:ACCOUNT:NAME")
        return arn


class ServingSettings(Section):
    """The HTTP API and its prediction log."""

    max_characters: int = Field(50_000, ge=1, description="Longest text that is answered.")
    max_batch: int = Field(256, ge=1, description="Most texts in one batch request.")
    max_body_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, le=16 * 1024 * 1024, description="Largest body of a request."
    )
    max_concurrent: int = Field(128, ge=1, description="Most requests that a server works on at a time; more get 503.")
    timeout_seconds: float = Field(
        30.0, gt=0, le=50, description="Longest time of a request, its body included; then 408 or 503."
    )
    linger_seconds: float = Field(
        0.0, ge=0, le=300, description="How long a server that is told to stop still answers, with /readyz at 503."
    )
    keys_file: str = Field("", description="File of the API keys (`sentiment keys`); empty leaves the API open.")
    probe_key: str = Field(
        "",
        repr=False,
        description="Lets requests with the header X-Sentiment-Probe pass; `sentiment deploy` makes one up.",
    )
    requests_per_minute: int = Field(
        0, ge=0, description="Most requests of one key, or of one address if there are no keys, over time; 0: any."
    )
    burst: int = Field(60, ge=1, description="Most requests at once, where `requests_per_minute` is set.")
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may call the API from a browser, as https://shop.example; none at first."
    )
    show_recent: bool = Field(
        False, description="Show the last 100 texts and answers, redacted, at `/recent` and on the page."
    )
    log_predictions: Literal["text", "hash", "off"] = Field(
        "text", description="Log answers with their text, with only a hash of it, or not at all."
    )
    log_share: Share = Field(1.0, description="Share of the answers that is logged, by hash of the request id.")
    log_flush_seconds: float = Field(2.0, gt=0, description="Longest time until an answer is sent to the storage.")
    log_queue: int = Field(
        10_000, ge=1, description="Most answers in memory, not on disk yet; beyond it they are dropped and counted."
    )
    spool_folder: str = Field("", description="Local folder of what is not in the storage yet; empty: serving/ in var.")
    spool_bytes: int = Field(
        2**30, ge=2**24, description="Most bytes of it, for each process and log; beyond, the oldest are dropped."
    )

    @field_validator("log_predictions", mode="before")
    @classmethod
    def _yes_is_text(cls, given: Any) -> Any:
        """Read booleans too, which older settings have."""
        try:
            return "text" if TypeAdapter(bool).validate_python(given) else "off"
        except ValidationError:
            return given

    @field_validator("keys_file", "spool_folder")
    @classmethod
    def _whole(cls, path: str) -> str:
        """Make it absolute, links kept: Kubernetes exchanges a mounted file by turning a link to another folder."""
        return str(Path(path).expanduser().absolute()) if path else ""

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
                raise ValueError(f"{origin!r} is no origin; write it as https://shop.example, without a path, or *")
        return origins


class DeploymentSettings(Section):
    """The local deployment."""

    ready_timeout_seconds: int = Field(90, ge=1, description="How long a new release may take to become ready.")
    drain_seconds: int = Field(10, ge=0, description="How long the old release may finish its requests.")


class CanarySettings(Section):
    """How a new version is watched beside the one that it shall replace."""

    prometheus_url: str = Field("", description="Prometheus that is asked about both; without it there is no watch.")
    prometheus_token_file: str = Field("", description="File of a bearer token for it; read at each look.")
    matchers: str = Field("", description='What else selects the series in PromQL, such as namespace="sentiment".')
    timeout_seconds: float = Field(10.0, gt=0, le=120, description="How long one request of a look may take.")
    attempts: int = Field(3, ge=1, le=10, description="Most attempts to reach Prometheus in one look.")
    steps: tuple[Annotated[int, Field(ge=1, le=99)], ...] = Field(
        (5, 25, 50), min_length=1, description="Percent of the traffic that it gets, step by step."
    )
    step_minutes: float = Field(10.0, gt=0, description="How long each step takes at the least.")
    look_seconds: float = Field(30.0, gt=0, description="Time between two looks at a step.")
    patience_minutes: float = Field(60.0, gt=0, description="How long a step waits for traffic and for Prometheus.")
    on_patience: Literal["fail", "pass"] = Field(
        "fail", description="What too little traffic comes to then; without any data it is always fail."
    )
    min_requests: int = Field(500, ge=20, description="Fewest requests to each of the two before a step passes.")
    false_alarm: float = Field(
        0.05, gt=0, lt=0.5, description="Chance at the most, over all steps, looks and signals, that a good one fails."
    )
    max_error_rise: Share = Field(0.01, description="Share of requests that may fail in addition.")
    max_refusal_rise: Share = Field(0.05, description="Share of requests that may be refused (4xx) in addition.")
    max_latency_ratio: float = Field(2.0, ge=1, description="How many times as long requests may take.")
    always_fast_seconds: float = Field(0.025, ge=0, description="Requests that take no longer are never slow.")
    max_slow_rise: Share = Field(0.02, description="Share of requests that may take longer than that in addition.")
    max_label_shift: Share = Field(0.15, description="How much more of its answers may have any one label.")
    max_confidence_fall: Share = Field(0.25, description="Share of answers that may fall below any one confidence.")
    max_confidence_rise: Share = Field(0.5, description="Share of answers that may rise above any one confidence.")
    max_abstention_rise: Share = Field(0.15, description="Share of answers that may be unsure in addition.")
    max_feedback_rise: Share = Field(0.1, description="Share of feedback that may contradict it in addition.")
    max_restarts: int = Field(0, ge=0, description="How often its servers may restart in a step.")
    stable_url: str = Field("", description="Where the stable version answers, for mirrored requests.")
    canary_url: str = Field("", description="Where the canary answers, for mirrored requests.")
    mirrored: int = Field(100, ge=10, le=2_000, description="Texts that each look sends to both.")
    max_disagreement: Share = Field(0.25, description="Share of mirrored texts that may get another label.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"steps are {self.steps}; each must give the canary more traffic than the one before")
        if self.patience_minutes < self.step_minutes:
            raise ValueError(
                f"patience_minutes is {self.patience_minutes:g}, less than the {self.step_minutes:g} of step_minutes"
            )
        if bool(self.stable_url) != bool(self.canary_url):
            raise ValueError("stable_url and canary_url are set together, or neither")
        return self


class RetentionSettings(Section):
    """How long `sentiment maintain` keeps what nothing needs any more; 0 keeps it for ever."""

    snapshot_days: int = Field(
        90, ge=0, description="Snapshots that no registered model names and that were compacted since."
    )
    processed_days: int = Field(90, ge=0, description="Files as delivered, under processed/.")
    predictions_days: int = Field(365, ge=0, description="Predictions.")
    reports_days: int = Field(365, ge=0, description="Drift reports, and profiles of snapshots that no model names.")
    bentos_days: int = Field(30, ge=0, description="Bentos that no registered model needs and nobody serves.")


class PlatformSettings(Section):
    """The services of `sentiment up`."""

    host: str = Field("127.0.0.1", description="Address on which the services listen.")
    mlflow_port: Port = 5000
    airflow_port: Port = 8080
    api_port: Port = 3000
    start_timeout_seconds: int = Field(180, ge=1, description="How long a service may take to become healthy.")
    airflow_database: str = Field(
        "", repr=False, description="Airflow's database, postgresql://USER:PASSWORD@HOST/NAME; empty: SQLite in var."
    )
    mlflow_database: str = Field("", repr=False, description="MLflow's, another one; the server may be the same.")

    @field_validator("airflow_database", "mlflow_database")
    @classmethod
    def _postgres(cls, address: str) -> str:
        if address and not address.startswith("postgresql://"):
            raise ValueError("it is no postgresql:// address; leave it out to use SQLite")
        return address


class EnvFile(DotEnvSettingsSource):
    """Our variables in ``.env``; what else is in it, such as passwords for Compose, is nobody's mistake."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls, env_file=ENV_FILE)

    def _read_env_files(self) -> Mapping[str, str | None]:
        found = super()._read_env_files()
        return {name: value for name, value in found.items() if name.startswith(self.env_prefix.lower())}


class Settings(BaseSettings):
    """All settings, read once per call and then frozen."""

    model_config = SettingsConfigDict(
        env_prefix="SENTIMENT_", env_nested_delimiter="__", toml_file=CONFIG_FILE, frozen=True, extra="forbid"
    )

    storage: StorageSettings = Field(default_factory=StorageSettings)
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    data: DataSettings = Field(default_factory=DataSettings)
    batch: BatchPolicy = Field(default_factory=BatchPolicy)
    feedback: FeedbackPolicy = Field(default_factory=FeedbackPolicy)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    tune: TuneSettings = Field(default_factory=TuneSettings)
    gate: GatePolicy = Field(default_factory=GatePolicy)
    drift: DriftPolicy = Field(default_factory=DriftPolicy)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    serving: ServingSettings = Field(default_factory=ServingSettings)
    deployment: DeploymentSettings = Field(default_factory=DeploymentSettings)
    canary: CanarySettings = Field(default_factory=CanarySettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    platform: PlatformSettings = Field(default_factory=PlatformSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order: what the caller passes, the environment, .env, sentiment.toml, defaults."""
        return init_settings, env_settings, EnvFile(settings_cls), TomlConfigSettingsSource(settings_cls)

    @property
    def local_dir(self) -> Path:
        """Folder for what must be local: databases, logs, running Bentos. The root, if that is a folder."""
        return Path("var").resolve() if "://" in self.storage.root else Path(self.storage.root)

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking URI; SQLite under the local folder when none is configured."""
        return self.registry.tracking_uri or f"sqlite:///{self.local_dir / 'mlflow' / 'mlflow.db'}"


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    Parameters
    ----------
    **overrides
        Sections as mappings, which win over environment and file: ``load_settings(storage={"root": "x"})``.

    Raises
    ------
    SettingsError
        A setting is unknown or out of bounds, or the file is not TOML. Says which.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {_said(e)}" for e in error.errors())
        raise SettingsError(
            f"Bad settings: {problems}.",
            fix=f"Correct them in {CONFIG_FILE} or in the SENTIMENT_... environment variables.",
        ) from error
    except ValueError as error:  # not TOML
        raise SettingsError(f"Cannot read {CONFIG_FILE}: {error}.", fix="Correct the file or remove it.") from error


def refuse_unknown_sections(environment: Iterable[str]) -> None:
    """Refuse names of environment variables that look like settings and are none.

    Not part of `load_settings`: a released Bento is older than the settings around it.

    Raises
    ------
    SettingsError
        A variable ``SENTIMENT_<section>__<name>`` has a section that does not exist.
    """
    for name in environment:
        section, separator, _ = name.removeprefix("SENTIMENT_").partition("__")
        if name.startswith("SENTIMENT_") and separator and section.lower() not in Settings.model_fields:
            raise SettingsError(
                f"Bad settings: {name} is in the environment, but there is no section {section.lower()!r}.",
                fix=f"Unset it, or use one of {', '.join(Settings.model_fields)}.",
            )


def _said(problem: "ErrorDetails") -> str:
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        *sections, name = map(str, problem["loc"])
        known: Any = Settings.model_fields
        for section in sections:
            known = _fields_of(known[section].annotation) if section in known else {}
        close = get_close_matches(name, known, n=1)
        return "there is no such setting" + (f"; did you mean {'.'.join((*sections, close[0]))}?" if close else "")
    return problem["msg"].removeprefix("Value error, ")


def _fields_of(kind: Any) -> Mapping[str, Any]:
    """Return the settings in a section, or in a group within one."""
    return getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", {})
