"""Sources: every format read with no options, and one clear message for what cannot be read."""

import csv
import gzip
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest

from sentiment.errors import SourceError
from sentiment.reviews.contract import apply_contract
from sentiment.reviews.sources import digest, read_batches, source_name
from sentiment.settings import Settings

ROWS = [("Good, solid.\nStill works", "pos"), ("Bad “thing”", "neg"), ("Fine", "pos")]


def read(path: Path, **options: Any) -> pd.DataFrame:
    return pd.concat(read_batches(path, **{"batch_rows": 2, **options}), ignore_index=True)


def write_csv(path: Path, rows: list[tuple[str, ...]], *, header: tuple[str, ...], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([header, *rows])
    return path


def write_jsonl(path: Path) -> Path:
    path.write_text("".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in ROWS), encoding="utf-8")
    return path


def write_xlsx(path: Path) -> Path:
    book = openpyxl.Workbook()
    for row in [("text", "label"), *ROWS]:
        book.active.append(row)
    book.save(path)
    return path


def write_parquet(path: Path) -> Path:
    pd.DataFrame(ROWS, columns=["text", "label"]).to_parquet(path)
    return path


def gz(path: Path) -> Path:
    target = path.with_name(path.name + ".gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    return target


def zst(path: Path) -> Path:
    target = path.with_name(path.name + ".zst")
    with pa.OSFile(str(target), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
        stream.write(path.read_bytes())
    return target


HEADER = ("text", "label")
WRITERS: dict[str, Callable[[Path], Path]] = {
    "a.csv": lambda path: write_csv(path, ROWS, header=HEADER),
    "a.tsv": lambda path: write_csv(path, ROWS, header=HEADER, delimiter="\t"),
    "semicolons.csv": lambda path: write_csv(path, ROWS, header=HEADER, delimiter=";"),
    "A.CSV": lambda path: write_csv(path, ROWS, header=HEADER),
    "a.jsonl": write_jsonl,
    "a.json": write_jsonl,
    "a.parquet": write_parquet,
    "a.xlsx": write_xlsx,
    "gz.csv": lambda path: gz(write_csv(path, ROWS, header=HEADER)),
    "zst.tsv": lambda path: zst(write_csv(path, ROWS, header=HEADER, delimiter="\t")),
    "gz.jsonl": lambda path: gz(write_jsonl(path)),
    "zst.jsonl": lambda path: zst(write_jsonl(path)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows_in_bounded_batches(tmp_path: Path, name: str) -> None:
    batches = list(read_batches(WRITERS[name](tmp_path / name), batch_rows=2))
    assert [len(batch) for batch in batches] == [2, 1]
    rows = pd.concat(batches)
    assert rows["text"].tolist() == [text for text, _ in ROWS]
    assert rows["label"].tolist() == [label for _, label in ROWS]
    assert rows["row_number"].tolist() == [1, 2, 3]
    assert not rows["malformed"].any()
    assert rows[["rating", "source"]].isna().to_numpy().all()


def test_a_folder_has_a_subfolder_of_text_files_for_each_label(tmp_path: Path) -> None:
    for name, text in {
        "pos/1.txt": "Good",
        "neg/1.txt": "Bad",
        "unsup/1.txt": "Hm",
        "pos/notes.md": "no",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    rows = read(tmp_path)
    assert rows["text"].tolist() == ["Bad", "Good", "Hm"]
    assert rows["label"].fillna("none").tolist() == ["neg", "pos", "none"]


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        (("reviewText", "overall"), {"text": "t", "rating": "5"}),
        (("Review Text", "Star-Rating"), {"text": "t", "rating": "5"}),
        (("BODY", "Polarity"), {"text": "t", "label": "pos"}),
        (("comment", "class"), {"text": "t", "label": "pos"}),
        (("review", "category"), {"text": "t", "source": "5"}),
        (("content", "helpful"), {"text": "t"}),
    ],
)
def test_columns_are_found_by_their_usual_names(tmp_path: Path, header: tuple[str, str], roles: dict[str, str]) -> None:
    value = roles.get("label", "5")
    row = read(write_csv(tmp_path / "a.csv", [("t", value)], header=header)).iloc[0]
    given = {role: row[role] for role in ("text", "label", "rating", "source") if pd.notna(row[role])}
    assert given == roles


def test_a_label_wins_over_a_rating_unless_the_rating_is_asked_for(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("t", "pos", "1")], header=("text", "label", "rating"))
    assert read(path)[["label", "rating"]].isna().to_numpy().tolist() == [[False, True]]
    assert read(path, label="rating")[["label", "rating"]].isna().to_numpy().tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("numbers", "meant"),
    [
        (["0", "1"], ["negative", "positive"]),
        (["0.0", "1.0"], ["negative", "positive"]),
        (["-1", "1"], ["negative", "positive"]),
        (["1", "2", "4", "5"], ["negative", "negative", "positive", "positive"]),
        (["2", "10"], ["negative", "positive"]),
        ([*["0", "1"] * 100, "7"], [*["negative", "positive"] * 100]),
    ],
    ids=["0 and 1", "decimals", "-1 and 1", "stars", "ten stars", "a slip of the pen"],
)
def test_labels_that_are_numbers_mean_what_the_whole_file_says(
    tmp_path: Path, settings: Settings, numbers: list[str], meant: list[str]
) -> None:
    rows = [(f"review {place}", number) for place, number in enumerate(numbers)]
    checked = apply_contract(read(write_csv(tmp_path / "a.csv", rows, header=HEADER)), settings.data)
    assert checked.accepted["label"].tolist() == meant


@pytest.mark.parametrize("numbers", [["1", "2"], ["1", "2", "3"], ["0", "2", "4"]])
def test_numbers_that_may_be_labels_or_ratings_are_refused(tmp_path: Path, numbers: list[str]) -> None:
    path = write_csv(tmp_path / "a.csv", [(f"review {n}", n) for n in numbers], header=HEADER)
    with pytest.raises(SourceError, match=f"the numbers {', '.join(numbers)}, which may mean anything.*rating"):
        read(path)


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("no", "t", "pos")], header=("text", "Utterance", "mood"))
    row = read(path, text="utterance", label="mood").iloc[0]
    assert (row["text"], row["label"]) == ("t", "pos")


