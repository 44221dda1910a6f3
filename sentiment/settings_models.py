"""Settings of training, the gate and drift."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from sentiment.cleaning import Cleaning
from sentiment.settings_section import Section, Share

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
