"""The last answers of a server: bounded, the newest first, and without personal data."""

from datetime import UTC, datetime

from bento.recent import CHARACTERS, MOST, Recent

AT = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)


def answer(number: int) -> dict[str, object]:
    return {"request_id": f"{number:032x}", "label": "positive"}


def test_only_the_newest_are_kept_and_they_come_first() -> None:
    recent = Recent()
    for number in range(MOST + 5):
        recent.record([f"text {number}"], [answer(number)], at=AT)
    listed = recent.listed()
    assert len(listed) == MOST
    assert listed[0] == {
        **answer(MOST + 4),
        "text": f"text {MOST + 4}",
        "predicted_at": "2026-11-20T06:30:00.000+00:00",
    }
    assert listed[-1]["text"] == "text 5"


def test_a_batch_larger_than_what_is_kept_leaves_its_end() -> None:
    recent = Recent()
    numbers = range(3 * MOST)
    recent.record([str(number) for number in numbers], [answer(number) for number in numbers], at=AT)
    assert [row["text"] for row in recent.listed()] == [str(number) for number in reversed(numbers[-MOST:])]


def test_personal_data_goes_before_the_text_is_shortened() -> None:
    recent = Recent()
    half = "x" * (CHARACTERS - 8) + " ann.smith@example.org and more"
    recent.record([half, "call 1-800-555-0199"], [answer(1), answer(2)], at=AT)
    shown = [row["text"] for row in recent.listed()]
    assert shown[0] == "call [phone]"
    assert len(shown[1]) == CHARACTERS
    assert shown[1].endswith("x [email\u2026")
    assert "ann" not in shown[1]
