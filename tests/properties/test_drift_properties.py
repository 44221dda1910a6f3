"""What holds of drift signals, verdicts and words for any input."""

import json
import re
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment.drift.accuracy import Accuracy, measure_accuracy, sure_loss
from sentiment.drift.calibration import holm
from sentiment.drift.check import judge_drift
from sentiment.drift.descriptors import markup_shares, word_counts
from sentiment.drift.sample import Sample, measure
from sentiment.drift.signals import compare, mix_shift, value_shift
from sentiment.drift.verdict import DriftVerdict
from sentiment.drift.words import crossed_unknown_share
from sentiment.settings import DriftPolicy

unhurried = settings(deadline=None)  # a loaded machine is no failure
few = settings(deadline=None, max_examples=25)  # two hundred permutations each

texts = st.lists(st.text(max_size=60), max_size=12)
labels = st.lists(st.sampled_from(["negative", "neutral", "positive"]), max_size=40)
values = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40)
shares = st.floats(0, 1)
policies = st.builds(
    DriftPolicy,
    false_alarm_days=st.integers(2, 1000),
    min_rows=st.integers(20, 60),
    min_labelled=st.integers(10, 60),
    min_distance=shares,
    max_accuracy_loss=shares,
)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    written = draw(st.lists(st.text(max_size=30), max_size=80))
    scores = draw(st.lists(shares, min_size=len(written), max_size=len(written)))
    names = ["positive" if score > 0.5 else "negative" for score in scores]
    return measure(written, scores=scores, predictions=names, unknown_share=scores[::-1])


@st.composite
def accuracies(draw: st.DrawFn) -> Accuracy:
    rows = draw(st.integers(1, 500))
    return measure_accuracy(correct=draw(st.integers(0, rows)), rows=rows)


@unhurried
@given(values, values)
def test_distance_and_p_value_are_symmetric_and_within_bounds(old: list[float], new: list[float]) -> None:
    there = value_shift("scores", reference=old, current=new)
    back = value_shift("scores", reference=new, current=old)
    assert (there.distance, there.p_value) == (back.distance, back.p_value)
    assert 0 <= there.distance <= 1
    assert 0 <= there.p_value <= 1


@unhurried
@given(labels, labels)
def test_label_distance_is_symmetric_and_zero_for_equal_mixes(old: list[str], new: list[str]) -> None:
    there, back = (
        mix_shift("prediction_mix", reference=old, current=new),
        mix_shift("prediction_mix", reference=new, current=old),
    )
    assert abs(there.distance - back.distance) < 1e-12
    assert abs(there.p_value - back.p_value) < 1e-9
    same = mix_shift("prediction_mix", reference=old, current=old * 2)
    assert same.distance < 1e-12
    assert same.p_value > 0.999


@unhurried
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_a_sample_is_at_no_distance_from_itself(numbers: list[float], rnd: Any) -> None:
    mixed = rnd.sample(numbers, len(numbers))
    assert value_shift("words", reference=numbers, current=mixed).distance == 0
    assert value_shift("words", reference=numbers, current=mixed).p_value == 1


@unhurried
@given(st.lists(shares, max_size=12))
def test_holm_keeps_the_order_never_lowers_a_p_value_and_lies_below_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= min(1.0, len(p_values) * p) for p, a in zip(p_values, adjusted, strict=True))
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert [a for _, a in pairs] == sorted(adjusted)


@unhurried
@given(st.lists(shares, min_size=1, max_size=8), st.data())
def test_holm_is_monotone_in_every_p_value(p_values: list[float], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(p_values) - 1))
    smaller = [*p_values]
    smaller[index] = data.draw(st.floats(0, p_values[index]))
    assert all(a <= b for a, b in zip(holm(smaller), holm(p_values), strict=True))


@few
@given(samples(), samples(), st.none() | accuracies(), st.none() | accuracies(), policies)
def test_a_verdict_has_reasons_survives_json_and_follows_its_signals(
    reference: Sample, current: Sample, live: Accuracy | None, held_out: Accuracy | None, policy: DriftPolicy
) -> None:
    verdict = judge_drift(
        signals=compare(reference=reference, current=current),
        live_accuracy=live,
        reference_accuracy=held_out,
        reference_rows=len(reference),
        current_rows=len(current),
        policy=policy,
    )
    written = json.dumps(verdict.to_dict(), allow_nan=False)
    assert DriftVerdict.from_dict(json.loads(written)) == verdict
    assert verdict.reasons
    assert all(verdict.reasons)
    assert not verdict.retrain or verdict.state == "drifted"
    if any(signal.counts for signal in verdict.signals):
        assert verdict.state in {"watch", "drifted"}
    if min(len(reference), len(current)) < policy.min_rows:
        assert not any(signal.counts for signal in verdict.signals)


@unhurried
@given(accuracies(), accuracies(), st.floats(0.001, 0.49))
def test_a_sure_loss_is_never_more_than_the_observed_one(live: Accuracy, reference: Accuracy, alpha: float) -> None:
    sure = sure_loss(live=live, reference=reference, alpha=alpha)
    assert sure <= reference.value - live.value + 1e-9
    assert 0 <= live.low <= live.value <= live.high <= 1


@few
@given(texts, texts)
def test_any_texts_can_be_compared(reference: list[str], current: list[str]) -> None:
    names = [signal.name for signal in compare(reference=measure(reference), current=measure(current))]
    assert names[:3] == ["text", "word", "characters"]
    for side in crossed_unknown_share(reference=reference, current=current):
        assert np.all((side >= 0) & (side <= 1))


@unhurried
@given(st.lists(st.text(max_size=40), max_size=12))
def test_words_are_those_that_split_gives_whatever_the_characters(written: list[str]) -> None:
    assert word_counts(written).tolist() == [len(text.split()) for text in written]


def test_every_white_space_of_python_parts_words() -> None:
    for code in range(0x110000):
        if chr(code).isspace():
            assert word_counts([f"a{chr(code)}b", "c"]).tolist() == [2, 1]
    assert word_counts(["", " ", "\ud800 \U0001f600", "a" * 300_000, "b c"]).tolist() == [0, 0, 2, 1, 2]


_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|&#?\w{2,8};|https?://\S+|www\.\S+")
_pieces = st.sampled_from(
    ["<br />", "<", ">", "&amp;", "&", ";", "http://", "www.", "x", " ", "<a href='?b&lt;'>", "\n"]
)


@unhurried
@given(st.lists(st.lists(_pieces, max_size=8).map("".join), max_size=6))
def test_markup_is_what_one_expression_finds(written: list[str]) -> None:
    plain = [sum(len(found[0]) for found in _MARKUP.finditer(text)) / max(len(text), 1) for text in written]
    assert markup_shares(written).tolist() == plain
