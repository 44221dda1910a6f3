"""What a drift check can compare: files, snapshots, windows; read fairly, in bounded memory, with clear refusals."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from sentiment.cli import main
from sentiment.drift.archive import list_checks
from sentiment.drift.comparison import check_sides, compare_sides
from sentiment.drift.reading import read_side
from sentiment.drift.run import check_drift
from sentiment.drift.sides import FileSide, SnapshotSide, WindowSide, parse_side
from sentiment.errors import DataError, SourceError
from sentiment.labels import LabelScheme
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.predictions import ingest_predictions
from sentiment.reviews.sample import generate, write_sample
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training.promotion import judge, promote
from sentiment.training.train import train

START = datetime(2026, 11, 1, tzinfo=UTC)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in an empty folder with no settings: status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMENT_STORAGE__ROOT", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def add_predictions(
    settings: Settings, domain: str, rows: int, *, seed: int, at: datetime, step: timedelta = timedelta()
) -> None:
    lines = [
        json.dumps(
            {
                "request_id": f"{domain}-{seed}-{i}",
                "text": review.text,
                "label": "positive",
                "score": 0.5,
                "model_version": "1",
                "predicted_at": (at + i * step).isoformat(),
            }
        )
        for i, review in enumerate(generate(domain, rows, seed=seed))
    ]
    Storage(settings).write(f"landing/predictions/20261120T000000-{seed:032x}.jsonl", "\n".join(lines).encode())
    ingest_predictions(settings)


@pytest.fixture
def champion(settings: Settings, tmp_path: Path) -> Registry:
    """A champion that learned from films."""
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 800, seed=1)])
    registry = Registry(settings)
    version, _ = judge(settings, registry=registry, challenger=train(settings, registry=registry))
    promote(settings, registry=registry, version=version.version)
    return registry


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("reviews@v12", SnapshotSide(12)),
        ("reviews@12:held-out", SnapshotSide(12, held_out=True)),
        ("2026-11-01..2026-11-08", WindowSide(START, START + timedelta(days=7))),
        (
            "2026-11-01T06:30..2026-11-01T12:00+02:00",
            WindowSide(START + timedelta(hours=6.5), START + timedelta(hours=10)),
        ),
        ("12", FileSide(Path("12"))),
        ("data/2026-11-01..2026-11-08", FileSide(Path("data/2026-11-01..2026-11-08"))),
        ("../may.csv", FileSide(Path("../may.csv"))),
    ],
)
def test_a_side_is_known_by_how_it_is_written(text: str, side: object) -> None:
    assert parse_side(text) == side


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reviews@latest", "not a snapshot"),
        ("reviews@v3:train", "not a snapshot"),
        ("2026-11-08..2026-11-01", "window is empty"),
        ("2026-11-01..2026-11-01", "window is empty"),
        ("2026-13-01..2026-11-08", "'2026-13-01' .* is neither a date nor a time"),
        ("2026-11-01..2026-soon", "'2026-soon'"),
        ("  ", "is empty"),
    ],
)
def test_what_looks_like_a_side_and_is_none_is_refused_with_the_way_to_write_it(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        parse_side(text)


# -- what is read ------------------------------------------------------------------------------------------


def test_a_text_sent_a_thousand_times_is_sampled_by_its_share_of_the_rows(tmp_path: Path, settings: Settings) -> None:
    texts = [f"an honest opinion number {i}" for i in range(9_000)] + ["BUY NOW"] * 1_000
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "spam.csv", index=False)
    kept = read_side(settings, FileSide(tmp_path / "spam.csv"), most=2_000, role="current")
    spam = sum(row.text == "BUY NOW" for row in kept.rows)
    assert (len(kept.rows), kept.of) == (2_000, 10_000)
    assert 150 < spam < 250, "a tenth of the rows; by the hash of the text it would be all copies or none"
    assert read_side(settings, FileSide(tmp_path / "spam.csv"), most=2_000, role="current") == kept


def test_a_window_is_sampled_evenly_from_its_beginning_to_its_end(settings: Settings) -> None:
    add_predictions(settings, "film", 3_000, seed=1, at=START, step=timedelta(minutes=3))
    texts = [review.text for review in generate("film", 3_000, seed=1)]
    window = WindowSide(START, START + timedelta(days=7))
    kept = read_side(settings, window, most=600, role="current")
    assert (len(kept.rows), kept.of) == (600, 3_000)
    places = pd.Series([texts.index(row.text) for row in kept.rows])
    assert all(100 <= count <= 200 for count in pd.cut(places, 4).value_counts()), "not only the newest"
    newest = read_side(settings, WindowSide(START, START + timedelta(days=7), answered_by="2"), most=600, role="x")
    assert newest.rows == ()


def test_answers_without_their_text_are_no_texts_of_a_window(settings: Settings) -> None:
    hashing = load_settings(storage=settings.storage.model_dump(), serving={"log_predictions": "hash"})
    log = PredictionLog(hashing)
    for number in range(50):
        log.record(Answer(f"h{number}", f"hashed {number}", "positive", 0.5, {"positive": 0.5}, "1", START))
    log.close()
    ingest_predictions(settings)
    window = WindowSide(START, START + timedelta(days=7))
    assert read_side(settings, window, most=600, role="current").rows == ()
    add_predictions(settings, "film", 30, seed=1, at=START)
    kept = read_side(settings, window, most=600, role="current")
    assert (len(kept.rows), kept.of) == (30, 30)


def test_ratings_and_own_words_of_a_file_are_labels_as_in_ingest(tmp_path: Path) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")}, data={"label_words": {"top": "positive"}})
    (tmp_path / "stars.csv").write_text("text,stars\nfine,5\npoor,1\nso so,3\n")
    (tmp_path / "words.csv").write_text("text,label\nfine,Top\npoor,neg\n")
    (tmp_path / "mail.csv").write_text("text\nwrite to jo@example.com\n")
    stars = compare_sides(
        settings, reference=FileSide(tmp_path / "stars.csv"), current=FileSide(tmp_path / "words.csv")
    )
    assert dict(zip(stars.reference.texts, stars.reference.labels or (), strict=True)) == {
        "fine": "positive", "poor": "negative", "so so": None,
    }  # fmt: skip
    assert set(stars.current.labels or ()) == {"positive", "negative"}
    (mail,) = read_side(settings, FileSide(tmp_path / "mail.csv"), most=9, role="current").rows
    assert "jo@example.com" not in mail.text


# -- any two sides -----------------------------------------------------------------------------------------


def test_files_snapshots_and_windows_compare_with_each_other(
    settings: Settings, champion: Registry, tmp_path: Path
) -> None:
    add_predictions(settings, "kitchen", 300, seed=2, at=START)
    film = FileSide(write_sample(tmp_path / "more.csv", "film", 300, seed=5))
    for reference, current, state in (
        (parse_side("reviews@v1:held-out"), film, "stable"),
        (parse_side("reviews@v1"), parse_side("2026-11-01..2026-11-02"), "drifted"),
        (film, film, "stable"),
    ):
        found = compare_sides(settings, reference=reference, current=current, registry=champion)
        assert found.check.verdict.state == state, (str(reference), str(current), found.check.verdict.reasons)
        assert (found.check.reference_name, found.check.current_name) == (str(reference), str(current))
        assert found.check.champion == "1"
    check = check_sides(settings, "reviews@v1", "2026-11-01..2026-11-02", registry=champion)
    assert list_checks(Storage(settings)) == [check.id]
    assert check_sides(settings, "reviews@v1", "2026-11-01..2026-11-02", registry=champion) == check


def test_a_reference_that_the_champion_learned_from_does_not_make_it_look_worse_elsewhere(
    settings: Settings, champion: Registry, tmp_path: Path
) -> None:
    file = FileSide(tmp_path / "film.csv")
    found = compare_sides(settings, reference=file, current=file, registry=champion)
    accuracy = found.check.verdict.reference_accuracy
    assert accuracy is not None
    assert 100 < accuracy.rows < 220, "a fifth of the rows is held out; the others it has learned by heart"


def test_labels_of_a_new_scheme_do_not_make_the_champion_look_wrong(
    settings: Settings, champion: Registry, tmp_path: Path
) -> None:
    stars = load_settings(storage=settings.storage.model_dump(), data={"scheme": LabelScheme.five_star})
    reviews = [{"text": r.text, "stars": 5 if r.label == "positive" else 1} for r in generate("film", 300, seed=8)]
    pd.DataFrame(reviews).to_csv(tmp_path / "stars.csv", index=False)
    ingest(stars, paths=[tmp_path / "stars.csv"])
    found = check_drift(stars, registry=champion, end=datetime.now(UTC), publish=False)
    assert found.latest_snapshot == "reviews@v2"
    assert (found.verdict.live_accuracy, found.verdict.state) == (None, "insufficient_data")


@pytest.mark.parametrize(
    ("reference", "current", "said"),
    [
        ("reviews@v1", None, "needs two"),
        (None, "reviews@v1", "needs two"),
        ("reviews@v1", "/etc/passwd", "needs two"),
        ("reviews@v9", "reviews@v1", "no snapshot reviews@v9"),
    ],
)
def test_a_form_that_names_no_two_sides_is_refused(
    settings: Settings, tmp_path: Path, reference: str | None, current: str | None, said: str
) -> None:
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 50, seed=1)])
    with pytest.raises(DataError, match=said):
        check_sides(settings, reference, current, registry=Registry(settings))


def test_a_side_without_rows_is_no_drift(settings: Settings, champion: Registry) -> None:
    found = check_sides(settings, "reviews@v1:held-out", "2020-01-01..2020-01-02", registry=champion)
    assert found.verdict.state != "drifted"
    assert found.verdict.current_rows == 0


def test_labels_of_another_scheme_than_the_champions_are_named(
    settings: Settings, champion: Registry, tmp_path: Path
) -> None:
    (tmp_path / "moods.csv").write_text("text,label\n" + "what a day,joy\nwhat a night,fear\n" * 60)
    moods, film = FileSide(tmp_path / "moods.csv"), FileSide(tmp_path / "film.csv")
    with pytest.raises(DataError, match=r"moods\.csv is labelled in another scheme.*fear, joy.*negative, positive"):
        compare_sides(settings, reference=moods, current=film, registry=champion)
    alone = compare_sides(settings, reference=moods, current=moods)
    assert set(alone.reference.labels or ()) == {"joy", "fear"}, "without a champion they are as good as any"


# -- the command -------------------------------------------------------------------------------------------


def test_two_files_need_no_platform_and_leave_nothing_behind(run: Run, tmp_path: Path) -> None:
    write_sample(tmp_path / "may.csv", "film", 300, seed=1)
    write_sample(tmp_path / "june.csv", "kitchen", 300, seed=2)
    before = {path.name for path in tmp_path.iterdir()}
    status, said, _ = run("drift", "--reference", "may.csv", "--current", "june.csv", "--fail-on-drift")
    assert status == 10
    assert said.startswith("Verdict: drifted\n")
    assert "Unknown" in said
    assert "not written; --report FILE writes it" in said
    assert {path.name for path in tmp_path.iterdir()} == before
    status, said, _ = run("drift", "--reference", "may.csv", "--current", "may.csv", "--report", "out/r.html", "--json")
    found = json.loads(said)
    assert (status, found["verdict"]["state"], found["champion"]) == (0, "stable", None)
    assert found["report"] == str(tmp_path / "out" / "r.html")
    assert "<html" in (tmp_path / "out" / "r.html").read_text()
    assert {path.name for path in tmp_path.iterdir()} == before | {"out"}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--reference", "may.csv", "--current", "absent.csv"], 3, "absent.csv"),
        (["--reference", "may.csv", "--current", "empty.csv"], 3, "empty.csv is empty"),
        (["--reference", "may.csv", "--current", "other.csv"], 3, "no column of review texts"),
        (["--reference", "may.csv", "--current", "reviews@v3"], 3, "no snapshot"),
        (["--reference", "may.csv", "--current", "2026-11-08..2026-11-01"], 3, "window is empty"),
        (["--reference", "may.csv", "--current", "may.csv", "--end", "2026-01-01"], 2, "--current 2026"),
        (["--no-champion"], 2, "two sides"),
        (["--reference", "may.csv", "--current", "may.csv", "--report", "may.csv/out.html"], 6, "out.html"),
    ],
)
def test_the_command_says_what_it_cannot_compare(
    run: Run, tmp_path: Path, arguments: list[str], status: int, said: str
) -> None:
    write_sample(tmp_path / "may.csv", "film", 120, seed=1)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "other.csv").write_text("colour,size\nred,3\n")
    found, _, error = run("drift", *arguments)
    assert (found, said in error, "Traceback" in error) == (status, True, False), error


@pytest.mark.parametrize(
    "texts",
    [["the and of to"] * 150, ["!!! ..."] * 150, ["same words every time"] * 150],
    ids=["stop words", "no words", "one text"],
)
def test_texts_that_say_nothing_are_no_drift_against_themselves(run: Run, tmp_path: Path, texts: list[str]) -> None:
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "dull.csv", index=False)
    status, said, error = run("drift", "--reference", "dull.csv", "--current", "dull.csv", "--json")
    assert (status, json.loads(said)["verdict"]["state"]) == (0, "stable"), error


MEMORY = """
import re, sys
from pathlib import Path
from sentiment.drift.reading import read_side
from sentiment.drift.run import check_drift
from sentiment.drift.sides import FileSide
from sentiment.settings import load_settings
kept = read_side(load_settings(), FileSide(Path(sys.argv[1])), most=500, role="current")
said = Path("/proc/self/status").read_text()  # the peak that getrusage tells is that of the process it was forked from
print(kept.of, int(re.search(r"VmHWM:\\s*(\\d+) kB", said)[1]) // 1024)
"""


def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """Of 20 times the rows, 60 MB of text, at the most a few batches are in memory."""
    environment = {**os.environ, "SENTIMENT_DATA__BATCH_ROWS": "1000"}
    text = "a long review about nothing in particular, " * 24
    peaks = {}
    for rows in (3_000, 60_000):
        path = tmp_path / f"{rows}.csv"
        with path.open("w") as file:
            file.write("text\n")
            file.writelines(f'"{text}{i}"\n' for i in range(rows))
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, env=environment, timeout=250
        )
        of, megabytes = map(int, done.stdout.split())
        assert of == rows, done.stderr
        peaks[rows] = megabytes
    assert peaks[60_000] - peaks[3_000] < 30, peaks


def test_a_file_that_is_missing_is_one_error_of_its_own_kind(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.csv"):
        read_side(settings, FileSide(tmp_path / "absent.csv"), most=10, role="current")


def test_the_labels_of_the_champions_scheme_are_its_own_whatever_the_settings_say(
    settings: Settings, champion: Registry, tmp_path: Path
) -> None:
    five = load_settings(storage=settings.storage.model_dump(), data={"scheme": LabelScheme.five_star})
    (tmp_path / "stars.csv").write_text("text,stars\n" + "fine film,5\npoor film,1\n" * 60)
    side = FileSide(tmp_path / "stars.csv")
    with pytest.raises(DataError, match="another scheme"):
        compare_sides(five, reference=side, current=side, registry=champion)
