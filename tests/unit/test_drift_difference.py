"""Two drift checks side by side: what changed, in words and figures."""

from datetime import UTC, datetime, timedelta

from sentiment.drift.difference import differ, mark_news
from sentiment.drift.records import AccuracyRecord, CheckRecord, SignalRecord

END = datetime(2026, 11, 14, 6, 30, tzinfo=UTC)


def check(days: float = 0, state: str = "stable", **facts) -> CheckRecord:
    end = END + timedelta(days=days)
    return CheckRecord(
        f"{end:%Y%m%dT%H%M%S}-v1-aa", state, start=end - timedelta(days=7), end=end, **{"champion": "1", **facts}
    )


def signal(name: str, distance: float, *, counts: bool = False) -> SignalRecord:
    return SignalRecord(name, distance, counts)


def summary(one: CheckRecord, other: CheckRecord) -> tuple[str, ...]:
    return differ(one, other, title=str.upper).summary


def test_the_older_comes_first_whichever_was_ticked_first() -> None:
    older, newer = check(0), check(1, "drifted")
    found = differ(newer, older, title=str)
    assert (found.older, found.newer) == (older, newer)
    assert found.summary[0] == "From Stable to Drifted."
    assert summary(older, check(1))[0] == "Both say Stable."


def test_it_names_the_signals_that_began_and_ceased_to_count() -> None:
    one = check(0, signals=(signal("scores", 0.1), signal("text", 0.3, counts=True), signal("mix", 0.2, counts=True)))
    other = check(1, signals=(signal("scores", 0.4, counts=True), signal("text", 0.1), signal("mix", 0.2, counts=True)))
    assert summary(one, other)[1:4] == (
        "Moved only in the newer: SCORES.",
        "Moved only in the older: TEXT.",
        "Moved in both: MIX.",
    )


def test_signals_come_by_change_and_those_of_one_check_alone_have_none() -> None:
    one = check(0, signals=(signal("words", 0.2), signal("scores", 0.1)))
    other = check(1, signals=(signal("words", 0.3), signal("scores", 0.5), signal("markup", 0.9)))
    found = differ(one, other, title=str).signals
    assert [(change.name, change.change and round(change.change, 3)) for change in found] == [
        ("scores", 0.4),
        ("words", 0.1),
        ("markup", None),
    ]


def test_a_change_of_accuracy_says_whether_it_may_be_chance() -> None:
    high, middle, low = (
        AccuracyRecord(0.9, 0.88, 0.92),
        AccuracyRecord(0.88, 0.86, 0.9),
        AccuracyRecord(0.8, 0.77, 0.83),
    )
    for after, said in (
        (low, "Live accuracy fell from 90.0% to 80.0%; the intervals do not overlap."),
        (middle, "Live accuracy fell from 90.0% to 88.0%; the intervals overlap, so it may be chance."),
        (high, "Live accuracy is 90.0% in both."),
    ):
        assert said in summary(check(0, live_accuracy=high), check(1, live_accuracy=after))


def test_windows_and_champions_are_compared() -> None:
    assert "The windows share 5 days of the newer one's 7 days." in summary(check(0), check(2))
    assert "The windows do not overlap, with 3 days between them." in summary(check(0), check(10))
    said = summary(check(0), check(1, champion="2"))
    assert any(sentence.startswith("The champion changed from version 1 to 2") for sentence in said)


def test_checks_of_files_have_no_time_and_can_be_compared() -> None:
    dated, files = check(0, "drifted"), CheckRecord("files-77", "watch")
    assert summary(dated, files) == ("From Watch to Drifted.",)


def test_only_the_words_that_the_other_lacks_are_marked() -> None:
    (pieces,) = mark_news(["Scores moved: from 0.52 to 0.71."], ["Text moved: x.", "Scores moved: from 0.52 to 0.69."])
    assert [text for text, news in pieces if news] == ["0.71."]
    assert "".join(text for text, _ in pieces) == "Scores moved: from 0.52 to 0.71."


def test_a_reason_is_set_against_the_one_of_its_own_subject() -> None:
    (pieces,) = mark_news(
        ["Label mix moved: 0.50 to 0.70."], ["Prediction mix moved: 0.50 to 0.70.", "Label mix moved: 1."]
    )
    assert ("Label", True) not in pieces


def test_a_reason_that_only_one_check_gives_is_marked_whole() -> None:
    text = "Too few current rows."
    assert mark_news([text], ["The champion holds: 91%."]) == (((text, True),),)
    assert mark_news([text], []) == (((text, True),),)
