"""What servers have left in the landing zone, as tests look at it."""

from pathlib import Path
from typing import Any

from sentiment.reviews.landing import records_of
from sentiment.settings import Settings


def landed(settings: Settings, kind: str = "predictions") -> list[dict[str, Any]]:
    """Everything in a folder of a landing zone on this machine, file after file."""
    folder = Path(settings.storage.root, "landing", kind)
    files = sorted(path for path in folder.glob("*") if path.suffix in (".parquet", ".jsonl"))
    return [record for path in files for record in records_of(path.name, path.read_bytes())]
