"""Scoring of whole tables: every row answered as the scorer does, nothing lost, nothing done twice."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bentos import BAD, GOOD, Shelf, stock

from sentiment.errors import DataError, ModelError, SettingsError, SourceError
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.scoring.inputs import storage_at
from sentiment.scoring.plan import plan
from sentiment.scoring.run import Progress, score
from sentiment.settings import Settings, load_settings


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return stock(tmp_path_factory.mktemp("shelf"), load_settings(training={"min_documents": 1}))


@pytest.fixture
def small(settings: Settings) -> Settings:
    """Settings with parts of 100 rows."""
    return settings.model_copy(update={"data": settings.data.model_copy(update={"batch_rows": 100})})


def text(number: int) -> str:
    return f"a {GOOD[number % 5] if number % 2 else BAD[number % 5]} film, number {number}"


def deliver(folder: Path) -> dict[str, list[str]]:
    """Write a file of each form; return their texts by name."""
    texts = {name: [text(n) for n in range(size)] for name, size in FILES.items()}
    (folder / "june").mkdir(parents=True)
    lines = [f'{n},"{t}"' for n, t in enumerate(texts["a.csv"])]
    (folder / "a.csv").write_text("\n".join(["id,review", *lines]))
    objects = [json.dumps({"text": t, "id": n}) for n, t in enumerate(texts["june/b.jsonl.gz"])]
    with gzip.open(folder / "june" / "b.jsonl.gz", "wt") as file:
        file.write("\n".join(objects))
    table = pa.table({"id": range(50), "body": texts["june/c.parquet"]})
    pq.write_table(table, folder / "june" / "c.parquet")
    return texts


FILES = {"a.csv": 250, "june/b.jsonl.gz": 130, "june/c.parquet": 50}


def read(output: Path) -> list[dict[str, Any]]:
    """Read the scores as any tool would: the folder, whose other files start with ``_``."""
    rows: list[dict[str, Any]] = pq.read_table(output).to_pylist()
    return sorted(rows, key=lambda row: (row["source"], row["row_number"]))


def moments(output: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in output.glob("*.parquet")}


def test_every_row_of_every_file_is_answered_as_the_scorer_does(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    texts = deliver(tmp_path / "in")
    seen: list[Progress] = []
    result = score(
        small, str(tmp_path / "in"), str(tmp_path / "out"), registry=shelf, version="1", keep=["id"], tell=seen.append
    )
    assert (result.files, result.rows, result.parts, result.unread) == (3, 430, 6, 0)
    assert sum(result.labels.values()) == 430
    assert (seen[-1].rows, seen[-1].file, seen[-1].files) == (430, 3, 3)
    rows = read(tmp_path / "out")
    scorer = shelf.load_scorer(shelf.version("1"))
    for name, sent in texts.items():
        found = [row for row in rows if row["source"] == name]
        expected = scorer.probabilities(sent)
        assert [row["row_number"] for row in found] == list(range(1, len(sent) + 1))
        assert [row["input_id"] for row in found] == [str(n) for n in range(len(sent))]
        assert [list(row["probabilities"].values()) for row in found] == [pytest.approx(list(r)) for r in expected]
        assert [row["label"] for row in found] == [scorer.labels[r.argmax()] for r in expected]
        assert [row["score"] for row in found] == pytest.approx(scorer.scores_of(expected).tolist())
        assert [row["abstained"] for row in found] == scorer.abstains(expected).tolist()
    assert {row["model_version"] for row in rows} == {"1"}


def test_a_second_run_only_does_what_is_missing(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    deliver(tmp_path / "in")
    once = score(small, str(tmp_path / "in"), str(tmp_path / "out"), registry=shelf)
    whole, written = read(tmp_path / "out"), moments(tmp_path / "out")
    lost = sorted(written)[1]
    (tmp_path / "out" / lost).unlink()
    (tmp_path / "out" / f"{lost}#1").write_text("half")  # what a killed write leaves
    again = score(small, str(tmp_path / "in"), str(tmp_path / "out"), registry=shelf)
    assert again == once
    assert read(tmp_path / "out") == whole
    now = moments(tmp_path / "out")
    assert {name for name in now if now[name] != written[name]} == {lost}
    assert not list((tmp_path / "out").glob("*#*"))


def test_changed_and_removed_files_are_followed(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    deliver(tmp_path / "in")
    score(small, str(tmp_path / "in"), str(tmp_path / "out"), registry=shelf)
    written = moments(tmp_path / "out")
    (tmp_path / "in" / "a.csv").write_text("id,review\n1,one wonderful row\n")
    (tmp_path / "in" / "june" / "c.parquet").unlink()
    result = score(small, str(tmp_path / "in"), str(tmp_path / "out"), registry=shelf)
    assert (result.files, result.rows) == (2, 131)
    assert {row["source"] for row in read(tmp_path / "out")} == {"a.csv", "june/b.jsonl.gz"}
    kept = moments(tmp_path / "out").items() & written.items()
    assert {name[0] for name, _ in kept} == {"b"}
    assert len(list((tmp_path / "out" / "_files").iterdir())) == 2


def test_another_model_is_refused_unless_told(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    deliver(tmp_path / "in")
    given, output = str(tmp_path / "in"), str(tmp_path / "out")
    score(small, given, output, registry=shelf, version="1")
    before = read(tmp_path / "out")
    with pytest.raises(ModelError, match=r"version 1, not of version 2.*--version 1.*--anew"):
        score(small, given, output, registry=shelf)
    assert read(tmp_path / "out") == before
    score(small, given, output, registry=shelf, anew=True)
    after = read(tmp_path / "out")
    assert {row["model_version"] for row in after} == {"2"}
    assert [row["label"] for row in after] != [row["label"] for row in before]
    score(small, given, str(tmp_path / "clean"), registry=shelf)
    assert contents(tmp_path / "out") == contents(tmp_path / "clean")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_input_or_column_is_refused(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    deliver(tmp_path / "in")
    output = str(tmp_path / "out")
    score(small, str(tmp_path / "in"), output, registry=shelf)
    with pytest.raises(SettingsError, match="holds scores with input"):
        score(small, str(tmp_path / "in" / "june"), output, registry=shelf)
    with pytest.raises(SettingsError, match="holds scores with keep"):
        score(small, str(tmp_path / "in"), output, registry=shelf, keep=["id"])


def test_files_of_somebody_else_are_left_alone(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    deliver(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").write_text("years of work")
    for anew in (False, True):
        with pytest.raises(SettingsError, match="holds other files"):
            score(small, str(tmp_path / "in"), str(tmp_path / "out"), registry=shelf, anew=anew)
    assert contents(tmp_path / "out") == {"thesis.docx": b"years of work"}
    with pytest.raises(SettingsError, match="within the input"):
        score(small, str(tmp_path / "in"), str(tmp_path / "in" / "scores"), registry=shelf)


def test_a_bad_file_is_named_and_keeps_no_other_from_being_scored(
    small: Settings, shelf: Shelf, tmp_path: Path
) -> None:
    texts = deliver(tmp_path / "in")
    cut = tmp_path / "in" / "june" / "b.jsonl.gz"
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "notes.docx").write_bytes(b"PK")
    (tmp_path / "in" / "none.csv").write_text("id,stars\n1,5\n")
    (tmp_path / "in" / "zero.csv").touch()
    with pytest.raises(SourceError, match="4 of 6 files could not be scored") as caught:
        score(small, str(tmp_path / "in"), str(tmp_path / "out"), registry=shelf)
    skipped = caught.value.result.skipped
    assert list(skipped) == ["june/b.jsonl.gz", "none.csv", "notes.docx", "zero.csv"]
    assert "truncated" in skipped["june/b.jsonl.gz"]
    assert "its columns are id, stars" in skipped["none.csv"]
    assert {row["source"] for row in read(tmp_path / "out")} == {"a.csv", "june/c.parquet"}, "no half of a file"
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert manifest["skipped"] == skipped
    assert manifest["state"] == "complete"

    written = moments(tmp_path / "out")
    cut.write_bytes(whole)
    (tmp_path / "in" / "notes.docx").unlink()
    (tmp_path / "in" / "none.csv").unlink()
    (tmp_path / "in" / "zero.csv").unlink()
    assert score(small, str(tmp_path / "in"), str(tmp_path / "out"), registry=shelf).rows == 430
    assert written.items() <= moments(tmp_path / "out").items(), "what was good is not scored again"
    assert len(read(tmp_path / "out")) == sum(map(len, texts.values()))


def test_rows_without_a_text_keep_their_place(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n1,wonderful\n2,\n3,one,two,three\n4," "\n5,awful\n')
    result = score(small, str(tmp_path / "a.csv"), str(tmp_path / "out"), registry=shelf, keep=["id"])
    assert (result.rows, result.unread) == (5, 3)
    rows = read(tmp_path / "out")
    assert [row["problem"] for row in rows] == [None, "no text", "malformed row", "no text", None]
    assert [row["label"] is None for row in rows] == [False, True, True, True, False]
    assert [row["input_id"] for row in rows] == ["1", "2", None, "4", "5"]


def test_a_snapshot_is_scored_with_the_ids_of_its_reviews(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no reviews yet"):
        plan(small, "reviews@latest", None, registry=shelf)
    ingest(small, paths=[write_sample(tmp_path / "one.csv", "film", 150, seed=1)])
    ingest(small, paths=[write_sample(tmp_path / "two.csv", "film", 80, seed=2)])
    found = plan(small, "reviews@latest", None, registry=shelf)
    assert (found.given, found.version) == ("reviews@v2", "2")
    assert found.output == f"{small.storage.root}/scores/reviews@v2-model-v2"
    result = score(small, found.given, found.output, registry=shelf, version=found.version)
    rows = read(Path(found.output))
    reviews = pq.read_table(f"{small.storage.root}/tables/reviews", columns=["review_id", "text"]).to_pylist()
    by_id = {row["review_id"]: row["text"] for row in reviews}
    assert {row["input_review_id"] for row in rows} == set(by_id)
    assert result.rows == len(rows) == len(by_id)
    scorer = shelf.load_scorer(shelf.version("2"))
    expected = scorer.probabilities([by_id[row["input_review_id"]] for row in rows])
    assert [row["score"] for row in rows] == pytest.approx(scorer.scores_of(expected).tolist())
    earlier = score(small, "reviews@v1", str(tmp_path / "first"), registry=shelf)
    assert earlier.rows < result.rows
    with pytest.raises(DataError, match="no snapshot reviews@v9"):
        score(small, "reviews@v9", str(tmp_path / "ninth"), registry=shelf)


def test_a_folder_of_text_files_is_one_input(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    for number in range(5):
        path = tmp_path / "set" / ("pos" if number % 2 else "neg") / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(number))
    assert score(small, str(tmp_path / "set"), str(tmp_path / "out"), registry=shelf).rows == 5


def test_nothing_to_score_is_said(small: Settings, shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="nothing to score"):
        score(small, str(tmp_path / "empty"), str(tmp_path / "out"), registry=shelf)
    with pytest.raises(SourceError, match="There is no file"):
        score(small, str(tmp_path / "absent"), str(tmp_path / "out"), registry=shelf)
    with pytest.raises(SettingsError, match="no place to write to"):
        storage_at(small, "s3://")
