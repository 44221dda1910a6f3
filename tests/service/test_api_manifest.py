"""A Bento says what it is, and refuses to be anything else."""

from __future__ import annotations

import json
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bentos import BuiltBentos
from served import refusal

from sentiment.errors import IntegrityError
from sentiment.packaging import package
from sentiment.promotions import Promotion, Promotions
from sentiment.serving.manifest import MANIFEST_FILE, Manifest, ServedModel, check_code
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

pytestmark = pytest.mark.slow


def promote(settings: Settings, version: str, *, number: int, reason: str) -> datetime:
    at = datetime(2030, 1, number, tzinfo=UTC)
    promotion = Promotion(
        number=number, was=None, now=version, previous=None, rollback=False, reason=reason, at=at.isoformat()
    )
    Promotions(Storage(settings)).claim(promotion)
    return at


def source(path: str | Path) -> Path:
    return Path(path) / "src"


def test_a_manifest_names_where_everything_came_from(bentos: BuiltBentos) -> None:
    manifest = Manifest.read(source(bentos.first.path) / "model" / MANIFEST_FILE)
    assert (manifest.model_version, manifest.run_id, manifest.snapshot) == ("1", "run-1", "reviews@v1")
    assert manifest.scorer_digest == bentos.shelf.version("1").digest
    assert manifest.code_version
    assert manifest.digest() == manifest.bento_digest == bentos.first.digest
    assert manifest.curves is not None
    assert [point.accuracy for point in manifest.curves.reliability] == [0.9]
    check_code(source(bentos.first.path), manifest)


def test_when_and_why_it_was_promoted_changes_what_a_bento_says_and_not_what_it_is(
    bentos: BuiltBentos, tmp_path: Path
) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")})
    first_at = promote(settings, "1", number=1, reason="the first model")
    built = package(settings, bentos.shelf, "1")
    assert (built.digest, built.version) == (bentos.first.digest, bentos.first.version)
    assert told(built.path) == (first_at, "the first model")
    begun = Path(built.path, "bento.yaml").stat().st_mtime_ns
    promote(settings, "2", number=2, reason="better")
    again_at = promote(settings, "1", number=3, reason="rolled back: wrong labels")
    again = package(settings, bentos.shelf, "1")
    assert (again.path, again.digest) == (built.path, built.digest)
    assert Path(built.path, "bento.yaml").stat().st_mtime_ns == begun  # not built again
    assert told(built.path) == (again_at, "rolled back: wrong labels")
    (file,) = Path(settings.storage.root, "bentos").glob("*.bento")
    with tarfile.open(file) as archive:
        exported = archive.extractfile("src/model/manifest.json")
        assert exported is not None
        assert json.loads(exported.read())["promotion_reason"] == "rolled back: wrong labels"


def told(path: str) -> tuple[datetime | None, str | None]:
    manifest = ServedModel.load(source(path) / "model").manifest
    return manifest.promoted_at, manifest.promotion_reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_version", "2"), ("snapshot", "reviews@v9"), ("metrics", {"accuracy": 1.0}), ("code_digest", "0" * 64),
        ("curves", None), ("bento_digest", "0" * 64),
    ],
)  # fmt: skip
def test_a_manifest_that_was_changed_is_refused(bentos: BuiltBentos, tmp_path: Path, name: str, value: object) -> None:
    folder = tmp_path / "model"
    shutil.copytree(source(bentos.first.path) / "model", folder)
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    (folder / MANIFEST_FILE).write_text(json.dumps({**manifest, name: value}))
    with pytest.raises(IntegrityError, match="was changed"):
        ServedModel.load(folder)


@pytest.mark.parametrize("change", ["edited", "added", "removed"])
def test_code_that_is_not_what_was_packaged_is_refused(bentos: BuiltBentos, tmp_path: Path, change: str) -> None:
    copy = tmp_path / "src"
    shutil.copytree(source(bentos.first.path), copy)
    manifest = Manifest.read(copy / "model" / MANIFEST_FILE)
    check_code(copy, manifest)
    if change == "edited":
        edited = copy / "sentiment" / "labels.py"
        edited.write_text(edited.read_text() + "\n")
    elif change == "added":
        (copy / "bento" / "more.py").write_text("")
    else:
        (copy / "bento" / "rates.py").unlink()
    with pytest.raises(IntegrityError, match="not what was packaged"):
        check_code(copy, manifest)


def test_a_bento_whose_code_was_changed_refuses_to_start(
    bentos: BuiltBentos, tmp_path: Path, settings: Settings
) -> None:
    copy = tmp_path / "bento"
    shutil.copytree(bentos.first.path, copy)
    with (copy / "src/sentiment/serving/scorer.py").open("a") as file:
        file.write("\n# one line more\n")
    assert "is not what was packaged" in refusal(str(copy), tmp_path, settings)
