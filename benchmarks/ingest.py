"""Ingest at several sizes: peak memory, rows per second, and the ratio to a bare ``pandas.read_csv`` and dedupe.

Run it with ``python -m benchmarks.ingest [rows ...]`` (100 thousand and 1 million by default). Each measurement is
a process of its own, so that its peak is its own; the file is generated, a tenth of its rows are copies of others.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sentiment.reviews.sample import generate

SIZES = (100_000, 1_000_000)
CHUNK = 50_000


def write_reviews(path: Path, rows: int) -> None:
    """Write `rows` reviews of one to three sentences; nine in ten have a number that makes them unique."""
    random = np.random.default_rng(0)
    stems = [(review.text.replace('"', ""), review.label) for review in generate("film", 5_000, seed=0)]
    with path.open("w", encoding="utf-8") as file:
        file.write("review,sentiment\n")
        for start in range(0, rows, CHUNK):
            count = min(CHUNK, rows - start)
            picks = random.integers(len(stems), size=count)
            numbers = np.where(random.random(count) < 0.9, np.arange(start, start + count), -1)
            for pick, number in zip(picks.tolist(), numbers.tolist(), strict=True):
                text, label = stems[pick]
                file.write(f'"{text} Seen as number {number}.",{label}\n')


def ours(path: str, root: str) -> int:
    """Ingest the file; return the rows that came in."""
    from sentiment.reviews.ingest import ingest
    from sentiment.settings import load_settings

    result = ingest(load_settings(storage={"root": root}), paths=[Path(path)])
    return result.accepted


def bare(path: str, _root: str) -> int:
    """Read the file with pandas, lower the case and drop the duplicates; return the rows that are left."""
    import pandas as pd

    rows = pd.read_csv(path)
    return len(rows[~rows["review"].str.lower().duplicated()])


def measured(way: str, path: Path) -> dict[str, float]:
    """Run one way in a process of its own."""
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "benchmarks.ingest", "--measure", way, str(path), root]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(way: str, path: str, root: str) -> None:
    """Measure this process."""
    begin = time.perf_counter()
    accepted = {"ours": ours, "bare": bare}[way](path, root)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"accepted": accepted, "seconds": seconds, "peak": peak}))


def main(sizes: list[int]) -> None:
    """Print the table."""
    print("|      rows | file MB | ingest s | rows/s | peak MB | pandas s | peak MB | time ratio |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            path = Path(folder, f"{rows}.csv")
            write_reviews(path, rows)
            we, they = measured("ours", path), measured("bare", path)
            if we["accepted"] != they["accepted"]:
                sys.exit(f"{rows}: {we['accepted']} rows accepted, pandas keeps {they['accepted']}")
            print(
                f"| {rows:9,} | {path.stat().st_size / 1e6:7.0f} | {we['seconds']:8.1f} | "
                f"{rows / we['seconds']:6,.0f} | {we['peak']:7.0f} | {they['seconds']:8.1f} | {they['peak']:7.0f} | "
                f"{we['seconds'] / they['seconds']:10.1f} |",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure(*sys.argv[2:5])
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
