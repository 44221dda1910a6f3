"""Kills scoring at random moments: ``python killing_scores.py FOLDER KILLS SEED`` prints what came of it as JSON.

Every run is a fork of this process, which itself starts no thread.
"""

import contextlib
import gzip
import hashlib
import json
import random
import sys
from importlib import import_module
from pathlib import Path

from bentos import Shelf, stock
from killing import forked

from sentiment.errors import SourceError
from sentiment.scoring.run import score
from sentiment.settings import load_settings

KILLS_A_FOLDER = 6


def fill(folder: Path) -> None:
    """Deliver good files, one that is cut off, one that is empty, and rows without a text."""
    (folder / "more").mkdir(parents=True)
    rows = [f"a wonderful film {n}" if n % 7 else "" for n in range(3_000)]
    (folder / "a.csv").write_text("\n".join(["text,id", *(f"{row},{n}" for n, row in enumerate(rows))]))
    lines = "\n".join(json.dumps({"text": f"a dreadful kettle, number {n}"}) for n in range(2_000)).encode()
    (folder / "more" / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    (folder / "more" / "cut.jsonl.gz").write_bytes(gzip.compress(lines)[:-100])
    (folder / "more" / "d.csv").write_text("\n".join(["review", *(f"what a tedious lid {n}" for n in range(1_500))]))
    (folder / "none.csv").touch()


def run(given: Path, output: Path, shelf: Shelf) -> int:
    """Score with small parts, so that there are many moments to be killed at; return how many files were bad."""
    settings = load_settings(storage={"root": str(given.parent / "var")}, data={"batch_rows": 100})
    try:
        return len(score(settings, str(given), str(output), registry=shelf, version="1").skipped)  # type: ignore[arg-type]
    except SourceError as error:
        return len(error.result.skipped)


def state(output: Path) -> dict[str, str]:
    """Every file with the digest of its bytes."""
    files = [path for path in output.rglob("*") if path.is_file()]
    return {str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill so many runs, several on each output before one may end, and compare with a clean run."""
    moments = random.Random(seed)
    shelf = stock(folder / "shelf", load_settings(training={"min_documents": 1}))
    fill(folder / "in")
    _, imported, _ = forked(lambda: (run(folder / "in", folder / "warm", shelf), sorted(sys.modules))[1])
    for name in imported:  # the others then need not
        with contextlib.suppress(ImportError):
            import_module(name)
    _, skipped, whole = forked(lambda: run(folder / "in", folder / "clean", shelf))
    expected = state(folder / "clean")
    killed = outputs = partial = 0
    wrong = []
    while killed < kills:
        output = folder / f"out{outputs}"
        outputs += 1
        for _ in range(KILLS_A_FOLDER):
            ended, *_ = forked(
                lambda output=output: run(folder / "in", output, shelf), kill_after=moments.uniform(0, whole)
            )
            if ended:
                break
            killed += 1
            partial += 0 < len(list(output.glob("*.parquet"))) < len(expected) - skipped
        forked(lambda output=output: run(folder / "in", output, shelf))
        if state(output) != expected:
            wrong.append(str(output))
    said = {"killed": killed, "partial": partial, "outputs": outputs, "wrong": wrong, "skipped": skipped}
    sys.stdout.write(json.dumps({**said, "files": len(expected), "seconds": whole}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
