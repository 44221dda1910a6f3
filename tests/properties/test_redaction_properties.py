"""Redaction holds for whatever surrounds the personal data, and is the same one text or a column at a time."""

import re
from collections import Counter
from datetime import date, time
from ipaddress import IPv6Address

import pandas as pd
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sentiment.redaction import KEYS, redact
from sentiment.reviews.redaction import redact_all

WORDS = st.text(alphabet="abc xyz,.!?\n", max_size=20).map(lambda words: f"{words} ")
LOCAL = st.from_regex(r"[a-z][a-z0-9._+]{0,10}[a-z0-9]", fullmatch=True)
MAIL = st.tuples(LOCAL, st.sampled_from(["example.com", "mail.example.org"])).map("@".join)


@st.composite
def cards(draw: st.DrawFn) -> str:
    digits = [draw(st.integers(3, 6)), *draw(st.lists(st.integers(0, 9), min_size=10, max_size=16)), 7, 0]
    doubled = [d if place % 2 == 0 else sum(divmod(2 * d, 10)) for place, d in enumerate(reversed(digits))]
    digits[-1] = -sum(doubled) % 10
    return draw(st.sampled_from(["", " ", "-"])).join(map(str, digits))


IPS = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).filter(lambda ip: ip > IPv6Address("::ffff")).map(str)
DATES = st.dates(min_value=date(1000, 1, 1))
PHONES = st.from_regex(r"\+[1-9][0-9]{2} [0-9]{2,3} [0-9]{4,6}", fullmatch=True)


@given(WORDS, st.sampled_from(["email", "card", "ip", "phone"]), st.data(), WORDS)
def test_personal_data_is_gone_wherever_it_stands(before: str, kind: str, data: st.DataObject, after: str) -> None:
    secret = data.draw({"email": MAIL, "card": cards(), "ip": IPS, "phone": PHONES}[kind])
    clean, counts = redact(f"{before}{secret} {after}")
    assert secret not in clean
    assert sum(counts.values()) == 1
    assert clean.startswith(before)
    assert clean.endswith(after)


@examples(deadline=None)
@given(st.lists(st.text() | st.text(alphabet="0123456789+-.() :@abz=user_id", max_size=40) | st.none(), max_size=6))
def test_a_column_is_redacted_as_its_texts_and_twice_is_once(texts: list[str | None]) -> None:
    column, total = redact_all(pd.Series(texts, dtype=object))
    one_by_one = [None if text is None else redact(text) for text in texts]
    assert [None if text is None else text for text in column] == [done and done[0] for done in one_by_one]
    assert total == sum((done[1] for done in one_by_one if done), Counter())
    assert redact_all(column)[1] == Counter()


@given(st.integers(-(10**11), 10**11), st.integers(0, 99), DATES, st.times(), st.integers(0, 10))
def test_ordinary_numbers_and_dates_are_left(number: int, cents: int, day: date, at: time, rating: int) -> None:
    text = f"{number} {number:,}.{cents:02} {day} {day:%d/%m/%Y} {day:%d.%m.%Y} {at:%H:%M:%S} {rating}/10 {rating}.5"
    assert redact(text) == (text, Counter())


@given(WORDS, st.from_regex(re.compile(KEYS, re.IGNORECASE), fullmatch=True), st.sampled_from([": ", "=", '":"']))
def test_a_user_id_is_found_by_its_key_however_that_is_written(before: str, key: str, sign: str) -> None:
    clean, counts = redact(f"{before}{key}{sign}A1B2C3")
    assert clean == f"{before}{key}{sign}[user]"
    assert counts == {"user_id": 1}
