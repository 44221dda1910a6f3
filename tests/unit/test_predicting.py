"""``sentiment predict``: tables go out as they came in, with answers; lines are answered as they come."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bentos import Shelf, stock

from sentiment.cli import main
from sentiment.registry import Registry
from sentiment.scoring.records import read_rows
from sentiment.settings import load_settings

ADDED = ["predicted_label", "predicted_score", "probability_negative", "probability_positive", "abstained"]
ADDED += ["model_version", "request_id", "problem"]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return stock(tmp_path_factory.mktemp("shelf"), load_settings(training={"min_documents": 1}))


@pytest.fixture(autouse=True)
def registered(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The models on the shelf are what the registry has."""
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(tmp_path / "var"))
    monkeypatch.setattr("sentiment.registry.Registry", lambda _: shelf)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))  # type: ignore[arg-type]


def scores(shelf: Shelf, texts: Sequence[str]) -> list[float]:
    scorer = shelf.load_scorer(shelf.champion())
    found: list[float] = scorer.scores(texts).tolist()
    return found


def test_one_text(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict", "a wonderful film", "--version", "1") == 0
    assert capsys.readouterr().out.startswith("positive ")
    assert run("predict", "a wonderful film", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["label"], said["model_version"]) == ("negative", "2")
    assert said["score"] == pytest.approx(scores(shelf, ["a wonderful film"])[0])


def test_lines_are_answered_in_order(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = "a wonderful film\r\n\nan awful caf\u00e9\nthe last".encode()
    give(monkeypatch, data)
    assert run("predict", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == ["a wonderful film", "", "an awful caf\u00e9", "the last"]
    assert lines[1]["problem"] == "no text"
    assert lines[2]["score"] == pytest.approx(scores(shelf, ["an awful caf\u00e9"])[0])
    (tmp_path / "texts.txt").write_bytes(data)
    assert run("predict", "--file", str(tmp_path / "texts.txt")) == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == [line["text"] for line in lines]


def test_a_csv_keeps_its_columns_and_rows(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, output = tmp_path / "in.csv", tmp_path / "out.csv"
    given.write_text('id,label,opinion\n01,pos,"a joy, really"\n02,,\n3,neg\n04,neg,"two\nlines, awful"\n')
    assert run("predict", "--input", str(given), "--output", str(output), "--column", "Opinion") == 0
    assert "4 rows" in (said := capsys.readouterr()).out
    assert "Predicting: 4 rows" in said.err
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "label", "opinion", *ADDED]
    assert [row["id"] for row in rows] == ["01", "02", "", "04"]
    assert [row["opinion"] for row in rows] == ["a joy, really", "", "3 neg", "two\nlines, awful"]
    assert [row["problem"] for row in rows] == ["", "no text", "malformed row", ""]
    expected = scores(shelf, ["a joy, really", "two\nlines, awful"])
    assert [float(rows[n]["predicted_score"]) for n in (0, 3)] == expected


def test_json_and_parquet_keep_their_types(shelf: Shelf, tmp_path: Path) -> None:
    objects: list[dict[str, Any]] = [
        {"text": "a wonderful film", "id": 7, "tags": ["a", {"b": None}], "sure": True},
        {"text": None, "id": 8.5, "late": "only here"},
    ]
    given = tmp_path / "in.jsonl.gz"
    with gzip.open(given, "wt") as file:
        file.write("\n".join([*map(json.dumps, objects), "not json"]))
    assert run("predict", "--input", str(given), "--output", str(tmp_path / "out.jsonl")) == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [{name: row[name] for name in row if name not in ADDED} for row in rows] == [*objects, {"text": "not json"}]
    assert [row["problem"] for row in rows] == [None, "no text", "malformed row"]

    moment = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    table = pa.table({"n": pa.array([1, None], pa.int16()), "body": ["awful", "superb"], "at": [moment, None]})
    pq.write_table(table, tmp_path / "in.parquet")
    assert run("predict", "--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out.parquet")) == 0
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.select(table.column_names).equals(table)
    assert out.column_names == [*table.column_names, *ADDED]
    assert out["predicted_score"].to_pylist() == pytest.approx(scores(shelf, ["awful", "superb"]))
    for name in ("out.tsv", "out.csv.zst", "again.parquet"):
        assert run("predict", "--input", str(tmp_path / "out.parquet"), "--output", str(tmp_path / name)) == 0
    [rows_read] = read_rows(tmp_path / "out.csv.zst", column=None, batch_rows=10)
    assert rows_read.records[0]["at"] == "2030-01-02T03:04:05+00:00"
    assert pq.read_table(tmp_path / "again.parquet").equals(out), "columns of an earlier run are replaced"


def test_a_field_without_a_column_is_not_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.dumps({"text": "fine"})] * 2_000 + [json.dumps({"text": "fine", "late": 1})]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    assert run("predict", "--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.csv")) == 3
    assert "late" in capsys.readouterr().err
    assert not list(tmp_path.glob("*out.csv*"))


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--input", "in.csv", "--column", "body"), 3, "no column 'body'; its columns are id, text"),
        (("--input", "absent.csv"), 3, "There is no file absent.csv"),
        (("--input", "in.csv", "--output", "out.xlsx"), 2, "no form that can be written"),
        (("--input", "in.csv", "--output", "in.csv"), 2, "is the input too"),
        (("text", "--input", "in.csv"), 2, "More than one input"),
        (("text", "--version", "1", "--url", "http://x"), 2, "--version is given with --url"),
        (("text", "--key-file", "key"), 2, "without --url"),
        (("text", "--url", "http://x", "--key-file", "absent"), 2, "key file absent cannot be read"),
        (("--input", "header.csv", "--output", "out.csv"), 3, "no texts in the input"),
    ],
)
def test_what_cannot_be_is_said_clearly(
    arguments: tuple[str, ...],
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text("id,text\n1,fine\n")
    Path("header.csv").write_text("id,text\n")
    assert run("predict", *arguments) == status
    assert said in capsys.readouterr().err
    assert Path("in.csv").read_text() == "id,text\n1,fine\n"
    assert not Path("out.csv").exists()


def test_without_a_champion_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sentiment.registry.Registry", Registry)
    assert run("predict", "fine") == 4
    assert "There is no champion yet" in capsys.readouterr().err
    (tmp_path / "in.csv").write_text("text\nfine\n")
    assert run("score", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out")) == 4
    assert not (tmp_path / "out").exists()
