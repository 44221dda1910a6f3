"""The profile of a snapshot: what it counts, and the page that shows it."""

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sentiment.cli import main
from sentiment.reviews import profile as profile_module
from sentiment.reviews.ingest import ingest
from sentiment.reviews.profile import profile_snapshot, script_of
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


def test_a_profile_counts_labels_lengths_scripts_look_alikes_and_words(settings: Settings, tmp_path: Path) -> None:
    same = "This begins in the same way as another one does for sixty characters and"
    path = tmp_path / "mixed.csv"
    rows = [f"so wonderful a thing number {n},pos\nsuch a dreadful thing number {n},neg" for n in range(60)]
    path.write_text(
        "\n".join(["text,label", *rows, f"{same} a,pos", f"{same} b,neg", "Отличный фильм,", "x" * 900 + ","])
    )
    ingest(settings, paths=[path])
    found = profile_snapshot(Storage(settings), 1)
    assert found.rows == found.sampled == 124
    assert found.labels == {"(none)": 2, "negative": 61, "positive": 61}
    assert (found.lengths["0 to 49"], found.lengths["800 to 1,599"]) == (121, 1)
    assert found.scripts == {"Latin": 123, "Cyrillic": 1}
    assert found.look_alikes == 2
    assert "wonderful" in found.words["positive"]
    assert "dreadful" in found.words["negative"]
    assert "thing" not in found.words["positive"]


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
    for part in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + part.split("</svg>")[0] + "</svg>")


def test_the_command_writes_the_report(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 300, seed=1)])
    with pytest.raises(SystemExit):
        main(["data", "profile"])
    assert "reports/data/reviews-v1.html" in capsys.readouterr().out
    assert "300 reviews" in Path(settings.storage.root, "reports/data/reviews-v1.html").read_text()
