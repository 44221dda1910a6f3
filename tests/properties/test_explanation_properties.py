"""What holds of an explanation for any two sets of texts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment.drift.explanation import explain, separation_of

unhurried = settings(deadline=None, max_examples=60)  # a loaded machine is no failure

few_words = st.lists(st.sampled_from(["the", "of", "film", "kettle", "!", ",", "été", ""]), max_size=6).map(" ".join)
sides = st.lists(st.one_of(few_words, st.text(max_size=20)), max_size=60)


@unhurried
@given(sides, sides)
def test_any_texts_can_be_explained_and_the_sides_mirror_each_other(reference: list[str], current: list[str]) -> None:
    found, back = explain(reference=reference, current=current), explain(reference=current, current=reference)
    assert [word.word for word in found.moved.rose] == [word.word for word in back.moved.fell]
    assert all(word.current > word.reference for word in found.moved.rose)
    assert all(word.current < word.reference for word in found.moved.fell)
    assert set(found.arrived) <= set(current)
    assert set(found.vanished) <= set(reference)
    assert len(found.unlike) == len(current)
    assert explain(reference=reference, current=current).to_dict() == found.to_dict()
    if found.separation:
        assert back.separation is not None
        assert abs(found.separation.auc - back.separation.auc) < 1e-9


@unhurried
@given(sides)
def test_a_set_of_texts_cannot_be_told_from_itself(texts: list[str]) -> None:
    found = explain(reference=texts, current=texts)
    assert len(found.moved) == 0
    assert found.separation is None or found.separation.auc == 0.5


@unhurried
@given(st.floats(0, 1), st.integers(1, 5_000), st.integers(1, 5_000))
def test_an_interval_holds_its_value(auc: float, reference: int, current: int) -> None:
    found = separation_of(auc, reference=reference, current=current)
    assert 0 <= found.low <= auc <= found.high <= 1
