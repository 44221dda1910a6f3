"""`sentiment evaluate` and `sentiment explain`, by the command line, on a real registry."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentiment.cli import main
from sentiment.model_records import Candidate
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import generate, write_sample
from sentiment.settings import load_settings
from sentiment.training.train import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Candidate]]:
    root = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTIMENT_STORAGE__ROOT", str(root / "var"))
        patch.setenv("SENTIMENT_TRAINING__ANSWER_ACCURACY", "0.93")
        settings = load_settings()
        ingest(settings, paths=[write_sample(root / "film.csv", "film", 1_000, seed=1)])
        registry = Registry(settings)
        candidate = train(settings, registry=registry)
        registry.register(candidate, decision="promote")
        yield root, candidate


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert not ended.value.code
    return capsys.readouterr().out


def test_a_run_keeps_its_evaluation(trained: tuple[Path, Candidate]) -> None:
    _, candidate = trained
    assert candidate.metrics["accuracy_low"] < candidate.metrics["accuracy"] <= candidate.metrics["accuracy_high"]
    assert {"precision_positive", "recall_negative_high", "auc_low", "evaluate_seconds"} <= set(candidate.metrics)
    registry = Registry(load_settings())
    kept = json.loads(registry.artifact(candidate, "evaluation/evaluation.json").read_text())
    assert kept["rows"] == candidate.test_rows
    assert kept["metrics"]["accuracy"] == candidate.metrics["accuracy"]
    for name in ("evaluation.html", "slices.csv", "words.json", "reliability.svg", "confusion.svg", "coverage.svg"):
        assert registry.artifact(candidate, f"evaluation/{name}").stat().st_size > 200


def test_a_file_is_measured_without_being_taken_in(
    trained: tuple[Path, Candidate], capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = trained
    reviews = list(generate("film", 60, seed=9))
    rows = [{"body": review.text, "stars": 5 if review.label == "positive" else 1} for review in reviews]
    rows += [rows[0], {"body": "", "stars": 4}, {"body": "so so", "stars": 3}, {"body": "no stars", "stars": None}]
    data = root / "stars.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = sorted(path for path in (root / "var" / "tables").rglob("*"))
    report = root / "pages" / "stars.html"
    said = _run(capsys, "evaluate", "--data", str(data), "--version", "1", "--report", str(report), "--json")
    found = json.loads(said)
    distinct = len({review.text for review in reviews})
    assert found["rows"] == distinct
    assert found["duplicates"] == len(reviews) + 1 - distinct
    assert found["refused"] == {"empty_text": 1, "neutral_rating": 1}
    assert found["unlabelled"] == 1
    slices = {item["name"]: item for item in found["slices"]}
    assert slices["rating 5"]["share"]["rows"] == slices["label positive"]["share"]["rows"]
    assert found["metrics"]["accuracy"] > 0.7
    assert "Model version 1 on stars.jsonl" in report.read_text()
    assert sorted(path for path in (root / "var" / "tables").rglob("*")) == before


def test_the_metrics_are_shown_with_their_intervals(
    trained: tuple[Path, Candidate], capsys: pytest.CaptureFixture[str]
) -> None:
    said = _run(capsys, "evaluate", "--data", str(trained[0] / "film.csv"), "--version", "v1")
    assert "Accuracy" in said
    assert "% to " in said
    assert "with negation" in said


def test_a_file_without_labels_cannot_be_measured(
    trained: tuple[Path, Candidate], capsys: pytest.CaptureFixture[str]
) -> None:
    data = trained[0] / "unlabelled.csv"
    data.write_text("text\nfine\n")
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "--data", str(data), "--version", "1"])
    assert ended.value.code == 3
    assert "has a label that version 1 knows (negative, positive)" in capsys.readouterr().err


def test_one_answer_is_explained(trained: tuple[Path, Candidate], capsys: pytest.CaptureFixture[str]) -> None:
    text = next(generate("film", 1, seed=3)).text
    found = json.loads(_run(capsys, "explain", text, "--version", "1", "--json"))
    assert found["baseline"] + sum(value for _, value in found["words"]) == pytest.approx(found["margin"])
    said = _run(capsys, "explain", text, "--version", "1", "--top", "1")
    assert "more)" in said
    assert "= margin" in said
    assert f"{found['margin']:+.3f}" in said


def test_an_unsure_answer_is_called_so(trained: tuple[Path, Candidate], capsys: pytest.CaptureFixture[str]) -> None:
    scorer = Registry(load_settings()).load_scorer(trained[1])
    texts = ["", next(generate("film", 1, seed=3)).text]
    for text, abstained in zip(texts, scorer.abstains(scorer.probabilities(texts)), strict=True):
        found = json.loads(_run(capsys, "explain", text, "--version", "1", "--json"))
        assert (found["abstained"], found["min_confidence"]) == (abstained, scorer.min_confidence)
        said = _run(capsys, "explain", text, "--version", "1")
        assert ("unsure" in said) == abstained
    assert trained[1].metrics["min_confidence"] == scorer.min_confidence
    assert 0 < trained[1].metrics["coverage"] < 1
    low, high = (trained[1].metrics[f"answered_accuracy_{end}"] for end in ("low", "high"))
    assert low < trained[1].metrics["answered_accuracy"] < high


def test_the_words_of_the_model_are_listed(trained: tuple[Path, Candidate], capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_run(capsys, "explain", "--top", "4", "--version", "1", "--json"))
    assert len(found["positive"]) == len(found["negative"]) == 4
    said = _run(capsys, "explain", "--top", "4", "--version", "1")
    assert all(item["word"] in said for item in found["positive"] + found["negative"])
