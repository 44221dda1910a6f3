"""An evaluation says the same in numbers, pictures and on its page."""

import csv
import io
import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from sentiment.labels import LABELS, LabelScheme
from sentiment.serving.explain import TellingWord, TellingWords
from sentiment.training.evaluation import Evaluation, LearningPoint, assess, shares
from sentiment.training.evaluation_page import evaluation_files, main_metrics
from sentiment.training.pictures import pictures
from sentiment.training.slices import Traits

WORDS = TellingWords(10, (TellingWord("<great>", 1.5, 4, 0.6),), (TellingWord("bad", -2.0, 3, -0.6),))


def _evaluation(
    scheme: LabelScheme = LabelScheme.binary, rows: int = 600, learning: bool = True, min_confidence: float = 0.0
) -> Evaluation:
    rng, names = np.random.default_rng(7), LABELS[scheme]
    probabilities = rng.dirichlet(np.ones(len(names)) / 2, rows)
    labels = [names[rng.choice(len(names), p=row)] for row in probabilities]
    texts = [("not " if i % 3 else "") + "word " * int(rng.integers(1, 300)) for i in range(rows)]
    traits = Traits.of(texts, labels=labels, sources=["<shop>" if i % 2 else "film" for i in range(rows)])
    curve = [
        LearningPoint(size, shares(np.array([hits]), np.array([600]))[0]) for size, hits in ((100, 400), (800, 480))
    ]
    return assess(
        probabilities, names, traits=traits, learning=curve if learning else (), min_confidence=min_confidence
    )


@pytest.mark.parametrize("scheme", list(LabelScheme))
def test_the_parts_agree_with_the_metrics(scheme: LabelScheme) -> None:
    found = _evaluation(scheme)
    cells = np.array(found.confusion)
    assert cells.sum() == found.rows == 600
    assert np.trace(cells) / 600 == pytest.approx(found.metrics["accuracy"])
    gaps = [item.share.rows * abs(item.confidence - item.share.accuracy) for item in found.calibration]
    assert sum(gaps) / 600 == pytest.approx(found.metrics["expected_calibration_error"])
    assert sum(item.right for item in found.confidence) == np.trace(cells)
    assert sum(item.right + item.wrong for item in found.confidence) == 600
    assert found.coverage[-1].coverage == 1
    assert found.coverage[-1].share.accuracy == pytest.approx(found.metrics["accuracy"])
    thresholds = [point.threshold for point in found.coverage]
    assert thresholds == sorted(thresholds, reverse=True)


def test_the_band_is_a_point_of_the_coverage_curve() -> None:
    found = _evaluation()
    assert found.band is None
    assert "coverage" not in found.metrics
    point = found.coverage[59]
    below = np.nextafter(point.threshold, 0)
    banded = _evaluation(min_confidence=below)
    assert banded.metrics["coverage"] == point.coverage == 0.6
    assert banded.metrics["coverage_low"] < 0.6 < banded.metrics["coverage_high"]
    ends = [banded.metrics[f"answered_accuracy{end}"] for end in ("", "_low", "_high")]
    assert ends == list(point.share.interval)
    assert banded.metrics["min_confidence"] == below
    drawn = pictures(banded)["coverage"]
    assert f"60% are surer than {100 * below:.1f}%" in drawn
    assert f"{point.share.right} of 360 reviews" in drawn
    assert "unsure" not in pictures(found)["coverage"]
    assert {"Answered surely", "Accuracy of these"} <= set(main_metrics(banded.metrics))


def test_a_band_that_holds_everything_has_a_coverage_of_nothing() -> None:
    found = _evaluation(min_confidence=1.0)
    assert found.metrics["coverage"] == 0
    assert "answered_accuracy" not in found.metrics
    assert "No answer is sure enough" in pictures(found)["coverage"]
    ET.fromstring(pictures(found)["coverage"])


def test_a_slice_has_the_metrics_of_its_rows() -> None:
    found = {item.name: item for item in _evaluation().slices}
    both = (found["with negation"], found["without negation"])
    assert sum(item.share.rows for item in both) == 600
    right = sum(item.share.right for item in both)
    assert right / 600 == pytest.approx(_evaluation().metrics["accuracy"])
    assert "auc" in found["with negation"].metrics
    assert not {"auc", "macro_f1"} & set(found["label positive"].metrics), "over one label they say nothing"
    assert found["label positive"].share.accuracy == pytest.approx(_evaluation().metrics["recall_positive"])


@pytest.mark.parametrize(
    "found",
    [_evaluation(), _evaluation(LabelScheme.five_star), _evaluation(rows=1), _evaluation(rows=3, learning=False)],
    ids=["binary", "five_star", "one row", "no learning curve"],
)
def test_every_picture_is_whole_and_within_its_frame(found: Evaluation) -> None:
    drawn = pictures(found)
    assert set(drawn) == {"confusion", "reliability", "confidence", "coverage"} | (
        {"learning"} if found.learning else set()
    )
    for name, picture in drawn.items():
        root = ET.fromstring(picture)
        assert len(picture) < 100_000
        assert "nan" not in picture, name
        for part in root.iter():
            for x, y in _places(part.attrib):
                assert 0 <= x <= 800, (name, part.tag, part.attrib)
                assert 0 <= y <= 500, (name, part.tag, part.attrib)


def _places(drawn: dict[str, str]) -> list[tuple[float, float]]:
    """Where something is drawn: its corners, its centre or the points of its line."""
    if "points" in drawn:
        return [(float(x), float(y)) for x, y in (point.split(",") for point in drawn["points"].split())]
    if "cx" in drawn:
        return [(float(drawn["cx"]), float(drawn["cy"]))]
    if "x" not in drawn:
        return []
    x, y = float(drawn["x"]), float(drawn["y"])
    return [(x, y), (x + float(drawn.get("width", 0)), y + float(drawn.get("height", 0)))]


def test_the_picture_shows_the_numbers() -> None:
    found = _evaluation()
    drawn = pictures(found)
    assert all(f">{cell:,}<" in drawn["confusion"] for row in found.confusion for cell in row)
    assert drawn["reliability"].count("<circle") == len(found.calibration)
    assert "80% after 800 reviews" in drawn["learning"]


def test_the_files_hold_the_same_and_are_safe_to_open() -> None:
    found = _evaluation()
    files = evaluation_files(found, WORDS, title="A <model>")
    assert json.loads(files["evaluation.json"])["metrics"] == dict(found.metrics)
    assert json.loads(files["words.json"])["negative"][0]["word"] == "bad"
    table = {row["slice"]: row for row in csv.DictReader(io.StringIO(files["slices.csv"].decode()))}
    assert float(table["with negation"]["accuracy"]) == found.slices[-2].share.accuracy
    assert table["label positive"]["auc"] == ""
    page = files["evaluation.html"].decode()
    for written in main_metrics(found.metrics).values():
        assert written in page
    assert page.count("<svg") == 5
    assert "&lt;great&gt;" in page
    assert "source &lt;shop&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<great>" not in page
    assert "<model>" not in page
    assert "<shop>" not in page
