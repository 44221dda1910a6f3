"""The built Bento answers over HTTP as the trained pipeline does, and carries nothing it does not need."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from bentos import UNSURE, BuiltBentos, Shelf
from landed import landed
from served import Served, refusal, running
from tenacity import stop_after_attempt

from sentiment.bento_files import is_whole, unpack
from sentiment.cleaning import Cleaning
from sentiment.deployment import smoke
from sentiment.errors import IntegrityError, ServiceError
from sentiment.labels import LabelScheme
from sentiment.packaging import bento_file, package
from sentiment.reviews.feedback import Feedback
from sentiment.reviews.ingest import ingest
from sentiment.reviews.table import Quarantine, parse_snapshot, read_snapshot
from sentiment.settings import Settings, TrainingSettings, load_settings
from sentiment.storage import Storage
from sentiment.training.model import compile_scorer, fit

PROJECT = Path(__file__).resolve().parents[2]
FORBIDDEN = ("pandas", "sklearn", "scipy", "mlflow", "evidently", "airflow", "skops", "deltalake", "pyarrow", "nltk")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The first Bento, served by BentoML in a process of its own."""
    folder = tmp_path_factory.mktemp("served")
    settings = load_settings(storage={"root": str(folder / "var")}, serving={"max_batch": 8, "log_flush_seconds": 0.2})
    with running(bentos.first.path, folder, settings) as served:
        yield served


def test_the_smoke_test_of_a_release_tells_right_from_wrong(
    served: Served, bentos: BuiltBentos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke._ask.retry, "stop", stop_after_attempt(1))  # type: ignore[attr-defined]
    root = {"root": bentos.settings.storage.root}
    there = load_settings(storage=root, deployment={"public_url": str(served.client.base_url)})
    found = smoke.smoke_test(there, bentos.first)
    assert found.passed is True
    assert "probes as the trained pipeline did" in found.said
    with pytest.raises(ServiceError, match=r"as version 1 with .* version 2 should answer"):
        smoke.smoke_test(there, bentos.second)
    nobody = load_settings(storage=root, deployment={"public_url": "http://127.0.0.1:9"})
    with pytest.raises(ServiceError, match="does not answer a probe"):
        smoke.smoke_test(nobody, bentos.first)
    assert smoke.smoke_test(load_settings(storage=root), bentos.first).passed is None


def test_it_answers_as_the_pipeline_does(served: Served, bentos: BuiltBentos) -> None:
    texts = ["a wonderful film", "the plot was not boring", "caf\u00e9 \u4f60\u597d \U0001f600", "", "!" * 50]
    pipeline = bentos.shelf.load_pipeline(bentos.shelf.version("1"), trusted_types=())
    expected = pipeline.predict_proba(texts)
    batch = served.client.post("/predict_batch", json={"texts": texts}).json()["predictions"]
    for text, row, many in zip(texts, expected, batch, strict=True):
        one = served.client.post("/predict", json={"text": text}).json()
        assert list(one["probabilities"]) == ["negative", "positive"]
        assert list(one["probabilities"].values()) == pytest.approx(list(row), abs=1e-9)
        assert one["score"] == pytest.approx(row[1], abs=1e-9)
        assert one["label"] == ("positive" if row[1] > 0.5 else "negative")
        assert one["model_version"] == "1"
        assert one["abstained"] == (max(row) <= UNSURE)
        assert many["probabilities"] == pytest.approx(one["probabilities"], abs=1e-9), "one alone is summed another way"
        assert many["score"] == pytest.approx(one["score"], abs=1e-9)
        same = ("label", "abstained", "model_version")
        assert [one[name] for name in same] == [many[name] for name in same]
        assert list(one) == list(many)
        assert one["request_id"] != many["request_id"]
    assert {answer["abstained"] for answer in batch} == {True, False}