def test_the_rating_scale_is_that_of_the_whole_file_not_of_a_batch(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("a", "2"), ("b", "4"), ("c", "9")], header=("text", "rating"))
    assert [batch["stars"].tolist() for batch in read_batches(path, batch_rows=1)] == [[10], [10], [10]]


def test_a_bad_byte_costs_one_row(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\ngood,pos\ncaf\xe9,pos\nbad,neg\n")
    checked = apply_contract(read(path), settings.data)
    assert checked.accepted["text"].tolist() == ["good", "bad"]
    assert checked.refused["reason"].tolist() == ["bad_encoding"]


@pytest.mark.parametrize(
    ("content", "malformed"),
    [
        ("text,label\ngood,pos\nbad, really,neg\nfine,pos\n", [False, True, False]),
        ("text,label\ngood,pos\nbad\nfine,pos\n", [False, True, False]),
        ('text,label\ngood,pos\nfine,pos,,\n"bad,neg\n', [False, False, True]),
        (f"text,label\ngood,pos\n{'x' * 200_000},neg\nfine,pos\n", [False, True, False]),
    ],
    ids=["comma too many", "cut off", "quote never closed", "endless field"],
)
def test_a_row_that_cannot_be_taken_apart_is_marked_and_the_others_read(
    tmp_path: Path, content: str, malformed: list[bool]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert read(path)["malformed"].tolist() == malformed


def test_a_broken_json_line_costs_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good"}\n{"text": "ba\n\n[1]\n{"text": "half \\ud800 pair"}\n')
    rows = read(path, batch_rows=10)
    assert rows["malformed"].tolist() == [False, True, True, False]
    assert rows["text"].iloc[3] == "half \ufffd pair"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\ngood,pos\n", encoding=encoding)
    assert read(path)["text"].tolist() == ["good"]


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-20])
    return path


