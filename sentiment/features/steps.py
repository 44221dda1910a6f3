"""The steps of the cleaning chain that look at more than one word: text in, text out.

Every pattern needs time linear in the text, whatever the text: they run on what strangers send.
"""

import re
from collections.abc import Callable
from html import unescape

from sentiment.features.clean import MARKS
from sentiment.features.stop_words import NEGATIONS

Step = Callable[[str], str]

URL, EMAIL, NUMBER, NEGATED = "url", "email", "0", "_neg"
"""The words that stand for addresses and numbers, and the ending of what is negated.

"email" is also what is left of the ``[email]`` with which stored reviews are redacted.
"""

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_COMMENT = re.compile(r"<!--(?:.*?-->|.*\Z)", re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b(?:.*?</\1\s*>|.*\Z)", re.DOTALL | re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}")
_URL_HINT = re.compile(r"://|www\.|\.(?:com|org|net|edu|gov)(?![\w-])", re.IGNORECASE)  # finds fast that there is none
_URL = re.compile(
    r"(?<![\w@])(?:https?://|ftp://|www\.)[^\s<>\"]*[^\s<>\"'.,:;!?()\[\]{}]"
    r"|(?<![\w@.-])(?:[\w-]{1,63}\.){1,8}(?:com|org|net|edu|gov)(?![\w-])(?:/[^\s<>\"]*[^\s<>\"'.,:;!?()\[\]{}])?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<!\w)[-+]?\d+(?:[.,:/]\d+)*(?!\w)")
_SCOPE = re.compile(rf"\b((?:{'|'.join(sorted(NEGATIONS))}|\w*n't)\b)([^.:;!?]*)", re.IGNORECASE)
_WORD = re.compile(r"\w[\w']*")
_NO_MARKS = str.maketrans(dict.fromkeys(MARKS, " "))


def without_tags(text: str) -> str:
    """Replace each tag by a space."""
    return _TAG.sub(" ", text) if "<" in text else text


def without_markup(text: str) -> str:
    """Turn entities into characters and take out comments, scripts and styles, closed or not; tags stay."""
    if "&" in text:
        text = unescape(text)
    return _HIDDEN.sub(" ", _COMMENT.sub(" ", text)) if "<" in text else text


def without_addresses(mark: bool) -> Step:
    """Return the step that takes web and e-mail addresses out, or puts a word in their place."""
    url, email = (f" {URL} ", f" {EMAIL} ") if mark else (" ", " ")

    def step(text: str) -> str:
        if "@" in text:
            text = _EMAIL.sub(email, text)
        return _URL.sub(url, text) if _URL_HINT.search(text) else text

    return step


def without_numbers(mark: bool) -> Step:
    """Return the step that takes numbers out, or makes all of them one."""
    number = f" {NUMBER} " if mark else " "
    return lambda text: _NUMBER.sub(number, text)


def negated(words: Step) -> Step:
    """Return the step that marks what is negated, and does `words` to all but the words that negate.

    The scope of a negation ends at a mark that ends a clause (Pang, Lee and Vaithyanathan, 2002), as in
    ``nltk.sentiment.util.mark_negation``; a second negation within it does not turn it back.
    """

    def step(text: str) -> str:
        pieces = _SCOPE.split(text)  # outside, negation, scope, outside, ...
        pieces[0::3] = map(words, pieces[0::3])
        pieces[2::3] = [_WORD.sub(rf"\g<0>{NEGATED}", words(scope)) for scope in pieces[2::3]]
        return "".join(pieces)

    return step


def without_marks(text: str) -> str:
    """Take out the marks that are tokens; all other punctuation only separates words."""
    return text.translate(_NO_MARKS)
