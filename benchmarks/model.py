"""Our model against the habit, TfidfVectorizer (1,2) and LogisticRegression: how right, how fast, how large.

Run it with ``python -m benchmarks.model [--train FILE] [--test FILE] [--short FILE]``, where each FILE is a parquet
file with a column of texts called ``review`` or ``text`` and one of labels called ``sentiment`` or ``label``. Without
``--test`` the numbers come from cross-validation over three folds of the training file, which is how anything should be
chosen. Both sides run in turn in one process, and all is compared by CPU time. Single predictions are those of a
service that has answered thousands of other texts: no text is asked twice, the sides answer blocks of texts in turn,
and ratios are medians over the blocks.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from sentiment.labels import LabelScheme, label_of_word
from sentiment.serving.scorer import Scorer
from sentiment.settings import TrainingSettings
from sentiment.training.evaluate import evaluate
from sentiment.training.model import compile_scorer, fit

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NAMES = ["negative", "positive"]
SHOWN = ("accuracy", "auc", "log_loss", "expected_calibration_error")
FOLDS = 3
SHORT = 120  # characters
SINGLES, BLOCK = 1_000, 50  # texts asked one by one, none of them twice; each way answers so many at a time
WARM = 20_000  # short texts that the scorer has answered before
PARTS = 10

Texts = tuple[list[str], list[str]]
Answers = Callable[[list[str]], np.ndarray]


@dataclass(frozen=True)
class Trained:
    """Both models, fitted on the same rows, and the CPU seconds that took."""

    pipeline: Pipeline
    scorer: Scorer
    habit: Pipeline
    seconds: float
    habit_seconds: float


def read(path: Path) -> Texts:
    """Read texts and their labels, as `negative` and `positive`."""
    if not path.is_file():
        sys.exit(f"the reviews are not here: {path}")
    frame = pd.read_parquet(path)
    texts = next(frame[name] for name in ("text", "review") if name in frame)
    labels = next(frame[name] for name in ("label", "sentiment") if name in frame)
    words = [label_of_word(label, LabelScheme.binary) for label in labels]
    kept = [(str(text), word) for text, word in zip(texts, words, strict=True) if word is not None]
    return [text for text, _ in kept], [word for _, word in kept]


def train(texts: list[str], labels: list[str]) -> Trained:
    """Fit ours and the habit."""
    begin = time.process_time()
    pipeline = fit(texts, labels, settings=TrainingSettings(), scheme=LabelScheme.binary)
    seconds = time.process_time() - begin
    begin = time.process_time()
    habit = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1_000)).fit(texts, labels)
    return Trained(pipeline, compile_scorer(pipeline), habit, seconds, time.process_time() - begin)


def judge(name: str, rows: dict[str, tuple[list[str], np.ndarray]]) -> None:
    """Print the metrics of both on the same texts."""
    for who, (labels, answers) in rows.items():
        found = evaluate(labels, answers, NAMES, resamples=0)
        print(f"| {name} | {who} | " + " | ".join(f"{found[metric]:.4f}" for metric in SHOWN) + " |", flush=True)


def cross_validated(texts: list[str], labels: list[str]) -> Trained:
    """Print what both are worth over the folds; return those of the last."""
    folds = np.random.default_rng(0).permutation(len(texts)) % FOLDS
    truth: list[str] = []
    ours, theirs = [], []
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        trained = train([texts[i] for i in inside], [labels[i] for i in inside])
        held_out = [texts[i] for i in outside]
        truth += [labels[i] for i in outside]
        ours.append(trained.scorer.probabilities(held_out))
        theirs.append(trained.habit.predict_proba(held_out))
    judge(f"{FOLDS}-fold", {"ours": (truth, np.vstack(ours)), "habit": (truth, np.vstack(theirs))})
    return trained


def singles(ways: dict[str, Answers], texts: list[str]) -> dict[str, np.ndarray]:
    """Return the median CPU milliseconds that one text takes each way, block by block of texts, the ways in turn."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for begin in range(0, len(texts) - BLOCK + 1, BLOCK):
        for name, way in ways.items():
            times = []
            for text in texts[begin : begin + BLOCK]:
                started = time.thread_time_ns()
                way([text])
                times.append(time.thread_time_ns() - started)
            found[name].append(float(np.median(times)) / 1e6)
    return {name: np.array(times) for name, times in found.items()}


