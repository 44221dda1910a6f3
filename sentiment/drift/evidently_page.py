"""Evidently's own report with our signals in it: one HTML document that opens offline, the same on every run."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

from sentiment.drift.sample import Sample
from sentiment.drift.verdict import JudgedSignal

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "scores": "Score",
    "predictions": "Predicted label",
    "unknown_share": "Unknown words",
    "characters": "Characters",
    "words": "Words",
}

_RANDOM_ID = re.compile(r"metric_[0-9a-f]{32}|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def evidently_page(*, reference: Sample, current: Sample, signals: Sequence[JudgedSignal] = ()) -> str:
    """Return Evidently's data drift report of two samples, with our signals as its metrics and tests.

    Only effect sizes judge a column (Wasserstein distance for numbers, Jensen-Shannon for labels, both from
    0.1), because p-values flag every trifle in large samples. The texts themselves are left out: Evidently's
    text drift takes 7 s of processor time on 50 texts of either side as on 300, and misses what the scores show.
    The rest takes about a second, whatever the number of rows, once Evidently has been imported.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")  # Evidently reads its telemetry switch here and nowhere else
    old, new = _frame(reference), _frame(current)
    shared = [column for column in old.columns if column in new.columns]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third-party code: numpy.core, escapes, divisions by zero
        return _steady(_run(reference=old[shared], current=new[shared], signals=signals))


def _run(*, reference: pd.DataFrame, current: pd.DataFrame, signals: Sequence[JudgedSignal]) -> str:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    from sentiment.drift.evidently_signals import signal_metrics

    label = COLUMNS["predictions"]
    definition = DataDefinition(
        numerical_columns=[column for column in reference.columns if column != label],
        categorical_columns=[column for column in reference.columns if column == label],
    )
    preset = DataDriftPreset(num_method="wasserstein", num_threshold=0.1, cat_method="jensenshannon", cat_threshold=0.1)
    snapshot = Report([*signal_metrics(signals), preset], include_tests=True).run(
        Dataset.from_pandas(current, data_definition=definition),
        Dataset.from_pandas(reference, data_definition=definition),
    )
    return str(snapshot.get_html_str(as_iframe=False))


def _frame(sample: Sample) -> pd.DataFrame:
    import pandas as pd

    values = {title: getattr(sample, field) for field, title in COLUMNS.items()}
    frame = pd.DataFrame({title: column for title, column in values.items() if column is not None})
    if COLUMNS["predictions"] in frame:
        frame[COLUMNS["predictions"]] = frame[COLUMNS["predictions"]].astype(object)
    return frame


def _steady(page: str) -> str:
    """Replace the random ids of a page by numbers: the same data always gives the same bytes."""
    numbers: dict[str, str] = {}
    following = count(1)

    def numbered(found: re.Match[str]) -> str:
        random_id = found[0]
        if random_id not in numbers:
            number = next(following)
            numbers[random_id] = (
                f"metric_{number:032x}" if random_id.startswith("metric_") else f"00000000-0000-4000-8000-{number:012x}"
            )
        return numbers[random_id]

    return _RANDOM_ID.sub(numbered, page)
