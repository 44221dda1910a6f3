"""The steps of a deployment follow from what is there and what is wanted alone."""

from dataclasses import replace
from typing import Any

import pytest

from sentiment.deployment.tracks import Tracks, Version, advance, path, retreat

STEPS = (5, 25, 50)
ONE, TWO, THREE = (
    Version(number, "registry.example.com/sentiment", "sha256:" + number * 64, bento_uri=f"s3://b/{number}")
    for number in "123"
)
NOTHING, SERVED = Tracks(), Tracks("canary", stable=ONE)


def shares(now: Tracks, wanted: Version, **more: Any) -> list[dict[str, tuple[str, int]]]:
    steps = path(now, wanted, **{"strategy": "canary", "steps": STEPS, **more})
    return [{track: (v.model_version, share) for track, (v, share) in step.weights().items()} for step in steps]


def test_a_canary_grows_and_is_taken_over() -> None:
    assert shares(SERVED, TWO) == [
        {"stable": ("1", 100), "canary": ("2", 0)},
        {"stable": ("1", 95), "canary": ("2", 5)},
        {"stable": ("1", 75), "canary": ("2", 25)},
        {"stable": ("1", 50), "canary": ("2", 50)},
        {"stable": ("2", 50), "canary": ("2", 50)},
        {"stable": ("2", 100), "canary": ("2", 0)},
        {"stable": ("2", 100)},
    ]
    assert [step.watched for step in path(SERVED, TWO, strategy="canary", steps=STEPS)] == [
        False, True, True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("strategy", ["rolling", "canary", "blueGreen"])
def test_whoever_takes_it_up_anywhere_ends_in_the_same(strategy: Any) -> None:
    start = Tracks("blueGreen", blue=ONE) if strategy == "blueGreen" else Tracks(strategy, stable=ONE)
    steps = path(start, TWO, strategy=strategy, steps=STEPS)
    for number, step in enumerate(steps):
        assert Tracks.of(step.values()) == step, "what is written to the release is what is read from it"
        assert path(Tracks.of(step.values()), TWO, strategy=strategy, steps=STEPS) == steps[number + 1 :]
    assert steps[-1].serving == TWO
    assert not steps[-1].watched


def test_the_first_version_needs_no_canary() -> None:
    assert shares(NOTHING, ONE) == [{"stable": ("1", 100)}]
    assert shares(SERVED, ONE) == []


def test_the_canary_of_another_version_goes_first() -> None:
    now = replace(SERVED, canary=THREE, weight=25)
    assert shares(now, TWO)[:3] == [
        {"stable": ("1", 100), "canary": ("3", 0)},
        {"stable": ("1", 100)},
        {"stable": ("1", 100), "canary": ("2", 0)},
    ]
    assert shares(now, ONE)[-1] == {"stable": ("1", 100)}


@pytest.mark.parametrize("canary", [TWO, THREE])
def test_at_once_the_canary_goes_before_the_pods_are_replaced(canary: Version) -> None:
    now = replace(SERVED, canary=canary, weight=50)
    for how in ({"steps": ()}, {"strategy": "rolling"}):
        assert shares(now, TWO, **how) == [
            {"stable": ("1", 100), "canary": (canary.model_version, 0)},
            {"stable": ("1", 100)},
            {"stable": ("2", 100)},
        ]


def test_a_canary_is_taken_back_traffic_first() -> None:
    now = replace(SERVED, canary=TWO, weight=25)
    assert retreat(now) == replace(now, weight=0)
    assert retreat(replace(now, weight=0)) == SERVED
    assert retreat(SERVED) is None


def test_colours_change_places() -> None:
    how: dict[str, Any] = {"strategy": "blueGreen", "steps": ()}
    first = path(NOTHING, ONE, **how)[-1]
    assert (first.active, first.blue) == ("blue", ONE)
    steps = path(first, TWO, **how)
    assert [(step.active, step.green) for step in steps] == [("blue", TWO), ("green", TWO)]
    assert path(steps[-1], ONE, **how) == [replace(steps[-1], active="blue")], "the colour before still stands"
    assert path(steps[-1], THREE, **how)[0] == replace(steps[-1], blue=THREE)


def test_a_weight_in_between_goes_on_to_the_next_step() -> None:
    now = replace(SERVED, canary=TWO, weight=10)
    step = advance(now, TWO, strategy="canary", steps=STEPS)
    assert step is not None
    assert step.weight == 25


def test_values_by_hand_are_understood() -> None:
    found = Tracks.of({"image": {"repository": "r", "tag": "v3"}})
    assert found.serving == Version("", "r", "", tag="v3")
    assert str(found) == "version unknown 100% (stable)"
    assert str(Tracks.of({})) == "nothing"
