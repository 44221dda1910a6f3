"""The profile page in a real browser: nothing is cut off, nothing is fetched, every text can be read."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from sentiment.reviews.profile import Example, Profile
from sentiment.reviews.profile_page import render

pytestmark = pytest.mark.slow

CONTRASTS = """
const luminance = rgb => {
  const [r, g, b] = rgb.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const seen = {};
const parse = colour => {
  if (seen[colour]) return seen[colour];
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return seen[colour] = [...canvas.getImageData(0, 0, 1, 1).data];
};
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const colour = parse(getComputedStyle(e).backgroundColor);
    if (colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
  const style = getComputedStyle(element);
  const ink = parse(element.closest('svg') ? style.fill : style.color);
  const [a, b] = [luminance(ink), luminance(behind(element))].sort((x, y) => y - x);
  found.push([(a + 0.05) / (b + 0.05), walker.currentNode.data.trim().slice(0, 40)]);
}
return found;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    profile = Profile(
        snapshot="reviews@v12",
        digest="0123456789abcdef" * 2,
        rows=12_345,
        labels={"(none)": 45, "negative": 2_300, "positive": 10_000},
        splits={"test": 2_469, "train": 9_876},
        sources={"a_source_with_a_name_that_never_ends_and_has_no_spaces": 12_000, "shop": 345},
        lengths={"0 to 49": 12, "50 to 99": 3_333, "100 to 199": 9_000, "200 and more": 0},
        scripts={"Latin": 12_345},
        languages={"en": 4_000, "fr": 900, "unknown": 100},
        near_copies=600,
        compared=12_000,
        disagreeing=3,
        examples=(Example("a fine film " * 12, "a fine movie " * 12, ("positive", "negative"), 0.91),),
        words={"negative": {"extraordinarily": 3.5}, "positive": {"fine": 12.0}},
        refused={"shop": {"empty_text": 12, "unknown_label": 3}},
        sampled=12_345,
    )
    path: Path = tmp_path_factory.mktemp("profile") / "page.html"
    path.write_text(render(profile))
    return path.as_uri()


@pytest.fixture(autouse=True)
def as_before(chromium: Chrome) -> Iterator[None]:
    yield
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def show(chromium: Chrome, page: str, *, width: int, scheme: str = "light", media: str = "screen") -> None:
    emulated = {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chromium.get(page)


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_nothing_is_cut_off_at_any_width(chromium: Chrome, page: str, width: int) -> None:
    show(chromium, page, width=width)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    boxes = (
        "return [...document.querySelectorAll('th, td, dd, h1, blockquote')].map(e => e.scrollWidth - e.clientWidth)"
    )
    assert max(chromium.execute_script(boxes)) <= 1


@pytest.mark.parametrize(("scheme", "media"), [("light", "screen"), ("dark", "screen"), ("dark", "print")])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_text_has_enough_contrast(chromium: Chrome, page: str, scheme: str, media: str, width: int) -> None:
    show(chromium, page, width=width, scheme=scheme, media=media)
    found = chromium.execute_script(CONTRASTS)
    assert len(found) > 50
    assert [(text, round(ratio, 2)) for ratio, text in found if ratio < 4.5] == []


def test_it_is_one_file_with_headings_in_order_and_the_numbers_of_every_picture(chromium: Chrome, page: str) -> None:
    show(chromium, page, width=1280)
    assert chromium.execute_script("return performance.getEntriesByType('resource').length") == 0
    levels = chromium.execute_script("return [...document.querySelectorAll('h1,h2,h3')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    chromium.find_element("css selector", "summary").click()
    assert "9,000" in chromium.find_element("css selector", "details").text
    show(chromium, page, width=390)
    assert "9,000" in chromium.find_element("css selector", ".narrow").text
    assert not chromium.find_element("css selector", ".histogram").is_displayed()
