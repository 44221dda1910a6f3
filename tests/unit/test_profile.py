"""The profile of a snapshot: what it counts, and the page that shows it."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sentiment.cli import main
from sentiment.reviews import profile as profile_module
from sentiment.reviews.ingest import ingest
from sentiment.reviews.profile import Example, Profile, profile_snapshot, script_of
from sentiment.reviews.profile_notes import worth_a_look
from sentiment.reviews.profile_page import render
from sentiment.reviews.sample import write_sample
from sentiment.settings import Settings
from sentiment.storage import Storage


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("A fine film", "Latin"),
        ("Отличный фильм, very good", "Cyrillic"),
        ("とても良い", "Kana"),
        ("非常好", "Han"),
        ("좋은 영화", "Hangul"),
        ("10/10 !!!", "none"),
        ("", "none"),
    ],
)
def test_the_script_of_a_text_is_that_of_most_of_its_letters(text: str, script: str) -> None:
    assert script_of(text) == script


SAME = (
    "This begins in the same way as another one does and it goes on for quite a few words more so that"
    " nobody can say that the two of them were written by different people on different days"
)


def test_a_profile_counts_labels_lengths_scripts_languages_copies_words_and_refusals(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.csv"
    rows = [f"so wonderful a thing number {n},pos\nsuch a dreadful thing number {n},neg" for n in range(60)]
    others = ["Отличный фильм! Мне очень понравилась игра актёров и музыка,", "x" * 900 + ",", "hm,what", ",pos"]
    path.write_text("\n".join(["text,label", *rows, f"{SAME} a,pos", f"{SAME} b,neg", *others]))
    ingest(settings, paths=[path])
    found = profile_snapshot(Storage(settings), 1)
    assert found.rows == found.sampled == 124
    assert found.labels == {"(none)": 2, "negative": 61, "positive": 61}
    assert (found.lengths["0 to 49"], found.lengths["800 to 1,599"]) == (120, 1)
    assert found.scripts == {"Latin": 123, "Cyrillic": 1}
    assert sum(found.languages.values()) == 124
    assert found.languages["ru"] == 1
    assert (found.near_copies, found.disagreeing) == (2, 1)
    [pair] = found.examples
    assert {pair.one.split()[-1], pair.other.split()[-1]} == {"a", "b"}
    assert set(pair.labels) == {"positive", "negative"}
    assert "wonderful" in found.words["positive"]
    assert "dreadful" in found.words["negative"]
    assert "thing" not in found.words["positive"]
    assert found.refused == {"mixed": {"empty_text": 1, "unknown_label": 1}}
    assert "1 pair of near copies has different labels" in " ".join(worth_a_look(found))


def test_a_large_snapshot_is_sampled_by_hash(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 2_000, seed=1)])
    monkeypatch.setattr(profile_module, "SAMPLED", 200)
    found = profile_snapshot(Storage(settings), 1)
    assert 120 < found.sampled < 280
    assert sum(found.lengths.values()) == 2_000
    assert profile_snapshot(Storage(settings), 1) == found


class Pictures(HTMLParser):
    """Collects what a page loads from elsewhere, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_opens_offline_and_what_a_file_says_cannot_break_it(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text('text,label,source\n"fine <b>",pos,<script>alert(1)</script>\nbad,neg,shop & co\n')
    ingest(settings, paths=[path])
    page = render(profile_snapshot(Storage(settings), 1))
    found = Pictures()
    found.feed(page)
    assert found.loads == []
    assert "script" not in found.tags
    assert found.tags.count("svg") >= 4
    assert found.tags.count("h1") == 1
    assert found.tags.count("caption") == found.tags.count("table")
    for part in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + part.split("</svg>")[0] + "</svg>")


def numbered(**changes: Any) -> Profile:
    plain: dict[str, Any] = {
        "snapshot": "reviews@v1",
        "digest": "0" * 32,
        "rows": 1_000,
        "labels": {"negative": 500, "positive": 500},
        "splits": {"test": 200, "train": 800},
        "sources": {"shop": 1_000},
        "lengths": {"0 to 49": 1_000},
        "scripts": {"Latin": 1_000},
        "languages": {"en": 990, "fr": 10},
        "near_copies": 0,
        "compared": 1_000,
        "disagreeing": 0,
        "examples": (),
        "words": {},
        "refused": {},
        "sampled": 1_000,
    }
    return Profile(**{**plain, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"labels": {"negative": 100, "positive": 900}}, "90% of the labels are positive"),
        ({"labels": {"(none)": 1_000}}, "No review has a label"),
        ({"labels": {"(none)": 600, "negative": 200, "positive": 200}}, "60% of the reviews have no label"),
        ({"near_copies": 30}, "3.0% of the reviews have a near copy"),
        ({"languages": {"en": 700, "unknown": 200, "fr": 60, "es": 40}}, "12% are not in the main language, en"),
    ],
)
def test_what_stands_out_is_said_in_a_sentence(changes: dict[str, Any], said: str | None) -> None:
    found = worth_a_look(numbered(**changes))
    page = render(numbered(**changes))
    if said is None:
        assert found == []
        assert "Nothing stands out" in page
    else:
        assert len(found) == 1
        assert said in found[0]
        assert "Worth a look" in page


def test_words_that_differ_are_marked_and_nothing_else() -> None:
    pair = Example("a <b>fine</b> film", "a <b>fine</b> movie", ("positive", "negative"), 0.9)
    page = render(numbered(examples=(pair,), near_copies=2))
    assert page.count("<mark>") == 2
    assert "a &lt;b&gt;fine&lt;/b&gt; <mark>film</mark>" in page
    assert "different labels" in page


def test_a_share_is_never_rounded_to_nothing_or_all() -> None:
    page = render(numbered(rows=100_000, sources={"shop": 99_999, "web": 1}))
    assert "&lt; 0.1%" in page or "< 0.1%" in page
    assert "> 99.9%" in page


def test_the_command_writes_the_report(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 300, seed=1)])
    with pytest.raises(SystemExit):
        main(["data", "profile"])
    assert "reports/data/reviews-v1.html" in capsys.readouterr().out
    assert "300 reviews" in Path(settings.storage.root, "reports/data/reviews-v1.html").read_text()
