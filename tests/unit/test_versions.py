"""Snapshots in numbers: the digest names the reviews, not the files; what changed is told."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sentiment.cli import main
from sentiment.errors import DataError
from sentiment.reviews.contract import CONTRACT
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.reviews.versions import compare, snapshot_log, summarise
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage


def taken_in(root: Path, *paths: Path, **data: object) -> Storage:
    settings = load_settings(storage={"root": str(root)}, data=data)
    for path in paths:
        ingest(settings, paths=[path])
    return Storage(settings)


def newest(storage: Storage) -> int:
    return int(snapshot_log(storage)[0].snapshot.removeprefix("reviews@v"))


def in_all_forms(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """Write `text` and `label` as csv, compressed json lines, parquet and label folders; the last in another order."""
    paths = [folder / "a.csv", folder / "b.jsonl.gz", folder / "c.parquet", folder / "d"]
    frame.to_csv(paths[0], index=False)
    lines = frame.to_json(orient="records", lines=True)
    paths[1].write_bytes(gzip.compress(lines.encode()))
    frame.iloc[::-1].to_parquet(paths[2])
    for number, (text, label) in enumerate(zip(frame["text"], frame["label"], strict=True)):
        path = paths[3] / label / f"{number * 7919 % 100_003}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return paths


def test_the_digest_depends_neither_on_the_form_nor_on_the_order_nor_on_the_commits(tmp_path: Path) -> None:
    frame = pd.read_csv(write_sample(tmp_path / "film.csv", "film", 300, seed=1))[["text", "label"]]
    paths = in_all_forms(frame, tmp_path)
    found = {
        summarise(storage, newest(storage)).digest for storage in (taken_in(tmp_path / p.name[0], p) for p in paths)
    }
    half = [tmp_path / "1.csv", tmp_path / "2.csv"]
    frame.iloc[150:].to_csv(half[0], index=False)
    frame.iloc[:150].to_csv(half[1], index=False)
    storage = taken_in(tmp_path / "halves", *half)
    assert found == {summarise(storage, newest(storage)).digest}
    assert summarise(storage, 1).digest not in found
    frame.loc[0, "label"] = "positive" if frame.loc[0, "label"] == "negative" else "negative"
    frame.to_csv(tmp_path / "other.csv", index=False)
    assert summarise(taken_in(tmp_path / "other", tmp_path / "other.csv"), 1).digest not in found


def test_a_text_that_is_labelled_later_counts_as_if_it_had_come_labelled(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nGood\nHm\n")
    (tmp_path / "b.csv").write_text("text,label\nGood,pos\n")
    (tmp_path / "c.csv").write_text("text,label\nGood,pos\nHm,\n")
    late, once = (
        taken_in(tmp_path / "1", tmp_path / "a.csv", tmp_path / "b.csv"),
        taken_in(tmp_path / "2", tmp_path / "c.csv"),
    )
    assert summarise(late, 2).digest == summarise(once, 1).digest
    assert summarise(late, 2).labels == {"(none)": 1, "positive": 1}


def test_what_changed_is_told_in_rows_labels_sources_and_words(tmp_path: Path) -> None:
    paths = [write_sample(tmp_path / f"{domain}.csv", domain, 400, seed=1) for domain in ("film", "kitchen")]
    storage = taken_in(tmp_path / "var", *paths)
    found = compare(storage, 1, 2)
    assert found.rows == 400
    assert found.sources == {"kitchen": 400}
    assert sum(found.labels.values()) == sum(found.splits.values()) == 400
    assert len(found.words) >= 10
    assert not found.same_reviews
    kitchen = paths[1].read_text().casefold()
    film = paths[0].read_text().casefold()
    assert all(kitchen.count(word) > film.count(word) for word in found.words)
    assert compare(storage, 2, 1).rows == -400
    same = compare(storage, 2, 2)
    assert (same.rows, same.labels, same.words, same.same_reviews) == (0, {}, {}, True)
    assert [(entry.snapshot, entry.rows_added) for entry in snapshot_log(storage)[:2]] == [
        ("reviews@v2", 400),
        ("reviews@v1", 400),
    ]
    with pytest.raises(DataError, match="no snapshot reviews@v9"):
        compare(storage, 1, 9)


@pytest.fixture
def sentiment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            main(["data", *arguments])
        said = capsys.readouterr()
        return said.out or said.err

    return run


def test_the_command_line_logs_shows_and_compares(
    settings: Settings, sentiment: Callable[..., str], tmp_path: Path
) -> None:
    assert "no reviews yet" in sentiment("show")
    taken_in(
        Path(settings.storage.root), *(write_sample(tmp_path / f"{d}.csv", d, 200, seed=1) for d in ("film", "kitchen"))
    )
    logged = json.loads(sentiment("log", "--json"))
    assert [(entry["snapshot"], entry["made_by"], entry["made_from"]) for entry in logged] == [
        ("reviews@v2", "ingest", "kitchen.csv"),
        ("reviews@v1", "ingest", "film.csv"),
        ("reviews@v0", "create table", ""),
    ]
    assert all(entry["contract"] == CONTRACT for entry in logged[:2])
    assert "film.csv" in sentiment("log")
    shown = json.loads(sentiment("show", "--json"))
    assert (shown["snapshot"], shown["rows"]) == ("reviews@v2", 400)
    assert shown["contracts"] == {str(CONTRACT): 400}
    assert f"version {CONTRACT}: 400" in sentiment("show", "v2")
    assert shown["digest"] in sentiment("show", "v2")
    assert json.loads(sentiment("diff", "v1", "v2", "--json"))["sources"] == {"kitchen": 200}
    told = " ".join(sentiment("diff", "1", "reviews@v2").split())
    assert "200 to 400 (+200)" in told
    assert re.search(r"source │ kitchen │ 0 │ 200 │ \+200", told)
    assert "the same reviews" in sentiment("diff", "v1", "v1")


@pytest.mark.slow
def test_real_reviews_have_one_digest_in_every_form(real_data: Path, tmp_path: Path) -> None:
    raw = pd.read_parquet(real_data / "imdb_train.parquet")
    key = raw["review"].str.normalize("NFKC").str.casefold().str.split().str.join(" ")
    some = key.duplicated(keep=False) | (raw.index % 6 == 0)  # all that are there twice, among others
    frame = pd.DataFrame({"text": raw["review"], "label": raw["sentiment"]}, dtype=object)[some]
    distinct = key[some].nunique()
    assert len(frame) > distinct
    digests = set()
    for path in in_all_forms(frame, tmp_path):
        settings = load_settings(storage={"root": str(tmp_path / "roots" / path.name)})
        result = ingest(settings, paths=[path])
        assert (result.accepted, result.duplicates, result.refused) == (distinct, len(frame) - distinct, {})
        digests.add(summarise(Storage(settings), 1).digest)
    assert len(digests) == 1


def test_a_messy_real_file_is_accounted_for_to_the_row_under_five_stars(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "amazon_alexa.tsv"
    settings = load_settings(storage={"root": str(tmp_path / "var")}, data={"scheme": "five_star"})
    result = ingest(settings, paths=[path])
    rows = pd.read_csv(path, sep="\t", encoding="utf-8-sig", keep_default_na=False)
    text = rows["verified_reviews"].str.normalize("NFKC").str.casefold().str.split().str.join(" ")
    first = rows.assign(text=text)[text != ""].groupby("text")["rating"].transform("first")
    agrees = (rows.loc[text != "", "rating"] == first).sum()
    assert result.accepted == text[text != ""].nunique()
    assert result.duplicates == agrees - result.accepted
    assert result.refused == {
        "empty_text": int((text == "").sum()),
        "conflicting_label": int((text != "").sum() - agrees),
    }
