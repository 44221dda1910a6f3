"""What holds for every feedback, whoever sends it and in whatever order it arrives."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sentiment.reviews.feedback_policy import (
    ACCEPTED,
    AGREES,
    BURST,
    DISAGREEMENT,
    DUPLICATE,
    HELD,
    OVER_CAP,
    VOICES,
    Judged,
    Opinion,
    judge_feedback,
    window_of,
)
from sentiment.settings import FeedbackPolicy

START = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = FeedbackPolicy(max_per_reporter=3, max_per_client=5, window_hours=1, burst_rows=4, burst_seconds=60)
LOOSE = FeedbackPolicy(max_per_reporter=1_000, max_per_client=1_000, burst_rows=1_000)


def opinion(second: int, reporter: str = "ann", text: str = "t", label: str = "positive", client: str = "c") -> Opinion:
    return Opinion(START + timedelta(seconds=second), reporter, client, text, label, f"{text}-{second}")


OPINIONS = st.lists(
    st.builds(
        opinion,
        st.integers(0, 7_200),
        st.sampled_from(["ann", "bob", "eve"]),
        st.sampled_from([f"t{number}" for number in range(8)]),
        st.sampled_from(["negative", "positive"]),
        st.sampled_from(["c", "d"]),
    ),
    max_size=40,
)


def judged_in_turns(parts: Sequence[Sequence[Opinion]], policy: FeedbackPolicy = POLICY) -> list[Judged]:
    past: list[Judged] = []
    for part in parts:
        outcomes = judge_feedback(part, past=past, policy=policy)
        past += [Judged(one, outcome) for one, outcome in zip(part, outcomes, strict=True)]
    return past


def split(opinions: list[Opinion], cuts: list[int]) -> list[list[Opinion]]:
    places = [0, *sorted(cut % (len(opinions) + 1) for cut in cuts), len(opinions)]
    return [opinions[start:end] for start, end in pairwise(places)]


CUTS = st.lists(st.integers(0, 40), max_size=4)


@given(OPINIONS, CUTS)
def test_nobody_labels_more_than_the_cap_in_a_window_however_it_is_delivered(
    opinions: list[Opinion], cuts: list[int]
) -> None:
    voices: Counter[tuple[str, str, int]] = Counter()
    for judged in judged_in_turns(split(opinions, cuts)):
        if judged.outcome in VOICES:
            window = window_of(judged.opinion.received_at, POLICY)
            voices["reporter", judged.opinion.reporter, window] += 1
            voices["client", judged.opinion.client, window] += 1
    caps = {"reporter": POLICY.max_per_reporter, "client": POLICY.max_per_client}
    assert all(count <= caps[kind] for (kind, _, _), count in voices.items())


@given(OPINIONS, st.randoms(use_true_random=False))
def test_the_order_in_which_files_arrive_does_not_change_who_is_accepted(
    opinions: list[Opinion], chance: Random
) -> None:
    shuffled = list(opinions)
    chance.shuffle(shuffled)
    [one, other] = [judged_in_turns([part]) for part in (opinions, shuffled)]
    assert sorted((j.opinion, j.outcome) for j in one) == sorted((j.opinion, j.outcome) for j in other)


@given(OPINIONS)
def test_a_text_about_which_voices_disagree_is_not_accepted(opinions: list[Opinion]) -> None:
    judged, said = judged_in_turns([opinions]), defaultdict(set)
    for one in judged:
        if one.outcome in VOICES:
            said[one.opinion.text_id].add(one.opinion.label)
    for one in judged:
        disagree = len(said[one.opinion.text_id]) > 1
        assert (one.outcome == DISAGREEMENT) == (disagree and one.outcome in VOICES)


@given(OPINIONS, CUTS)
def test_a_text_is_accepted_once_and_a_later_contradiction_is_held(opinions: list[Opinion], cuts: list[int]) -> None:
    judged = judged_in_turns(split(opinions, cuts))
    accepted = [one.opinion for one in judged if one.outcome == ACCEPTED]
    labels = {one.text_id: one.label for one in accepted}
    assert len(labels) == len(accepted)
    for one in judged:
        assert one.outcome != AGREES or labels[one.opinion.text_id] == one.opinion.label


@given(OPINIONS)
def test_without_limits_all_that_is_not_repeated_is_a_voice(opinions: list[Opinion]) -> None:
    said = {(one.reporter, one.text_id, one.label) for one in opinions}
    outcomes = Counter(judge_feedback(opinions, past=(), policy=LOOSE))
    assert sum(outcomes[outcome] for outcome in VOICES) == len(said)
    assert outcomes[DUPLICATE] == len(opinions) - len(said)
    assert set(outcomes) <= {*VOICES, *HELD}


@given(OPINIONS, st.integers(0, 7_200), st.integers(5, 60))
def test_a_flood_from_one_reporter_changes_nothing_for_the_others(
    opinions: list[Opinion], second: int, size: int
) -> None:
    flood = [opinion(second + n % 60, "mallory", f"t{n}", "negative", "elsewhere") for n in range(size)]
    alone, beside = judged_in_turns([opinions]), judged_in_turns([opinions + flood])
    assert beside[: len(opinions)] == alone
    assert {one.outcome for one in beside[len(opinions) :]} == {BURST}


def test_a_burst_is_told_from_a_steady_reporter() -> None:
    steady = [opinion(61 * n, text=f"t{n}") for n in range(40)]
    assert {one.outcome for one in judged_in_turns([steady], LOOSE.model_copy(update={"burst_rows": 1}))} == {ACCEPTED}
    quick = [*steady, opinion(61 * 20 + 30, text="one more")]
    outcomes = judge_feedback(quick, past=(), policy=LOOSE.model_copy(update={"burst_rows": 1}))
    assert [place for place, outcome in enumerate(outcomes) if outcome == BURST] == [20, 21, 40]


def test_what_was_said_before_counts_in_a_burst() -> None:
    quick = [opinion(n, text=f"t{n}") for n in range(6)]
    outcomes = [one.outcome for one in judged_in_turns([quick[:3], quick[3:]])]
    assert outcomes == [ACCEPTED] * 3 + [BURST] * 3


def test_each_rule_in_turn() -> None:
    given = [
        opinion(0, "ann", "same"),
        opinion(1, "ann", "same"),  # again
        opinion(2, "bob", "same"),
        opinion(100, "ann", "mixed"),
        opinion(101, "bob", "mixed"),
        opinion(102, "eve", "mixed", "negative", "d"),
        opinion(200, "ann", "third"),
        opinion(300, "ann", "fourth"),  # over the cap of 3
        opinion(400, "ann", "self", client="d"),
    ]
    assert judge_feedback(given, past=(), policy=POLICY) == [
        *(ACCEPTED, DUPLICATE, AGREES),
        *(DISAGREEMENT, DISAGREEMENT, DISAGREEMENT),
        *(ACCEPTED, OVER_CAP, OVER_CAP),
    ]


def test_a_client_with_many_reporters_is_capped_too() -> None:
    given = [opinion(100 * n, f"reporter {n}", f"t{n}") for n in range(8)]
    assert judge_feedback(given, past=(), policy=POLICY) == [ACCEPTED] * 5 + [OVER_CAP] * 3


def test_a_new_window_brings_a_new_allowance() -> None:
    given = [opinion(600 * n, text=f"t{n}") for n in range(12)]
    outcomes = judge_feedback(given, past=(), policy=POLICY)
    assert outcomes == ([ACCEPTED] * 3 + [OVER_CAP] * 3) * 2


def test_what_is_no_voice_has_no_veto() -> None:
    given = [opinion(1_000, "ann", "film"), *(opinion(n, "eve", f"t{n}", "negative", "d") for n in range(3))]
    veto = opinion(900, "eve", "film", "negative", "d")
    assert judge_feedback([*given, veto], past=(), policy=POLICY)[0] == ACCEPTED
    assert judge_feedback([given[0], veto], past=(), policy=POLICY) == [DISAGREEMENT] * 2


def test_who_says_both_about_a_text_has_said_neither() -> None:
    given = [opinion(0, "ann", "film"), opinion(9, "ann", "film", "negative")]
    assert judge_feedback(given, past=(), policy=POLICY) == [DISAGREEMENT] * 2
