"""The data contract: which rows become reviews, and why the others do not.

The rules about one row are declared once, as a pandera schema whose checks are named after the reasons. The
two rules about several rows (`duplicate`, `conflicting_label`) follow the order of the rows: the first wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from sentiment.labels import LABELS, LabelScheme, label_of_rating, label_of_word
from sentiment.reviews.identity import hash_of, normalise
from sentiment.reviews.language import UNKNOWN, languages_of, require_known
from sentiment.reviews.moments import MOMENT
from sentiment.settings import DataSettings

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

DUPLICATE = "duplicate"

CONTRACT = 3
"""Version of the contract, kept with every row that it accepted or refused; it counts changes of what passes."""

REASONS = (
    "malformed_row",
    "bad_encoding",
    "empty_text",
    "too_long",
    "unknown_label",
    "neutral_rating",
    "future_timestamp",
    "wrong_language",
    "conflicting_label",
    DUPLICATE,
    "burst",
    "over_cap",
    "disagreement",
    "unmatched",
    "text_not_kept",
)
"""Why a row is refused, most telling first: a row that breaks several rules is counted under one.

From `burst` on they are about feedback, see `sentiment.reviews.feedback_policy`.
"""

Known: TypeAlias = Mapping[str, str | None] | Callable[[Sequence[str]], Mapping[str, str | None]]
"""Labels of the reviews that exist, by id; or what gives those of some ids."""

_ACCEPTED = ["review_id", "text", "label", "source", "written_at", "row_number"]
_NO_PLACE = "a rating with no place in the scheme"
_NUMBER = r"^\s*(-?\d+(?:[.,]\d+)?)"
_TEN_STAR_SHARE = 0.01


@dataclass(frozen=True)
class Checked:
    """What the contract made of some rows.

    Attributes
    ----------
    accepted : DataFrame
        ``review_id``, ``text``, ``label`` (of the scheme, or None), ``source``, ``written_at``, ``row_number``.
    refused : DataFrame
        ``reason``, ``text``, ``label`` (label or rating as delivered), ``source``, ``written`` (as delivered),
        ``row_number``; ``stars``, the scale, where the label is a rating. Duplicates among them.
    """

    accepted: pd.DataFrame
    refused: pd.DataFrame

    @property
    def reasons(self) -> Counter[str]:
        """Rows by what is wrong with them."""
        return Counter(self.refused.loc[self.refused["reason"] != DUPLICATE, "reason"].tolist())

    @property
    def duplicates(self) -> int:
        """Rows with which nothing is wrong: the same text with the same label is there already."""
        return int((self.refused["reason"] == DUPLICATE).sum())


def apply_contract(frame: pd.DataFrame, data: DataSettings, *, known: Known | None = None) -> Checked:
    """Check rows as `sentiment.reviews.sources.read_batches` delivers them.

    Parameters
    ----------
    frame : DataFrame
        ``text``, ``label``, ``rating``, ``source``, ``row_number``; optionally ``stars`` (the rating scale,
        otherwise taken from these rows), ``malformed``, ``written`` and ``written_at``.
    data : DataSettings
        Label scheme, limits, languages.
    known : mapping or callable, optional
        Labels of the reviews that exist, by review id; or what returns those of the ids it is given.
    """
    delivered = frame.reset_index(drop=True)
    rows = _prepared(delivered, data)
    reasons = _broken_rules(rows, data)
    kept = rows[reasons.isna()].copy()
    kept["review_id"] = [hash_of(normal) for normal in kept["normal"].tolist()]
    before = known(kept["review_id"].tolist()) if callable(known) else known or {}
    reasons[kept.index] = _compare(kept, before)
    return Checked(
        accepted=kept.loc[reasons[kept.index].isna(), _ACCEPTED].reset_index(drop=True),
        refused=_as_delivered(delivered[reasons.notna()], reasons).reset_index(drop=True),
    )


def labels_of(delivered: pd.DataFrame, data: DataSettings) -> pd.Series:
    """Return the label of each row; what is none stays as delivered, for the check to refuse."""
    given = delivered["label"].dropna().unique()
    words = {value: label_of_word(value, data.scheme, words=data.label_words) or str(value) for value in given}
    labels = delivered["label"].map(words).astype(object)
    unnamed = labels.isna() & delivered["rating"].notna()
    if unnamed.any():
        ratings = delivered.loc[unnamed, "rating"]
        numbers = rating_numbers(ratings)
        stars = int(delivered["stars"].iloc[0]) if "stars" in delivered else rating_scale([numbers])
        meant = [_label_of_stars(raw, number, data, stars) for raw, number in zip(ratings, numbers, strict=True)]
        labels[unnamed] = meant
    return labels.where(labels.notna(), None)


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
def contract(
    scheme: LabelScheme, max_characters: int, max_ahead_hours: float, languages: tuple[str, ...]
) -> DataFrameSchema:
    """Return the rules about one row; every check is named after its reason.

    Raises
    ------
    SettingsError
        One of the languages is none that can be told.
    """
    import pandera.pandas as pa

    require_known(languages)
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
            "ahead": pa.Column(
                float, pa.Check(lambda hours: ~(hours > max_ahead_hours), name="future_timestamp"), nullable=True
            ),
            "language": pa.Column(
                object, pa.Check(lambda language: language.isin({UNKNOWN, *languages}), name="wrong_language")
            ),
        },
        name="reviews",
    )


def _broken_rules(rows: pd.DataFrame, data: DataSettings) -> pd.Series:
    from pandera.errors import SchemaErrors

    reasons = pd.Series(None, index=rows.index, dtype=object)
    try:
        contract(data.scheme, data.max_characters, data.max_ahead_hours, data.languages).validate(rows, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        if not cases["check"].isin(REASONS).all():  # not about a row: these rows were prepared wrongly
            raise
        for reason in reversed(REASONS):
            reasons[cases.loc[cases["check"] == reason, "index"].astype(int).unique()] = reason
    return reasons


def _prepared(delivered: pd.DataFrame, data: DataSettings) -> pd.DataFrame:
    text = delivered["text"].map(lambda value: "" if pd.isna(value) else str(value)).astype("str")
    normal = [normalise(value) if len(value) <= data.max_characters else value for value in text.tolist()]
    malformed = delivered.get("malformed", False)
    written_at = pd.Series(delivered.get("written_at", pd.NaT), index=text.index, dtype=MOMENT)
    return pd.DataFrame(
        {
            "text": text,
            "normal": pd.Series(normal, dtype="str"),
            "label": labels_of(delivered, data),
            "written_at": written_at,
            "ahead": (written_at - pd.Timestamp.now(UTC)) / pd.Timedelta(hours=1),
            "language": pd.Series(languages_of(text) if data.languages else UNKNOWN, index=text.index, dtype=object),
            "source": delivered["source"],
            "row_number": delivered["row_number"],
            "malformed": pd.Series(malformed, index=text.index).astype(bool),
        }
    )


def _as_delivered(refused: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    rated = refused["label"].isna()
    return pd.DataFrame(
        {
            "reason": reasons[refused.index],
            "text": refused["text"],
            "label": refused["label"].where(~rated, refused["rating"]),
            "source": refused["source"],
            "stars": refused["stars"].where(rated, None) if "stars" in refused else None,
            "written": refused.get("written"),
            "row_number": refused["row_number"],
        }
    )


def _label_of_stars(raw: object, number: float, data: DataSettings, stars: int) -> str:
    if not 1 <= number <= stars:
        return f"rating {raw}"
    return label_of_rating(number, data.scheme, stars=stars, ratings=data.rating_labels) or _NO_PLACE


def _compare(rows: pd.DataFrame, known: Mapping[str, str | None]) -> list[str | None]:
    """Return the reason why each row is refused for those before it, or None."""
    seen: dict[str, str | None] = {}
    verdicts: list[str | None] = []
    for review_id, label in zip(rows["review_id"], rows["label"], strict=True):
        is_known = review_id in seen or review_id in known
        before = seen[review_id] if review_id in seen else known.get(review_id)
        if not is_known or (before is None and label is not None):  # a label may come later than its text
            seen[review_id] = label
            verdicts.append(None)
        else:
            verdicts.append(DUPLICATE if label in (None, before) else "conflicting_label")
    return verdicts
