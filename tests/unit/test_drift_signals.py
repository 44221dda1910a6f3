"""What each drift signal sees, what it lets pass, and what chance does to a whole check."""

import numpy as np
import pytest

from sentiment.drift.calibration import calibrate, holm
from sentiment.drift.calibrations import FOLDER, calibrated, nearest_size
from sentiment.drift.check import judge_samples
from sentiment.drift.sample import LANGUAGE_ROWS, Sample, measure
from sentiment.drift.signals import Signal, compare, mix_shift, text_shift, value_shift, word_shift
from sentiment.drift.signals.permutations import tail
from sentiment.reviews.sample import generate
from sentiment.settings import DriftPolicy, Settings
from sentiment.storage import Storage

POLICY = DriftPolicy()
DECISIVE = frozenset(POLICY.decisive)


def films(rows: int, *, seed: int) -> list[str]:
    return [review.text for review in generate("film", rows, seed=seed)]


def answered(rng: np.random.Generator, rows: int) -> Sample:
    """Texts of a few hundred words, with scores, answers and unknown words as of a model; nothing ever moves."""
    texts = [" ".join(f"w{number}" for number in rng.zipf(1.5, 30) % 500) for _ in range(rows)]
    scores = rng.beta(0.6, 0.6, rows)
    return measure(
        texts,
        scores=scores,
        predictions=np.where(scores > 0.5, "positive", "negative").tolist(),
        unknown_share=rng.integers(0, 4, rows) / 30,
    )


def of(name: str, reference: Sample, current: Sample) -> Signal:
    return next(signal for signal in compare(reference=reference, current=current) if signal.name == name)


# -- numbers and mixes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "current", "distance"),
    [
        ([], [], 0),
        ([], [1.0], 0),
        ([1.0], [1.0], 0),
        ([1.0] * 500, [1.0] * 500, 0),
        ([0.0] * 500, [1.0] * 500, 1),
        ([np.nan, 1.0], [np.inf, 1.0], 0),
    ],
)
def test_constant_tiny_and_unusable_values_give_a_signal_and_no_warning(
    reference: list[float], current: list[float], distance: float
) -> None:
    signal = value_shift("scores", reference=reference, current=current)
    assert signal.distance == distance
    assert 0 <= signal.p_value <= 1


def test_a_mix_names_what_moved_and_allows_categories_of_one_side_only() -> None:
    def mix(reference: list[str], current: list[str]) -> Signal:
        return mix_shift("label_mix", reference=reference, current=current, description="the share of {}")

    signal = mix(["negative"] * 80 + ["neutral"] * 20, ["positive"] * 100)
    assert signal.distance == pytest.approx(1.0)
    assert signal.p_value < 1e-10
    assert signal.description == "the share of positive"
    assert mix(["a"] * 50, ["a"] * 70).p_value == 1.0
    assert mix([], ["a"]).distance == 0.0
    tied = mix(["negative"] * 31 + ["positive"] * 59, ["negative", "positive"])
    assert tied.description == "the share of positive"


def test_labels_are_compared_where_they_are_known() -> None:
    texts = films(200, seed=1)
    reference = measure(texts, labels=["positive", "negative"] * 100)
    current = measure(texts, labels=["positive"] * 60 + [None] * 140)
    assert of("label_mix", reference, current).current == 1.0
    unlabelled = measure(texts, labels=[None] * 200)
    assert "label_mix" not in {signal.name for signal in compare(reference=reference, current=unlabelled)}


def test_another_language_another_script_and_markup_are_each_seen_by_their_own_signal() -> None:
    reference = measure(films(300, seed=2))
    german = ["Der Film war leider viel zu lang und die Handlung hat mich nicht überzeugt."] * 300
    russian = ["Этот фильм мне очень понравился, актёры играют прекрасно."] * 300
    marked = [f"<p>{text}</p> https://shop.example/{number}" for number, text in enumerate(reference.texts)]
    for name, texts in (("language_mix", german), ("script_mix", russian), ("markup", marked)):
        signal = of(name, reference, measure(texts))
        assert signal.distance > 0.9
        assert signal.p_value < 1e-6
    assert of("script_mix", reference, measure(russian)).description == "the share of texts in the script Latin"
    assert len(reference.languages) == LANGUAGE_ROWS, "telling languages is slow: some of the texts are enough"


def test_scripts_are_told_by_letters_alone() -> None:
    told = {
        "abc": "Latin",
        "42 :-)": "none",
        "": "none",
        "日本語": "Han",
        "café": "Latin",
        "ᚠᚢᚦ": "other",
        "👍": "none",
    }
    assert dict(zip(told, measure(list(told)).scripts, strict=True)) == told


