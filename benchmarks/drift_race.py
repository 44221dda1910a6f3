"""How long a drift check takes, against Evidently's default drift of the same column of texts.

Run it with ``python -m benchmarks.drift_race [--rows N ...] [--repeats N] [--train FILE]``. A champion learns from half
of the training file, both sides are long reviews of the other half. All run in turn in one process, so that what else
the machine does meets all of them; figures are medians of CPU time, imports are done before. In memory:

- *anew*: everything measured on both sides, as in the first check of a champion;
- *daily*: the reference's measures and the calibration are kept, the window's answers are in the prediction log;
- *daily, no unknown words logged*: likewise, by servers that did not log the share of unknown words;
- Evidently: ``Report([ValueDrift("text")])`` or ``Report([DataDriftPreset()])``, ``.run()`` and ``.dict()``; its
  ``save_html`` apart.

From the tables to a verdict as JSON: both sides read both Delta tables; ours loads the model file, too. No report is
rendered on either side.
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.model import DATA, read
from sentiment.drift.calibrations import calibrated
from sentiment.drift.check import judge_samples
from sentiment.drift.kept_measures import FOLDER, measured_once
from sentiment.drift.run import check_drift
from sentiment.drift.sampling import LoggedAnswer, Row, SampledRows, digest
from sentiment.drift.scoring import sample_of, scored
from sentiment.drift.sides import WindowSide
from sentiment.drift.signals.permutations import deals
from sentiment.labels import LabelScheme
from sentiment.reviews.predictions import PREDICTIONS_SCHEMA, Predictions, read_predictions
from sentiment.reviews.table import FILE, Reviews, latest_snapshot, read_snapshot
from sentiment.serving.scorer import Scorer
from sentiment.settings import DriftPolicy, TrainingSettings, load_settings
from sentiment.storage import Storage
from sentiment.training.model import compile_scorer, fit

POLICY = DriftPolicy()
END = datetime(2100, 11, 21, tzinfo=UTC)  # what is written now is known by then
WINDOW = WindowSide(END - timedelta(days=7), END)
VERSION = "3"
RUN = 50  # neighbours that stay together: reviews of one film stand side by side


class Sides:
    """A reference and a window of as many long reviews, in memory and in tables."""

    def __init__(self, texts: list[str], labels: list[str], scorer: Scorer, rows: int, folder: Path) -> None:
        order = np.random.default_rng(3).permutation(len(texts))
        old, new = order[:rows], order[rows : 2 * rows]
        self.reference = SampledRows(tuple(Row(texts[row], labels[row], "films") for row in old), rows)
        self.scorer, self.file = scorer, folder / "scorer.npz"
        scorer.save(self.file)
        self.settings = load_settings(storage={"root": str(folder / "root")})
        self.storage = Storage(self.settings)
        probabilities, unknown = scorer.read([texts[row] for row in new])
        answers = [
            LoggedAnswer(VERSION, scorer.labels[label], score, share)
            for label, score, share in zip(
                probabilities.argmax(axis=1), scorer.scores_of(probabilities).tolist(), unknown.tolist(), strict=True
            )
        ]
        rows_of = zip((texts[row] for row in new), answers, strict=True)
        self.current = SampledRows(tuple(Row(text, answer=answer) for text, answer in rows_of), rows)
        self._fill()

    def _fill(self) -> None:
        frame = pd.DataFrame([row[:3] for row in self.reference.rows], columns=["text", "label", "source"])
        number = range(len(frame))
        frame = frame.assign(review_id=[f"{n:064x}" for n in number], split="test", ingested_at=END - timedelta(days=9))
        frame = frame.assign(batch_id="one", row_number=number, origin=FILE, written_at=None, contract=1)
        Reviews(self.storage).append(frame, ids=["one"])
        given = pd.DataFrame([row.answer for row in self.current.rows])
        given = given.rename(columns={"version": "model_version"}).assign(text=[row.text for row in self.current.rows])
        asked = END - timedelta(hours=1)
        given = given.assign(request_id=[f"{n:032x}" for n in number], predicted_at=asked, ingested_at=asked)
        given = given.assign(abstained=False, text_sha256=None)
        Predictions(self.storage).append(given[PREDICTIONS_SCHEMA.names], ids=["one"])

    def forget(self) -> None:
        """Remove what was kept with the champion."""
        for item in self.storage.objects(FOLDER):
            self.storage.remove(item.path)


def anew(sides: Sides) -> None:
    """Check with nothing known."""
    old, new = (scored([row.text for row in side.rows], sides.scorer) for side in (sides.reference, sides.current))
    judge_samples(reference=old, current=new, policy=POLICY)


def daily(sides: Sides, *, unknown: bool = True) -> None:
    """Check with what an earlier check has kept and servers have logged, `unknown` words or not."""
    current = sides.current
    if not unknown:
        bare = (row._replace(answer=row.answer and row.answer._replace(unknown_share=None)) for row in current.rows)
        current = SampledRows(tuple(bare), current.of)
    identity = digest(sides.reference)
    reference = measured_once(
        sides.storage,
        [row.text for row in sides.reference.rows],
        identity=identity,
        champion="1",
        role="reference",
        measured=lambda texts: scored(texts, sides.scorer),
    )
    rows = len(current.rows)
    calibration = calibrated(
        sides.storage, reference, identity=identity, champion="1", current_rows=rows, policy=POLICY
    )
    window = sample_of(current, sides.scorer, side=WINDOW, version=VERSION)
    judge_samples(reference=reference, current=window, policy=POLICY, calibration=calibration)


def from_tables(sides: Sides) -> None:
    """Check as the DAG does, from the tables to a verdict as JSON, without the report."""
    loaded = Scorer.load(sides.file, digest=sides.scorer.digest)
    champion = SimpleNamespace(
        version=VERSION, snapshot=str(latest_snapshot(sides.storage)), digest=sides.scorer.digest
    )
    registry: Any = SimpleNamespace(champion_at=lambda moment: champion, load_scorer=lambda model: loaded)
    check = check_drift(sides.settings, registry=registry, end=END, publish=False)
    sides.storage.write("verdict.json", json.dumps(check.to_dict(), indent=2).encode())


def evidently(sides: Sides, *, preset: bool = False) -> Any:
    """Have Evidently compare the texts; return what it found."""
    return compared(
        *(pd.DataFrame({"text": [r.text for r in s.rows]}) for s in (sides.reference, sides.current)), preset
    )


def compared(reference: pd.DataFrame, current: pd.DataFrame, preset: bool = False) -> Any:
    """Return Evidently's snapshot of its default drift of a column of texts, read as a dictionary once."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(text_columns=["text"])
    old, new = (Dataset.from_pandas(side, data_definition=definition) for side in (reference, current))
    metrics: list[Any] = [DataDriftPreset() if preset else ValueDrift(column="text")]
    found = Report(metrics, include_tests=True).run(new, old)
    found.dict()
    return found


