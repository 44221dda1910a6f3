"""Settings of what comes in and where it is kept."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from sentiment.labels import LABELS, LabelScheme, plain_label
from sentiment.settings_section import Section, Share


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


class RetentionSettings(Section):
    """How long `sentiment maintain` keeps what nothing needs any more; 0 keeps it for ever."""

    snapshot_days: int = Field(
        90, ge=0, description="Snapshots that no registered model names and that were compacted since."
    )
    processed_days: int = Field(90, ge=0, description="Files as delivered, under processed/.")
    predictions_days: int = Field(365, ge=0, description="Predictions.")
    reports_days: int = Field(365, ge=0, description="Drift reports, and profiles of snapshots that no model names.")
    bentos_days: int = Field(30, ge=0, description="Bentos that no registered model needs and nobody serves.")
