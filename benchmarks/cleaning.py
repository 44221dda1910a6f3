"""What each step of the cleaning chain does to accuracy and time: the table in docs/cleaning.md.

Run it with ``python -m benchmarks.cleaning [--rows N] [--folds N] [--test FILE] [--only WORD ...]``. Every option is
cross-validated on the same folds of the training reviews, with all other settings as they are by default; the
baseline is the default cleaning. ``--only`` takes the options that hold one of the words, and ``--word-by-word``
compares the table of words with asking NLTK for every word.
"""

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sentiment.cleaning import Cleaning
from sentiment.errors import SettingsError
from sentiment.features.chain import cleaner
from sentiment.features.clean import clean, words
from sentiment.features.normal import learning_forms, lemmatizer, stemmer
from sentiment.labels import LabelScheme
from sentiment.settings import TrainingSettings
from sentiment.training.model import build_pipeline

REVIEWS = Path(__file__).resolve().parents[2] / "shared" / "data" / "imdb_train.parquet"

LABEL = {
    **dict.fromkeys(("neg", "negative", "0"), "negative"),
    **dict.fromkeys(("pos", "positive", "1"), "positive"),
}

CLASSICAL = Cleaning(urls="drop", numbers="drop", stop_words="drop", normal_form="lemma", punctuation="drop")

OPTIONS = {
    "default": Cleaning(),
    "html = keep": Cleaning(html="keep"),
    "html = full": Cleaning(html="full"),
    "case = keep": Cleaning(case="keep"),
    "urls = mark": Cleaning(urls="mark"),
    "numbers = mark": Cleaning(numbers="mark"),
    "numbers = drop": Cleaning(numbers="drop"),
    "punctuation = drop": Cleaning(punctuation="drop"),
    "stop_words = drop": Cleaning(stop_words="drop"),
    "normal_form = stem": Cleaning(normal_form="stem"),
    "normal_form = lemma": Cleaning(normal_form="lemma"),
    "negation = mark": Cleaning(negation="mark"),
    "the classical chain": CLASSICAL,
    "the same with stems and negation": replace(CLASSICAL, normal_form="stem", negation="mark"),
}


@dataclass(frozen=True)
class Outcome:
    """Which held-out reviews were right, and the CPU seconds of cleaning all texts and of training and answering."""

    right: NDArray[np.bool_]
    cleaning: float
    training: float


def judged(cleaning: Cleaning, texts: list[str], labels: NDArray[np.str_], folds: NDArray[np.intp]) -> Outcome:
    """Cross-validate one way to clean."""
    settings = TrainingSettings(cleaning=cleaning)
    right = np.zeros(len(texts), np.bool_)
    begin = time.process_time()
    for fold in range(folds.max() + 1):
        learn, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        pipeline = build_pipeline(settings, LabelScheme.binary)
        pipeline.fit([texts[row] for row in learn], labels[learn].tolist())
        right[held_out] = pipeline.predict([texts[row] for row in held_out]) == labels[held_out]
    training = time.process_time() - begin
    begin = time.process_time()
    chain = cleaner(cleaning, learning_forms(cleaning))
    for text in texts:
        chain(text)
    return Outcome(right, time.process_time() - begin, training)


def line(name: str, outcome: Outcome, baseline: Outcome) -> str:
    """One row of the table: the difference with its standard error, both over the same reviews."""
    change = outcome.right.astype(float) - baseline.right
    error = change.std() / np.sqrt(len(change))
    return (
        f"| `{name}` | {outcome.right.mean():.2%} | {100 * change.mean():+.2f} ± {100 * error:.2f} "
        f"| {outcome.cleaning:.1f} | {outcome.training / baseline.training:.2f} |"
    )


def compare(texts: list[str], labels: NDArray[np.str_], count: int, only: list[str]) -> None:
    """Print the table."""
    folds = np.empty(len(texts), np.intp)
    folds[np.argsort(labels, kind="stable")] = np.arange(len(texts)) % count  # stratified
    baseline = judged(OPTIONS["default"], texts, labels, folds)
    error = baseline.right.std() / np.sqrt(len(texts))
    print(f"{len(texts):,} reviews, {count} folds; one standard error of an accuracy is {100 * error:.2f} points\n")
    print("| cleaning | accuracy | points against default | cleaning, CPU s | training, ratio |")
    print("|---|---|---|---|---|")
    for name, cleaning in OPTIONS.items():
        if only and not any(word in name for word in only):
            continue
        try:
            outcome = baseline if name == "default" else judged(cleaning, texts, labels, folds)
        except SettingsError as missing:
            print(f"| `{name}` | {missing} | | | |", flush=True)
        else:
            print(line(name, outcome, baseline), flush=True)


def race(texts: list[str]) -> None:
    """Print how much sooner a table of words is than asking NLTK for every word."""
    tokens = [words(clean(text)) for text in texts]
    for form, make in (("stem", stemmer), ("lemma", lemmatizer)):
        cleaning = Cleaning(normal_form=form)
        ask = make()
        begin = time.process_time()
        for each in tokens:
            " ".join(map(ask, each))
        habit = time.process_time() - begin
        begin = time.process_time()
        chain = cleaner(cleaning, learning_forms(cleaning))
        for text in texts:
            chain(text)
        ours = time.process_time() - begin
        print(f"{form:6} word by word {habit:6.2f} s   with the table {ours:6.2f} s   ratio {habit / ours:5.1f}")


def main() -> None:
    """Read the reviews and do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--test", type=Path, default=REVIEWS, help="parquet with a text (or review) and a label column")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD")
    parser.add_argument("--word-by-word", action="store_true")
    given = parser.parse_args()
    if not given.test.is_file():
        sys.exit(f"the reviews are not here: {given.test}")
    table = pd.read_parquet(given.test).rename(columns={"review": "text", "sentiment": "label"})
    table = table.sample(min(given.rows, len(table)), random_state=0)
    texts = table.text.tolist()
    labels = (
        table.label.astype(str).str[:3].map({"neg": "negative", "pos": "positive", "0": "negative", "1": "positive"})
    )
    if given.word_by_word:
        race(texts)
    else:
        compare(texts, labels.to_numpy(dtype=str), given.folds, given.only)


if __name__ == "__main__":
    main()
