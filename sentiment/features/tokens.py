"""The kernel: texts to 64-bit keys of word n-grams, many characters at a time, in numpy alone.

A batch of texts becomes one array of characters. A table gives each character its kind, so token borders
are comparisons of neighbours. The hash of a token is the polynomial ``sum(c[j] * B**j)`` modulo 2**64, read
off a prefix sum as a difference of two entries and moved to the origin by the inverse of ``B**start``: one
multiplication a character, whatever the tokens (Karp and Rabin, 1987). A finaliser (splitmix64; Steele, Lea
and Flood, 2014) spreads it over all bits, and the key of an n-gram mixes the key of its first n-1 tokens
with that of the last one. Modulo a power of two, some pairs of very long words have the same polynomial (those
of Thue and Morse, from about a thousand letters), so the few tokens that are long get a cryptographic hash.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import accumulate
from operator import mul
from sys import byteorder

import numpy as np
from numpy.typing import NDArray

from sentiment.features.clean import MARKS, clean, words

BATCH_CHARACTERS = 1 << 18
"""Characters handled at a time: bounds memory, and keeps the working arrays near the cache."""

NO_NGRAM = 0
"""Key that stands where a text ends before the n-gram does."""

_BASE = 0x9E3779B97F4A7C15 | 1
_MASK = (1 << 64) - 1
_STEP = np.uint64(0xD1342543DE82EF95)
_LONG = 256  # letters; no two words of fewer can be made to collide by that construction
_SEPARATOR = "\n"  # not part of any token, so no token reaches from one text into the next
_OTHER, _WORD, _MARK = 0, 1, 2  # see `_borders`

_SHORT = 400  # characters
_MOST_SEEN, _LONGEST_SEEN = 30_000, 40  # pieces, letters
_POWERS = [pow(_BASE, power, _MASK + 1) for power in range(_LONGEST_SEEN)]


@dataclass(frozen=True)
class NgramKeys:
    """The n-grams of a batch of texts.

    Attributes
    ----------
    keys : ndarray of uint64, shape (max_ngram, tokens)
        ``keys[n - 1, i]`` is the key of the n tokens that start with token i, `NO_NGRAM` if there are not
        so many left in its text.
    bounds : ndarray of int64, shape (texts + 1,)
        Text i, counted from 0 within the batch, has the tokens from ``bounds[i]`` to before ``bounds[i + 1]``.
    cleaned : str
        The cleaned texts, end to end with a separator between them.
    starts, ends : ndarray of int64, shape (tokens,)
        Where each token lies in `cleaned`.
    """

    keys: NDArray[np.uint64]
    bounds: NDArray[np.int64]
    cleaned: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def texts(self) -> int:
        """How many texts there are, those without tokens included."""
        return len(self.bounds) - 1

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The text to which each token belongs, shape (tokens,), ascending."""
        return np.repeat(np.arange(self.texts), np.diff(self.bounds))

    def word(self, length: int, token: int) -> str:
        """Return the n-gram of `length` tokens that starts with a token, joined by single spaces."""
        between = self.cleaned[self.starts[token] : self.ends[token + length - 1]]
        return between if length == 1 else " ".join(words(between))


def ngram_keys(texts: Sequence[str], max_ngram: int, cleaner: Callable[[str], str] = clean) -> NgramKeys:
    """Hash all word n-grams of 1 to `max_ngram` tokens of the texts, each cleaned by `cleaner` first.

    The tokens are exactly those of ``clean.words``, for every text that a Python string can hold.
    """
    cleaned = [cleaner(text) for text in texts]
    joined = _SEPARATOR.join(cleaned)
    keys, starts, ends = _token_keys(joined)
    limits = list(accumulate([len(text) + len(_SEPARATOR) for text in cleaned], initial=0))
    bounds = starts.searchsorted(limits)
    return NgramKeys(_combine(keys, bounds[1:], max_ngram), bounds, joined, starts, ends)


def text_keys(text: str, max_ngram: int, cleaner: Callable[[str], str] = clean) -> NDArray[np.uint64]:
    """Hash the n-grams of one text: the keys that `ngram_keys` gives, sooner if the text is short.

    For some twenty words, looking each of them up among those that were hashed before takes less time than the
    calls of numpy that hash them. A key is a sum over tokens (`longer_keys`), so one product makes all of them.
    """
    cleaned = cleaner(text)
    short = len(cleaned) <= _SHORT
    tokens = b"".join(map(_SEEN.__getitem__, cleaned.split())) if short else _token_keys(cleaned)[0].tobytes()
    count = len(tokens) // 8
    windows = np.ndarray((max_ngram, count), np.uint64, tokens + bytes(8 * max_ngram), strides=(8, 8))
    keys: NDArray[np.uint64] = _steps(max_ngram).dot(windows)
    for extra in range(1, max_ngram):
        keys[extra, max(0, count - extra) :] = NO_NGRAM
    return keys


@lru_cache
def _steps(max_ngram: int) -> NDArray[np.uint64]:
    """Return what each token of an n-gram is multiplied by, shape (max_ngram, max_ngram), a row for each length."""
    powers = [[pow(int(_STEP), last - token, _MASK + 1) for token in range(last + 1)] for last in range(max_ngram)]
    return np.array([row + [0] * (max_ngram - len(row)) for row in powers], np.uint64)