# -- words -------------------------------------------------------------------------------------------------


def test_the_words_of_another_domain_are_far_and_those_of_the_same_are_near() -> None:
    reference, same = measure(films(400, seed=3)), measure(films(300, seed=4))
    kitchen = measure([review.text for review in generate("kitchen", 300, seed=4)])
    near, far = (text_shift("text", reference=reference.features, current=side.features) for side in (same, kitchen))
    assert near.distance < POLICY.min_text_distance < 0.2 < far.distance
    assert near.p_value > 0.001
    assert far.p_value < 1e-12


def test_the_distance_of_words_goes_with_the_share_of_foreign_texts() -> None:
    reference, films_now = measure(films(800, seed=5)), films(400, seed=6)
    kitchen = [review.text for review in generate("kitchen", 400, seed=6)]
    found = {
        share: of(
            "text", reference, measure(films_now[: 400 - int(400 * share)] + kitchen[: int(400 * share)])
        ).distance
        for share in (0.25, 0.5, 1.0)
    }
    assert found[0.5] == pytest.approx(found[1.0] / 2, rel=0.25)
    assert found[0.25] == pytest.approx(found[1.0] / 4, rel=0.35)


def test_p_values_of_words_are_uniform_where_nothing_moved() -> None:
    rng = np.random.default_rng(10)
    everything = answered(rng, 400).features
    found = []
    for _ in range(150):
        order = rng.permutation(400)
        sides = everything[order[:250]], everything[order[250:]]
        found.append(text_shift("text", reference=sides[0], current=sides[1]).p_value)
    assert 4 <= sum(p <= 0.1 for p in found) <= 28  # 99.9% of Binomial(150, 0.1)
    assert 55 <= sum(p <= 0.5 for p in found) <= 95


def test_a_phrase_of_spam_in_a_few_texts_is_found_and_named() -> None:
    reference, now = measure(films(1_000, seed=7)), films(600, seed=8)
    spammed = measure([text + " visit bestdeals" if number % 20 == 0 else text for number, text in enumerate(now)])
    clean, spam = (word_shift("word", reference=reference, current=side) for side in (measure(now), spammed))
    assert clean.p_value > 0.001
    assert spam.p_value < 1e-6
    assert spam.distance > POLICY.min_word_distance
    assert (spam.reference, spam.current) == (0.0, pytest.approx(0.05))
    assert spam.description in {f"the share of texts with the word '{word}'" for word in ("visit", "bestdeals")}


@pytest.mark.parametrize("texts", [[], ["!"], ["", "", ""], ["one"], ["same text"] * 200])
def test_sides_with_few_words_or_the_same_ones_claim_nothing(texts: list[str]) -> None:
    reference, current = measure(["same text"] * 200), measure(texts)
    for sides in ((reference, current), (current, reference), (current, current)):
        verdict = judge_samples(reference=sides[0], current=sides[1], policy=POLICY)
        assert verdict.state in ("stable", "insufficient_data")
        assert not any(signal.counts for signal in verdict.signals)


@pytest.mark.parametrize(("rows", "moved"), [((150, 90), False), ((90, 150), True), ((120, 120), False)])
def test_both_tests_of_words_give_what_their_definitions_give(rows: tuple[int, int], moved: bool) -> None:
    """The same deals, multiplied out in double precision, text by text and word by word."""
    old, new = measure(films(rows[0], seed=30)), measure(films(rows[1], seed=31))
    if moved:
        new = measure([f"{text} bargain" if number % 9 == 0 else text for number, text in enumerate(new.texts)])
    rng = np.random.default_rng(20_260_101)
    sides = [np.repeat([0, 1], rows), *np.zeros((200, sum(rows)))]
    for side in sides[1:]:
        side[rng.choice(sum(rows), rows[1], replace=False)] = 1
    everything = np.vstack([old.features.toarray(), new.features.toarray()]).astype(np.float64)
    everything = everything[:, everything.any(axis=0)]
    squared, rise = np.array([_defined(everything, side) for side in sides]).T
    text, word = (of(name, old, new) for name in ("text", "word"))
    assert text.p_value == pytest.approx(tail(squared[0], squared[1:]), rel=1e-3)
    assert word.p_value == pytest.approx(tail(rise[0], rise[1:]), rel=1e-9)
    assert word.distance == pytest.approx(rise[0], abs=1e-12)
    alike = everything[: rows[0]] @ everything[: rows[0]].T
    assert text.reference == pytest.approx((alike.sum() - rows[0]) / (rows[0] * (rows[0] - 1)), abs=1e-8)


