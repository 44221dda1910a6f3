"""Exact one-sided tests about shares: is one larger than another, or than a limit, by more than is allowed? Pure.

Two shares are compared by their confidence distributions, those whose quantiles are the limits of Clopper and Pearson
(1934): how likely is it that the one, believed as low as it may be, lies below the other, believed as high as it may
be, plus what is allowed? Without an allowance that is Fisher's exact test (Altham, 1969). Nothing is approximated for
large counts, so that p-values of a millionth mean what they say: looks that are many need such.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_TAIL = 1e-13


@dataclass(frozen=True)
class Count:
    """How many of how many; not whole numbers where answers that resemble each other count as fewer."""

    hits: float
    total: float

    @property
    def share(self) -> float:
        """The share; 0 of nothing."""
        return self.hits / self.total if self.total else 0.0

    @property
    def others(self) -> Count:
        """How many of them are none."""
        return Count(self.total - self.hits, self.total)

    def scaled(self, factor: float) -> Count:
        """Return the same share of another total."""
        return Count(self.hits * factor, self.total * factor)

    def __str__(self) -> str:
        return f"{self.share:.1%}"


def p_larger(count: Count, *, than: Count, allowed: float = 0.0) -> float:
    """P-value of "this share is larger by no more than is allowed"; small means that it is.

    1.0 where one of them says nothing: no hits here, or nothing but hits (or nothing at all) there.
    """
    if count.hits <= 0 or than.hits >= than.total:
        return 1.0
    first, second = than.hits + 1, than.total - than.hits
    low, high = special.betaincinv(first, second, _TAIL), special.betainccinv(first, second, _TAIL)
    at = (high + low) / 2 + (high - low) / 2 * _NODES
    log_density = special.xlogy(first - 1, at) + special.xlog1py(second - 1, -at) - special.betaln(first, second)
    below = special.betainc(count.hits, count.total - count.hits + 1, np.minimum(1.0, at + allowed))
    found = float(_WEIGHTS @ (np.exp(log_density) * below)) * (high - low) / 2
    return float(min(1.0, found + 2 * _TAIL))


def p_over(count: Count, limit: float) -> float:
    """P-value of "the share behind this count is at most the limit" (exact binomial test)."""
    if count.hits <= 0:
        return 1.0
    return float(special.betainc(count.hits, count.total - count.hits + 1, limit))
