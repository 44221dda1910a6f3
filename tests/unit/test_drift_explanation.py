"""The explanation of a drift: what is told apart, which words are shown as moved and which texts show it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sentiment.drift import explanation
from sentiment.drift.explanation import Explanation, explain, separation_of
from sentiment.drift.moved_words import clear_from, fewest_texts
from sentiment.reviews.sample import generate

SPAM = "Use code SAVE20 at https://cheap.example, for big savings now!"


def films(rows: int, seed: int) -> list[str]:
    return [review.text for review in generate("film", rows, seed=seed)]


def kitchens(rows: int, seed: int = 4) -> list[str]:
    return [review.text for review in generate("kitchen", rows, seed=seed)]


def rose(found: Explanation) -> list[str]:
    return [word.word for word in found.moved.rose]


def test_words_that_moved_are_found_in_both_directions_whatever_the_length() -> None:
    rng = np.random.default_rng(9)

    def texts(rows: int, words: list[str], length: int) -> list[str]:
        return [" ".join(rng.choice(words, length)) for _ in range(rows)]

    common = [f"w{letter}" for letter in "abcdefghijklmnop"]
    found = explain(reference=texts(300, [*common, "film"], 40), current=texts(300, [*common, "kettle"], 8)).moved
    assert [word.word for word in found.rose] == ["kettle"]
    assert [word.word for word in found.fell] == ["film"]
    assert found.rose[0].reference == 0 == found.rose[0].reference_texts
    assert found.rose[0].current == pytest.approx(1000 / 17, rel=0.15)  # one word in seventeen
    assert found.rose[0].current_texts == pytest.approx(1 - (16 / 17) ** 8, rel=0.15)


def test_one_spammed_phrase_in_5_of_100_texts_is_one_phrase_and_its_texts_are_shown() -> None:
    current = films(600, 2)
    for place in range(0, 600, 20):
        current[place] += " " + SPAM
    found = explain(reference=films(600, 1), current=current)
    assert rose(found) == ["use code save20 at https : / / cheap . example , for big savings now"]
    assert found.moved.rose[0].current_texts == pytest.approx(0.05)
    assert found.moved.rose[0].reference_texts == 0
    assert found.arrived
    assert all(SPAM in text for text in found.arrived)


def test_a_word_stands_for_the_phrases_it_is_in_when_it_moved_beyond_them() -> None:
    rng = np.random.default_rng(3)
    fillers = [f"w{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    current = [" ".join(rng.choice([*fillers, "kettle"], 20)) for _ in range(500)]
    reference = [" ".join(rng.choice(fillers, 20)) for _ in range(500)]
    assert rose(explain(reference=reference, current=current)) == ["kettle"]


def test_a_text_that_repeats_a_word_is_one_witness() -> None:
    reference, current = films(400, 1), films(400, 2)
    current[7] += " zebra" * 5_000
    assert "zebra" not in rose(explain(reference=reference, current=current))


def test_examples_show_different_things_that_are_new() -> None:
    current = films(600, 2)
    for place in range(60):
        current[place] = f"{SPAM} {current[place]}"
    current[100:250] = kitchens(150)
    arrived = explain(reference=films(600, 1), current=current).arrived
    assert any(SPAM in text for text in arrived)
    assert any(text in kitchens(150) for text in arrived)


def test_what_is_gone_is_shown_from_the_reference() -> None:
    found = explain(reference=[*films(300, 1), *kitchens(300)], current=films(600, 2))
    assert found.vanished
    assert set(found.vanished) <= set(kitchens(300))
    assert set(found.arrived) <= set(films(600, 2))


def test_another_kind_of_texts_is_told_apart_and_the_same_kind_is_not() -> None:
    same = explain(reference=films(300, 1), current=films(300, 2))
    other = explain(reference=films(300, 1), current=kitchens(300))
    assert same.separation is not None
    assert not same.separation.is_clear
    assert other.separation is not None
    assert other.separation.low > 0.99
    assert np.mean(same.unlike) < 0.12
    assert np.mean(other.unlike) > 0.95


def test_copies_of_a_text_do_not_tell_on_each_other() -> None:
    texts = films(40, 1)  # every text many times, on both sides
    found = explain(reference=texts * 10, current=texts * 10).separation
    assert found is not None
    assert found.auc == 0.5


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([], []),
        ([], ["a film"]),
        (["a film"], ["a kettle"]),
        (["!!!"] * 30, [""] * 30),
        (["the of and"] * 50, ["the of and"] * 50),
        (["\ud800"] * 30, ["\x00"] * 30),
    ],
)
def test_sides_without_words_or_texts_explain_nothing(reference: list[str], current: list[str]) -> None:
    found = explain(reference=reference, current=current)
    assert len(found.moved) == 0
    assert (found.arrived, found.vanished) == ((), ())
    assert found.separation is None or found.separation.auc == 0.5


def test_of_many_texts_an_even_part_is_read_and_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "TEXTS", 400)
    current = [text + (" " + SPAM if place % 12 == 0 else "") for place, text in enumerate(films(1_200, 2))]
    found, again = (explain(reference=films(500, 1), current=current) for _ in range(2))
    assert rose(found)[0].startswith("use code save20")
    assert int(np.isfinite(found.unlike).sum()) == 400
    assert found.to_dict() == again.to_dict()
    assert found.arrived == again.arrived


def test_the_more_words_are_tested_the_clearer_one_must_be() -> None:
    assert clear_from(1) == pytest.approx(2.576, abs=0.001)  # the normal quantile of 0.995
    assert clear_from(100_000) > clear_from(1_000) > 4


def test_no_word_that_could_be_clear_is_left_uncounted() -> None:
    for reference, current in ((1_000, 1_000), (5_000, 100), (100, 5_000)):
        fewest = fewest_texts(reference=reference, current=current)
        most = 2 * (fewest - 1) * np.log((reference + current) / min(reference, current))
        assert most < clear_from(1_000) ** 2


def test_the_interval_of_an_auc_holds_what_it_promises() -> None:
    rng = np.random.default_rng(11)
    true, covered = 0.7602, 0  # of two normal distributions one standard deviation apart
    for _ in range(400):
        old, new = rng.normal(0, 1, 40), rng.normal(1, 1, 30)
        found = separation_of(float((new[:, None] > old).mean()), reference=40, current=30)
        covered += found.low <= true <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_the_interval_of_a_perfect_auc_has_a_width() -> None:
    found = separation_of(1.0, reference=30, current=30)
    assert found.high == 1.0
    assert 0.85 < found.low < 0.97


# -- on real text --------------------------------------------------------------------------------------


def test_chance_moves_hardly_any_word_of_real_reviews(real_data: Path) -> None:
    texts = pd.read_parquet(real_data / "imdb_train.parquet")["review"].tolist()
    shown = 0
    for seed in range(30):
        places = np.random.default_rng(seed).permutation(len(texts))[:600]
        found = explain(reference=[texts[i] for i in places[:300]], current=[texts[i] for i in places[300:]])
        shown += len(found.moved) > 0
    assert shown <= 2  # one in a hundred is allowed for


def test_a_spammed_phrase_is_found_among_real_reviews_and_product_remarks_too(real_data: Path) -> None:
    texts = pd.read_parquet(real_data / "imdb_train.parquet")["review"].tolist()
    remarks = pd.read_csv(real_data / "amazon_alexa.tsv", sep="\t")["verified_reviews"].dropna().tolist()
    places = np.random.default_rng(1).permutation(len(texts))[:2_000]
    reference, current = [texts[i] for i in places[:1_000]], [texts[i] for i in places[1_000:]]
    spammed = [text + " Visit our best shop, for cheap watches!" * (i < 50) for i, text in enumerate(current)]
    assert rose(explain(reference=reference, current=spammed)) == ["visit our best shop , for cheap watches"]
    mixed = explain(reference=reference, current=[*current[:850], *remarks[::20][:150]])  # they come by product
    assert {"echo", "alexa"} <= set(rose(mixed))
    assert mixed.separation is not None
    assert mixed.separation.is_clear
