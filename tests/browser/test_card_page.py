"""The model card in a real browser: nothing is cut off, nothing is fetched, every text can be read."""

from pathlib import Path

import pytest
from cards import facts
from selenium.webdriver import Chrome
from test_profile_page import CONTRASTS, as_before, show

from sentiment.training.card import card
from sentiment.training.documents import to_html

__all__ = ["as_before"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("card") / "card.html"
    path.write_text(to_html(card(facts(source="a_source_with_a_name_that_never_ends_and_has_no_spaces"))))
    return path.as_uri()


@pytest.mark.parametrize("width", [320, 390, 1440])
def test_nothing_is_cut_off_at_any_width(chromium: Chrome, page: str, width: int) -> None:
    show(chromium, page, width=width)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    boxes = "return [...document.querySelectorAll('th, td, dd, h1, p, li')].map(e => e.scrollWidth - e.clientWidth)"
    assert max(chromium.execute_script(boxes)) <= 1


@pytest.mark.parametrize(("scheme", "media"), [("light", "screen"), ("dark", "screen"), ("dark", "print")])
def test_every_text_has_enough_contrast(chromium: Chrome, page: str, scheme: str, media: str) -> None:
    show(chromium, page, width=1280, scheme=scheme, media=media)
    picture = set(
        chromium.execute_script(
            "return [...document.querySelectorAll('svg text')].map(e => e.textContent.trim().slice(0, 40))"
        )
    )
    found = [(text, ratio) for ratio, text in chromium.execute_script(CONTRASTS) if text not in picture]
    assert len(found) > 200
    assert [(text, round(ratio, 2)) for text, ratio in found if ratio < 4.5] == []


def test_it_is_one_file_whose_links_lead_to_its_sections(chromium: Chrome, page: str) -> None:
    show(chromium, page, width=1280)
    assert chromium.execute_script("return performance.getEntriesByType('resource').length") == 0
    links = chromium.execute_script("return [...document.querySelectorAll('nav a')].map(e => e.getAttribute('href'))")
    assert len(links) == 12
    assert all(chromium.execute_script("return !!document.querySelector(arguments[0])", link) for link in links)
