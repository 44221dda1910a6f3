"""The contract from end to end: what the tables hold of files as people deliver them."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sentiment.cli import main
from sentiment.errors import DataError
from sentiment.labels import LabelScheme
from sentiment.reviews.contract import CONTRACT, REASONS
from sentiment.reviews.held import HeldError
from sentiment.reviews.ingest import ingest
from sentiment.reviews.quarantine import drop, list_refused, replay, show_refused
from sentiment.reviews.table import Quarantine, Reviews
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

DAY = 86_400_000


def changed(settings: Settings, **data: Any) -> Settings:
    return load_settings(storage=settings.storage.model_dump(), data=data)


def reviews(settings: Settings) -> pd.DataFrame:
    return Reviews(Storage(settings)).read().to_pandas().sort_values(["ingested_at", "row_number"])


def refused(settings: Settings) -> pd.DataFrame:
    return Quarantine(Storage(settings)).read().to_pandas().sort_values("row_number")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def amazon(number: int, text: str, rating: float, timestamp: int) -> str:
    """Return a line as the Amazon Reviews 2023 files have them."""
    line = {"rating": rating, "title": f"Title {number}", "text": text, "images": [{"small_image_url": "https://x"}]}
    line |= {
        "asin": f"B0{number:08}",
        "parent_asin": f"B1{number:08}",
        "user_id": f"AGBFYI2DDIKXC5Y4FARTYDTQBMFQ{number}",
    }
    return json.dumps(line | {"timestamp": timestamp, "helpful_vote": number, "verified_purchase": True}) + "\n"


def test_amazon_reviews_2023_are_read_with_no_options(settings: Settings, tmp_path: Path) -> None:
    start = 1_588_687_728_923
    lines = [amazon(n, f"Review number {n}", float(n % 5 + 1), start + n * DAY) for n in range(10)]
    path = write(tmp_path / "All_Beauty.jsonl", "".join([*lines, amazon(10, "REVIEW number 0", 1.0, start)]))
    result = ingest(settings, paths=[path])
    assert (result.accepted, result.duplicates, result.refused) == (8, 1, {"neutral_rating": 2})
    rows = reviews(settings)
    assert rows["label"].tolist() == ["negative", "negative", "positive", "positive"] * 2
    assert set(rows["source"]) == {"All_Beauty"}
    assert rows["written_at"].iloc[0].isoformat() == "2020-05-05T14:08:48.923000+00:00"
    assert rows["written_at"].notna().all()
    assert set(rows["contract"]) == {CONTRACT}
    assert refused(settings)["written"].tolist() == [str(start + n * DAY) for n in (2, 7, 0)]


def test_the_imdb_csv_is_read_with_no_options(settings: Settings, tmp_path: Path) -> None:
    rows = 'review,sentiment\n"Great, <br /><br />really ""great"".",positive\n"Dull.\nVery dull.",negative\n'
    result = ingest(settings, paths=[write(tmp_path / "IMDB Dataset.csv", rows)])
    assert (result.accepted, result.refused) == (2, {})
    found = reviews(settings)
    assert found["label"].tolist() == ["positive", "negative"]
    assert found["written_at"].isna().all()


def test_what_was_written_in_the_future_waits_in_the_quarantine_until_it_is_time(
    settings: Settings, tmp_path: Path
) -> None:
    soon = (pd.Timestamp.now("UTC") + pd.Timedelta(hours=48)).strftime("%m/%d/%Y %I:%M %p")
    path = write(tmp_path / "a.csv", f"text,label,date\nfine,pos,31-Jul-18\ngood,pos,{soon}\nbad,neg,whenever\n")
    result = ingest(settings, paths=[path])
    assert (result.accepted, result.refused) == (2, {"future_timestamp": 1})
    assert refused(settings)[["written", "reason"]].to_numpy().tolist() == [[soon, "future_timestamp"]]
    assert replay(settings).refused == {"future_timestamp": 1}
    assert replay(changed(settings, max_ahead_hours=50)).accepted == 1
    assert refused(settings).empty
    moments = reviews(settings)["written_at"]
    assert [None if pd.isna(moment) else f"{moment:%m/%d/%Y %I:%M %p}" for moment in moments] == [
        *("07/31/2018 12:00 AM", None, soon)
    ]


def test_the_column_of_the_moments_can_be_named_and_its_order_is_that_of_the_whole_file(
    settings: Settings, tmp_path: Path
) -> None:
    rows = [f"review {n},{'pos' if n % 2 else 'neg'},0{n % 9 + 1}/02/2019,1/1/1999" for n in range(300)] + [
        "last,neg,28/02/2019,1/1/1999"
    ]
    path = write(tmp_path / "a.csv", "\n".join(["text,label,sold,date", *rows]))
    ingest(changed(settings, batch_rows=100), paths=[path], time="sold")
    assert set(reviews(settings)["written_at"].dt.month) == {2}


def test_personal_data_in_a_column_that_holds_no_moments_is_not_kept(settings: Settings, tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", "text,label,date\nfine,pos,1588687728923\n,pos,ann@example.org\n,neg,4111111111111\n"
    )
    ingest(settings, paths=[path])
    assert refused(settings)["written"].tolist() == ["[email]", "4111111111111"]  # milliseconds of the year 2100


def test_texts_in_other_languages_are_refused_and_taken_in_when_they_are_wanted(
    settings: Settings, tmp_path: Path
) -> None:
    english = [f"The sound of number {n} is much better than I had expected" for n in range(6)]
    rows = [*english, "Der Film war viel zu lang und die Musik hat mir nicht gefallen", "Merci!"]
    path = write(tmp_path / "a.csv", "\n".join(["text,label", *(f"{row},pos" for row in rows)]))
    result = ingest(changed(settings, languages=["en"]), paths=[path])
    assert (result.accepted, result.refused) == (7, {"wrong_language": 1})
    assert replay(changed(settings, languages=["en", "de"])).accepted == 1


def test_labels_and_ratings_of_your_own_are_read_as_set(settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path / "yelp.csv", "label,text\n1,dreadful\n2,lovely\n")
    result = ingest(changed(settings, label_words={"1": "negative", "2": "positive"}), paths=[path])
    assert result.accepted == 2
    assert reviews(settings)["label"].tolist() == ["negative", "positive"]
    path = write(tmp_path / "strict.csv", "rating,text\n1,a\n3,b\n4,c\n5,d\n")
    result = ingest(changed(settings, rating_labels={1: "negative", 3: "negative", 5: "positive"}), paths=[path])
    assert (result.accepted, result.refused) == (3, {"neutral_rating": 1})


def test_duplicates_are_rows_that_stay_until_their_text_is_free(settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nfine,pos\nFINE,pos\n fine ,1\n")
    result = ingest(settings, paths=[path])
    assert (result.accepted, result.duplicates, result.refused) == (1, 2, {})
    found = refused(settings)
    assert found[["reason", "row_number", "text", "label", "source_file"]].to_numpy().tolist() == [
        ["duplicate", 2, "FINE", "pos", "a.csv"],
        ["duplicate", 3, " fine ", "1", "a.csv"],
    ]
    again = replay(settings)
    assert (again.accepted, again.duplicates, again.refused) == (0, 2, {})
    assert len(refused(settings)) == 2
    Reviews(Storage(settings)).delete("row_number = 1")
    freed = replay(settings)
    assert (freed.accepted, freed.duplicates) == (1, 1)
    assert refused(settings)["row_number"].tolist() == [3]
    assert reviews(settings)["text"].tolist() == ["FINE"]


def test_a_row_that_a_replay_takes_in_is_no_duplicate_of_itself(settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nfine,neutral\n,pos\n")
    for _ in range(2):
        with pytest.raises(DataError, match="All 2 rows"):
            ingest(settings, paths=[path])
    ternary = changed(settings, scheme="ternary")
    assert replay(ternary).accepted == 1
    ingest(ternary, paths=[path])
    assert refused(settings)["reason"].tolist() == ["empty_text"]
    assert len(reviews(settings)) == 1


def test_a_replay_gives_rows_the_reason_that_they_have_now(settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nfine,pos\nfine,neutral\ngood,neutral\nGood,neutral\n")
    ingest(settings, paths=[path])
    ternary = changed(settings, scheme="ternary")
    result = replay(ternary)
    assert (result.accepted, result.duplicates, result.refused) == (1, 1, {"conflicting_label": 1})
    [batch] = list_refused(Storage(settings))
    assert batch.reasons == {"conflicting_label": 1, "duplicate": 1}


def test_duplicates_do_not_count_as_refusals_of_a_batch(settings: Settings, tmp_path: Path) -> None:
    rows = [f"review {n % 50},{'pos' if n % 2 else 'neg'}" for n in range(400)]
    path = write(tmp_path / "a.csv", "\n".join(["text,label", *rows]))
    result = ingest(settings, paths=[path])
    assert (result.accepted, result.duplicates) == (50, 350)
    with pytest.raises(HeldError):
        ingest(settings, paths=[write(tmp_path / "b.csv", "\n".join(["text,label", *(rows[:150] + ["x,meh"] * 100)]))])


def test_what_is_shown_of_the_quarantine_names_the_contract_and_the_moment(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(settings, paths=[write(tmp_path / "a.csv", "text,label,date\nfine,pos,\nhm,meh,2018-07-31\nho,meh,\n")])
    [batch] = list_refused(Storage(settings))
    shown = show_refused(Storage(settings), batch.batch)
    assert [(row["contract"], row["written"]) for row in shown] == [(CONTRACT, "2018-07-31"), (CONTRACT, None)]
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    with pytest.raises(SystemExit):
        main(["quarantine", "show", batch.batch])
    assert "2018-07-31" in capsys.readouterr().out
    assert drop(settings, batch=batch.batch) == 2


@pytest.mark.parametrize("scheme", list(LabelScheme))
def test_every_row_of_a_messy_real_file_is_a_review_or_has_a_true_reason(
    settings: Settings, real_data: Path, scheme: LabelScheme
) -> None:
    path = real_data / "amazon_alexa.tsv"
    result = ingest(changed(settings, scheme=scheme), paths=[path])
    given = pd.read_csv(path, sep="\t", encoding="utf-8-sig", keep_default_na=False)
    given["number"] = range(1, len(given) + 1)
    given["normal"] = given["verified_reviews"].str.normalize("NFKC").str.casefold().str.split().str.join(" ")
    given["label"] = given["rating"].map(
        {
            "five_star": {n: str(n) for n in range(1, 6)},
            "ternary": {1: "negative", 2: "negative", 3: "neutral", 4: "positive", 5: "positive"},
            "binary": {1: "negative", 2: "negative", 4: "positive", 5: "positive"},
        }[scheme]
    )
    usable = given[(given["normal"] != "") & given["label"].notna()]
    first = usable.groupby("normal")["label"].transform("first")
    is_first = ~usable["normal"].duplicated()
    expected = {
        "accepted": usable.loc[is_first, "number"],
        "empty_text": given.loc[given["normal"] == "", "number"],
        "neutral_rating": given.loc[(given["normal"] != "") & given["label"].isna(), "number"],
        "conflicting_label": usable.loc[usable["label"] != first, "number"],
        "duplicate": usable.loc[(usable["label"] == first) & ~is_first, "number"],
    }
    rows, others = reviews(settings), refused(settings)
    found = {"accepted": rows["row_number"]} | {
        reason: others.loc[others["reason"] == reason, "row_number"] for reason in REASONS
    }
    assert {name: sorted(numbers) for name, numbers in found.items() if len(numbers)} == {
        name: sorted(numbers) for name, numbers in expected.items() if len(numbers)
    }
    assert result.accepted + result.duplicates + sum(result.refused.values()) == len(given)
    assert (
        rows["written_at"].tolist()
        == pd.to_datetime(
            given.set_index("number").loc[rows["row_number"], "date"], format="%d-%b-%y", utc=True
        ).tolist()
    )
