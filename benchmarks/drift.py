"""Drift verdicts against Evidently's default text drift and ``AUC > 0.55``: false alarms and detections.

Run it with ``python -m benchmarks.drift [--train FILE] [--other FILE] [--foreign FILE] [--trials N] [--rivals N]``;
each FILE is a parquet file with a column of texts called ``review`` or ``text`` and one of labels called ``sentiment``
or ``label``. A champion learns from half of the training file, in runs of neighbours, so that the other half is of
other films. The reference and what does not drift are drawn from that other half, other films again from ``--other``,
another domain from ``--foreign``. Every trial draws both sides anew, without a text in common, and is judged by the
policy's defaults, with a calibration made once a line from a reference of its own. Rates come with Wilson's 95%
intervals. Evidently and the classifier see fewer trials (``--rivals``): they read all texts anew each time.
"""

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from benchmarks.model import DATA, read
from sentiment.drift.accuracy import wilson_interval
from sentiment.drift.calibration import Calibration, calibrate
from sentiment.drift.check import judge_samples
from sentiment.drift.sample import TEXT_ROWS, Sample, spread, word_rows
from sentiment.drift.scoring import scored
from sentiment.labels import LabelScheme
from sentiment.settings import DriftPolicy, TrainingSettings
from sentiment.training.model import compile_scorer, fit

POLICY = DriftPolicy()
RUN = 50  # neighbours that stay together: reviews of one film stand side by side
KINDS = ("typos", "truncated", "words lost", "spammed")
PHRASE = "visit bestdeals today"


class Pools:
    """Texts to draw from, measured once: the champion's own films, other films, another domain, and damaged films."""

    def __init__(self, films: Path, other: Path, foreign: Path) -> None:
        self.words_of: dict[int, sparse.csr_matrix] = {}
        texts, labels = read(films)
        run = np.arange(len(texts)) // RUN % 2 == 0
        learned = [text for text, mine in zip(texts, run, strict=True) if mine]
        answers = [label for label, mine in zip(labels, run, strict=True) if mine]
        self.scorer = compile_scorer(fit(learned, answers, settings=TrainingSettings(), scheme=LabelScheme.binary))
        held = [text for text, mine in zip(texts, run, strict=True) if not mine]
        self.positive = np.array(labels)[~run] == "positive"
        rng = np.random.default_rng(1)
        self.films = self._measured(held)
        self.other = self._measured(read(other)[0])
        self.foreign = self._measured(read(foreign)[0])
        self.damaged = {kind: self._measured([damaged(text, kind, rng) for text in held]) for kind in KINDS}

    def _measured(self, texts: list[str]) -> Sample:
        sample = scored(texts, self.scorer)
        for name in ("characters", "words", "markup", "scripts"):
            getattr(sample, name)
        self.words_of[id(sample)] = word_rows(texts)
        return sample

    def take(self, sample: Sample, rows: NDArray[np.intp]) -> Sample:
        """Return some rows of one of the samples, with their words."""
        taken = sample.take(rows)
        taken.__dict__["features"] = self.words_of[id(sample)][rows]
        return taken


def damaged(text: str, kind: str, rng: np.random.Generator) -> str:
    """Return a text with one word in five misspelt or lost, cut after 60 words, or with a phrase of spam."""
    words = text.split()
    if kind == "truncated":
        return " ".join(words[:60])
    if kind == "spammed":
        return f"{text} {PHRASE}"
    hit = rng.random(len(words)) < 0.2
    if kind == "words lost":
        return " ".join(word for word, lost in zip(words, hit, strict=True) if not lost)
    return " ".join(misspelt(word, rng) if wrong else word for word, wrong in zip(words, hit, strict=True))


def misspelt(word: str, rng: np.random.Generator) -> str:
    """Return a word with two neighbouring letters exchanged."""
    if len(word) < 3:
        return word
    place = int(rng.integers(len(word) - 1))
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


@dataclass(frozen=True)
class Cell:
    """One line of the table: what the current texts are, and how many there are."""

    name: str
    rows: int
    positive: float | None = None
    share: float = 0.0
    of: str = ""


CELLS = (
    *(Cell("no shift", rows) for rows in (100, 300, 1_000, 5_000)),
    *(Cell("other films", rows, share=1, of="other") for rows in (300, 1_000, 5_000)),
    Cell("50 to 70% positive", 500, positive=0.7),
    Cell("50 to 60% positive", 2_000, positive=0.6),
    Cell("50 to 90% positive", 500, positive=0.9),
    Cell("another domain", 100, share=1, of="foreign"),
    *(Cell("10% of another domain", rows, share=0.1, of="foreign") for rows in (300, 1_000)),
    *(Cell(kind, rows, share=1, of=kind) for kind in KINDS[:3] for rows in (100, 300, 1_000)),
    *(Cell("a phrase of spam in 5%", rows, share=0.05, of="spammed") for rows in (1_000, 5_000)),
)


