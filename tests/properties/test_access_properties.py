"""Rates let through what they promise and no more; key files admit those whose keys are in them and nobody else."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bento.access import SCOPES, Access, presented
from bento.problems import Refusal
from bento.rates import Bucket, Rate, Rates, take
from sentiment.errors import SettingsError
from sentiment.serving.keys import ApiKey, Keys, KeyScope, create, revoke
from sentiment.settings import ServingSettings

RATES = st.builds(Rate, per_minute=st.integers(1, 10_000), burst=st.integers(1, 1_000))
PAUSES = st.lists(st.floats(0, 120), min_size=1, max_size=200)


@given(RATES, PAUSES)
def test_nobody_gets_more_than_the_burst_and_the_rate_over_time(rate: Rate, pauses: list[float]) -> None:
    bucket, now, granted = None, 0.0, list[float]()
    for pause in pauses:
        now += pause
        bucket, wait = take(bucket, rate, now=now)
        if not wait:
            granted.append(now)
        for index, begin in enumerate(granted):
            allowed = rate.burst + (now - begin) * rate.per_minute / 60
            assert len(granted) - index <= allowed + 1e-6 * len(granted)


@given(RATES, PAUSES)
def test_who_waits_as_long_as_told_gets_through_and_not_before(rate: Rate, pauses: list[float]) -> None:
    bucket, now = None, 0.0
    for pause in pauses:
        now += pause
        before = bucket
        bucket, wait = take(bucket, rate, now=now)
        if wait:
            assert take(bucket, rate, now=now + wait + 1e-6)[1] == 0
            assert take(bucket, rate, now=now + wait * 0.9)[1] > 0
            assert before is not None


@given(RATES, st.integers(1, 50))
def test_a_burst_is_all_that_comes_at_once(rate: Rate, more: int) -> None:
    rates = Rates()
    waits = [rates.wait("one", rate, now=5.0) for _ in range(rate.burst + more)]
    assert waits[: rate.burst] == [0] * rate.burst
    assert all(wait >= 1 for wait in waits[rate.burst :])
    assert rates.wait("another", rate, now=5.0) == 0


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    rate = Rate(60, 2)
    bucket, wait = take(Bucket(1.0, 10.0), rate, now=5.0)
    assert (bucket, wait) == (Bucket(0.0, 10.0), 0)


def test_callers_without_number_do_not_fill_the_memory() -> None:
    rates = Rates(most=100)
    for number in range(10_000):
        rates.wait(f"address {number}", Rate(1, 1), now=0.0)
    assert len(rates) == 100
    assert rates.wait("address 9999", Rate(1, 1), now=0.0) > 0


NAMES = st.text(min_size=1, max_size=100)
SCOPE_SETS = st.lists(st.sampled_from(list(KeyScope)), min_size=1, max_size=3, unique=True).map(tuple)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(NAMES, SCOPE_SETS), min_size=1, max_size=5), st.data())
def test_a_key_file_knows_its_keys_until_they_are_revoked(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[tuple[str, tuple[KeyScope, ...]]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    made = [create(path, name=name, scopes=scopes) for name, scopes in wanted]
    gone = data.draw(st.sampled_from(made))
    revoke(path, gone.stored.id)
    keys = Keys.read(path)
    for new, (name, scopes) in zip(made, wanted, strict=True):
        found = keys.find(new.key, now=NOW)
        assert found == (None if new is gone else new.stored)
        assert new.key not in path.read_text()
        if found:
            assert (found.name, found.scopes) == (name, scopes)
            assert [found.may(scope) for scope in KeyScope] == [
                scope in scopes or KeyScope.admin in scopes for scope in KeyScope
            ]


@given(st.data())
def test_only_the_whole_key_opens(data: st.DataObject) -> None:
    key = "sent_0011aabb_" + "x" * 43
    stored = ApiKey(
        id="0011aabb",
        name="shop",
        scopes=(KeyScope.predict,),
        sha256="ab" * 32,
        created_at=NOW,
    )
    keys = Keys(keys=(stored,))
    assert keys.find(key, now=NOW) is None  # its hash is another one
    alphabet = string.ascii_letters + string.digits + "_-\x00\ud800é"
    assert keys.find(data.draw(st.text(alphabet, max_size=80)), now=NOW) is None


def test_a_key_is_valid_until_it_expires(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = create(path, name="shop", expires_at=NOW)
    assert Keys.read(path).find(made.key, now=NOW - timedelta(seconds=1)) == made.stored
    assert Keys.read(path).find(made.key, now=NOW) is None


def test_the_key_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create(path, name="shop")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    create(path, name="bank")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [key.name for key in Keys.read(path).keys] == ["shop", "bank"]


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"keys": [{"id": "x"}]}', b'{"kyes": []}', b"\xff"])
def test_what_is_no_key_file_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"keys\.json"):
        Keys.read(path)
    with pytest.raises(SettingsError):
        Access(ServingSettings(keys_file=str(path)))


def check(access: Access, path: str, key: str = "", **more: str) -> Refusal | None:
    headers = {name.replace("_", "-").encode(): value.encode() for name, value in more.items()}
    try:
        access.check(path, {**headers, **({b"x-api-key": key.encode()} if key else {})}, address="192.0.2.1")
    except Refusal as refusal:
        return refusal
    return None


@pytest.mark.parametrize("scope", list(KeyScope))
def test_a_scope_opens_its_paths_and_no_others(tmp_path: Path, scope: KeyScope) -> None:
    path = tmp_path / "keys.json"
    key = create(path, name="shop", scopes=(scope,)).key
    access = Access(ServingSettings(keys_file=str(path)))
    for asked, needed in {**SCOPES, "/recent": KeyScope.admin, "/elsewhere": KeyScope.admin}.items():
        nobody = check(access, asked)
        assert nobody is not None
        assert (nobody.status, nobody.headers["WWW-Authenticate"]) == (401, 'Bearer realm="sentiment"')
        found = check(access, asked, key)
        if scope in (needed, KeyScope.admin):
            assert found is None
        else:
            assert found is not None
            assert found.status == 403
            assert f'scope="{needed}"' in found.headers["WWW-Authenticate"]
    assert check(access, "/livez") is None


def test_both_ways_to_send_a_key_are_read() -> None:
    assert presented({b"authorization": b"Bearer  abc "}) == "abc"
    assert presented({b"authorization": b"bearer abc", b"x-api-key": b"other"}) == "abc"
    assert presented({b"x-api-key": b"abc"}) == "abc"
    assert presented({b"authorization": b"Basic abc"}) == ""
    assert presented({b"authorization": b"\xff\xfe"}) == ""


def test_a_key_may_have_a_rate_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    slow = create(path, name="slow", requests_per_minute=1).key
    free = create(path, name="free", requests_per_minute=0).key
    usual = create(path, name="usual").key
    access = Access(ServingSettings(keys_file=str(path), requests_per_minute=60, burst=3))
    for key, passes in ((slow, 3), (usual, 3), (free, 50)):
        found = [check(access, "/predict", key) for _ in range(50)]
        assert [refusal is None for refusal in found].count(True) == passes
    refusal = check(access, "/predict", slow)
    assert refusal is not None
    assert (refusal.status, refusal.headers) == (429, {"Retry-After": "60"})


def test_without_keys_every_address_has_its_rate() -> None:
    access = Access(ServingSettings(requests_per_minute=60, burst=2))

    def passes(address: str) -> bool:
        try:
            access.check("/predict", {}, address=address)
        except Refusal:
            return False
        return True

    assert [passes("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert passes("192.0.2.2")
    assert [passes(f"2001:db8::{number}") for number in range(3)] == [True, True, False]  # one network, one caller


def test_a_probe_key_opens_predict_only(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create(path, name="shop")
    access = Access(ServingSettings(keys_file=str(path), probe_key="hush"))
    assert check(access, "/predict", x_sentiment_probe="hush") is None
    assert check(access, "/predict", x_sentiment_probe="1") is not None
    assert check(access, "/feedback", x_sentiment_probe="hush") is not None
    without = Access(ServingSettings(keys_file=str(path)))
    assert check(without, "/predict", x_sentiment_probe="") is not None