def holding(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "none.csv", r"There is no file .*none\.csv"),
    "empty": (holding("a.csv", b""), r"is empty \(0 bytes\)"),
    "header only": (holding("a.csv", b"text,label\n"), "no rows, only a header"),
    "parquet without rows": (
        lambda folder: write_empty_parquet(folder / "a.parquet"),
        "no rows",
    ),
    "gz cut off": (lambda f: cut(WRITERS["gz.csv"](f / "a.csv")), "truncated or damaged"),
    "zst cut off": (lambda f: cut(WRITERS["zst.jsonl"](f / "a.jsonl")), "(?i)truncated"),
    "parquet cut off": (lambda f: cut(write_parquet(f / "a.parquet")), "truncated or damaged"),
    "xlsx cut off": (lambda f: cut(write_xlsx(f / "a.xlsx")), "truncated or damaged"),
    "gz that is none": (holding("a.csv.gz", b"text\nplain\n"), "cannot be read: Not a gzipped file"),
    "zst that is none": (holding("a.csv.zst", b"text\nplain\n"), "cannot be read: ZSTD"),
    "binary": (holding("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "is binary, not text"),
    "binary in gz": (holding("a.tsv.gz", gzip.compress(b"ELF\x00\x00")), "is binary, not text"),
    "unknown suffix": (holding("a.docx", b"x"), r"no known format: its suffix is \.docx.*Known are \.csv"),
    "no suffix": (holding("README", b"x"), "its suffix is missing"),
    "compressed parquet": (holding("a.parquet.gz", b"x"), r"suffix is \.parquet\.gz"),
    "no text column": (
        holding("a.csv", b"title,stars\nx,1\n"),
        r"no column of review texts; its columns are title, stars\. .*--text",
    ),
    "json array": (holding("a.json", b'[{"text": "a"},\n{"text": "b"}]'), "one JSON object a line.*jq"),
    "folder without texts": (lambda folder: folder, r"has no rows: no \.txt files"),
    "a pipe": (lambda folder: pipe(folder / "a.csv"), "neither a file nor a folder"),
    "two columns of one name": (holding("a.csv", b"text,label,label\nx,neg,pos\n"), "2 columns named 'label'"),
    "hundreds of columns": (
        holding("a.csv", ",".join(f"c{n}" for n in range(300)).encode()),
        "its columns are c0, .*c19 and 280 more",
    ),
    "reviews on another sheet": (lambda f: on_second_sheet(f / "a.xlsx"), "Only its first sheet, 'About', is read"),
    "zip that is no workbook": (lambda f: zipped(f / "a.xlsx"), "not what its name says"),
}


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def on_second_sheet(path: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.title = "About"
    book.active.append(("note",))
    for row in [("text", "label"), *ROWS]:
        book.create_sheet("Reviews").append(row)
    book.save(path)
    return path


def write_empty_parquet(path: Path) -> Path:
    pd.DataFrame({"text": pd.Series([], dtype="str")}).to_parquet(path)
    return path


def zipped(path: Path) -> Path:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    return path


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_said_in_one_message(tmp_path: Path, case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(SourceError, match=message) as caught:
        read(make(tmp_path))
    assert str(tmp_path) in caught.value.message
    assert caught.value.fix
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("closed", ["folder", "folder/a.csv"])
def test_a_file_that_may_not_be_read_is_told_as_such(closed: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "folder", "a.csv")
        path.parent.mkdir()
        path.write_text("text,label\ngood,pos\n")
        Path(place).chmod(0o755)
        Path(place, closed).chmod(0)
        user = os.geteuid()
        try:
            if user == 0:  # nothing is closed to root
                os.seteuid(65534)
            with pytest.raises(SourceError, match="may not be read"):
                read(path)
        finally:
            os.seteuid(user)
            Path(place, closed).chmod(0o755)


def test_a_named_column_that_is_absent_is_told_with_those_found(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ROWS, header=HEADER)
    with pytest.raises(SourceError, match=r"no column 'stars'; its columns are text, label\. .*--label"):
        read(path, label="stars")


def test_the_digest_follows_the_content_not_the_name(tmp_path: Path) -> None:
    first = write_csv(tmp_path / "a.csv", ROWS, header=HEADER)
    same = write_csv(tmp_path / "b.csv", ROWS, header=HEADER)
    other = write_csv(tmp_path / "c.csv", ROWS[:2], header=HEADER)
    assert digest(first) == digest(same) != digest(other)


def test_the_source_is_the_name_without_suffixes() -> None:
    assert [source_name(Path(name)) for name in ("a.csv", "in/b.v2.jsonl.gz", "c")] == ["a", "b.v2", "c"]


@pytest.mark.parametrize(
    ("name", "has_label"),
    [
        ("amazon_alexa.tsv", False),
        ("reviews_500.csv", True),
        ("imdb_train.parquet", True),
        ("sentence_polarity.parquet", True),
    ],
)
def test_real_files_are_read_with_no_options(real_data: Path, settings: Settings, name: str, has_label: bool) -> None:
    total = 0
    for batch in read_batches(real_data / name, batch_rows=settings.data.batch_rows):
        total += len(batch)
        assert batch["label"].notna().all() == has_label
        assert batch["rating"].isna().all() == has_label
        checked = apply_contract(batch, settings.data)
        assert len(checked.accepted) + len(checked.refused) == len(batch)
        assert not checked.refused["reason"].isin(["malformed_row", "bad_encoding", "unknown_label"]).any()
    assert total >= 500