def drawn(pools: Pools, cell: Cell, rng: np.random.Generator, reference_rows: int) -> tuple[Sample, Sample]:
    """Draw a reference and a current sample without a text in common."""
    order = rng.permutation(len(pools.films))
    reference, rest = order[:reference_rows], order[reference_rows:]
    if cell.positive is not None:
        wanted = int(cell.positive * cell.rows)
        good, bad = rest[pools.positive[rest]], rest[~pools.positive[rest]]
        rest = np.concatenate((good[:wanted], bad[: cell.rows - wanted]))
    foreign = round(cell.share * cell.rows)
    parts = [pools.take(pools.films, rest[: cell.rows - foreign])]
    if cell.of in pools.damaged:
        parts.append(pools.take(pools.damaged[cell.of], rest[cell.rows - foreign : cell.rows]))
    elif foreign:
        strangers = getattr(pools, cell.of)
        parts.append(pools.take(strangers, rng.choice(len(strangers), foreign, replace=False)))
    return prepared(pools.take(pools.films, reference)), prepared(joined(parts))


def joined(samples: list[Sample]) -> Sample:
    """Return samples as one, with what was measured on them."""
    parts = [sample for sample in samples if len(sample)]
    if len(parts) == 1:
        return parts[0]
    arrays = ("scores", "unknown_share", "confidence")
    whole = Sample(
        texts=tuple(text for part in parts for text in part.texts),
        predictions=tuple(label for part in parts for label in part.predictions or ()),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays},
    )
    for name in ("characters", "words", "markup"):
        whole.__dict__[name] = np.concatenate([getattr(part, name) for part in parts])
    whole.__dict__["scripts"] = tuple(script for part in parts for script in part.scripts)
    whole.__dict__["features"] = sparse.vstack([part.features for part in parts], format="csr")
    return whole


def prepared(sample: Sample) -> Sample:
    """Let languages be: telling them takes longer than all the rest, and all texts here are English."""
    sample.__dict__["languages"] = ()
    sample.__dict__["features"] = sample.features[spread(len(sample), TEXT_ROWS)]
    return sample


def ours(reference: Sample, current: Sample, calibration: Calibration | None) -> bool:
    """Whether we say drifted."""
    return (
        judge_samples(reference=reference, current=current, policy=POLICY, calibration=calibration).state == "drifted"
    )


def evidently(reference: Sample, current: Sample) -> bool:
    """Whether Evidently's default drift of a text column says so."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(text_columns=["text"])
    sides = [
        Dataset.from_pandas(pd.DataFrame({"text": list(side.texts)}), data_definition=definition)
        for side in (current, reference)
    ]
    report = Report([ValueDrift(column="text")], include_tests=True).run(*sides)
    return any(test["status"] == "FAIL" for test in report.dict()["tests"])


def by_auc(reference: Sample, current: Sample) -> bool:
    """Whether a domain classifier's out-of-fold AUC is above 0.55."""
    texts = [*reference.texts, *current.texts]
    sides = np.repeat([0, 1], [len(reference), len(current)])
    model = make_pipeline(TfidfVectorizer(), SGDClassifier(loss="log_loss", random_state=0))
    scores = cross_val_predict(model, texts, sides, cv=3, method="decision_function")
    return bool(roc_auc_score(sides, scores) > 0.55)


def rate(found: int, trials: int) -> str:
    """Return a rate with its interval."""
    if not trials:
        return "-"
    low, high = wilson_interval(correct=found, rows=trials, z=1.96)
    return f"{found / trials:6.1%} ({low:.1%} to {high:.1%})"


def table(pools: Pools, *, trials: int, rivals: int, reference_rows: int | None, only: str, but: str | None) -> None:
    """Print how often each alarms, cell by cell; without `reference_rows` both sides have as many."""
    print(f"\nReference of {reference_rows or 'as many'} rows. Drifted, in {trials} trials (others {rivals}):\n")
    print(f"{'what':24} {'rows':>6}  {'ours':24} {'Evidently':24} {'AUC > 0.55':24}", flush=True)
    for cell in CELLS:
        if only not in cell.name or (but and but in cell.name):
            continue
        size, rng = reference_rows or cell.rows, np.random.default_rng(7)
        first = prepared(pools.take(pools.films, rng.permutation(len(pools.films))[:size]))
        calibration = calibrate(
            first, current_rows=cell.rows, days=POLICY.false_alarm_days, decisive=frozenset(POLICY.decisive)
        )
        found = [0, 0, 0]
        for trial in range(trials):
            sides = drawn(pools, cell, rng, size)
            found[0] += ours(*sides, calibration)
            if trial < rivals:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found[1] += evidently(*sides)
                    found[2] += by_auc(*sides)
        rates = [rate(found[0], trials), *(rate(count, min(rivals, trials)) for count in found[1:])]
        print(f"{cell.name:24} {cell.rows:6}  {rates[0]:24} {rates[1]:24} {rates[2]:24}", flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=DATA / "imdb_train.parquet")
    parser.add_argument("--other", type=Path, default=DATA / "imdb_dev.parquet")
    parser.add_argument("--foreign", type=Path, default=DATA / "sentence_polarity.parquet")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--rivals", type=int, default=10)
    parser.add_argument("--reference", type=int, default=5_000, help="rows of the reference; 0: as many as are current")
    parser.add_argument("--only", default="", help="only what has this in its name")
    parser.add_argument("--but", help="nothing that has this in its name")
    given = parser.parse_args()
    pools = Pools(given.train, given.other, given.foreign)
    table(
        pools,
        trials=given.trials,
        rivals=given.rivals,
        reference_rows=given.reference or None,
        only=given.only,
        but=given.but,
    )


if __name__ == "__main__":
    main()
