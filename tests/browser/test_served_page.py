"""The page that the served Bento shows at ``/``, in a real browser: what people do with it, and who can use it."""

import csv
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from bentos import BuiltBentos
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from served import Served, running

from sentiment.reviews.feedback import Feedback
from sentiment.reviews.ingest import ingest
from sentiment.serving.keys import KeyScope, create
from sentiment.settings import load_settings
from sentiment.storage import Storage

pytestmark = pytest.mark.slow

LONGEST = 400  # characters that this service reads
ATTACK = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
UNREADABLE = """
const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const onto = (colours) => {
  canvas.fillStyle = '#fff'; canvas.fillRect(0, 0, 1, 1);
  for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const behind = element => element ? [...behind(element.parentElement), getComputedStyle(element).backgroundColor] : [];
const contrast = (ink, element) => {
  const [a, b] = [onto([...behind(element), ink]), onto(behind(element))].map(luminance).sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
const paper = document.getElementById('text');
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim().slice(0, 40);
  if (!text || !element.checkVisibility({visibilityProperty: true})) continue;
  if (element.closest('.unseen, noscript, option')) continue;
  const style = getComputedStyle(element.closest('#marks') ? paper : element);
  found.push([text, contrast(element.closest('svg') ? style.fill : style.color, element)]);
}
return [found.length, found.filter(([, ratio]) => ratio < 4.5)];
"""


