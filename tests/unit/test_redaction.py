"""Personal data is found in the forms that people write; ordinary numbers are left alone."""

import json
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest

from sentiment.redaction import redact
from sentiment.reviews.ingest import ingest
from sentiment.reviews.predictions import read_predictions
from sentiment.reviews.redaction import redact_all
from sentiment.reviews.table import Quarantine, Reviews
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to jane.doe+shop@mail.example.co.uk.", "Write to [email]."),
        ("jürgen@bücher.example, thanks", "[email], thanks"),
        ("Paid with 4111 1111 1111 1111!", "Paid with [card]!"),
        ("card 378282246310005", "card [card]"),
        ("5500-0000-0000-0004 was charged", "[card] was charged"),
        ("from 192.168.10.254 at night", "from [ip] at night"),
        ("my address 2001:db8::ff00:42:8329.", "my address [ip]."),
        ("fe80:0:0:0:200:f8ff:fe21:67cf", "[ip]"),
        ("ping ::1 fails", "ping [ip] fails"),
        ("call +49 (0)30 1234567", "call [phone]"),
        ("+1 212-555-0142 is mine", "[phone] is mine"),
        ("0049 30 1234567", "[phone]"),
        ("(415) 555-2671", "[phone]"),
        ("415-555-2671, 415.555.2671", "[phone], [phone]"),
        ("030 1234567 or 07700 900123", "[phone] or [phone]"),
        ("73,001.00 2000-01-01 01/01/2000", "73,001.00 2000-01-01 01/01/2000"),
        ("Tel: 555 0142 33", "Tel: [phone]"),
        ("call me on 5550142", "call me on [phone]"),
        ('{"user_id": "A3SGXH7AUHU8GW", "text": "x"}', '{"user_id": "[user]", "text": "x"}'),
        ("reviewerID=A3SGXH7 customer_id: 42", "reviewerID=[user] customer_id: [user]"),
    ],
)
def test_personal_data_is_replaced_by_what_it_was(text: str, expected: str) -> None:
    clean, counts = redact(text)
    assert clean == expected
    assert sum(counts.values()) == expected.count("[")
    assert redact(clean) == (clean, Counter())
    column, total = redact_all(pd.Series([text, None, "fine"], dtype=object))
    assert column[0] == expected
    assert total == counts


@pytest.mark.parametrize(
    "text",
    [
        "I gave it 10/10, my wife 9.5 out of 10.",
        "Bought on 2023-11-05, returned 05/11/2023 at 12:30:45.",
        "It cost $1,299.99 or 1.299,99 EUR; 2 000 000 were sold.",
        "Seen in 1999-2004, 24/7, 1080p at 60 Hz, 16:9.",
        "The years 1914 1918 1939 1945 were bad.",
        "Order 1234567890 and ISBN 978-3-16-148410-0.",
        "Model 100-200-300, firmware 1.2.3, part 4111111111111112.",
        "I would call on 2019-01-02 again; call it 1984.",
        "std::vector<a::b> is fine :: really",
        "follow @someone, 5 @ 10 each",
        "ratio 3:2:1 and score 1:0",
        "999.999.999.999 is no address",
        "0.12345678 of 0123456789",
        "user id matters; my login is easy",
        "2 4 6 8 10 12 14 16 18",
    ],
)
def test_ordinary_numbers_dates_and_ratings_stay(text: str) -> None:
    assert redact(text) == (text, Counter())


def test_the_quick_look_at_a_column_misses_nothing_in_real_reviews(real_data: Path) -> None:
    texts = pd.read_parquet(real_data / "imdb_train.parquet")["review"].head(5_000).astype(object)
    column, total = redact_all(texts)
    slow: Counter[str] = Counter()
    for text, expected in zip(texts, column, strict=True):
        clean, counts = redact(text)
        assert clean == expected
        slow.update(counts)
    assert total == slow


PERSONAL = "text,label,user_id\nMail a@b.example,pos,U1\n,neg,U2\nCall +49 30 1234567,meh,U3\nbroken,pos,U4,extra\n"


def test_nothing_personal_is_stored_and_the_result_counts_it(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(PERSONAL)
    result = ingest(settings, paths=[path])
    assert result.redacted == {"email": 1, "phone": 1, "user_id": 1}
    storage = Storage(settings)
    stored = str(Reviews(storage).read().to_pylist()) + str(Quarantine(storage).read().to_pylist())
    for secret in ("a@b", "1234567", "U1", "U2", "U3", "U4"):
        assert secret not in stored
    assert "Mail [email]" in stored
    assert "user_id=[user]" in stored


def test_redaction_can_be_switched_off(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(PERSONAL)
    plain = load_settings(storage=settings.storage.model_dump(), data={"redact": False})
    assert ingest(plain, paths=[path]).redacted == {}
    assert Reviews(Storage(plain)).read()["text"].to_pylist() == ["Mail a@b.example"]


def test_predictions_are_redacted_too(settings: Settings) -> None:
    path = Path(settings.storage.root, "landing/predictions", f"20260301T120000-{uuid4().hex}.jsonl")
    path.parent.mkdir(parents=True)
    answer = {"request_id": "r", "label": "positive", "score": 0.5, "model_version": "1"}
    answer |= {"text": "From 10.1.2.3", "predicted_at": "2026-03-01T12:00:00+00:00"}
    path.write_text(json.dumps(answer) + "\n")
    result = ingest(settings)
    assert (result.predictions, result.redacted) == (1, {"ip": 1})
    assert read_predictions(Storage(settings))["text"].tolist() == ["From [ip]"]
