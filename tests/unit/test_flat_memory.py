"""Ingest holds a bounded part of a file in memory, however long the file or its texts are."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.reviews import known as known_module
from sentiment.reviews.known import KnownReviews
from sentiment.reviews.sources import read_batches

IDS = st.integers(0, 5).map(lambda low: f"{'a' * 16}{low:016x}") | st.integers(0, 2**128 - 1).map("{:032x}".format)
PAIRS = st.lists(st.tuples(IDS, st.sampled_from(["positive", "negative", None])), max_size=30)


@given(st.lists(PAIRS, max_size=8), st.sampled_from([0, 3, 100]))
def test_what_is_known_is_what_a_dictionary_would_know(parts: list[list[tuple[str, str | None]]], run: int) -> None:
    expected: dict[str, str | None] = {}
    known = KnownReviews()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_module, "_SMALL_RUN", run)
        for part in parts:
            fresh: dict[str, str | None] = {}  # of one part a labelled row stays, whichever came first
            for review_id, label in part:
                if fresh.get(review_id) is None:
                    fresh[review_id] = label
            known.update(list(fresh), fresh.values())
            for review_id, label in fresh.items():
                if expected.get(review_id) is None:
                    expected[review_id] = label
            assert len(known) == len(expected)
            asked = [*expected, "0" * 32]
            assert known.among(asked) == {i: expected[i] for i in asked if i in expected}


def test_a_million_reviews_are_known_in_twenty_megabytes() -> None:
    known = KnownReviews()
    numbers = random.Random(0)
    for _ in range(20):
        known.update([f"{numbers.getrandbits(128):032x}" for _ in range(50_000)], ["positive"] * 50_000)
    assert len(known) == 1_000_000
    assert known.nbytes < 20e6


def test_batches_of_long_texts_have_fewer_rows(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text(f"{json.dumps({'text': 'x' * 1_000_000})}\n" * 40)
    sizes = [len(batch) for batch in read_batches(path, batch_rows=20_000)]
    assert sum(sizes) == 40
    assert max(sizes) <= 17


PEAK = r"""
import re, sys
from pathlib import Path
from sentiment.reviews.ingest import ingest
from sentiment.settings import load_settings

result = ingest(load_settings(storage={"root": sys.argv[2]}), paths=[Path(sys.argv[1])])
said = Path("/proc/self/status").read_text()  # the peak that getrusage tells is that of the process it was forked from
print(result.accepted, int(re.search(r"VmHWM:\s*(\d+) kB", said)[1]) / 1024)
"""


def test_the_peak_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for rows in (20_000, 120_000):  # of 2 kB: 40 MB, and 240 MB
        path = tmp_path / f"{rows}.jsonl"
        with path.open("w") as file:
            for number in range(rows):
                row = {"text": f"{number} {'word ' * 400}", "label": ("neg", "pos")[number % 2]}
                file.write(json.dumps(row) + "\n")
        done = subprocess.run(
            [sys.executable, "-c", PEAK, path, tmp_path / f"var{rows}"], capture_output=True, text=True, check=True
        )
        accepted, peak = done.stdout.split()
        assert int(accepted) == rows
        peaks.append(float(peak))
    assert peaks[1] - peaks[0] < 200, peaks  # holding the larger file would take 400 MB more


SCORING_PEAK = r"""
import re, sys
from pathlib import Path
from bentos import stock
from sentiment.scoring.run import score
from sentiment.settings import load_settings

shelf = stock(Path(sys.argv[2], "shelf"), load_settings(training={"min_documents": 1}))
result = score(load_settings(data={"batch_rows": 2_000}), sys.argv[1], f"{sys.argv[2]}/scores", registry=shelf)
print(result.rows, int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def test_the_peak_of_scoring_does_not_grow_with_the_table(tmp_path: Path) -> None:
    peaks = []
    for rows in (8_000, 60_000):
        path = tmp_path / f"{rows}.parquet"
        with pq.ParquetWriter(
            path, pa.schema([("text", pa.string())]), compression="none", use_dictionary=False
        ) as file:
            for start in range(0, rows, 2_000):
                texts = [f"{number} {'wonderful ' * 200}" for number in range(start, start + 2_000)]
                file.write_table(pa.table({"text": texts}))
        command = [sys.executable, "-c", SCORING_PEAK, path, tmp_path / f"var{rows}"]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
        scored, peak = done.stdout.split()
        assert int(scored) == rows
        peaks.append(float(peak))
    assert peaks[1] - peaks[0] < 50, peaks  # holding the bytes of the larger file would take 100 MB more
