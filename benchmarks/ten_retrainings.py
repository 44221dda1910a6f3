"""Ten retrainings on growing slices of real reviews, two of them poisoned and one on a shrunken table, under the gate.

Every step is the platform's own: a file is ingested, a model trained, judged and, if the gate permits it, promoted, in
a temporary root with MLflow on SQLite. Retraining 4 learns from a delivery whose labels are all turned round,
retraining 7 from one of which a share is, retraining 9 after most of the table was lost. After each refusal the table
is put back, as an
operator would. Printed are the ledger and the accuracy on a file that no step ever sees::

    python -m benchmarks.ten_retrainings --train imdb_train.parquet --test imdb_dev.parquet
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.model import DATA, read
from sentiment.ledger import Ledger
from sentiment.model_records import Candidate, ModelVersion
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.table import Reviews
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training.decision import Decision
from sentiment.training.promotion import judge, promote
from sentiment.training.train import train

RETRAININGS, ALL_FLIPPED, SOME_FLIPPED, SHRUNKEN = 10, 4, 7, 9
LABELS = ("negative", "positive")


class Story:
    """The retrainings, one after the other."""

    def __init__(self, settings: Settings, *, texts: list[str], labels: list[str], flipped: float, seed: int) -> None:
        self.settings, self.registry, self.storage = settings, Registry(settings), Storage(settings)
        self._rng = np.random.default_rng(seed)
        order = self._rng.permutation(len(texts))
        self._deliveries = np.array_split(order, RETRAININGS)
        self._texts, self._labels = np.array(texts, dtype=object), np.array(labels, dtype=object)
        self._flipped = flipped

    def retrain(self, number: int) -> tuple[str, Candidate, ModelVersion, Decision]:
        """Take in what comes, train and judge; promote, or put the table back."""
        table = Reviews(self.storage).open()
        before = table.version() if table is not None else None
        what = self._shrink() if number == SHRUNKEN else self._deliver(number)
        candidate = train(self.settings, registry=self.registry)
        version, decision = judge(self.settings, registry=self.registry, challenger=candidate)
        if decision.permits:
            promote(self.settings, registry=self.registry, version=version.version)
        elif before is not None and number in (ALL_FLIPPED, SOME_FLIPPED, SHRUNKEN):
            opened = Reviews(self.storage).open()
            assert opened is not None
            opened.restore(before)
        return what, candidate, version, decision

    def _deliver(self, number: int) -> str:
        rows = self._deliveries[number - 1]
        labels, share = self._labels[rows].copy(), {ALL_FLIPPED: 1.0, SOME_FLIPPED: self._flipped}.get(number, 0.0)
        wrong = self._rng.random(len(rows)) < share
        labels[wrong] = np.where(labels[wrong] == LABELS[1], *LABELS)
        path = Path(self.settings.storage.root, f"delivery-{number:02}.csv")
        pd.DataFrame({"text": self._texts[rows], "label": labels}).to_csv(path, index=False)
        taken = ingest(self.settings, paths=[path])
        return f"{taken.accepted:,} new reviews" + (f", {share:.0%} of the labels turned round" if share else "")

    def _shrink(self) -> str:
        Reviews(self.storage).delete("review_id >= '2'")  # seven of eight are gone
        return "seven of eight reviews lost"


def accuracy(registry: Registry, model: Candidate | ModelVersion, texts: list[str], labels: list[str]) -> float:
    """Return the share of the texts that a model answers rightly."""
    scorer = registry.load_scorer(model)
    answers = np.array(scorer.labels)[scorer.probabilities(texts).argmax(axis=1)]
    return float((answers == np.array(labels)).mean())


def main() -> None:
    """Tell the story."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=DATA / "imdb_train.parquet")
    parser.add_argument("--test", type=Path, help="file for the last two columns; without it they are left out")
    parser.add_argument("--flipped", type=float, default=0.4, help="share of turned labels in the second poisoned one")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    texts, labels = read(asked.train)
    test = read(asked.test) if asked.test else None
    with tempfile.TemporaryDirectory() as root:
        settings = load_settings(storage={"root": root}, training={"learning_curve": False})
        story = Story(settings, texts=texts, labels=labels, flipped=asked.flipped, seed=asked.seed)
        print("| | what came | version | gate | why | champion | candidate on test | champion on test |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for number in range(1, RETRAININGS + 1):
            what, candidate, version, decision = story.retrain(number)
            champion = story.registry.champion()
            found = [f"{accuracy(story.registry, model, *test):.4f}" for model in (candidate, champion)] if test else []
            line = (number, what, version.version, decision.outcome, decision.reason, champion.version, *found)
            print("| " + " | ".join(map(str, line)) + " |", flush=True)
        print("\n| time (UTC) | event | version | snapshot | reason |\n|---|---|---|---|---|")
        for entry in Ledger(story.storage).entries():
            line = (f"{entry.time:%H:%M:%S}", entry.event, entry.model_version or "", entry.snapshot, entry.reason)
            print("| " + " | ".join(map(str, line)) + " |")


if __name__ == "__main__":
    main()