def _defined(everything: np.ndarray, side: np.ndarray) -> tuple[float, float]:
    """The unbiased squared discrepancy of two sides, and the largest rise of a word, by their definitions."""
    kernel, n, m = everything @ everything.T, int((side == 0).sum()), int((side == 1).sum())
    within = [(kernel[np.ix_(side == s, side == s)].sum() - size) / (size * (size - 1)) for s, size in ((0, n), (1, m))]
    between = kernel[np.ix_(side == 0, side == 1)].mean()
    has, total = everything > 0, (everything > 0).sum(axis=0)
    uncommon = (total >= 3) & (total <= 0.5 * len(side))
    shares = [has[side == s][:, uncommon].mean(axis=0) for s in (0, 1)]
    rises = (np.arcsin(np.sqrt(shares[1])) - np.arcsin(np.sqrt(shares[0]))) * 2 / np.pi
    return within[0] + within[1] - 2 * between, max(float(rises.max()), 0.0)


# -- calibration -------------------------------------------------------------------------------------------


def test_holm_gives_the_published_step_down_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []


def test_a_calibrated_check_keeps_its_budget_and_uses_it() -> None:
    rng = np.random.default_rng(11)
    policy = DriftPolicy(false_alarm_days=10, min_distance=0, min_text_distance=0, min_word_distance=0)
    everything = answered(rng, 1_200)
    calibration = calibrate(
        everything.take(np.arange(500)), current_rows=150, days=10, decisive=DECISIVE, resamples=400
    )
    assert calibration is not None
    alarms = 0
    for _ in range(150):
        order = rng.permutation(1_200)
        sides = everything.take(order[:500]), everything.take(order[500:650])
        found = judge_samples(reference=sides[0], current=sides[1], policy=policy, calibration=calibration)
        alarms += found.state == "drifted"
    assert 3 <= alarms <= 28  # 99.9% of Binomial(150, 0.1)
    assert calibration.level > 1 / 10, "what dependence and ties leave of the budget is used"


def test_a_calibration_says_from_when_on_signals_count_and_what_would_be_seen() -> None:
    reference = answered(np.random.default_rng(12), 600)
    small, large = (calibrate(reference, current_rows=rows, days=91, decisive=DECISIVE) for rows in (100, 1_600))
    assert small is not None
    assert large is not None
    for name in ("scores", "prediction_mix", "text"):
        assert small.noise[name].distance(0.001) > large.noise[name].distance(0.001) > 0
    verdict = judge_samples(
        reference=reference, current=reference.take(np.arange(100)), policy=POLICY, calibration=small
    )
    assert verdict.level == small.level
    assert verdict.false_alarm_days == 91
    assert any("in the mix of answers" in shift for shift in verdict.detectable)
    scores = verdict.signals[0]
    assert scores.threshold is not None
    assert scores.detectable is not None
    assert POLICY.min_distance <= scores.threshold < scores.detectable <= 1


def test_a_calibration_serves_sizes_near_its_own() -> None:
    reference = answered(np.random.default_rng(13), 400)
    at_200 = calibrate(reference, current_rows=200, days=91, decisive=DECISIVE)
    at_250 = calibrate(reference, current_rows=250, days=91, decisive=DECISIVE)
    assert at_200 is not None
    assert at_250 is not None
    moved = at_200.at(250)
    assert moved.current_rows == 250
    for name in ("scores", "prediction_mix", "text"):
        assert moved.noise[name].distance(0.01) == pytest.approx(at_250.noise[name].distance(0.01), rel=0.15)
    assert [nearest_size(rows) for rows in (20, 100, 140, 142, 5_000)] == [25, 100, 100, 200, 6_400]


def test_a_calibration_is_made_once_for_a_champion_and_read_afterwards(settings: Settings) -> None:
    storage, reference = Storage(settings), answered(np.random.default_rng(14), 300)

    def ask(champion: str = "a1", rows: int = 120) -> object:
        return calibrated(storage, reference, identity="rows", champion=champion, current_rows=rows, policy=POLICY)

    made = ask()
    kept = storage.list(FOLDER)
    assert len(kept) == 1
    assert ask() == made
    assert storage.list(FOLDER) == kept
    ask(rows=130)
    assert storage.list(FOLDER) == kept, "a size nearby needs no calibration of its own"
    ask(champion="b2")
    assert len(storage.list(FOLDER)) == 2
    assert ask(rows=POLICY.min_rows - 1) is None


@pytest.mark.parametrize("rows", [150, 1_000])
def test_a_check_of_many_more_rows_than_the_reference_has_can_be_calibrated(rows: int) -> None:
    reference = measure([review.text for review in generate("film", rows, seed=1)])
    found = calibrate(reference, current_rows=6_400, days=91, decisive=frozenset({"text"}), resamples=100)
    assert found is not None
    assert found.level > 0
