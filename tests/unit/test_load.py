"""A server takes on a set number of requests and of bytes, and gives them back."""

import pytest

from bento.load import SMALL_BYTES, Load
from bento.problems import Refusal


def test_one_request_too_many_is_told_when_to_come_again() -> None:
    load = Load(requests=2, bytes_held=0)
    with load.work(), load.work():
        with pytest.raises(Refusal) as refused, load.work():
            pytest.fail("it was let in")
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
    with load.work(), load.work():
        assert load.requests == 2
    assert load.requests == 0


def test_large_bodies_share_a_budget_and_small_ones_are_free() -> None:
    load = Load(requests=1, bytes_held=1_000)
    with load.body() as large:
        large.grow(SMALL_BYTES)
        large.grow(600)
        assert load.bytes_held == 600
        with load.body() as small:
            small.grow(SMALL_BYTES)
        with load.body() as other, pytest.raises(Refusal, match="large requests"):
            other.grow(SMALL_BYTES + 401)
        assert load.bytes_held == 600
    assert load.bytes_held == 0
