"""What NLTK and WordNet know about single words; asked in training only, and never over the network.

Stems come from NLTK's Snowball stemmer, which is code. Lemmas come from the WordNet dictionary as Debian
installs it, read with NLTK. Debian leaves out two files that NLTK asks for and that lemmas do not need.
"""

import io
import os
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from sentiment.cleaning import Cleaning
from sentiment.errors import SettingsError
from sentiment.features.chain import Forms, LearningForms
from sentiment.features.stop_words import NEGATIONS, STOP_WORDS

DEBIAN_FOLDER = Path("/usr/share/wordnet")
FOLDER_VARIABLE = "WNSEARCHDIR"
"""Where WordNet's own programs look for the dictionary (wnintro(1WN))."""

_PARTS = ("noun", "verb", "adj", "adv")
_NEEDED = [name for part in _PARTS for name in (f"index.{part}", f"data.{part}", f"{part}.exc")]
_LETTERS = re.compile(r"[^\W\d_]+")
_LONGEST = 40  # no word of a language that these rules know is longer

Normal = Callable[[str], str]


def learning_forms(cleaning: Cleaning) -> Forms:
    """Return the table that learns what the words of the training texts become.

    Raises
    ------
    SettingsError
        Lemmas are wanted, but there is no WordNet.
    """
    if not cleaning.changes_words:
        return Forms()
    stop_words = STOP_WORDS if cleaning.stop_words == "drop" else frozenset()
    normal = {"none": None, "stem": stemmer, "lemma": lemmatizer}[cleaning.normal_form]
    ask = normal() if normal else None

    def form(word: str) -> str:
        lowered = word.lower()
        if stop_words.issuperset(lowered.strip("'").split("'")):  # it's, they'll
            return ""
        if ask is None or lowered in NEGATIONS or len(word) > _LONGEST or not _LETTERS.fullmatch(lowered):
            return word
        found = ask(lowered)
        return found if _LETTERS.fullmatch(found) else word

    forms = LearningForms(form)
    for word in stop_words:  # those that training does not meet are dropped all the same
        forms[word] = ""
    return forms


def stemmer() -> Normal:
    """Return the function from a word in lower case to its stem, by the English Snowball rules."""
    from nltk.stem.snowball import EnglishStemmer

    stem: Normal = EnglishStemmer().stem
    return stem


def lemmatizer() -> Normal:
    """Return the function from a word in lower case to its dictionary form.

    A word that is an entry stays as it is ("boring" does not become "bore"), and so does one that WordNet does
    not know. Verbs are tried before nouns: nouns alone, NLTK's habit, turn "was" into "wa" and "has" into "ha".

    Raises
    ------
    SettingsError
        There is no WordNet; says how to get it.
    """
    wordnet = _wordnet(wordnet_folder())

    def lemma(word: str) -> str:
        found: list[str | None] = [wordnet.morphy(word, kind) for kind in "vnar"]
        return word if word in found else next(filter(None, found), word)

    return lemma


def wordnet_folder() -> Path:
    """Find the WordNet dictionary: where WNSEARCHDIR says, where Debian has it, or among NLTK's data.

    Raises
    ------
    SettingsError
        It is not there; says how to get it.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    folders = [Path(named)] if named else [DEBIAN_FOLDER, *_nltk_folders()]
    for folder in folders:
        if all((folder / name).is_file() for name in _NEEDED):
            return folder.resolve()
    raise SettingsError(
        f"training.cleaning.normal_form is lemma, but there is no WordNet in {' or '.join(map(str, folders[:1]))}.",
        fix=f"Install it (`apt-get install wordnet-base`), set {FOLDER_VARIABLE} to the folder that holds index.noun,"
        " or use stem or none.",
    )


def _nltk_folders() -> list[Path]:
    import nltk

    return [Path(folder) / "corpora" / "wordnet" for folder in nltk.data.path]


@lru_cache(maxsize=1)
def _wordnet(folder: Path) -> Any:
    """Read the dictionary into memory."""
    import warnings

    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Dictionary(WordNetCorpusReader):  # type: ignore[misc]
        def open(self, file: str) -> Any:
            return io.StringIO() if file in ("lexnames", "index.sense") else super().open(file)

        def map_wn(self, version: str = "wordnet") -> None:
            """Do without the map to other versions, for which NLTK would want its own copy of WordNet."""

    if str(folder) not in nltk.data.path:
        nltk.data.path.append(str(folder))  # NLTK reads nothing outside these
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The multilingual functions are not available")
        return Dictionary(str(folder), None)
