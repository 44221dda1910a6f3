"""The one reader of configuration: environment variables and ``sentiment.toml``.

Every setting has a default that works on one machine with nothing configured. A setting is named by its
section and its name: ``storage.root`` is ``[storage] root = ...`` in ``sentiment.toml`` and
``SENTIMENT_STORAGE__ROOT`` in the environment; the environment wins.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from sentiment.errors import SettingsError
from sentiment.labels import LabelScheme

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_FILE = "sentiment.toml"

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


class DataSettings(Section):
    """The data contract and the splits."""

    scheme: LabelScheme = Field(LabelScheme.binary, description="binary, ternary or five_star.")
    max_characters: int = Field(50_000, ge=100, description="Longer texts are quarantined as too_long.")
    test_share: Share = Field(0.2, description="Share of the reviews that is held out, by hash of the text.")
    batch_rows: int = Field(20_000, ge=100, description="Rows read at a time.")
    redact: bool = Field(True, description="Replace personal data in texts before they are stored.")
    max_download_bytes: int = Field(20 * 10**9, ge=1, description="Largest file that is fetched from an address.")
    download_timeout_seconds: int = Field(30, ge=1, le=600, description="Longest silence of a server that is read.")
    settle_seconds: float = Field(
        1.0, ge=0, le=3600, description="How long a file in a local inbox must be unchanged to count as complete."
    )


class BatchPolicy(Section):
    """When a delivered file is held as a whole, for an operator to release or drop."""

    max_refused_share: Share = Field(0.3, description="Share of the rows that the contract may refuse.")
    max_label_share: Share = Field(0.98, description="Share of the new labels that may be the same.")
    max_rows: int = Field(20_000_000, ge=1, description="Most rows of one file.")
    min_rows: int = Field(100, ge=1, description="Shares of fewer rows are not judged.")


class TrainingSettings(Section):
    """Features and classifier."""

    max_ngram: int = Field(3, ge=1, le=3, description="Longest word n-gram.")
    min_documents: int = Field(2, ge=1, description="N-grams in fewer reviews are dropped.")
    max_features: int = Field(200_000, ge=100, description="N-grams kept, those in most reviews first.")
    inverse_regularization: float = Field(20.0, gt=0, description="C of the logistic regression.")
    balanced: bool | None = Field(
        None, description="Every label counts the same, however rare; unset: only with more than two labels."
    )
    min_rows: int = Field(100, ge=20, description="Fewest labelled training rows worth learning from.")
    seed: int = Field(0, description="Seed of everything random in training.")


class GatePolicy(Section):
    """When a challenger may replace the champion."""

    margin: Share = Field(0.01, description="Accuracy that may be lost at the most (non-inferiority margin).")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="One-sided error rate of each test.")
    slice_margin: Share = Field(0.05, description="Accuracy that any slice may lose at the most.")
    min_slice_rows: int = Field(50, ge=10, description="Slices with fewer held-out rows are not judged.")
    min_accuracy_gain: Share = Field(
        0.05, description="What a first model must gain over always guessing the commonest label."
    )


class DriftPolicy(Section):
    """When the traffic counts as drifted."""

    alpha: float = Field(0.01, gt=0, lt=0.5, description="False-alarm rate of one check, over all signals (Holm).")
    min_rows: int = Field(100, ge=20, description="Fewer current rows give `insufficient_data`.")
    min_labelled: int = Field(50, ge=10, description="Fewest labelled rows for a live accuracy.")
    min_distance: Share = Field(0.1, description="Smallest distance between distributions that matters.")
    max_accuracy_loss: Share = Field(0.05, description="Drop in live accuracy that triggers on its own.")
    reference_rows: int = Field(1_000, ge=100, description="Newest held-out rows that make the reference.")
    current_rows: int = Field(2_000, ge=100, description="Newest predictions of the window that are compared.")
    window_days: int = Field(7, ge=1, le=365, description="How far back a check looks when no window is given.")


class ServingSettings(Section):
    """The HTTP API and its prediction log."""

    max_characters: int = Field(50_000, ge=1, description="Longest text that is answered.")
    max_batch: int = Field(256, ge=1, description="Most texts in one batch request.")
    log_predictions: bool = Field(True, description="Write answers to the landing zone.")
    log_flush_seconds: float = Field(2.0, gt=0, description="Longest time an answer waits to be written.")
    log_queue: int = Field(10_000, ge=1, description="Most answers waiting; beyond it they are dropped and counted.")


class DeploymentSettings(Section):
    """The local deployment."""

    ready_timeout_seconds: int = Field(90, ge=1, description="How long a new release may take to become ready.")
    drain_seconds: int = Field(10, ge=0, description="How long the old release may finish its requests.")


class PlatformSettings(Section):
    """The services of `sentiment up`."""

    host: str = Field("127.0.0.1", description="Address on which the services listen.")
    mlflow_port: Port = 5000
    airflow_port: Port = 8080
    api_port: Port = 3000
    start_timeout_seconds: int = Field(180, ge=1, description="How long a service may take to become healthy.")


class Settings(BaseSettings):
    """All settings, read once per call and then frozen."""

    model_config = SettingsConfigDict(
        env_prefix="SENTIMENT_", env_nested_delimiter="__", toml_file=CONFIG_FILE, frozen=True, extra="forbid"
    )

    storage: StorageSettings = Field(default_factory=StorageSettings)
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    data: DataSettings = Field(default_factory=DataSettings)
    batch: BatchPolicy = Field(default_factory=BatchPolicy)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    gate: GatePolicy = Field(default_factory=GatePolicy)
    drift: DriftPolicy = Field(default_factory=DriftPolicy)
    serving: ServingSettings = Field(default_factory=ServingSettings)
    deployment: DeploymentSettings = Field(default_factory=DeploymentSettings)
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
        """Order: what the caller passes, the environment, sentiment.toml, defaults."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

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
    if problem["type"] == "extra_forbidden":
        return "there is no such setting"
    return problem["msg"].removeprefix("Value error, ")
