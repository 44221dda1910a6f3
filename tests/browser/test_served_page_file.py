"""A file dropped on the served Bento's page, in a real browser: read, judged and given back."""

import csv

import pytest
from selenium.webdriver.common.by import By
from served_page import ATTACK, LONGEST, Page

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_went_wrong")]


def test_a_file_comes_back_with_predictions(site: Page) -> None:
    site.open("#file")
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
    site.drop("my reviews.csv", b"\xef\xbb\xbf" + out.encode())
    site.until(lambda: site.find("#setup").is_displayed())
    assert site.find("#separator").get_property("value") == ";"
    assert site.find("#header").is_selected()
    assert site.texts("#column option") == list(rows[0])
    assert site.browser.execute_script("return document.getElementById('column').selectedOptions[0].text") == rows[0][1]
    assert site.find("#start").text == "Judge 29 texts"
    site.judge()
    assert site.find("#result-title").text == "27 texts judged"
    assert "2 rows without an answer" in site.find("#result-says").text
    assert [text.split(":")[0] for text in site.texts("#failed li")] == ["Row 3", "Row 4"]
    assert len(site.browser.find_elements(By.CSS_SELECTOR, "#charts svg")) == 3
    name, content = site.download()
    assert name == "my reviews-sentiment.csv"
    assert content.startswith(b"\xef\xbb\xbf")
    back = [*csv.reader(content.decode("utf-8-sig").splitlines(keepends=True), delimiter=";")]
    assert len(back) == 30
    heads = back[0][3:]
    assert heads[:3] == ["predicted_label", "predicted_probability", "predicted_score"]
    assert heads[3:] == ["unsure", "model_version", "prediction_error"]
    assert [row[:2] for row in back] == [list(row[:2]) for row in rows]
    assert [row[2] for row in back[:6]] == ["'=cost", "'=1+1", "-5", "'@SUM(A1)", "x", "'+49 30 1234"]
    answer = site.served.client.post("/predict", json={"text": rows[1][1]}).json()
    said = dict(zip(heads, back[1][3:], strict=True))
    assert said["predicted_label"] == answer["label"] == "positive"
    assert float(said["predicted_probability"]) == pytest.approx(answer["probabilities"]["positive"], abs=1e-4)
    assert str(LONGEST) in back[3][-1]
    assert back[4][3:] == ["", "", "", "", "", "The text is empty."]
    assert {row[3] for row in back[5:]} == {"negative"}


def test_the_column_and_the_separator_can_be_chosen(site: Page) -> None:
    site.open("#file")
    site.drop("a.txt", b"wonderful, superb\ndreadful\na boring one, clumsy, tedious\n")
    site.until(lambda: site.find("#setup").is_displayed())
    assert site.find("#separator").get_property("value") == ""
    assert site.texts("#preview li") == ["wonderful, superb", "dreadful", "a boring one, clumsy, tedious"]
    site.drop("b.tsv", b"first\tsecond\n1\tsuperb\n2\tawful\n")
    site.until(lambda: site.texts("#column option") == ["first", "second"])
    assert site.texts("#preview li") == ["superb", "awful"]
    site.find("#column").send_keys("first")
    site.until(lambda: site.texts("#preview li") == ["1", "2"])
    site.find("#header").click()
    site.until(lambda: site.texts("#column option") == ["column_1", "column_2"])
    site.drop("c.csv", b'text,n\n"never closed,1\n')
    site.until(lambda: "line 2 is never closed" in site.find("#file-trouble").text)
    assert not site.find("#start").is_enabled()
    site.find("#separator").send_keys("nothing")
    site.until(lambda: site.texts("#preview li")[-1:] == ['"never closed,1'])
    assert site.find("#file-trouble").text == ""
    assert site.find("#start").is_enabled()


@pytest.mark.parametrize(
    "slowly",
    [
        "if (path === 'predict_batch') await new Promise(resolve => setTimeout(resolve, 100));"
        "return real(path, options);",
        "const reply = await real(path, options); const { signal } = options;"
        "if (path === 'predict_batch' && ++asked > 2) reply.json = () => new Promise((_, fail) =>"
        "  signal.addEventListener('abort', () => fail(signal.reason))); return reply;",
    ],
    ids=["before it is answered", "while the answer comes"],
)
def test_a_long_file_can_be_cancelled_and_what_was_judged_is_kept(site: Page, slowly: str) -> None:
    site.open("#file")
    site.browser.execute_script(
        f"const real = window.fetch; let asked = 0; window.fetch = async (path, options) => {{ {slowly} }}"
    )
    site.drop("long.csv", b"text\n" + b"a superb film\n" * 800)
    site.until(lambda: site.find("#start").is_displayed())
    site.find("#start").click()
    site.until(lambda: float(str(site.find("#bar").get_property("value"))) >= 16)
    site.find("#cancel").click()
    site.until(lambda: site.find("#result").is_displayed())
    assert "cancelled" in site.find("#result-says").text
    _, content = site.download()
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
def test_csv_is_read_as_it_is_written(site: Page, text: str, separator: str, cells: list[list[str]]) -> None:
    site.open()
    assert site.loads("csv.js", "m.parse(...v)", text, separator) == cells


def test_separators_and_headers_are_told_from_what_stands_there(site: Page) -> None:
    site.open()
    commas_inside = "review,label\n" + "\n".join(f'"{"good, bad; " * 40}\nline {n}",{n}' for n in range(300))
    assert site.loads("csv.js", "m.separatorOf(v[0])", commas_inside) == ","
    assert site.loads("csv.js", "m.separatorOf(v[0])", "a;b\n1,5;x\n2,5;y") == ";"
    header = "m.hasHeader(v[0])"
    assert site.loads("csv.js", header, [["Review Body", "x"], ["fine", "1"]]) is True
    assert site.loads("csv.js", header, [["opinion", "no"], ["fine", "1"], ["bad", "2,5"]]) is True
    assert site.loads("csv.js", header, [["I loved it.", "5"], ["I hated every minute of it.", "1"]]) is False
    assert site.loads("csv.js", "m.decode(Uint8Array.of(0x63, 0xe9))") == "c\u00e9"
