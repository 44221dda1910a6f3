"""The data contract: which rows become reviews, and why the others do not.

The rules about one row are declared once, as a pandera schema whose checks are named after the reasons. The
two rules about several rows (`duplicate`, `conflicting_label`) follow the order of the rows: the first wins.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from sentiment.labels import LABELS, LabelScheme, label_of_rating, label_of_word
from sentiment.settings import DataSettings

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

CONTRACT = 1
"""Version of the contract, kept with every row that it accepted or refused; it counts changes of what passes."""

REASONS = (
    "malformed_row",
    "bad_encoding",
    "empty_text",
    "too_long",
    "unknown_label",
    "neutral_rating",
    "conflicting_label",
    "duplicate",
    "burst",
    "over_cap",
    "disagreement",
    "unmatched",
)
"""Why a row is refused, most telling first: a row that breaks several rules is counted under one.

From `duplicate` on they are about feedback, see `sentiment.reviews.feedback_policy`.
"""

Known: TypeAlias = Mapping[str, str | None] | Callable[[Sequence[str]], Mapping[str, str | None]]
"""Labels of the reviews that exist, by id; or what gives those of some ids."""

_NO_PLACE = "a rating with no place in the scheme"
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_NUMBER = r"^\s*(-?\d+(?:[.,]\d+)?)"
_TEN_STAR_SHARE = 0.01


@dataclass(frozen=True)
class Checked:
    """What the contract made of some rows.

    Attributes
    ----------
    accepted : DataFrame
        ``review_id``, ``text``, ``label`` (of the scheme, or None), ``source``, ``row_number``.
    refused : DataFrame
        ``reason``, ``text``, ``label`` (label or rating as delivered), ``source``, ``row_number``; ``stars``, the
        scale, where the label is a rating.
    duplicates : int
        Rows left out because the same text with the same label is there already.
    """

    accepted: pd.DataFrame
    refused: pd.DataFrame
    duplicates: int


def apply_contract(frame: pd.DataFrame, data: DataSettings, *, known: Known | None = None) -> Checked:
    """Check rows as `sentiment.reviews.sources.read_batches` delivers them.

    Parameters
    ----------
    frame : DataFrame
        ``text``, ``label``, ``rating``, ``source``, ``row_number``; optionally ``stars`` (the rating scale,
        otherwise taken from these rows) and ``malformed``.
    data : DataSettings
        Label scheme and longest text.
    known : mapping or callable, optional
        Labels of the reviews that exist, by review id; or what returns those of the ids it is given.
    """
    delivered = frame.reset_index(drop=True)
    rows = _prepared(delivered, data)
    reasons = _broken_rules(rows, data)
    kept = rows[reasons.isna()].copy()
    kept["review_id"] = [_hash(normal) for normal in kept["normal"]]
    before = known(kept["review_id"].tolist()) if callable(known) else known or {}
    verdicts = pd.Series(_compare(kept, before), index=kept.index, dtype=object)
    reasons[verdicts.index[verdicts == "conflicting_label"]] = "conflicting_label"
    refused = delivered[reasons.notna()]
    as_delivered = refused["label"].where(refused["label"].notna(), refused["rating"])
    return Checked(
        accepted=kept.loc[verdicts == "", ["review_id", "text", "label", "source", "row_number"]]
        .assign(written_at=pd.NaT)
        .reset_index(drop=True),
        refused=pd.DataFrame(
            {
                "reason": reasons[refused.index],
                "text": refused["text"],
                "label": as_delivered,
                "source": refused["source"],
                "stars": refused["stars"].where(refused["label"].isna(), None) if "stars" in refused else None,
                "written": None,
                "row_number": refused["row_number"],
            }
        ).reset_index(drop=True),
        duplicates=int((verdicts == "duplicate").sum()),
    )


def normalise(text: str) -> str:
    """Return what two texts share when they are the same review.

    Compatibility characters (NFKC), case, white space and HTML line breaks do not count.
    """
    text = unicodedata.normalize("NFKC", _BREAK.sub(" ", text)).casefold()
    return " ".join(unicodedata.normalize("NFKC", text).split())


def review_id_of(text: str) -> str:
    """Return the id of a review: 32 hexadecimal digits of the SHA-256 of its normalised text."""
    return _hash(normalise(text))


def rating_numbers(ratings: pd.Series) -> pd.Series:
    """Return the number that each rating begins with (``4``, ``4.0 out of 5 stars``, ``8/10``), else NaN."""
    numbers = ratings.astype("object").map(lambda value: None if pd.isna(value) else str(value))
    found = numbers.astype("str").str.extract(_NUMBER, expand=False).str.replace(",", ".")
    return pd.to_numeric(found, errors="coerce")


def rating_scale(parts: Iterable[pd.Series]) -> int:
    """Return 10 if at least 1% of the ratings from 1 to 10, which may come in parts, are above 5, else 5.

    One mistyped 6 does not turn a five-star file into a ten-star one.
    """
    usable = above = 0
    for numbers in parts:
        usable += int(((numbers >= 1) & (numbers <= 10)).sum())
        above += int(((numbers > 5) & (numbers <= 10)).sum())
    return 10 if usable and above / usable >= _TEN_STAR_SHARE else 5


@lru_cache(maxsize=8)
def contract(scheme: LabelScheme, max_characters: int) -> DataFrameSchema:
    """Return the rules about one row; every check is named after its reason."""
    import pandera.pandas as pa

    labels = {*LABELS[scheme], _NO_PLACE}

    def decoded(text: pd.Series) -> Any:
        return ~text.str.contains("[�\x00]", regex=True)

    return pa.DataFrameSchema(
        {
            "malformed": pa.Column(bool, pa.Check(lambda malformed: ~malformed, name="malformed_row")),
            "text": pa.Column(
                str,
                [
                    pa.Check(decoded, name="bad_encoding"),
                    pa.Check(lambda text: text.str.len() <= max_characters, name="too_long"),
                ],
            ),
            "normal": pa.Column(str, pa.Check(lambda text: text != "", name="empty_text")),
            "label": pa.Column(
                object,
                [
                    pa.Check(lambda label: label != _NO_PLACE, name="neutral_rating"),
                    pa.Check(lambda label: label.isin(labels), name="unknown_label"),
                ],
                nullable=True,
            ),
        },
        name="reviews",
    )


def _broken_rules(rows: pd.DataFrame, data: DataSettings) -> pd.Series:
    from pandera.errors import SchemaErrors

    reasons = pd.Series(None, index=rows.index, dtype=object)
    try:
        contract(data.scheme, data.max_characters).validate(rows, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        if not cases["check"].isin(REASONS).all():  # not about a row: these rows were prepared wrongly
            raise
        for reason in reversed(REASONS):
            reasons[cases.loc[cases["check"] == reason, "index"].astype(int).unique()] = reason
    return reasons


def _prepared(delivered: pd.DataFrame, data: DataSettings) -> pd.DataFrame:
    text = delivered["text"].map(lambda value: "" if pd.isna(value) else str(value)).astype("str")
    normal = [normalise(value) if len(value) <= data.max_characters else value for value in text]
    malformed = delivered.get("malformed", False)
    return pd.DataFrame(
        {
            "text": text,
            "normal": pd.Series(normal, dtype="str"),
            "label": _labels(delivered, data.scheme),
            "source": delivered["source"],
            "row_number": delivered["row_number"],
            "malformed": pd.Series(malformed, index=text.index).astype(bool),
        }
    )


def _labels(delivered: pd.DataFrame, scheme: LabelScheme) -> pd.Series:
    """Return the label of each row; what is none stays as delivered, for the check to refuse."""
    words = {value: label_of_word(value, scheme) or str(value) for value in delivered["label"].dropna().unique()}
    labels = delivered["label"].map(words).astype(object)
    unnamed = labels.isna() & delivered["rating"].notna()
    if unnamed.any():
        ratings = delivered.loc[unnamed, "rating"]
        numbers = rating_numbers(ratings)
        stars = int(delivered["stars"].iloc[0]) if "stars" in delivered else rating_scale([numbers])
        meant = [_label_of_stars(raw, number, scheme, stars) for raw, number in zip(ratings, numbers, strict=True)]
        labels[unnamed] = meant
    return labels.where(labels.notna(), None)


def _label_of_stars(raw: object, number: float, scheme: LabelScheme, stars: int) -> str:
    if not 1 <= number <= stars:
        return f"rating {raw}"
    return label_of_rating(number, scheme, stars=stars) or _NO_PLACE


def _compare(rows: pd.DataFrame, known: Mapping[str, str | None]) -> list[str]:
    seen: dict[str, str | None] = {}
    verdicts = []
    for review_id, label in zip(rows["review_id"], rows["label"], strict=True):
        is_known = review_id in seen or review_id in known
        before = seen[review_id] if review_id in seen else known.get(review_id)
        if not is_known or (before is None and label is not None):  # a label may come later than its text
            seen[review_id] = label
            verdicts.append("")
        else:
            verdicts.append("duplicate" if label in (None, before) else "conflicting_label")
    return verdicts


def _hash(normal: str) -> str:
    return hashlib.sha256(normal.encode()).hexdigest()[:32]
