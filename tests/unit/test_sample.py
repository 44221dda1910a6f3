"""Generated reviews: seeded, varied, and as hard as real ones."""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from sentiment.errors import DataError, SourceError
from sentiment.reviews.sample import DOMAINS, SampleReview, generate, write_sample


def halves(domain: str, rows: int, *, seed: int = 1) -> tuple[list[SampleReview], list[SampleReview]]:
    train, test = [], []
    for review in generate(domain, rows, seed=seed):
        held_out = int(hashlib.sha256(review.text.encode()).hexdigest()[:8], 16) % 5 == 0
        (test if held_out else train).append(review)
    return train, test


def learn(reviews: list[SampleReview]) -> Pipeline:
    words = CountVectorizer(ngram_range=(1, 2), binary=True, min_df=2)
    model = make_pipeline(words, LogisticRegression(C=0.1, max_iter=1000))
    return model.fit([r.text for r in reviews], [r.label for r in reviews])


def accuracy(model: Pipeline, reviews: list[SampleReview]) -> float:
    return float(model.score([r.text for r in reviews], [r.label for r in reviews]))


def test_a_good_model_gets_92_to_96_percent_and_not_100() -> None:
    found = [accuracy(learn(train), test) for train, test in (halves("film", 4_000, seed=s) for s in range(3))]
    assert 0.92 <= sum(found) / len(found) <= 0.96
    assert max(found) < 0.97


def test_a_film_model_is_of_little_use_on_kitchens_until_it_has_learned_from_some() -> None:
    film, _ = halves("film", 4_000)
    kitchen, kitchen_test = halves("kitchen", 2_000)
    assert 0.60 <= accuracy(learn(film), kitchen + kitchen_test) <= 0.75
    assert accuracy(learn(film + kitchen), kitchen_test) >= 0.88


@pytest.mark.parametrize("domain", DOMAINS)
def test_reviews_are_varied_and_their_ratings_fit_their_labels(domain: str) -> None:
    reviews = list(generate(domain, 10_000))
    assert len({review.text for review in reviews}) >= 9_999
    assert {review.source for review in reviews} == {domain}
    by_label = {label: Counter(r.rating for r in reviews if r.label == label) for label in ("negative", "positive")}
    assert set(by_label["negative"]) == {1, 2, 3}
    assert set(by_label["positive"]) == {3, 4, 5}
    assert sum(counts[3] for counts in by_label.values()) < 500
    assert 0.48 < sum(by_label["positive"].values()) / 10_000 < 0.52


def test_reviews_have_2_to_12_sentences() -> None:
    lengths = Counter(text.replace("...", ".").count(".") + text.count("!") for text in texts("hotel", 2_000))
    assert min(lengths) == 2
    assert max(lengths) == 12


def texts(domain: str, rows: int) -> list[str]:
    return [review.text for review in generate(domain, rows)]


def test_the_positive_share_is_kept() -> None:
    labels = Counter(review.label for review in generate("film", 5_000, positive_share=0.9))
    assert 0.88 < labels["positive"] / 5_000 < 0.92


def test_every_seed_and_domain_gives_other_reviews() -> None:
    first = {review.text for review in generate("film", 200, seed=1)}
    assert not first & {review.text for review in generate("film", 200, seed=2)}
    assert not first & {review.text for review in generate("kitchen", 200, seed=1)}


def test_bad_arguments_are_refused_before_the_first_review() -> None:
    with pytest.raises(DataError, match=r"no domain 'opera'\. Choose from film, kitchen"):
        generate("opera", 1)
    with pytest.raises(DataError, match=r"positive_share is 2"):
        generate("film", 1, positive_share=2)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_written_sample_holds_the_generated_reviews(tmp_path: Path, suffix: str) -> None:
    path = write_sample(tmp_path / "new" / f"sample{suffix}", "film", 50, seed=3)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file)) if suffix == ".csv" else [json.loads(line) for line in file]
    expected = list(generate("film", 50, seed=3))
    assert [row["text"] for row in rows] == [review.text for review in expected]
    assert [int(row["rating"]) for row in rows] == [review.rating for review in expected]
    assert list(rows[0]) == ["text", "label", "rating", "source"]
    assert list(path.parent.iterdir()) == [path]


def test_a_sample_that_cannot_be_finished_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sentiment.reviews.sample.json.dumps", full)
    with pytest.raises(Exception, match="disk is full"):
        write_sample(tmp_path / "sample.jsonl", "film", 5)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"\.csv or \.jsonl"):
        write_sample(tmp_path / "sample.doc", "film", 5)
