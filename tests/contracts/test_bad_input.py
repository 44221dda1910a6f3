"""Bad input ends with one clear message, the promised status, and nothing half written."""

import gzip
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sentiment.cli import main
from sentiment.errors import StorageError, storage_errors
from sentiment.reviews.sample import write_sample
from sentiment.settings import load_settings
from sentiment.storage import Storage

Make = Callable[[Path], Path]
Said = tuple[int, str]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def sentiment(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run the command line and return its status and what it said on standard error."""

    def run(*arguments: object) -> Said:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return int(ended.value.code or 0), " ".join(capsys.readouterr().err.split())

    return run


def write(name: str, data: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def cut(suffix: str) -> Make:
    """Make a good file and lose its end."""

    def make(folder: Path) -> Path:
        good = write_sample(folder / "good.csv", "film", 200, seed=1)
        if suffix == ".parquet":
            import pandas as pd

            data = folder / "good.parquet"
            pd.read_csv(good).to_parquet(data)
            raw = data.read_bytes()
        else:
            raw = gzip.compress(good.read_bytes())
        path = folder / f"cut{suffix}"
        path.write_bytes(raw[: len(raw) // 2])
        return path

    return make


GOOD_ROW = b"text,label\nI loved every minute of it,positive\n"
FILES: dict[str, tuple[Make, str]] = {
    "missing": (lambda folder: folder / "nowhere.csv", "nowhere.csv"),
    "empty": (write("empty.csv", b""), "empty"),
    "header only": (write("header.csv", b"text,label\n"), "header.csv"),
    "truncated gzip": (cut(".csv.gz"), "cut.csv.gz"),
    "truncated parquet": (cut(".parquet"), "cut.parquet"),
    "binary": (write("photo.csv", bytes(range(256)) * 40), "photo.csv"),
    "unknown kind": (write("reviews.docx", b"PK"), "reviews.docx"),
    "no text column": (write("columns.csv", b"id,stars\n1,5\n"), "columns.csv"),
    "not UTF-8": (write("latin.csv", "text,label\ncaf\u00e9,positive\n".encode("latin-1")), "save the file as UTF-8"),
    "unknown labels": (write("labels.csv", b"text,label\nfine,maybe\nbad,perhaps\n"), "unknown_label"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_named_and_adds_nothing(
    case: str, tmp_path: Path, root: Path, sentiment: Callable[..., Said]
) -> None:
    make, said = FILES[case]
    status, message = sentiment("ingest", make(tmp_path))
    assert status == 3
    assert said in message
    assert "do:" in message
    assert "Traceback" not in message
    reviews = root / "tables" / "reviews"
    assert not reviews.exists() or not list(reviews.glob("*.parquet"))


def test_a_bad_file_in_the_inbox_stays_there_and_does_not_hold_up_the_others(
    root: Path, sentiment: Callable[..., Said]
) -> None:
    (root / "inbox").mkdir(parents=True)
    (root / "inbox" / "bad.csv").write_bytes(b"")
    (root / "inbox" / "good.csv").write_bytes(GOOD_ROW)
    status, message = sentiment("ingest")
    assert status == 3
    assert "bad.csv" in message
    assert [path.name for path in (root / "inbox").iterdir()] == ["bad.csv"]
    assert list((root / "tables" / "reviews").glob("*.parquet"))


def test_a_column_that_is_not_there_is_named_with_those_that_are(
    tmp_path: Path, sentiment: Callable[..., Said]
) -> None:
    path = write("columns.csv", GOOD_ROW)(tmp_path)
    status, message = sentiment("run", "--data", path, "--text", "body")
    assert status == 3
    assert "body" in message
    assert "label" in message


def test_a_single_class_cannot_be_learned(tmp_path: Path, sentiment: Callable[..., Said]) -> None:
    rows = "".join(f"I loved film number {i} very much,positive\n" for i in range(400))
    path = write("one.csv", b"text,label\n" + rows.encode())(tmp_path)
    status, message = sentiment("run", "--data", path)
    assert status == 3
    assert "positive" in message


def test_too_few_rows_are_counted(tmp_path: Path, sentiment: Callable[..., Said]) -> None:
    status, message = sentiment("run", "--data", write_sample(tmp_path / "few.csv", "film", 30, seed=1))
    assert status == 3
    assert "training needs 100" in message


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["train"], 3, "no reviews"),
        (["promote"], 4, "Nothing has been trained"),
        (["package"], 4, "no champion"),
        (["deploy"], 4, "no champion"),
        (["drift"], 4, "no champion"),
        (["rollback"], 4, "no champion"),
        (["rollback", "--to", "7"], 4, "no champion"),
        (["why", "7"], 4, "no answer and no model version '7'"),
        (["why", "champion"], 4, "no answer and no model version 'champion'"),
        (["history", "--at", "soon"], 2, "'soon' is neither a date nor a moment"),
        (["approve", "7"], 4, "no model sentiment 7"),
        (["reject", "7"], 2, "--reason"),
        (["reject", "7", "--reason", "so"], 4, "no model sentiment 7"),
        (["package", "7"], 4, "no model sentiment 7"),
        (["train", "--snapshot", "yesterday"], 3, "yesterday"),
        (["drift", "--reference", "one.csv"], 2, "--current"),
        (["ingest", "--colour", "red"], 2, "--colour"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_stage_that_lacks_what_it_needs_says_so(
    command: list[str], status: int, said: str, sentiment: Callable[..., Said]
) -> None:
    found, message = sentiment(*command)
    assert found == status
    assert said in message
    assert "Traceback" not in message


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, sentiment: Callable[..., Said]) -> None:
    monkeypatch.setenv("SENTIMENT_GATE__MARGIN", "many")
    status, message = sentiment("status")
    assert status == 2
    assert "gate.margin" in message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SENTIMENT_GATE__MARGN", "0.1", "gate.margn: there is no such setting"),
        ("SENTIMENT_GAET__MARGIN", "0.1", "no section 'gaet'"),
        ("SENTIMENT_STORAGE__ROOT", "", "storage.root: it is empty"),
        ("SENTIMENT_STORAGE__ROOT", "s3://", "names no bucket"),
        ("SENTIMENT_STORAGE__ROOT", "what?", "a folder with ? in its name"),
        ("SENTIMENT_REGISTRY__TRACKING_URI", "mlruns", "'mlruns' is no MLflow server"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(
    name: str, value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentiment: Callable[..., Said]
) -> None:
    monkeypatch.setenv(name, value)
    status, message = sentiment("status")
    assert status == 2
    assert said in message
    assert not (tmp_path / "s3:").exists()


def test_a_root_that_may_only_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentiment: Callable[..., Said]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a disk needs root")
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(disk))
    try:
        for command in (["ingest"], ["train"], ["status"], ["deploy"], ["up"], ["down"]):
            status, message = sentiment(*command)
            assert status == 6, command
            assert str(disk) in message
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_root_that_is_a_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentiment: Callable[..., Said]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(tmp_path / "file"))
    status, message = sentiment("ingest")
    assert status == 6
    assert str(tmp_path / "file") in message


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes, where this machine lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_told_and_the_same_command_succeeds_when_there_is_room(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, sentiment: Callable[..., Said]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(small_disk / "var"))
    data = write_sample(tmp_path / "film.csv", "film", 3_000, seed=1)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        file.write(b"x" * 1_900_000)
    status, message = sentiment("ingest", data)
    assert status == 6
    assert "disk is full" in message
    filler.unlink()
    assert sentiment("ingest", data)[0] == 0
    from sentiment.reviews.table import latest_snapshot

    snapshot = latest_snapshot(Storage(load_settings()))
    assert snapshot is not None
    assert snapshot.rows == 3_000


def test_a_disk_that_is_full_for_mlflow_is_told_and_leaves_no_half_database(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, sentiment: Callable[..., Said]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(small_disk / "var"))
    assert sentiment("ingest", write_sample(tmp_path / "film.csv", "film", 200, seed=1))[0] == 0
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        file.write(b"x" * 1_700_000)
    status, message = sentiment("train")
    assert status == 6, message
    assert "disk is full" in message
    assert not (small_disk / "var" / "mlflow" / "mlflow.db").exists()
    assert not list((small_disk / "var" / "mlflow").iterdir()), "nothing half written"


def test_a_store_that_does_not_answer_is_told_in_one_line() -> None:
    with pytest.raises(StorageError) as caught, storage_errors("s3://bucket/tables"):
        raise OSError("Kernel error\n\x1b[31m\u21b3\x1b[0m Connection refused\n")
    assert caught.value.message == "Storage failed at s3://bucket/tables: Kernel error Connection refused."
    assert "credentials" in caught.value.fix
