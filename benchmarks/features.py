"""Our features against scikit-learn's ``CountVectorizer``: the same matrix, and how much sooner.

Run it with ``python -m benchmarks.features [rows]``. Both sides run in turn in one process; the least of
two times is taken, because other work on the machine can only add.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.pipeline import make_pipeline

from sentiment.features.clean import PATTERN, clean
from sentiment.features.ngrams import NgramVectorizer

REVIEWS = Path(__file__).resolve().parents[2] / "shared" / "data" / "imdb_train.parquet"
ROUNDS = 2
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
    """Check that the matrices are equal, then print times and ratios."""
    if not REVIEWS.is_file():
        sys.exit(f"the reviews are not here: {REVIEWS}")
    reviews = pd.read_parquet(REVIEWS, columns=["review", "sentiment"])
    reviews = reviews.sample(min(rows, len(reviews)), random_state=0)
    texts, labels = reviews.review.tolist(), reviews.sentiment.tolist()
    check(texts[:2000])
    print(f"{len(texts)} reviews, 1 to {LONGEST} words, in at least {LEAST} reviews, best of {ROUNDS}")

    ours, theirs = _ours(), _theirs()
    race("fit and transform", lambda: ours.fit_transform(texts), lambda: theirs.fit_transform(texts))
    race("transform", lambda: ours.transform(texts), lambda: theirs.transform(texts))
    best = NgramVectorizer(max_ngram=LONGEST, min_documents=LEAST, max_features=50_000)
    selection = make_pipeline(_theirs(), SelectKBest(chi2, k=50_000))
    race(
        "the best 50,000 by chi-squared",
        lambda: best.fit_transform(texts, labels),
        lambda: selection.fit_transform(texts, labels),
    )


def race(name: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Print the times of two ways to the same result and their ratio."""
    pairs = [(timed(ours)[0], timed(theirs)[0]) for _ in range(ROUNDS)]
    we, they = (min(times) for times in zip(*pairs, strict=True))
    print(f"{name:32} ours {we:6.2f} s   scikit-learn {they:6.2f} s   ratio {they / we:5.1f}")


def _ours() -> NgramVectorizer:
    return NgramVectorizer(max_ngram=LONGEST, min_documents=LEAST)


def _theirs() -> CountVectorizer:
    return CountVectorizer(
        preprocessor=clean, token_pattern=PATTERN, ngram_range=(1, LONGEST), binary=True, min_df=LEAST
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25_000)
