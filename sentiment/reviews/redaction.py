"""Personal data out of columns of texts, and the columns that hold personal data by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sentiment.redaction import KEYS, redact

_SUSPECT = rf"@|[0-9][0-9 ().\-/]{{5,}}[0-9]|:[0-9a-fA-F.]{{0,15}}:|(?i:\b(?:{KEYS})\b)"
"""RE2, run over whole columns: a text without any of this has nothing to redact."""

_USER_KEY = re.compile(rf"(?i)(?:{KEYS}|user|reviewer|email|e-mail|phone|ip|ip[_ ]?address)")


def redact_all(texts: pd.Series) -> tuple[pd.Series, Counter[str]]:
    """Redact a column of texts, missing ones included, and return it with the counts over all of them."""
    column = pa.array(texts, type=pa.large_string(), from_pandas=True)
    suspects = pc.fill_null(pc.match_substring_regex(column, _SUSPECT), False).to_numpy(zero_copy_only=False)
    total: Counter[str] = Counter()
    if not suspects.any():
        return texts, total
    redacted = []
    for text in texts[suspects]:
        clean, counts = redact(text)
        redacted.append(clean)
        total.update(counts)
    if not total:
        return texts, total
    texts = texts.copy()
    texts.iloc[suspects.nonzero()[0]] = redacted
    return texts, total


def is_personal(name: str) -> bool:
    """Return whether a column of this name holds something about a person, such as ``user_id``."""
    return _USER_KEY.fullmatch(re.sub(r"\s+", "_", name.strip())) is not None


def named_fields(names: Iterable[str], fields: Iterable[str]) -> list[str]:
    """Return the fields of a broken row, those of personal columns as ``name=value``, for `redact` to find."""
    known = [*names]
    return [
        f"user_id={field}" if place < len(known) and field and is_personal(known[place]) else field
        for place, field in enumerate(fields)
    ]