def evidently_from_tables(sides: Sides) -> None:
    """Have Evidently compare the texts of the tables and write what it found as JSON."""
    snapshot = latest_snapshot(sides.storage)
    old = read_snapshot(sides.storage, snapshot.version if snapshot else 0, split="test", newest=POLICY.reference_rows)
    new = read_predictions(sides.storage, start=WINDOW.start, end=WINDOW.end, newest=POLICY.current_rows)
    texts = (pd.DataFrame({"text": side["text"].astype(object)}) for side in (old, new))
    sides.storage.write("evidently.json", compared(*texts).json().encode())


def cpu(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call in a process that has made no check before, but imported everything."""
    deals.cache_clear()
    begin = time.process_time()
    call()
    return time.process_time() - begin


def race(sides: Sides, *, repeats: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each way, by its name, one for each repeat."""
    page = Path(sides.settings.storage.root, "evidently.html")
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        sides.forget()
        ways: dict[str, Callable[[], object]] = {
            "anew": lambda: anew(sides),
            "keeping it": lambda: daily(sides),
            "daily": lambda: daily(sides),
            "daily, no unknown words logged": lambda: daily(sides, unknown=False),
            "ValueDrift": lambda: evidently(sides),
            "DataDriftPreset": lambda: evidently(sides, preset=True),
            "ValueDrift, HTML": lambda: evidently(sides).save_html(str(page)),
            "tables, first": lambda: from_tables(sides),
            "tables, daily": lambda: from_tables(sides),
            "tables, ValueDrift": lambda: evidently_from_tables(sides),
        }
        for name, way in ways.items():
            found.setdefault(name, []).append(cpu(way))
    return found


def show(rows: int, found: dict[str, list[float]]) -> None:
    """Print the medians, and how many times faster than Evidently ours are in the median of the repeats."""
    print(f"\n{rows:,} against {rows:,} long reviews, CPU seconds (median, and all repeats)\n")
    for name, seconds in found.items():
        rival = found["tables, ValueDrift" if name.startswith("tables") else "ValueDrift"]
        ratio = float(np.median([other / own for own, other in zip(seconds, rival, strict=True)]))
        every = " ".join(f"{second:.2f}" for second in seconds)
        print(f"{name:32} {np.median(seconds):6.3f}  {ratio:5.1f} times  [{every}]", flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=DATA / "imdb_train.parquet")
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 5_000])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    texts, labels = read(given.train)
    learned = np.arange(len(texts)) // RUN % 2 == 0
    mine, held = np.flatnonzero(learned).tolist(), np.flatnonzero(~learned).tolist()
    settings, scheme = TrainingSettings(), LabelScheme.binary
    scorer = compile_scorer(fit([texts[i] for i in mine], [labels[i] for i in mine], settings=settings, scheme=scheme))
    scored(texts[:10], scorer).languages  # noqa: B018  loads what tells languages
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        import_module("evidently.presets")  # and what Evidently needs
        for rows in given.rows:
            place = Path(folder, str(rows))
            sides = Sides([texts[i] for i in held], [labels[i] for i in held], scorer, rows, place)
            race(sides, repeats=1)  # what is imported late, and what both remember
            show(rows, race(sides, repeats=given.repeats))


if __name__ == "__main__":
    main()
