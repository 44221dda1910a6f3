"""The model card says everything, to somebody who does not know the project, and nothing from data can act in it."""

import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cards import facts, first_model

from sentiment.cli import main
from sentiment.errors import ModelError
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.card import card
from sentiment.training.card_facts import CardFacts
from sentiment.training.card_files import HTML, MARKDOWN, card_path, read_card
from sentiment.training.documents import marked, to_html, to_markdown
from sentiment.training.gate import Outcome
from sentiment.training.promotion import judge
from sentiment.training.train import train

GOLDEN = Path(__file__).parent / "golden"
ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>|`x` [y](javascript:z) *b* _i_\n# h"
PARTS = (
    "What it is", "Intended use", "Data", "Metrics", "Calibration", "Slices", "Behaviour", "Against the champion",
    "Decision", "Drift before it", "Limits and caveats", "How to reproduce it",
)  # fmt: skip


class Reading(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.titles: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") or "javascript:" in (value or "") for name, value in attrs)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["h2"]:
            self.titles.append(data)
        self.text += data


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("card", facts()),
        ("card_rejected", facts(outcome=Outcome.reject)),
        ("card_first_model", first_model()),
    ],
)
def test_the_card_is_the_golden_one(name: str, found: CardFacts, request: pytest.FixtureRequest) -> None:
    """After a change that is meant: ``pytest tests/unit/test_card.py --update-golden``, and review the diff."""
    document = card(found)
    for suffix, written in ((".md", to_markdown(document)), (".html", to_html(document))):
        path = GOLDEN / f"{name}{suffix}"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(written, encoding="utf-8")
        assert written == path.read_text(encoding="utf-8")


def test_both_forms_say_the_same_things() -> None:
    document = card(facts())
    page, text = Reading(to_html(document)), to_markdown(document)
    for title in PARTS:
        assert title in page.titles
        assert f"## {title}\n" in text
    for said in (
        "0123456789abcdef" * 2,
        "2024-01-02 to 2026-05-30",
        "ab" * 32,
        "cd" * 32,
        "89.6%",
        "2 of 40 cases fail",
    ):
        assert said in page.text
        assert marked(said) in text
    for line in ("sentiment train --snapshot reviews@v12", "max_ngram = 3", "numpy==2.4.6"):
        assert line in page.text
        assert line in text


def test_nothing_from_data_can_act_in_it() -> None:
    document = card(facts(source=ATTACK))
    page, text = Reading(to_html(document)), to_markdown(document)
    assert not {"script", "img", "iframe", "link", "object"} & set(page.tags)
    assert ATTACK in page.text, "it is shown as it is"
    assert "<script" not in text
    assert "<img" not in text
    assert "[y](" not in text.replace("\\", "/")
    [row] = [line for line in text.splitlines() if line.startswith("| &lt;script") and "65.6%" in line]
    assert row.replace("\\|", "").count("|") == 4, "three cells, whatever is in them"
    assert "\n# h" not in text


def test_a_judged_version_has_its_card_everywhere_people_look(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 400, seed=1)])
    registry, storage = Registry(settings), Storage(settings)
    with pytest.raises(ModelError, match="has no model card"):
        read_card(storage, "1", HTML)
    version, decision = judge(settings, registry=registry, challenger=train(settings, registry=registry))
    page = Reading(read_card(storage, version.version, HTML))
    assert [title for title in page.titles if title in PARTS] == list(PARTS)
    assert decision.reason in page.text
    assert version.digest in page.text
    for name in (HTML, MARKDOWN):
        assert registry.artifact(version, f"card/{name}").read_bytes() == storage.read(card_path("1", name))
    with registry.client("look") as client:
        said = client.get_model_version("sentiment", "1").description
    assert marked(decision.reason) in said
    assert f"Accuracy | {version.metrics['accuracy']:.1%} (" in said
    assert f"/runs/{version.run_id}/artifacts/card/card.html)" in said
    assert said.endswith(f"{settings.storage.root}/reports/gate/v1/card.html\n")

    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    for arguments, expected in (
        (["card", "1"], 0),
        (["card", "v1", "--output", str(tmp_path / "new" / "card.html")], 0),
        (["card", "1", "--output", str(tmp_path / "card.docx")], 2),
        (["card", "9"], 4),
        (["card"], 4),  # no champion yet
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert (ended.value.code or 0) == expected
    shown = capsys.readouterr()
    assert shown.out.startswith("# Model card: sentiment, version 1\n")
    assert "neither .html nor .md" in shown.err
    assert (tmp_path / "new" / "card.html").read_bytes() == storage.read(card_path("1", HTML))


def test_a_version_whose_evaluation_is_gone_is_still_judged(settings: Settings, tmp_path: Path) -> None:
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 400, seed=1)])
    registry = Registry(settings)
    candidate = train(settings, registry=registry)
    [folder] = Path(settings.storage.root, "mlflow").rglob("evaluation")
    shutil.rmtree(folder)
    judge(settings, registry=registry, challenger=candidate)
    assert "keeps no evaluation" in read_card(Storage(settings), "1", MARKDOWN)
