"""Near copies are found, others are not, and neither order nor sampling changes what is said about them."""

import random

from sentiment.reviews.near_copies import Copies, NearCopies


def reviews(count: int, *, seed: int = 1, words: int = 40) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(f"w{chance.randrange(3_000)}" for _ in range(words)) for _ in range(count)]


def compare(texts: list[str], *, most: int = 100_000, order: list[int] | None = None, step: int = 100) -> Copies:
    found = NearCopies(len(texts), most=most)
    places = order or list(range(len(texts)))
    for start in range(0, len(places), step):
        part = places[start : start + step]
        found.add([f"{n:032x}" for n in part], ["pos" if n % 2 else "neg" for n in part], [texts[n] for n in part])
    return found.found()


def test_copies_with_a_changed_word_are_found_and_others_are_not() -> None:
    texts = reviews(300)
    texts += [f"{text} indeed" for text in texts[:20]]
    texts += [" ".join(text.split()[:20] + reviews(1, seed=7, words=20)[0].split()) for text in texts[20:40]]
    found = compare(texts)
    assert found.looked_at == 340
    assert {frozenset(int(name, 16) for name in pair[:2]) for pair in found.pairs} == {
        frozenset({n, 300 + n}) for n in range(20)
    }
    assert found.reviews == 40
    assert found.disagreeing == 0
    assert all(0.8 <= score <= 1 for *_, score in found.pairs)


def test_neither_the_order_nor_the_batches_matter() -> None:
    texts = reviews(200)
    texts += [f"well {text}" for text in texts[:50]]
    order = list(range(len(texts)))
    random.Random(3).shuffle(order)
    assert compare(texts, order=order, step=7) == compare(texts)


def test_copies_are_chosen_together_so_that_their_share_stays() -> None:
    texts = reviews(4_000, words=30)
    texts += [f"{text} so there" for text in texts[:1_000]]
    all_of_them, some = compare(texts, step=5_000), compare(texts, most=1_000, step=5_000)
    assert 800 < some.looked_at < 1_200
    share, expected = some.reviews / some.looked_at, all_of_them.reviews / all_of_them.looked_at
    assert abs(share - expected) < 0.1, "one by one, half as many of them would have met their copy's like: 8%"


def test_a_template_that_thousands_use_takes_no_time_to_speak_of() -> None:
    texts = [f"{reviews(1)[0]} order {n}" for n in range(3_000)]
    found = compare(texts, step=3_000)
    assert found.reviews == 3_000
    assert len({name for pair in found.pairs for name in pair[:2]}) == 2 * len(found.pairs)


def test_short_texts_and_none_are_left_out() -> None:
    assert compare(["good film!", "", "a good film", "!?"]) == Copies(0, 0, 0, ())
    assert compare([]) == Copies(0, 0, 0, ())