def test_answers_land_in_the_prediction_log(served: Served) -> None:
    text = "what a charming kettle!"
    answer = served.client.post("/predict", json={"text": text}).json()
    deadline = time.monotonic() + 5
    while not (found := [line for line in landed(served.settings) if line["text"] == text]):
        assert time.monotonic() < deadline, "the answer never landed"
        time.sleep(0.05)
    (line,) = found
    assert timedelta() <= datetime.now(UTC) - line.pop("predicted_at") < timedelta(minutes=1)
    assert line.pop("text_sha256") == hashlib.sha256(text.encode()).hexdigest()
    line.pop("unknown_share")
    assert {**line, "probabilities": dict(line["probabilities"])} == {**answer, "text": text}


def test_a_probe_is_answered_but_not_logged(served: Served) -> None:
    reply = served.client.post("/predict", json={"text": "only a probe"}, headers={"X-Sentiment-Probe": "1"})
    assert reply.status_code == 200
    time.sleep(0.5)
    assert "only a probe" not in {line["text"] for line in landed(served.settings)}


def wait_landed(served: Served, kind: str, lines: int) -> None:
    deadline = time.monotonic() + 20
    while len(landed(served.settings, kind)) < lines:
        assert time.monotonic() < deadline, f"{lines} lines of {kind} never landed"
        time.sleep(0.05)


def say(served: Served, text: str, label: str, *, address: str = "203.0.113.7", **more: str) -> None:
    asked = served.client.post("/predict", json={"text": text}).json()
    reply = served.client.post(
        "/feedback",
        json={"request_id": asked["request_id"], "label": label, **more},
        headers={"X-Forwarded-For": address},  # as the router, which is on the same machine, does
    )
    assert (reply.status_code, reply.json()) == (202, {"request_id": asked["request_id"], "status": "received"})


def test_feedback_becomes_a_labelled_review_and_who_gave_it_stays_unknown(served: Served) -> None:
    ingest(served.settings)
    say(
        served,
        "a superb kettle, if it is art you want",
        "negative",
        comment="From ann@example.org",
        reporter="ann@x.org",
    )
    say(served, "so bad it is good", "positive", address="2001:db8::7")
    wait_landed(served, "feedback", 2)
    said = str(landed(served.settings, "feedback"))
    assert [sign for sign in ("ann@", "203.0.113", "2001:") if sign in said] == []
    wait_landed(served, "predictions", 2)
    result = ingest(served.settings)
    assert result.feedback == {"received": 2, "accepted": 2, "agreeing": 0, "held": 0, "waiting": 0}
    storage = Storage(served.settings)
    rows = read_snapshot(storage, parse_snapshot(str(result.snapshot)))
    assert dict(zip(rows["text"], rows["label"], strict=True)) == {
        "a superb kettle, if it is art you want": "negative",
        "so bad it is good": "positive",
    }
    assert set(rows["origin"]) == {"feedback"}
    kept = Feedback(storage).read().to_pylist()
    assert {row["comment"] for row in kept} == {"From [email]", ""}
    assert len({row["client"] for row in kept}) == 2


def test_a_poisoned_burst_from_one_address_leaves_at_most_the_cap(served: Served) -> None:
    ingest(served.settings)
    before = len(landed(served.settings, "feedback"))
    for number in range(500):
        say(served, f"a wonderful film, number {number}", "negative", address="198.51.100.9")
    wait_landed(served, "feedback", before + 500)
    wait_landed(served, "predictions", 500)
    result = ingest(served.settings)
    assert result.feedback["received"] == 500
    assert result.feedback["accepted"] <= served.settings.feedback.max_per_reporter
    assert result.feedback["accepted"] + result.feedback["held"] == 500
    reasons = Quarantine(Storage(served.settings)).read()["reason"].to_pylist()
    assert set(reasons) <= {"burst", "over_cap"}


