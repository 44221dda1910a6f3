"""Who can use the served Bento's page, in a real browser, and how it is sent."""

import httpx
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from served_page import LONGEST, Page

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_went_wrong")]


def test_tabs_are_walked_with_the_keyboard(site: Page) -> None:
    site.open()
    active = "return document.activeElement.id"
    site.find("body").send_keys(Keys.TAB)
    assert site.browser.execute_script("return document.activeElement.textContent") == "Skip to the page"
    site.browser.switch_to.active_element.send_keys(Keys.TAB)
    shown = "return [...document.querySelectorAll('[role=tabpanel]')].filter(e => e.checkVisibility()).map(e => e.id)"
    steps = [(Keys.ARROW_RIGHT, name) for name in ("file", "model", "recent", "write")]
    steps += [(Keys.END, "recent"), (Keys.HOME, "write"), (Keys.ARROW_LEFT, "recent"), (Keys.ARROW_LEFT, "model")]
    for key, name in steps:
        site.browser.switch_to.active_element.send_keys(key)
        assert site.browser.execute_script(active) == f"tab-{name}"
        assert site.browser.execute_script(shown) == [name]
        chosen = site.browser.find_elements(By.CSS_SELECTOR, "[role=tab][aria-selected=true]")
        assert [tab.get_attribute("aria-controls") for tab in chosen] == [name]
    site.browser.switch_to.active_element.send_keys(Keys.TAB)
    assert site.browser.execute_script(active) == ""  # the link to the API
    site.browser.switch_to.active_element.send_keys(Keys.TAB)
    assert site.browser.execute_script(active) == "model"
    ring = "const s = getComputedStyle(document.querySelector('#model h1')); return s.outlineStyle + s.outlineWidth"
    assert site.browser.execute_script(ring) == "solid2px"


def test_everything_one_can_work_has_a_name(site: Page) -> None:
    site.open("#file")
    site.drop("reviews.csv", b"text,n\nfine,1\n")
    site.until(lambda: site.find("#setup").is_displayed())
    nodes = site.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    said = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes if not node["ignored"]]
    worked = {"button", "tab", "textbox", "combobox", "checkbox", "link", "tabpanel", "region", "progressbar"}
    assert len([role for role, _ in said if role in worked]) > 10
    assert [role for role, name in said if role in worked and not name] == []
    roles = {role for role, _ in said}
    assert {"banner", "main", "contentinfo", "tablist", "tabpanel", "heading"} <= roles


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_tab_fits_and_can_be_read(site: Page, scheme: str, width: int) -> None:
    site.open(width=width, scheme=scheme)
    site.paste("a wonderful story, superb, " + "endless" * 20 + " but tedious, dreadful and clumsy")
    counted = site.check_looks(width)
    site.find("#tab-file").click()
    site.check_looks(width)
    site.drop("r.csv", b"text\na superb film\nawful\nkettle\n" + "x\u00e4".encode() * LONGEST + b"\n")
    site.judge()
    counted += site.check_looks(width)
    site.find("#tab-model").click()
    site.browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    counted += site.check_looks(width)
    site.find("#tab-recent").click()
    site.until(lambda: site.texts("#recent-rows tr"))
    counted += site.check_looks(width)
    assert counted > 150
    shade = site.browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert shade == {"light": "rgb(245, 246, 248)", "dark": "rgb(17, 21, 27)"}[scheme]


def test_the_policy_of_the_page_holds_and_a_breach_is_noticed(site: Page) -> None:
    site.open()
    site.browser.execute_script(
        "const one = document.createElement('script'); one.textContent = 'document.title = \"breach\"';"
        "document.body.append(one); one.remove();"
    )
    assert site.browser.title == "Sentiment"
    assert [line for line in site.browser.get_log("browser") if "Content Security Policy" in line["message"]]


def test_files_of_the_page_are_kept_by_their_digest(site: Page) -> None:
    client = site.served.client
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
    assert httpx.get(f"{site.url}/{name}").status_code == 200  # without a key


def test_the_api_has_a_page_of_its_own(site: Page) -> None:
    site.open()
    site.find("a.docs").click()
    site.until(lambda: site.browser.find_elements(By.CSS_SELECTOR, ".opblock-summary-path"))
    assert any("/predict_batch" in text.replace("\u200b", "") for text in site.texts(".opblock-summary-path"))
    assert "googletagmanager" not in site.browser.page_source
    assert "/predict" in site.served.client.get("/docs.json").json()["paths"]
