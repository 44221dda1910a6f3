"""The one reader of configuration: environment variables, ``.env`` and ``sentiment.toml``.

Every setting has a default that works on one machine with nothing configured. A setting is named by its
section and its name: ``storage.root`` is ``[storage] root = ...`` in ``sentiment.toml`` and
``SENTIMENT_STORAGE__ROOT`` in the environment or in ``.env``. The environment wins over ``.env``, and that over the
file.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from sentiment.errors import SettingsError
from sentiment.settings_data import (
    BatchPolicy,
    DataSettings,
    FeedbackPolicy,
    RegistrySettings,
    RetentionSettings,
    StorageSettings,
)
from sentiment.settings_models import (
    MODEL_DEFAULTS,
    DriftPolicy,
    GateMode,
    GatePolicy,
    ModelName,
    TrainingSettings,
    TuneSettings,
)
from sentiment.settings_section import Section
from sentiment.settings_service import (
    AlertSettings,
    CanarySettings,
    DeploymentSettings,
    PlatformSettings,
    ServingSettings,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_FILE, ENV_FILE = "sentiment.toml", ".env"

__all__ = [
    "CONFIG_FILE",
    "ENV_FILE",
    "MODEL_DEFAULTS",
    "AlertSettings",
    "BatchPolicy",
    "CanarySettings",
    "DataSettings",
    "DeploymentSettings",
    "DriftPolicy",
    "EnvFile",
    "FeedbackPolicy",
    "GateMode",
    "GatePolicy",
    "ModelName",
    "PlatformSettings",
    "RegistrySettings",
    "RetentionSettings",
    "Section",
    "ServingSettings",
    "Settings",
    "StorageSettings",
    "TrainingSettings",
    "TuneSettings",
    "load_settings",
    "refuse_unknown_sections",
]


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