class _Seen(dict[str, bytes]):
    """The keys of the tokens of each piece between spaces, which are the same in every model.

    What is not in here is hashed in plain Python, which for a word takes less time than one call of numpy. When they
    are many it begins anew, and takes over from those before what is asked for again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, bytes] = {}

    def __missing__(self, piece: str) -> bytes:
        if len(piece) > _LONGEST_SEEN:
            return bytes(_token_keys(piece)[0])
        keys = self.before.get(piece) or self._hashed(piece)
        if len(self) >= _MOST_SEEN:
            self.before = dict(self)
            self.clear()
        self[piece] = keys
        return keys

    def _hashed(self, piece: str) -> bytes:
        tokens = [piece] if piece.isalnum() else words(piece)
        return _word_key(piece) if tokens == [piece] else b"".join(map(self.__getitem__, tokens))


_SEEN = _Seen()


def _word_key(word: str) -> bytes:
    """Return the key of a token that is not long, as `_token_hashes` and `_mix` make it."""
    key: int = sum(map(mul, map(ord, word), _POWERS)) & _MASK
    key = ((key ^ key >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    key = ((key ^ key >> 27) * 0x94D049BB133111EB) & _MASK
    return (key ^ key >> 31).to_bytes(8, byteorder)


def longer_keys(prefixes: NDArray[np.uint64], lasts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the keys of n-grams from those of their first n-1 tokens and of their last one."""
    keys: NDArray[np.uint64] = prefixes * _STEP + lasts
    return keys


def batches(texts: Sequence[str], limit: int = BATCH_CHARACTERS) -> Iterator[slice]:
    """Cut the texts into runs of about `limit` characters; a longer text is a run of its own."""
    begin, size = 0, 0
    for position, text in enumerate(texts):
        if size and size + len(text) > limit:
            yield slice(begin, position)
            begin, size = position, 0
        size += len(text) + 1
    if begin < len(texts):
        yield slice(begin, len(texts))


def _token_keys(cleaned: str) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the key of each token, where it starts, and where it ends (exclusive)."""
    codes, kinds = _characters(cleaned)
    starts, ends = _borders(kinds)
    hashes = _token_hashes(codes, starts, ends)
    for token in (ends - starts > _LONG).nonzero()[0].tolist():
        hashes[token] = _long_hash(cleaned[starts[token] : ends[token]])
    return _mix(hashes), starts, ends


def _characters(joined: str) -> tuple[NDArray[np.unsignedinteger], NDArray[np.uint8]]:
    """Code points, one byte each where the text allows it, and the kind of each, with an `_OTHER` at both ends."""
    try:
        encoded = joined.encode("latin-1")
        codes: NDArray[np.unsignedinteger] = np.frombuffer(encoded, np.uint8)
        return codes, np.frombuffer(b"\0%b\0" % encoded.translate(_small_kinds()), np.uint8)
    except UnicodeEncodeError:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
        kinds = np.zeros(len(codes) + 2, np.uint8)
        _kinds(0x110000).take(codes, out=kinds[1:-1])
        return codes, kinds


@lru_cache
def _kinds(size: int) -> NDArray[np.uint8]:
    """Kind of each of the first `size` code points, asked of `re` itself."""
    kinds = np.full(size, _OTHER, np.uint8)
    for run in re.finditer(r"\w+", "".join(map(chr, range(size)))):
        kinds[run.start() : run.end()] = _WORD
    kinds[ord("'")] = _WORD
    kinds[[ord(mark) for mark in MARKS]] = _MARK
    return kinds


@lru_cache
def _small_kinds() -> bytes:
    return _kinds(0x100).tobytes()


def _borders(kinds: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where tokens start, and where they end (exclusive).

    A word character starts a token unless it follows another one, and a mark always does: its kind is greater
    than the last bit of the kind before it. Ends are the same read backwards.
    """
    words = kinds & np.uint8(_WORD)
    inner = kinds[1:-1]
    return (inner > words[:-2]).nonzero()[0], (inner > words[2:]).nonzero()[0] + 1


def _token_hashes(
    codes: NDArray[np.unsignedinteger], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.uint64]:
    size = 1 << max(12, len(codes).bit_length())
    powers, inverses = _powers(size) if size <= 2 * BATCH_CHARACTERS else _powers.__wrapped__(size)
    prefix = np.zeros(len(codes) + 1, np.uint64)
    np.multiply(codes, powers[: len(codes)], out=prefix[1:])
    np.cumsum(prefix[1:], out=prefix[1:])
    hashes: NDArray[np.uint64] = prefix.take(ends)
    hashes -= prefix.take(starts)
    hashes *= inverses.take(starts)
    return hashes


def _long_hash(word: str) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little"))


@lru_cache(maxsize=16)
def _powers(size: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the first `size` powers of the base and of its inverse, modulo 2**64."""

    def series(base: int) -> NDArray[np.uint64]:
        factors = np.full(size, base, np.uint64)
        factors[0] = 1
        return np.multiply.accumulate(factors)

    return series(_BASE), series(pow(_BASE, -1, _MASK + 1))


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finaliser of splitmix64, in place."""
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def _combine(tokens: NDArray[np.uint64], ends: NDArray[np.int64], max_ngram: int) -> NDArray[np.uint64]:
    """Keys of all n-grams of tokens of texts that end, exclusive, at `ends`, the last of which is their number."""
    keys = np.zeros((max_ngram, len(tokens)), np.uint64)
    keys[0] = tokens
    for extra in range(1, min(max_ngram, len(tokens))):
        keys[extra, :-extra] = longer_keys(keys[extra - 1, :-extra], tokens[extra:])
        for before in range(1, extra + 1):
            keys[extra, ends - before] = NO_NGRAM  # before the first token it wraps to the last ones, which have none
    return keys
