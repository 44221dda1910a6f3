"""Scoring a whole table against the bare scorer: texts per second, and the peak of memory as the table grows.

``python -m benchmarks.scoring [REVIEWS] [COPIES ...]``: a labelled file (generated reviews without one), once and ten
times over (1 and 10 copies), by a model that learned from it. Each measurement is a process of its own. The bare scorer
gets the texts as a list in memory; scoring also reads the Parquet file, hashes it, and writes its answers.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment.labels import LabelScheme
from sentiment.model_records import ModelVersion
from sentiment.reviews.sample import generate
from sentiment.reviews.sources import read_batches
from sentiment.serving.scorer import Scorer
from sentiment.settings import load_settings

COPIES = (1, 10)


@dataclass(frozen=True)
class OneModel:
    """A registry with one model."""

    path: str

    def champion(self) -> ModelVersion:
        """Return it."""
        scorer = self.load_scorer(None)
        moment = datetime(2030, 1, 1, tzinfo=UTC)
        return ModelVersion("1", "run", "reviews@v1", scorer.digest, scorer.labels, {}, "promote", (), moment)

    def load_scorer(self, _: object) -> Scorer:
        """Return its scorer."""
        return Scorer.load(Path(self.path))


def reviews(path: str | None) -> tuple[list[str], list[str]]:
    """Return texts and labels of a file, or generated ones."""
    if path is None:
        made = [review for review in generate("film", 25_000, seed=0) if review.label]
        return [review.text for review in made], [str(review.label) for review in made]
    texts: list[str] = []
    labels: list[str] = []
    for batch in read_batches(Path(path), batch_rows=20_000):
        labelled = batch[batch["label"].notna()]
        texts += labelled["text"].tolist()
        labels += labelled["label"].tolist()
    return texts, ["positive" if label in ("pos", "positive", "1") else "negative" for label in labels]


def measure(way: str, model: str, path: str, output: str) -> None:
    """Measure this process."""
    registry: Any = OneModel(model)
    scorer = registry.load_scorer(None)
    if way == "bare":
        texts = pq.read_table(path)["text"].to_pylist()
        scorer.probabilities(texts[:100])
    from sentiment.scoring.run import score

    began, used = time.perf_counter(), time.process_time()
    if way == "bare":
        rows = len(scorer.probabilities(texts))
    else:
        rows = score(load_settings(storage={"root": output}), path, f"{output}/scores", registry=registry).rows
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    said = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s*(\d+) kB", said)[1]) / 1024  # type: ignore[index]
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu": cpu, "peak": peak}))


def measured(way: str, model: Path, path: Path) -> dict[str, float]:
    """Measure one way in a process of its own."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "benchmarks.scoring", "--measure", way, str(model), str(path), output]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(given: str | None, copies: list[int]) -> None:
    """Print the table."""
    from sentiment.training.model import compile_scorer, fit

    texts, labels = reviews(given)
    print("| way | rows | texts/s | texts/CPU s | peak MB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        model, path = Path(folder, "scorer.npz"), Path(folder, "reviews.parquet")
        compile_scorer(fit(texts, labels, settings=load_settings().training, scheme=LabelScheme.binary)).save(model)
        for times in copies:
            with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
                for _ in range(times):
                    writer.write_table(pa.table({"text": texts}), row_group_size=10_000)
            for way in ("bare", "score") if times == copies[0] else ("score",):
                found = measured(way, model, path)
                rates = f"{found['rows'] / found['seconds']:,.0f} | {found['rows'] / found['cpu']:,.0f}"
                print(f"| {way} | {found['rows']:,} | {rates} | {found['peak']:,.0f} |", flush=True)


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure(*sys.argv[2:6])
    else:
        files = [word for word in sys.argv[1:] if not word.isdigit()]
        main(files[0] if files else None, [int(word) for word in sys.argv[1:] if word.isdigit()] or list(COPIES))
