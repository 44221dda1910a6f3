"""The examples of docs/clients.md, run against a built Bento: curl, Python, JavaScript under Node and in Chromium."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bentos import BuiltBentos
from selenium.webdriver import Chrome
from served import Served, running

from sentiment.cli import main
from sentiment.client import Client, Prediction, Refused
from sentiment.errors import DataError, SettingsError
from sentiment.serving import keys
from sentiment.settings import load_settings

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "clients.md").read_text()
URL = "http://127.0.0.1:3000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def served(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("clients")
    settings = load_settings(
        storage={"root": str(folder / "var")}, serving={"max_batch": 8, "max_characters": 200, "log_flush_seconds": 0.2}
    )
    with running(bentos.first.path, folder, settings) as served:
        yield served


@pytest.fixture
def url(served: Served) -> str:
    return str(served.client.base_url).rstrip("/")


def feedback(served: Served) -> str:
    """Return all feedback that has landed."""
    folder = Path(served.settings.storage.root) / "landing" / "feedback"
    return "".join(path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file())


def landed(served: Served, request_id: str) -> bool:
    deadline = time.monotonic() + 20
    while request_id not in feedback(served):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def shell(script: str, url: str) -> list[str]:
    assert URL in script
    done = subprocess.run(
        ["sh", "-euc", script.replace(URL, url)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.dumps(answer) for answer in objects(done.stdout)]


def objects(said: str) -> list[object]:
    """Return the JSON values that stand one after the other."""
    found, decoder = [], json.JSONDecoder()
    while said := said.strip():
        value, end = decoder.raw_decode(said)
        found.append(value)
        said = said[end:]
    return found


def test_the_curl_examples(served: Served, url: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    asking, feeding = blocks("sh")
    one, many, explained, model = map(json.loads, shell(asking, url))
    assert one["label"] in one["probabilities"]
    assert [item.get("error", {}).get("title") for item in many["predictions"]] == [None, None, "Not a text"]
    assert explained["margin"] == pytest.approx(explained["baseline"] + sum(w["weight"] for w in explained["words"]))
    assert model["model_version"] == "1"
    [said] = map(json.loads, shell(feeding, url))
    assert said["status"] == "received"
    assert landed(served, said["request_id"])


def test_the_python_example(served: Served, url: str) -> None:
    [code] = blocks("python")
    texts = f"texts = ['a wonderful film', 'x' * 201, 'an awful lid', {', '.join(['chr(8364)'] * 20)}]\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", texts + code.replace(URL, url)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1:4] == ["positive", "Text too long", "negative"]
    assert len(lines) == 1 + 23 + 2
    assert lines[-1] == "1 0.9"


def test_the_javascript_example_under_node(served: Served, url: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or int(subprocess.check_output([node, "--version"], text=True)[1:].split(".")[0]) < 18:
        pytest.skip("Node 18 or newer is not here")
    [code] = blocks("js")
    (tmp_path / "example.mjs").write_text(code.replace(URL, url))
    done = subprocess.run([node, tmp_path / "example.mjs"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    check_javascript(done.stdout.splitlines())


def test_the_javascript_example_in_a_browser(served: Served, url: str, chromium: Chrome) -> None:
    [code] = blocks("js")
    chromium.get(f"{url}/livez")  # a page of the same origin
    chromium.set_script_timeout(30)
    said = chromium.execute_async_script(
        """
        const [code, done] = arguments;
        const lines = [];
        const console = { log: (...said) => lines.push(said.map((x) => x?.map ? "[" + x + "]" : String(x)).join(" ")) };
        const AsyncFunction = (async () => {}).constructor;
        new AsyncFunction("console", code)(console).then(() => done(lines), (error) => done(["failed: " + error]));
        """,
        code.replace(URL, url),
    )
    check_javascript(said)


def check_javascript(lines: list[str]) -> None:
    assert lines[0].split()[0] in ("negative", "positive"), lines
    assert lines[3] == "Not a text"
    found = [re.fullmatch(r"-?\d+\.\d{3} (.+) \[ ?'?(.*?)'? ?\]", line) for line in lines[4:]]
    assert all(found), lines
    places = [(match[1], " ".join(re.findall(r"\w+", match[2].lower()))) for match in found if match and match[2]]
    assert places
    assert all(word == place for word, place in places), "the text begins with a character of two UTF-16 units"


def test_the_client_answers_as_the_api_does(served: Served, url: str) -> None:
    with Client(url) as client:
        one = client.predict("a wonderful film \ud800")
        assert (one.label, one.model_version) == ("positive", "1")
        many = client.predict_batch(["a wonderful film", "x" * 201, *["an awful lid"] * 20])
        assert [type(item) for item in many] == [Prediction, Refused, *[Prediction] * 20]
        assert len({item.request_id for item in many if isinstance(item, Prediction)}) == 21
        explained = client.explain("a wonderful film")
        assert sum(word.weight for word in explained.words) + explained.baseline == pytest.approx(explained.margin)
        assert {"a wonderful film"[begin:end] for word in explained.words for begin, end in word.spans} >= {"wonderful"}
        assert client.limits.max_batch == 8
        assert one.request_id is not None
        client.feedback(one.request_id, "negative", comment="no")
        assert landed(served, one.request_id)
        with pytest.raises(DataError, match="413: Text too long"):
            client.predict("x" * 201)
        with pytest.raises(DataError, match="Unknown label"):
            client.feedback(one.request_id, "splendid")


def test_predict_asks_a_running_api(
    served: Served, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(tmp_path / "var"))
    (tmp_path / "in.csv").write_text(f"n,review\n1,a wonderful film\n2,{'x' * 201}\n3,\n4,an awful lid\n")
    arguments = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.jsonl"), "--url", url]
    with pytest.raises(SystemExit) as ended:
        main(["predict", *arguments])
    assert not ended.value.code
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["predicted_label"] for row in rows] == ["positive", None, None, "negative"]
    assert [row["problem"] for row in rows][::3] == [None, None]
    assert "at most 200" in rows[1]["problem"]
    assert rows[2]["problem"] == "no text"
    assert rows[0]["request_id"]
    assert not (tmp_path / "var" / "mlflow").exists(), "no model is looked for here"
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["predict", "an awful lid", "--url", url])
    assert capsys.readouterr().out.startswith("negative ")


def test_a_key_is_taken_from_a_file_or_the_environment(
    bentos: BuiltBentos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    made = keys.create(path, name="shop", scopes=(keys.KeyScope.predict,))
    settings = load_settings(storage={"root": str(tmp_path / "var")}, serving={"keys_file": str(path)})
    with running(bentos.first.path, tmp_path, settings) as served:
        url = str(served.client.base_url).rstrip("/")
        with Client(url) as client, pytest.raises(SettingsError, match="401: Not authorized"):
            client.predict("fine")
        with Client(url, key=made.key) as client, pytest.raises(SettingsError, match="403: Not allowed"):
            client.feedback("ab" * 16, "positive")
        (tmp_path / "key.txt").write_text(f"{made.key}\n")
        for options, key in ((["--key-file", str(tmp_path / "key.txt")], ""), ([], made.key)):
            monkeypatch.setenv("SENTIMENT_API_KEY", key)
            with pytest.raises(SystemExit) as ended:
                main(["predict", "a wonderful film", "--url", url, *options])
            assert not ended.value.code
            assert capsys.readouterr().out.startswith("positive ")
