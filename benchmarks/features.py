"""Our features against scikit-learn's: the same matrices, how much sooner, and in how much memory.

Run it with ``python -m benchmarks.features [--rows N] [--data FILE]``, where FILE is any parquet file with a
column of texts called ``review`` or ``text`` and one of labels called ``sentiment`` or ``label``. Both sides
run in turn in one process on one core. Their CPU time is compared, the least of some rounds, because other
work on the machine can only add.

``python -m benchmarks.features --memory N [N ...]`` learns from so many generated reviews, as a stream, each
number in a process of its own, and tells its peak memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.pipeline import make_pipeline

from sentiment.features.clean import PATTERN, clean
from sentiment.features.hashed import HashedNgramVectorizer
from sentiment.features.ngrams import NgramVectorizer

REVIEWS = Path(__file__).resolve().parents[2] / "shared" / "data" / "imdb_train.parquet"
LEAST = 2
BATCH = 5_000
WORDS = 100  # of a generated review, about
FLAT, TAIL = 50, 0.72  # how many words are about equally frequent, and how fast the frequency of the others falls
COMMON = [f"w{number:x}" for number in range(1 << 16)]

Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the CPU seconds that a call took, and what it returned."""
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def race(name: str, ours: Callable[[], object], theirs: dict[str, Callable[[], object]], rounds: int) -> None:
    """Print the CPU times of several ways to a result and their ratios to ours."""
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for way, work in {"ours": ours, **theirs}.items():
            times.setdefault(way, []).append(timed(work)[0])
    we = min(times.pop("ours"))
    for way, seconds in times.items():
        print(f"| {name} | {we:.2f} s | {way} | {min(seconds):.2f} s | {min(seconds) / we:.1f} |", flush=True)


def same(texts: list[str], longest: int, *, binary: bool) -> int:
    """End with an error unless both vectorizers give the same matrix; return its number of columns."""
    ours = NgramVectorizer(max_ngram=longest, min_documents=LEAST, binary=binary)
    theirs = _counts(longest, binary=binary)
    matrix, expected = ours.fit_transform(texts), theirs.fit_transform(texts)
    order = np.argsort(ours.get_feature_names_out())
    same_names = np.array_equal(ours.get_feature_names_out()[order], theirs.get_feature_names_out())
    if not same_names or (matrix[:, order] != expected).nnz:
        sys.exit("the matrices differ")
    return len(order)


def speed(path: Path, rows: int, rounds: int) -> None:
    """Check that the matrices are equal, then print times and ratios."""
    if not path.is_file():
        sys.exit(f"the reviews are not here: {path}")
    texts, labels = _reviews(path, rows)
    for longest in (2, 3):
        columns = same(texts, longest, binary=longest == 3)
        print(
            f"{len(texts)} texts, 1 to {longest} words, in at least {LEAST} texts: {columns} columns, equal matrices",
            flush=True,
        )
    habit = {"TfidfVectorizer (1,2)": lambda: TfidfVectorizer(ngram_range=(1, 2)).fit_transform(texts)}
    print("| features | ours | against | theirs | ratio |\n|---|---|---|---|---|")
    for longest in (2, 3):
        ours = NgramVectorizer(max_ngram=longest, min_documents=LEAST)
        counts = {f"CountVectorizer (1,{longest}), the same matrix": lambda n=longest: _counts(n).fit_transform(texts)}
        both = {**habit, **counts} if longest == 2 else counts
        race(f"exact (1,{longest})", lambda ours=ours: ours.fit_transform(texts), both, rounds)
    best = NgramVectorizer(max_ngram=3, min_documents=LEAST, max_features=50_000)
    selection = make_pipeline(_counts(3), SelectKBest(chi2, k=50_000))
    race(
        "the best 50,000 of (1,3) by chi-squared",
        lambda: best.fit_transform(texts, labels),
        {"CountVectorizer, SelectKBest": lambda: selection.fit_transform(texts, labels)},
        rounds,
    )
    hashing = {"HashingVectorizer (1,2)": lambda: HashingVectorizer(ngram_range=(1, 2)).transform(texts)}
    hashed = HashedNgramVectorizer(max_ngram=2)
    race("hashed (1,2)", lambda: hashed.transform(texts), {**habit, **hashing}, rounds)


def memory(sizes: list[int]) -> None:
    """Print time and peak memory of learning from streams of several lengths."""
    print("| generated texts | CPU | peak memory | columns |\n|---|---|---|---|")
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.features", "--learn", str(size)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(
            "| {texts:,} | {seconds:.0f} s | {peak:,.0f} MB | {columns:,} |".format(**json.loads(done.stdout)),
            flush=True,
        )


def learn(size: int) -> None:
    """Learn from a stream of generated texts in this process, and print what it took."""
    vectorizer, seconds = NgramVectorizer(max_features=50_000), 0.0
    for begin in range(0, size, BATCH):
        texts = list(generated(begin, min(begin + BATCH, size)))
        labels = [position % 2 for position in range(len(texts))]
        seconds += timed(lambda texts=texts, labels=labels: vectorizer.partial_fit(texts, labels))[0]
    last, columns = timed(lambda: len(vectorizer.vocabulary))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"texts": size, "seconds": seconds + last, "peak": peak, "columns": columns}))


def generated(begin: int, end: int) -> Iterator[str]:
    """Generate texts whose words are as unevenly frequent as those of a language (Zipf and Mandelbrot), without end."""
    random = np.random.default_rng(begin)
    for size in random.poisson(WORDS, end - begin).tolist():
        ranks = FLAT * (random.random(size) ** (-1 / TAIL) - 1)
        yield " ".join([COMMON[rank] if rank < len(COMMON) else f"w{rank:x}" for rank in ranks.astype(int).tolist()])


def _reviews(path: Path, rows: int) -> tuple[list[str], list[str]]:
    reviews = pd.read_parquet(path).rename(columns={"text": "review", "label": "sentiment"})
    reviews = reviews.sample(min(rows, len(reviews)), random_state=0)
    return reviews.review.tolist(), reviews.sentiment.tolist()


def _counts(longest: int, *, binary: bool = True) -> CountVectorizer:
    return CountVectorizer(
        preprocessor=clean, token_pattern=PATTERN, ngram_range=(1, longest), binary=binary, min_df=LEAST
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--data", type=Path, default=REVIEWS)
    parser.add_argument("--memory", type=int, nargs="+", metavar="N")
    parser.add_argument("--learn", type=int, metavar="N", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.learn:
        learn(arguments.learn)
    elif arguments.memory:
        memory(arguments.memory)
    else:
        speed(arguments.data, arguments.rows, arguments.rounds)


if __name__ == "__main__":
    main()
