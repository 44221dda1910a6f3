"""The page of a served Bento in the browser, as a person uses it."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from served import Served

LONGEST = 400  # characters that this service reads
ATTACK = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
UNREADABLE = """
const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const seen = {};
const onto = (colours) => {
  if (seen[colours]) return seen[colours];
  canvas.fillStyle = '#fff'; canvas.fillRect(0, 0, 1, 1);
  for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
  return seen[colours] = [...canvas.getImageData(0, 0, 1, 1).data];
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

    def check_looks(self, width: int) -> int:
        """Check that nothing is cut off and no text is faint; returns how many texts were looked at."""
        time.sleep(0.3)  # until what is animated has arrived
        assert self.browser.execute_script("return document.documentElement.scrollWidth") <= width
        looked, faint = self.browser.execute_script(UNREADABLE)
        assert [(text, round(ratio, 2)) for text, ratio in faint] == []
        return int(looked)
