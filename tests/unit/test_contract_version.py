"""The contract does not change unnoticed: its rules and what they make of known rows are those of its version."""

import hashlib
import json
from itertools import product
from typing import Any

import pandas as pd

from sentiment.labels import LABELS, LabelScheme
from sentiment.reviews.contract import CONTRACT, REASONS, apply_contract, contract
from sentiment.reviews.moments import parse_moments
from sentiment.settings import DataSettings

REVIEWED = {2: "d27ec0958885a71f", 3: "7e64e3b5ff1b5027"}
"""Digest of the rules of each version. Rules changed? Raise CONTRACT, say what changed in docs/data.md, add a line."""

TEXTS = (
    *(None, "", " <br /> ", "good", "GOOD", "good ", "good!", "caf\ufffd", "x" * 101),
    "Una película muy oscura y conmovedora.",
)
LABELS_GIVEN = (
    *(None, "pos", "Negative", "neutral", "meh", "0", "1", "5", "-1", "true", "bad", "gut"),
    *(("1", 5), ("2", 5), ("2.5", 5), ("3", 5), ("4.0 out of 5 stars", 5), ("6", 5), ("none", 5)),
    *((str(rating), 10) for rating in range(1, 11)),
)
WRITTEN = (None, "2018-07-31", "31-Jul-18", "1588687728923", "9999-12-31", "soon")
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"languages": ("en",)},
    {"rating_labels": {1: 0, 2: 0, 3: -1}, "label_words": {"gut": -1}},
)


def outcomes(scheme: LabelScheme, options: dict[str, Any]) -> list[Any]:
    """Return what becomes of known rows."""
    names = LABELS[scheme]
    chosen = {
        name: {key: names[place] for key, place in value.items()} if isinstance(value, dict) else value
        for name, value in options.items()
    }
    given = [
        *product(TEXTS, LABELS_GIVEN[:2], WRITTEN[:1]),
        *((f"rated {number}", label, None) for number, label in enumerate(LABELS_GIVEN)),
        *((f"written {number}", None, written) for number, written in enumerate(WRITTEN)),
    ]
    frame = pd.DataFrame([probe(*row) for row in given], dtype=object).assign(row_number=range(len(given)))
    frame["written_at"] = parse_moments(frame["written"])
    found = []
    for _, part in frame.groupby("stars"):
        checked = apply_contract(part, DataSettings(scheme=scheme, max_characters=100, **chosen))
        taken = checked.accepted[["row_number", "review_id", "label", "written_at"]]
        found += [taken.astype(str).to_numpy().tolist(), checked.refused[["row_number", "reason"]].to_numpy().tolist()]
    return found


def probe(text: str | None, given: str | tuple[str, int] | None, written: str | None) -> dict[str, Any]:
    label, rating, stars = (None, *given) if isinstance(given, tuple) else (given, None, 5)
    row = {"text": text, "label": label, "rating": rating, "stars": stars, "written": written}
    return {**row, "source": "probe", "malformed": False}


def digest() -> str:
    schema = contract(LabelScheme.binary, 100, 24.0, ())
    rules = [
        [name, str(column.dtype), column.nullable, [check.name for check in column.checks]]
        for name, column in schema.columns.items()
    ]
    behaviour = [outcomes(scheme, options) for scheme in LabelScheme for options in OPTIONS]
    whole = json.dumps([REASONS, rules, behaviour], default=int)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def test_rules_do_not_change_without_a_new_version_of_the_contract() -> None:
    assert digest() == REVIEWED[CONTRACT]
    assert max(REVIEWED) == CONTRACT
