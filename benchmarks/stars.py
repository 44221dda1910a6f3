"""Uneven star ratings: macro-F1 of our model against class-weighted tf-idf and logistic regression, in the same folds.

Run it with ``python -m benchmarks.stars [--folds N] [--rows N] [--only WORD]``. Two sets: the five stars of
amazon_alexa.tsv (tab-separated, with the columns ``rating`` and ``verified_reviews``), as it is and with each text
once, because nearly half of its rows repeat others and then are in several folds; and the film reviews of
imdb_train.parquet, whose ratings of 1 to 10 make four buckets of two, with none in the middle.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline

from sentiment.labels import LabelScheme
from sentiment.settings import TrainingSettings
from sentiment.training.model import build_pipeline

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ALEXA, FILMS = DATA / "amazon_alexa.tsv", DATA / "imdb_train.parquet"
FOLDS = {"alexa": 5, "films": 2}

Stars = tuple[np.ndarray, np.ndarray]


def alexa(*, once: bool) -> Stars:
    """Return texts and stars; those without a text are left out."""
    rows = pd.read_csv(ALEXA, sep="\t").dropna(subset="verified_reviews")
    if once:
        rows = rows.drop_duplicates("verified_reviews")
    return rows.verified_reviews.to_numpy(object), rows.rating.astype(str).to_numpy(object)


def films() -> Stars:
    """Return texts and buckets: 1 and 2 make one star, 9 and 10 five."""
    rows = pd.read_parquet(FILMS, columns=["review", "rating"])
    return rows.review.to_numpy(object), ((rows.rating + 1) // 2).astype(str).to_numpy(object)


def ours(labels: list[str]) -> Pipeline:
    """Make our model with its default settings, for any labels."""
    pipeline = build_pipeline(TrainingSettings(), LabelScheme.five_star)
    return pipeline.set_params(classifier__labels=labels)


def habit(_: list[str]) -> Pipeline:
    """Make the usual model, which counts each label the same too."""
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(class_weight="balanced", max_iter=1_000)
    )


def compared(texts: np.ndarray, stars: np.ndarray, folds: int) -> Iterator[tuple[list[float], list[float]]]:
    """Yield the macro-F1 and the CPU seconds of both on each fold."""
    makers: tuple[Callable[[list[str]], Pipeline], ...] = (ours, habit)
    for learn, held_out in StratifiedKFold(folds, shuffle=True, random_state=0).split(texts, stars):
        scores, seconds = [], []
        for make in makers:
            begin = time.process_time()
            model = make(sorted(set(stars))).fit(texts[learn].tolist(), stars[learn].tolist())
            answers = model.predict(texts[held_out].tolist())
            seconds.append(time.process_time() - begin)
            scores.append(float(f1_score(stars[held_out], answers, average="macro")))
        yield scores, seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, help="5 for the product reviews and 2 for the film reviews if not given")
    parser.add_argument("--only", default="", metavar="WORD", help="only the sets whose name has this word")
    parser.add_argument("--rows", type=int, default=25_000, help="most rows of a set, chosen at random")
    asked = parser.parse_args()
    sets: dict[str, tuple[Path, Callable[[], Stars]]] = {
        "alexa, five stars": (ALEXA, lambda: alexa(once=False)),
        "alexa, five stars, each text once": (ALEXA, lambda: alexa(once=True)),
        "films, four buckets": (FILMS, films),
    }
    heads = ("reviews", "rows", "folds", "ours, macro-F1", "habit", "points", "ours, CPU", "habit")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, (path, load) in sets.items():
        if asked.only not in name:
            continue
        if not path.is_file():
            sys.exit(f"the reviews are not here: {path}")
        texts, stars = load()
        some = np.random.default_rng(0).permutation(len(texts))[: asked.rows]
        texts, stars = texts[some], stars[some]
        folds = asked.folds or FOLDS[name.partition(",")[0]]
        found = list(compared(texts, stars, folds))
        scores, seconds = (100 * np.array([fold[0] for fold in found])), np.array([fold[1] for fold in found])
        gain = scores[:, 0] - scores[:, 1]
        error = gain.std(ddof=1) / np.sqrt(folds)
        print(
            f"| {name} | {len(texts):,} | {folds} | {scores[:, 0].mean():.1f} | {scores[:, 1].mean():.1f} "
            f"| {gain.mean():+.1f} ± {error:.1f} | {seconds[:, 0].sum():.0f} s | {seconds[:, 1].sum():.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
