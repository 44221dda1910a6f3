"""Our features against scikit-learn's ``CountVectorizer``: the same matrix, and how much sooner.

Run it with ``python -m benchmarks.features [rows]``. Both sides run in turn in one process; the least of
three times is taken, because other work on the machine can only add.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

from sentiment.features.clean import PATTERN, clean
from sentiment.features.ngrams import NgramVectorizer

REVIEWS = Path(__file__).resolve().parents[2] / "shared" / "data" / "imdb_train.parquet"
ROUNDS = 3
LONGEST, LEAST = 3, 2

Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the seconds that a call took, and what it returned."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def check(texts: list[str]) -> None:
    """End with an error unless both vectorizers give the same matrix."""
    ours, theirs = _ours(), _theirs()
    matrix, expected = ours.fit_transform(texts), theirs.fit_transform(texts)
    order = np.argsort(ours.get_feature_names_out())
    same_names = np.array_equal(ours.get_feature_names_out()[order], theirs.get_feature_names_out())
    if not same_names or (matrix[:, order] != expected).nnz:
        sys.exit("the matrices differ")


def main(rows: int) -> None:
    """Print the times and the ratios."""
    if not REVIEWS.is_file():
        sys.exit(f"the reviews are not here: {REVIEWS}")
    reviews = pd.read_parquet(REVIEWS, columns=["review", "sentiment"])
    reviews = reviews.sample(min(rows, len(reviews)), random_state=0)
    texts, labels = reviews.review.tolist(), reviews.sentiment.tolist()
    check(texts[:2000])
    print(f"{len(texts)} reviews, 1 to {LONGEST} words, in at least {LEAST} reviews, best of {ROUNDS}")

    best = NgramVectorizer(max_ngram=LONGEST, min_documents=LEAST, max_features=50_000)
    sides: dict[str, Callable[[], object]] = {
        "CountVectorizer, fit and transform": lambda: _theirs().fit_transform(texts),
        "ours, every n-gram": lambda: _ours().fit_transform(texts),
        "ours, the best 50,000 by chi-squared": lambda: best.fit_transform(texts, labels),
        "ours, transform to the best 50,000": lambda: best.transform(texts),
    }
    seconds = dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS):
        for name, work in sides.items():
            seconds[name] = min(seconds[name], timed(work)[0])
    slowest = seconds["CountVectorizer, fit and transform"]
    for name, spent in seconds.items():
        print(f"{name:40} {spent:8.2f} s {slowest / spent:6.1f} x")


def _ours() -> NgramVectorizer:
    return NgramVectorizer(max_ngram=LONGEST, min_documents=LEAST)


def _theirs() -> CountVectorizer:
    return CountVectorizer(
        preprocessor=clean, token_pattern=PATTERN, ngram_range=(1, LONGEST), binary=True, min_df=LEAST
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25_000)
