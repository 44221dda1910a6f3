"""How often a caller may ask: a token bucket for each, in bounded memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

MOST_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` requests at once, `per_minute` over time (above 0)."""

    per_minute: int
    burst: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many requests a caller had left at a moment, in seconds of a clock that does not go back."""

    tokens: float
    at: float


def take(bucket: Bucket | None, rate: Rate, *, now: float) -> tuple[Bucket, float]:
    """Take one request out of a bucket, a full one if it is None.

    Returns
    -------
    Bucket
        What is left.
    float
        0 if there was one; else the seconds until there will be, and nothing is taken.
    """
    if bucket is None:
        return Bucket(rate.burst - 1.0, now), 0.0
    passed = max(0.0, now - bucket.at)
    tokens = min(float(rate.burst), bucket.tokens + passed * rate.per_minute / 60)
    if tokens >= 1:
        return Bucket(tokens - 1, max(now, bucket.at)), 0.0
    return Bucket(tokens, max(now, bucket.at)), (1 - tokens) * 60 / rate.per_minute


class Rates:
    """The buckets of the callers seen last; who was forgotten begins with a full one."""

    def __init__(self, most: int = MOST_CALLERS) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, caller: str, rate: Rate, *, now: float) -> int:
        """Count a request and return 0, or the whole seconds after which the caller may ask again."""
        self._buckets[caller], seconds = take(self._buckets.get(caller), rate, now=now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return math.ceil(seconds)