@dataclass(frozen=True)
class Page:
    """The page in the browser, as a person uses it."""

    browser: Chrome
    served: Served
    key: str
    downloads: Path

    @property
    def url(self) -> str:
        return str(self.served.client.base_url)

    def open(self, path: str = "", *, width: int = 1280, scheme: str = "light", key: str | None = None) -> None:
        """Load the page anew, in a window of its own size, with a key unless it is empty."""
        emulated = {"media": "screen", "features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        if not self.browser.current_url.startswith(self.url):
            self.browser.get(f"{self.url}/livez")
        self.browser.execute_script("sessionStorage.clear()")
        if key != "":
            self.browser.execute_script("sessionStorage.setItem('sentiment-api-key', arguments[0])", key or self.key)
        self.browser.get("about:blank")
        self.browser.get(f"{self.url}/{path}")
        if key != "":
            self.until(lambda: "Version" in self.find("#serving").text)

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """Return what stands in all that is selected, at one moment."""
        every = "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)"
        return list(self.browser.execute_script(every, selector))

    def until(self, happened: Callable[[], object], seconds: float = 20) -> None:
        WebDriverWait(self.browser, seconds, 0.05, ignored_exceptions=()).until(lambda _: happened())

    def paste(self, text: str) -> None:
        """Put a text where one writes, also one that WebDriver cannot type, and wait for the answer."""
        self.browser.execute_script(
            "const field = document.getElementById('text'); field.value = arguments[0];"
            "document.getElementById('label').textContent = ''; field.dispatchEvent(new Event('input'))",
            text,
        )
        self.until(lambda: self.find("#label").text)

    def drop(self, name: str, content: bytes) -> None:
        """Drop a file on the page."""
        self.browser.execute_script(
            "const bytes = Uint8Array.from(atob(arguments[1]), letter => letter.charCodeAt(0));"
            "const dataTransfer = new DataTransfer(); dataTransfer.items.add(new File([bytes], arguments[0]));"
            "const event = new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true});"
            "document.getElementById('drop').dispatchEvent(event)",
            name,
            b64encode(content).decode(),
        )

    def judge(self) -> None:
        self.until(lambda: self.find("#start").is_displayed())
        self.find("#start").click()
        self.until(lambda: self.find("#result").is_displayed())

    def download(self) -> tuple[str, bytes]:
        """Click on the link and give the name and content of what comes."""
        self.find("#download").click()
        self.until(lambda: [*self.downloads.glob("*sentiment.?sv")])
        (file,) = self.downloads.glob("*sentiment.?sv")
        content = file.read_bytes()
        file.unlink()
        return file.name, content

    def loads(self, module: str, expression: str, *values: object) -> object:
        """Evaluate an expression over what a module of the page exports, as `m`."""
        folder = self.find("script[src]").get_attribute("src").rsplit("/", 1)[0]  # type: ignore[union-attr]
        code = (
            "const done = arguments[arguments.length - 1], v = arguments[1];"
            f"import(arguments[0]).then(m => done({expression}), error => done(String(error)))"
        )
        return self.browser.execute_async_script(code, f"{folder}/{module}", list(values))


@pytest.fixture(scope="module")
def page(bentos: BuiltBentos, chromium: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A served Bento that asks for a key and shows what it was asked, and a browser that has one."""
    folder = tmp_path_factory.mktemp("page")
    new = create(folder / "keys.json", name="page", scopes=(KeyScope.admin,))
    settings = load_settings(
        storage={"root": str(folder / "var")},
        serving={
            "max_batch": 8,
            "max_characters": LONGEST,
            "log_flush_seconds": 0.2,
            "show_recent": True,
            "keys_file": str(folder / "keys.json"),
        },
    )
    (folder / "downloads").mkdir()
    with running(bentos.first.path, folder, settings) as served:
        chromium.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder / "downloads")}
        )
        served.client.headers["Authorization"] = f"Bearer {new.key}"
        yield Page(chromium, served, new.key, folder / "downloads")
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        chromium.get("about:blank")


@pytest.fixture(autouse=True)
def nothing_went_wrong(page: Page) -> Iterator[None]:
    """Nothing is written to the console, nothing is asked of another host, no text became markup."""
    page.browser.get_log("browser")
    yield
    refused = ("401 (Unauthorized)", "/favicon.ico")  # the page names an icon of its own
    said = [line["message"] for line in page.browser.get_log("browser")]
    assert [line for line in said if not any(known in line for known in refused)] == []
    asked = page.browser.execute_script("return performance.getEntries().map(entry => entry.name)")
    assert [name for name in asked if "//" in name and not name.startswith((page.url, f"blob:{page.url}"))] == []
    assert page.browser.title != "owned"
    assert page.browser.find_elements(By.CSS_SELECTOR, "main img, main script, main b > b") == []


def test_what_is_typed_is_judged_and_the_words_that_decide_are_marked(page: Page) -> None:
    page.open()
    page.find("#text").send_keys("a wonderful")
    page.until(lambda: page.texts("#marks mark") and "wonderful" in page.texts("#marks mark"))
    assert page.find("#marks mark.for").get_property("textContent") == "wonderful"
    alone = page.find("#label").text
    assert alone in ("Positive", "Unsure")
    page.find("#text").send_keys(" story, but tedious, dreadful and clumsy")
    page.until(lambda: "clumsy" in page.texts("#marks mark.against"))
    said = page.served.client.post("/explain", json={"text": page.find("#text").get_property("value")}).json()
    assert said["label"] == "negative"
    assert page.find("#label").text == ("Unsure" if said["abstained"] else "Negative")
    assert page.texts("#probabilities dd")[1] in (f"{said['probabilities']['negative']:.1%}", "> 99.9%")
    strongest = max(said["words"], key=lambda word: -word["weight"])
    assert page.texts("#against .word")[0] == strongest["word"]
    assert page.texts("#against .number")[0] == f"\u2212{abs(strongest['weight']):.2f}"
    assert "wonderful" in page.texts("#marks mark.for")
    page.until(lambda: page.texts("#said")[0].startswith("Negative, "))
    assert [row["text"] for row in page.served.client.get("/recent").json()["recent"] if "clumsy" in row["text"]] == []


def test_marks_tell_the_sides_apart_without_colour_and_have_their_numbers(page: Page) -> None:
    page.open()
    page.paste("a wonderful film with a dreadful plot")
    style = "return getComputedStyle(document.querySelector(arguments[0])).borderBottomStyle"
    assert page.browser.execute_script(style, "mark.for") == "solid"
    assert page.browser.execute_script(style, "mark.against") == "dotted"
    page.find("#text").send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.until(lambda: page.find("#tip").is_displayed())
    weight = dict(zip(page.texts("#for .word"), page.texts("#for .number"), strict=True))["wonderful"]
    assert f"wonderful{weight}" in page.texts("#tip span")
    page.find("#text").send_keys(Keys.ESCAPE)
    page.until(lambda: not page.find("#tip").is_displayed())


def test_an_emoji_does_not_shift_the_marks(page: Page) -> None:
    page.open()
    faces, flag, pilot = "\U0001f600\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "\U0001f469\u200d\U0001f680"
    page.paste(f"{faces} wonderful {flag} cafe\u0301 dreadful {pilot}")
    assert page.texts("#marks mark.for") == ["wonderful"]
    assert page.texts("#marks mark.against") == ["dreadful"]


def test_answers_that_come_late_are_not_shown(page: Page) -> None:
    page.open()
    page.browser.execute_script(
        "const real = window.fetch; window.asked = [];"
        "window.fetch = async (path, options) => {"
        "  if (path !== 'explain') return real(path, options);"
        "  const first = asked.push(options.signal) === 1;"
        "  const reply = await real(path, first ? {...options, signal: undefined} : options);"
        "  if (first) await new Promise(resolve => setTimeout(resolve, 1200));"
        "  return reply; }"
    )
    page.find("#text").send_keys("wonderful")
    page.until(lambda: page.browser.execute_script("return asked.length === 1"))
    page.find("#text").send_keys(" dreadful tedious clumsy")
    page.until(lambda: "clumsy" in page.texts("#marks mark.against"))
    assert page.browser.execute_script("return asked[0].aborted")
    before = page.texts("#answer")
    time.sleep(1.5)
    assert page.texts("#answer") == before


def test_a_correction_reaches_the_feedback_table(page: Page) -> None:
    page.open()
    text = "so bad that it is a superb kettle"
    page.paste(text)
    first, second = page.texts("#choices button")
    assert {first.split()[0], second.split()[0]} == {"Yes,", "No,"}
    page.find("#choices button:nth-child(2)").click()
    page.until(lambda: "Thank you" in page.find("#thanks").text)
    assert not page.find("#choices").is_displayed()
    time.sleep(1)  # until it has landed
    ingest(page.served.settings)
    (said,) = Feedback(Storage(page.served.settings)).read().to_pylist()
    assert said["label"] == second.removeprefix("No, ")
    recent = page.served.client.get("/recent").json()["recent"]
    assert said["request_id"] in {row["request_id"] for row in recent if row["text"] == text}


def test_a_file_comes_back_with_predictions(page: Page) -> None:
    page.open("#file")
    long = "wonderful " * 60
    rows = [
        ("no", "what they wrote; really", "=cost"),
        ("1", 'A "wonderful"\r\nfilm; superb', "=1+1"),
        ("2", f"dreadful {ATTACK}", "-5"),
        ("3", long, "@SUM(A1)"),
        ("4", "", "x"),
        *((str(number), "a boring plot", "+49 30 1234") for number in range(5, 30)),
    ]
    out = "\r\n".join(";".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    page.drop("my reviews.csv", b"\xef\xbb\xbf" + out.encode())
    page.until(lambda: page.find("#setup").is_displayed())
    assert page.find("#separator").get_property("value") == ";"
    assert page.find("#header").is_selected()
    assert page.texts("#column option") == list(rows[0])
    assert page.browser.execute_script("return document.getElementById('column').selectedOptions[0].text") == rows[0][1]
    assert page.find("#start").text == "Judge 29 texts"
    page.judge()
    assert page.find("#result-title").text == "27 texts judged"
    assert "2 rows without an answer" in page.find("#result-says").text
    assert [text.split(":")[0] for text in page.texts("#failed li")] == ["Row 3", "Row 4"]
    assert len(page.browser.find_elements(By.CSS_SELECTOR, "#charts svg")) == 3
    name, content = page.download()
    assert name == "my reviews-sentiment.csv"
    assert content.startswith(b"\xef\xbb\xbf")
    back = [*csv.reader(content.decode("utf-8-sig").splitlines(keepends=True), delimiter=";")]
    assert len(back) == 30
    heads = back[0][3:]
    assert heads[:3] == ["predicted_label", "predicted_probability", "predicted_score"]
    assert heads[3:] == ["unsure", "model_version", "prediction_error"]
    assert [row[:2] for row in back] == [list(row[:2]) for row in rows]
    assert [row[2] for row in back[:6]] == ["'=cost", "'=1+1", "-5", "'@SUM(A1)", "x", "'+49 30 1234"]
    answer = page.served.client.post("/predict", json={"text": rows[1][1]}).json()
    said = dict(zip(heads, back[1][3:], strict=True))
    assert said["predicted_label"] == answer["label"] == "positive"
    assert float(said["predicted_probability"]) == pytest.approx(answer["probabilities"]["positive"], abs=1e-4)
    assert str(LONGEST) in back[3][-1]
    assert back[4][3:] == ["", "", "", "", "", "The text is empty."]
    assert {row[3] for row in back[5:]} == {"negative"}


def test_the_column_and_the_separator_can_be_chosen(page: Page) -> None:
    page.open("#file")
    page.drop("a.txt", b"wonderful, superb\ndreadful\na boring one, clumsy, tedious\n")
    page.until(lambda: page.find("#setup").is_displayed())
    assert page.find("#separator").get_property("value") == ""
    assert page.texts("#preview li") == ["wonderful, superb", "dreadful", "a boring one, clumsy, tedious"]
    page.drop("b.tsv", b"first\tsecond\n1\tsuperb\n2\tawful\n")
    page.until(lambda: page.texts("#column option") == ["first", "second"])
    assert page.texts("#preview li") == ["superb", "awful"]
    page.find("#column").send_keys("first")
    page.until(lambda: page.texts("#preview li") == ["1", "2"])
    page.find("#header").click()
    page.until(lambda: page.texts("#column option") == ["column_1", "column_2"])
    page.drop("c.csv", b'text,n\n"never closed,1\n')
    page.until(lambda: "line 2 is never closed" in page.find("#file-trouble").text)
    assert not page.find("#start").is_enabled()
    page.find("#separator").send_keys("nothing")
    page.until(lambda: page.texts("#preview li")[-1:] == ['"never closed,1'])
    assert page.find("#file-trouble").text == ""
    assert page.find("#start").is_enabled()


def test_a_long_file_can_be_cancelled_and_what_was_judged_is_kept(page: Page) -> None:
    page.open("#file")
    page.browser.execute_script(
        "const real = window.fetch;"
        "window.fetch = async (path, options) => {"
        "  if (path === 'predict_batch') await new Promise(resolve => setTimeout(resolve, 100));"
        "  return real(path, options); }"
    )
    page.drop("long.csv", b"text\n" + b"a superb film\n" * 800)
    page.until(lambda: page.find("#start").is_displayed())
    page.find("#start").click()
    page.until(lambda: float(str(page.find("#bar").get_property("value"))) >= 16)
    page.find("#cancel").click()
    page.until(lambda: page.find("#result").is_displayed())
    assert "cancelled" in page.find("#result-says").text
    _, content = page.download()
    back = [*csv.DictReader(content.decode("utf-8-sig").splitlines())]
    assert len(back) == 800
    assert back[0]["predicted_label"] == "positive"
    assert back[-1]["prediction_error"] == "Not answered. It was cancelled."


@pytest.mark.parametrize(
    ("text", "separator", "cells"),
    [
        ('a,"b ""c"", d"\r\n1,"2\r\n3"', ",", [["a", 'b "c", d'], ["1", "2\r\n3"]]),
        ("a,b,\n\n1,,", ",", [["a", "b", ""], ["1", "", ""]]),
        ("a\tb\r1\t2", "\t", [["a", "b"], ["1", "2"]]),
        ('say "no" now;2\n', ";", [['say "no" now', "2"]]),
        ('"an open quote\nis a line', "", [['"an open quote'], ["is a line"]]),
    ],
)
def test_csv_is_read_as_it_is_written(page: Page, text: str, separator: str, cells: list[list[str]]) -> None:
    page.open()
    assert page.loads("csv.js", "m.parse(...v)", text, separator) == cells


def test_separators_and_headers_are_told_from_what_stands_there(page: Page) -> None:
    page.open()
    commas_inside = "review,label\n" + "\n".join(f'"{"good, bad; " * 40}\nline {n}",{n}' for n in range(300))
    assert page.loads("csv.js", "m.separatorOf(v[0])", commas_inside) == ","
    assert page.loads("csv.js", "m.separatorOf(v[0])", "a;b\n1,5;x\n2,5;y") == ";"
    header = "m.hasHeader(v[0])"
    assert page.loads("csv.js", header, [["Review Body", "x"], ["fine", "1"]]) is True
    assert page.loads("csv.js", header, [["opinion", "no"], ["fine", "1"], ["bad", "2,5"]]) is True
    assert page.loads("csv.js", header, [["I loved it.", "5"], ["I hated every minute of it.", "1"]]) is False
    assert page.loads("csv.js", "m.decode(Uint8Array.of(0x63, 0xe9))") == "c\u00e9"


def test_tabs_are_walked_with_the_keyboard(page: Page) -> None:
    page.open()
    active = "return document.activeElement.id"
    page.find("body").send_keys(Keys.TAB)
    assert page.browser.execute_script("return document.activeElement.textContent") == "Skip to the page"
    page.browser.switch_to.active_element.send_keys(Keys.TAB)
    shown = "return [...document.querySelectorAll('[role=tabpanel]')].filter(e => e.checkVisibility()).map(e => e.id)"
    steps = [(Keys.ARROW_RIGHT, name) for name in ("file", "model", "recent", "write")]
    steps += [(Keys.END, "recent"), (Keys.HOME, "write"), (Keys.ARROW_LEFT, "recent"), (Keys.ARROW_LEFT, "model")]
    for key, name in steps:
        page.browser.switch_to.active_element.send_keys(key)
        assert page.browser.execute_script(active) == f"tab-{name}"
        assert page.browser.execute_script(shown) == [name]
        chosen = page.browser.find_elements(By.CSS_SELECTOR, "[role=tab][aria-selected=true]")
        assert [tab.get_attribute("aria-controls") for tab in chosen] == [name]
    page.browser.switch_to.active_element.send_keys(Keys.TAB)
    assert page.browser.execute_script(active) == ""  # the link to the API
    page.browser.switch_to.active_element.send_keys(Keys.TAB)
    assert page.browser.execute_script(active) == "model"
    ring = "const s = getComputedStyle(document.querySelector('#model h1')); return s.outlineStyle + s.outlineWidth"
    assert page.browser.execute_script(ring) == "solid2px"


def test_everything_one_can_work_has_a_name(page: Page) -> None:
    page.open("#file")
    page.drop("reviews.csv", b"text,n\nfine,1\n")
    page.until(lambda: page.find("#setup").is_displayed())
    nodes = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    said = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes if not node["ignored"]]
    worked = {"button", "tab", "textbox", "combobox", "checkbox", "link", "tabpanel", "region", "progressbar"}
    assert len([role for role, _ in said if role in worked]) > 10
    assert [role for role, name in said if role in worked and not name] == []
    roles = {role for role, _ in said}
    assert {"banner", "main", "contentinfo", "tablist", "tabpanel", "heading"} <= roles


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_tab_fits_and_can_be_read(page: Page, scheme: str, width: int) -> None:
    page.open(width=width, scheme=scheme)
    page.paste("a wonderful story, superb, " + "endless" * 20 + " but tedious, dreadful and clumsy")
    counted = _check_looks(page, width)
    page.find("#tab-file").click()
    _check_looks(page, width)
    page.drop("r.csv", b"text\na superb film\nawful\nkettle\n" + "x\u00e4".encode() * LONGEST + b"\n")
    page.judge()
    counted += _check_looks(page, width)
    page.find("#tab-model").click()
    page.browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    counted += _check_looks(page, width)
    page.find("#tab-recent").click()
    page.until(lambda: page.texts("#recent-rows tr"))
    counted += _check_looks(page, width)
    assert counted > 150
    shade = page.browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert shade == {"light": "rgb(245, 246, 248)", "dark": "rgb(17, 21, 27)"}[scheme]


def _check_looks(page: Page, width: int) -> int:
    """Check that nothing is cut off and no text is faint; returns how many texts were looked at."""
    time.sleep(0.3)  # until what is animated has arrived
    assert page.browser.execute_script("return document.documentElement.scrollWidth") <= width
    looked, faint = page.browser.execute_script(UNREADABLE)
    assert [(text, round(ratio, 2)) for text, ratio in faint] == []
    return int(looked)


def test_the_model_says_what_it_is(page: Page) -> None:
    page.open("#model")
    facts = page.served.client.get("/model").json()
    said = page.find("#facts").text
    assert f"{facts['metrics']['accuracy']:.1%}" in said
    assert facts["snapshot"] in said
    assert f"no surer than {facts['min_confidence']:.1%}" in said
    assert f"At most {LONGEST} characters a text, 8 texts a batch" in said


def test_curves_are_drawn_with_their_numbers(page: Page) -> None:
    page.open()
    points = [[0.6, 0.58, 0.5, 0.66], [0.8, 0.79, 0.7, 0.85], [0.97, 0.96, 0.94, 0.98]]
    drawn = page.loads(
        "charts.js",
        "(f => [f.querySelectorAll('circle').length, f.querySelector('.ideal') !== null,"
        " f.querySelector('tbody').textContent, f.querySelector('svg').getAttribute('aria-label')])"
        "(m.curve('Confidence', v[0], {across: 'x', along: 'y', says: 'It says.', straight: true}))",
        points,
    )
    assert drawn == [3, True, "60.0%58.0%80.0%79.0%97.0%96.0%", "Confidence. It says."]


def test_recent_answers_are_listed_without_personal_data_and_as_text(page: Page) -> None:
    page.served.client.post("/predict", json={"text": f"superb, write to ann@example.org {ATTACK}"})
    page.open("#recent")
    page.until(lambda: page.texts("#recent-rows tr"))
    newest = page.texts("#recent-rows tr")[0]
    assert "[email]" in newest
    assert ATTACK in newest
    assert "ann@" not in newest
    before = page.find("#recent-said").text
    page.served.client.post("/predict", json={"text": "the newest of all"})
    page.find("#again").click()
    page.until(lambda: "the newest of all" in page.texts("#recent-rows tr")[0])
    assert before.endswith("the newest first.")


def test_markup_in_a_text_stays_text(page: Page) -> None:
    page.open()
    page.paste(f"superb {ATTACK} dreadful")
    assert page.find("#marks").get_property("textContent") == f"superb {ATTACK} dreadful\n"
    page.find("#tab-file").click()
    page.drop(f"{ATTACK}.csv", f'text,"{ATTACK.replace(chr(34), chr(34) * 2)}"\nfine,x\n{ATTACK},y\n'.encode())
    page.judge()
    assert ATTACK in page.texts("#file-name")[0]
    assert any(ATTACK[:20] in text for text in page.texts("#rows td"))


def test_a_key_is_asked_for_and_kept_in_the_tab(page: Page) -> None:
    page.open(key="")
    page.until(lambda: page.find("#key").is_displayed())
    page.find("#key-value").send_keys("sent_00000000_wrong", Keys.ENTER)
    page.until(lambda: "not valid" in page.find("#key-says").text)
    page.find("#key-value").send_keys(page.key, Keys.ENTER)
    page.until(lambda: "Version 1" in page.find("#serving").text)
    assert not page.find("#key").is_displayed()
    page.paste("a wonderful film")
    stored = page.browser.execute_script("return [sessionStorage.length, localStorage.length, document.cookie]")
    assert stored == [1, 0, ""]


def test_a_service_that_is_busy_is_asked_again(page: Page) -> None:
    page.open()
    page.browser.execute_script(
        "const real = window.fetch; window.turns = 0;"
        "window.fetch = (path, options) => path === 'explain' && ++turns === 1"
        "  ? Promise.resolve(new Response(JSON.stringify({detail: 'Too many at once.'}),"
        "      {status: 429, headers: {'Retry-After': '1'}}))"
        "  : real(path, options)"
    )
    page.find("#text").send_keys("superb")
    page.until(lambda: page.find("#trouble").text == "Too many at once.")
    page.until(lambda: page.find("#label").text)
    assert page.find("#trouble").text == ""


def test_the_policy_of_the_page_holds_and_a_breach_is_noticed(page: Page) -> None:
    page.open()
    page.browser.execute_script(
        "const one = document.createElement('script'); one.textContent = 'document.title = \"breach\"';"
        "document.body.append(one); one.remove();"
    )
    assert page.browser.title == "Sentiment"
    assert [line for line in page.browser.get_log("browser") if "Content Security Policy" in line["message"]]


def test_files_of_the_page_are_kept_by_their_digest(page: Page) -> None:
    client = page.served.client
    first = client.get("/")
    policy = first.headers["content-security-policy"]
    assert first.headers.get_list("content-security-policy") == [policy]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert client.get("/", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    name = first.text.split('rel="stylesheet" href="')[1].split('"')[0]
    style = client.get(f"/{name}")
    assert style.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert style.headers["content-type"].startswith("text/css")
    other = client.get("/page/of-another-bento/page.css")
    assert other.content == style.content
    assert other.headers["cache-control"] == "no-cache"
    digest = name.split("/")[1]
    for path in ("none.js", "index.html", "..%2f..%2fservice.py", "%2e%2e/service.py"):
        assert client.get(f"/page/{digest}/{path}").status_code == 404
    assert httpx.get(f"{page.url}/{name}").status_code == 200  # without a key


def test_the_api_has_a_page_of_its_own(page: Page) -> None:
    page.open()
    page.find("a.docs").click()
    page.until(lambda: page.browser.find_elements(By.CSS_SELECTOR, ".opblock-summary-path"))
    assert any("/predict_batch" in text.replace("\u200b", "") for text in page.texts(".opblock-summary-path"))
    assert "googletagmanager" not in page.browser.page_source
    assert json.loads(json.dumps(page.served.client.get("/docs.json").json()))["paths"]
