"""Settings of what is served, deployed, watched and told."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from sentiment.settings_section import KubernetesName, Port, Section, Share


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
    """Where releases go, and how Bentos get there."""

    target: Literal["local", "kubernetes"] = Field("local", description="Where releases go: here, or a cluster.")
    ready_timeout_seconds: int = Field(90, ge=1, description="How long a new release may take to become ready.")
    drain_seconds: int = Field(10, ge=0, description="How long the old release may finish its requests.")
    ship: Literal["s3", "image"] = Field(
        "s3", description="How a Bento gets to Kubernetes: `s3` (pods of runtime_image fetch it) or `image` (one each)."
    )
    runtime_image: str = Field(
        "",
        pattern=r"^$|^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$",
        description="The image that serves any Bento, repository@sha256:digest, for `ship` s3.",
    )
    image_repository: str = Field(
        "", description="Where images of Bentos are pushed: REGISTRY/NAME without a tag, such as one of ECR."
    )
    builder: Literal["docker", "buildah", "buildkit", "codebuild"] = Field(
        "docker", description="What builds images: a command on this machine, or AWS CodeBuild."
    )
    base_image: str = Field(
        "",
        description="What images are built on, NAME@sha256:...; empty takes what images/serving/Dockerfile has.",
    )
    build_timeout_seconds: int = Field(1800, ge=10, description="How long building and pushing an image may take.")
    buildkit_host: str = Field("", description="Address of buildkitd; empty takes buildctl's own default.")
    codebuild_project: str = Field("", description="CodeBuild project that builds images, for the builder codebuild.")
    refuse_findings: Literal["", "CRITICAL", "HIGH", "MEDIUM"] = Field(
        "", description="Refuse an image in which ECR's scan finds anything so severe; empty does not ask."
    )
    namespace: KubernetesName = Field("sentiment", description="Namespace of the release; made if it is not there.")
    release: KubernetesName = Field("sentiment", description="Name of the Helm release.")
    chart: str = Field("", description="Folder or address of the chart; empty takes helm/sentiment of the checkout.")
    values_files: tuple[str, ...] = Field(
        (), description="Files with values of the chart, later ones win; the images and weights are set after them."
    )
    strategy: Literal["rolling", "blueGreen", "canary"] = Field(
        "rolling", description="How a new version takes over: pod by pod, all at once, or by a growing share."
    )
    helm_timeout_seconds: int = Field(
        600, ge=10, le=3600, description="How long one `helm upgrade` may wait for its pods; then it is taken back."
    )
    kubeconfig: str = Field("", description="File with the cluster and who we are to it; empty takes that of kubectl.")
    context: str = Field("", description="Context in it; empty takes the current one.")
    eks_cluster: str = Field("", description="EKS cluster that the DAGs make a kubeconfig for; empty: they need none.")
    aws_conn_id: str = Field("aws_default", description="Airflow connection for EKS, ECR and the region.")
    public_url: str = Field(
        "", pattern=r"^$|^https?://[^/\s]+/?$", description="Address for the smoke test; empty: there is none."
    )
    approval: Literal["never", "always"] = Field(
        "never", description="Whether a person is shown what would change in the cluster, and asked, before it does."
    )
    approval_hours: float = Field(
        72, gt=0, le=8_760, description="How long Airflow waits for the answer; afterwards nothing is deployed."
    )

    @field_validator("image_repository")
    @classmethod
    def _repository(cls, name: str) -> str:
        if name and not re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+", name):
            raise ValueError(f"{name!r} is not REGISTRY/NAME in small letters, without a tag")
        return name


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