def test_metrics_count_requests_and_predictions(served: Served) -> None:
    def value(sample: str) -> float:
        found = re.search(rf"^{re.escape(sample)} (\S+)$", served.client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    samples = {
        'sentiment_requests_total{endpoint="/predict",outcome="ok"}': 3,
        'sentiment_requests_total{endpoint="/predict",outcome="refused"}': 1,
        'sentiment_request_seconds_count{endpoint="/predict"}': 4,
        'sentiment_predictions_total{label="positive",model_version="1"}': 3,
        'sentiment_requests_total{endpoint="/feedback",outcome="ok"}': 1,
        'sentiment_feedback_total{label="negative"}': 1,
    }
    before = {sample: value(sample) for sample in samples}
    for _ in range(3):
        served.client.post("/predict", json={"text": "a superb film"})
    served.client.post("/predict", json={"text": None})
    served.client.post("/feedback", json={"request_id": "ab" * 16, "label": "negative"})
    assert {sample: value(sample) - before[sample] for sample in samples} == samples
    text = served.client.get("/metrics").text
    assert 'sentiment_model_info{model_version="1",snapshot="reviews@v1"' in text
    assert "sentiment_prediction_log_waiting" in text
    assert "sentiment_prediction_log_dropped_total 0" in text
    assert "sentiment_feedback_log_dropped_total 0" in text


def test_what_others_asked_is_not_shown_unless_it_is_wanted(served: Served) -> None:
    served.client.post("/predict", json={"text": "my secret diary"})
    reply = served.client.get("/recent")
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
    assert "serving.show_recent" in reply.json()["detail"]
    assert served.client.get("/model").json()["features"]["recent"] is False


def test_malformed_requests_leave_no_text_in_the_log(served: Served) -> None:
    served.client.post("/predict", json={"text": ["my secret diary"]})
    assert "my secret diary" not in served.service.log_path.read_text()


def test_the_served_process_has_none_of_the_training_stack_in_memory(served: Served) -> None:
    served.client.post("/predict", json={"text": "fine"})
    maps = "".join(Path(f"/proc/{process.pid}/maps").read_text() for process in served.service.family())
    assert "numpy" in maps
    assert [name for name in FORBIDDEN if f"/site-packages/{name}/" in maps] == []


def test_the_bento_stands_alone(bentos: BuiltBentos, tmp_path: Path) -> None:
    """Everything it imports of ours is inside it, and none of the training stack is imported to answer anything."""
    code = (
        "import json, sys\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in str(getattr(f, '__module__', '')).lower()]\n"
        "from starlette.testclient import TestClient\n"
        "from bento.service import SentimentService\n"
        "with TestClient(SentimentService.to_asgi(is_main=True)) as client:\n"
        "    said = [client.post(path, json={'text': 'fine'}) for path in ('/predict', '/explain')]\n"
        "    said += [client.post('/predict_batch', json={'texts': ['fine'] * 20})]\n"
        "    said += [client.post('/feedback', json={'request_id': 'ab' * 16, 'label': 'positive'})]\n"
        "    said += [client.get(path) for path in ('/model', '/docs.json', '/readyz', '/nowhere')]\n"
        "print(json.dumps([reply.status_code for reply in said]))\n"
        "print(json.dumps({n: getattr(m, '__file__', None) for n, m in sys.modules.items()}))\n"
    )
    source = Path(bentos.first.path) / "src"
    env = {**os.environ, "SENTIMENT_STORAGE__ROOT": str(tmp_path / "var"), "BENTOML_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=source, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *_, statuses, listed = done.stdout.splitlines()
    assert json.loads(statuses) == [200, 200, 200, 202, 200, 200, 200, 404]
    modules = json.loads(listed)
    ours = {name: path for name, path in modules.items() if name.split(".")[0] in ("sentiment", "bento")}
    assert "sentiment.serving.scorer" in ours
    assert [path for path in ours.values() if not path.startswith(str(source))] == []
    assert [name for name in FORBIDDEN if name in modules] == []


def test_a_model_that_learned_stems_answers_without_nltk(tmp_path: Path, settings: Settings) -> None:
    texts = [f"{opinion} {thing}" for opinion in ("I loved the", "I hated the") for thing in ("plots", "actors") * 20]
    cleaning = Cleaning(normal_form="stem", stop_words="drop", negation="mark")
    training = TrainingSettings(min_rows=20, cleaning=cleaning)
    pipeline = fit(texts, ["positive"] * 40 + ["negative"] * 40, settings=training, scheme=LabelScheme.binary)
    shelf = Shelf(tmp_path / "shelf")
    shelf.add("1", pipeline, compile_scorer(pipeline))
    source = Path(package(settings, shelf, "1").path) / "src"
    code = (
        "import json, sys\n"
        "sys.modules['nltk'] = None\n"
        "sys.path.insert(0, '.')\n"
        "import pathlib\n"
        "from sentiment.serving.manifest import ServedModel\n"
        "scorer = ServedModel.load(pathlib.Path('model')).scorer\n"
        "print(json.dumps(scorer.probabilities(json.loads(sys.argv[1])).tolist()))\n"
    )
    asked = ["Loving the actor's plot", "not hated, hating!", ""]
    done = subprocess.run([sys.executable, "-c", code, json.dumps(asked)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), pipeline.predict_proba(asked), rtol=0, atol=1e-9)


def test_a_bento_whose_scorer_was_tampered_with_refuses_to_start(
    bentos: BuiltBentos, tmp_path: Path, settings: Settings
) -> None:
    copy = tmp_path / "bento"
    shutil.copytree(bentos.first.path, copy)
    shutil.copyfile(Path(bentos.second.path) / "src/model/scorer.npz", copy / "src/model/scorer.npz")
    assert "IntegrityError" in refusal(str(copy), tmp_path, settings)


def test_packaging_again_gives_the_same_bento_and_builds_nothing(bentos: BuiltBentos) -> None:
    before = Path(bentos.first.path, "bento.yaml").stat().st_mtime_ns
    again = package(bentos.settings, bentos.shelf, "1")
    assert replace(again, seconds=0) == replace(bentos.first, seconds=0)
    assert Path(bentos.first.path, "bento.yaml").stat().st_mtime_ns == before


def test_a_damaged_bento_is_built_again(bentos: BuiltBentos, tmp_path: Path) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")})
    target = settings.local_dir / "bentoml" / "bentos" / "sentiment" / bentos.second.version
    shutil.copytree(bentos.second.path, target)
    (target / "src/bento/service.py").write_text("half a fi")
    exported = Path(settings.storage.root, bento_file(bentos.second.version))
    exported.parent.mkdir(parents=True)
    exported.write_bytes(b"half a fi")
    built = package(settings, bentos.shelf, "2")
    unpack(exported.read_bytes(), tmp_path / "mended")
    assert is_whole(tmp_path / "mended", bentos.second.digest)
    assert built.path == str(target)
    assert (target / "src/bento/service.py").read_bytes() == (PROJECT / "bento/service.py").read_bytes()


def test_no_bento_is_made_of_a_scorer_that_is_not_its_pipeline(bentos: BuiltBentos, tmp_path: Path) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")})
    first, second = bentos.shelf.version("1"), bentos.shelf.version("2")
    bentos.shelf.add("0", bentos.shelf.load_pipeline(first, trusted_types=()), bentos.shelf.load_scorer(second))
    with pytest.raises(IntegrityError, match="does not reproduce"):
        package(settings, bentos.shelf, "0")
    assert not list((settings.local_dir / "bentoml").glob("bentos/*/*"))


def test_the_exported_bento_is_the_whole_bento(bentos: BuiltBentos) -> None:
    (file,) = Path(bentos.settings.storage.root, "bentos").glob(f"sentiment-{bentos.first.version}.bento")
    with tarfile.open(file) as archive:
        names = {member.name for member in archive.getmembers() if member.isfile()}
        scorer = archive.extractfile("src/model/scorer.npz")
        assert scorer is not None
        assert scorer.read() == Path(bentos.first.path, "src/model/scorer.npz").read_bytes()
    assert {"bento.yaml", "src/bento/service.py", "src/model/manifest.json"} <= names