def pieces(texts: list[str]) -> list[str]:
    """Cut texts into pieces of so many characters, as a service sees before it is asked the texts that count."""
    return [text[begin : begin + SHORT] for text in texts for begin in range(0, len(text), SHORT)]


def speeds(trained: Trained, texts: list[str]) -> None:
    """Print how long one prediction takes in process, how many a CPU second answers, and that all are the same."""
    scorer, pipeline, habit = trained.scorer, trained.pipeline, trained.habit
    short = [text[:SHORT] for text in texts]
    scorer.probabilities(["the table is made", "with the first answer"])
    cold = singles({"scorer": scorer.probabilities}, short[:BLOCK])["scorer"][0]
    apart = np.abs(scorer.probabilities(texts) - pipeline.predict_proba(texts)).max()
    print(f"\nLargest difference between scorer and pipeline on {len(texts):,} texts: {apart:.1e}")
    ways = {"scorer": scorer.probabilities, "pipeline": pipeline.predict_proba, "habit": habit.predict_proba}
    for text in pieces(texts[SINGLES:])[:WARM]:
        scorer.probabilities([text])
    print("\n| one prediction, CPU | scorer | our pipeline | ratio | habit | ratio |\n|---|---|---|---|---|---|")
    for name, some in (("full review", texts[:SINGLES]), (f"{SHORT} characters", short[BLOCK:SINGLES])):
        times = singles(ways, some)
        we, piped, they = (float(np.median(each)) for each in times.values())
        first, second = (np.median(times[name] / times["scorer"]) for name in ("pipeline", "habit"))
        print(f"| {name} | {we:.3f} ms | {piped:.3f} ms | {first:.1f} | {they:.3f} ms | {second:.1f} |")
    print(f"\n{SHORT} characters before any word has been seen: {cold:.3f} ms")
    print("\n| batch | texts a CPU second | habit | ratio |\n|---|---|---|---|")
    for name, some in (("full reviews", texts), (f"{SHORT} characters", short)):
        runs = [
            [_cpu(way, some[part::PARTS]) for way in (scorer.probabilities, habit.predict_proba)]
            for part in range(PARTS)
            for _ in range(2)
        ]
        we, they = (len(some) / PARTS / float(np.median(each)) for each in zip(*runs, strict=True))
        ratio = np.median([theirs / ours for ours, theirs in runs])
        print(f"| {name} | {we:,.0f} | {they:,.0f} | {ratio:.1f} |")


def sizes(scorer: Scorer) -> None:
    """Print the size of the model file and how long it takes to load."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scorer.npz")
        scorer.save(path)
        begin = time.perf_counter()
        Scorer.load(path, digest=scorer.digest)
        seconds = time.perf_counter() - begin
        print(f"\nModel file: {path.stat().st_size / 1e6:.1f} MB; read and verified in {1_000 * seconds:.0f} ms")


def _cpu(answer: Answers, texts: list[str]) -> float:
    begin = time.process_time()
    answer(texts)
    return time.process_time() - begin


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=DATA / "imdb_train.parquet")
    parser.add_argument("--test", type=Path, help="held-out reviews; cross-validation if not given")
    parser.add_argument(
        "--short", type=Path, default=DATA / "sentence_polarity.parquet", help="short texts of another domain"
    )
    asked = parser.parse_args()
    texts, labels = read(asked.train)
    print("| texts | model | " + " | ".join(SHOWN) + " |\n|---" + "|---" * (len(SHOWN) + 1) + "|", flush=True)
    if asked.test is None:
        trained, held_out = cross_validated(texts, labels), texts
    else:
        trained = train(texts, labels)
        held_out, truth = read(asked.test)
        ours, theirs = trained.scorer.probabilities(held_out), trained.habit.predict_proba(held_out)
        judge(asked.test.stem, {"ours": (truth, ours), "habit": (truth, theirs)})
    if asked.short.is_file():
        short, truth = read(asked.short)
        answers = {"ours": trained.scorer.probabilities(short), "habit": trained.habit.predict_proba(short)}
        judge(asked.short.stem, {who: (truth, answer) for who, answer in answers.items()})
    ratio = trained.habit_seconds / trained.seconds
    print(f"\nFit, CPU: ours {trained.seconds:.1f} s, habit {trained.habit_seconds:.1f} s, ratio {ratio:.1f}")
    speeds(trained, held_out[:5_000])
    sizes(trained.scorer)


if __name__ == "__main__":
    main()
