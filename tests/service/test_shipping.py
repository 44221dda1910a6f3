"""A built Bento on its way to pods: one file by its digest, the same for every machine, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from bentos import BuiltBentos
from faults import Fault, S3Server

from sentiment.bento_files import is_whole, pack, unpack
from sentiment.cli import main
from sentiment.deployment import shipping
from sentiment.deployment.images import Image
from sentiment.deployment.shipping import Shipped, ship
from sentiment.errors import IntegrityError, SettingsError
from sentiment.ledger import Ledger
from sentiment.packaging import BentoPackage, at_hand, bento_file, package
from sentiment.settings import Settings
from sentiment.storage import Storage

RUNTIME = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sentiment-runtime"
DIGEST = "sha256:" + "5" * 64


def with_deployment(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"deployment": settings.deployment.model_copy(update=changes)})


@pytest.fixture
def shop(s3: Settings, bentos: BuiltBentos) -> Settings:
    """Settings that ship by S3, with the first Bento in the storage as another machine left it."""
    file = bento_file(bentos.first.version)
    Storage(s3).upload(Path(bentos.settings.storage.root, file), file)
    return with_deployment(s3, runtime_image=f"{RUNTIME}@{DIGEST}")


def by_digest(settings: Settings) -> dict[str, bytes]:
    storage = Storage(settings)
    return {path: storage.read(path) for path in storage.list("bentos/by-digest")}


def test_what_is_shipped_is_the_bento_under_its_own_digest(shop: Settings, bentos: BuiltBentos, tmp_path: Path) -> None:
    shipped = ship(shop, replace(bentos.first, path="/not/on/this/machine"))
    [(path, data)] = by_digest(shop).items()
    assert shipped == Shipped(
        way="s3",
        model_version="1",
        bento_digest=bentos.first.digest,
        repository=RUNTIME,
        digest=DIGEST,
        bento_uri=f"{shop.storage.root}/{path}",
        bento_sha256=hashlib.sha256(data).hexdigest(),
    )
    assert path == f"bentos/by-digest/{shipped.bento_sha256}.bento"
    unpack(data, tmp_path / "bento")
    assert is_whole(tmp_path / "bento", bentos.first.digest)
    assert Shipped.from_dict(json.loads(json.dumps(shipped.to_dict()))) == shipped
    fetched = {"uri": shipped.bento_uri, "sha256": shipped.bento_sha256}
    assert shipped.values() == {"digest": DIGEST, "bento": fetched}
    [entry] = Ledger(Storage(shop)).entries()
    assert (entry.event, entry.model_version, entry.detail) == ("shipped", "1", shipped.to_dict())
    assert entry.digests == {"bento": bentos.first.digest, "image": DIGEST, "file": shipped.bento_sha256}


def test_shipping_again_changes_nothing(shop: Settings, bentos: BuiltBentos, store: S3Server) -> None:
    first, before = ship(shop, bentos.first), by_digest(shop)
    store.misbehave()
    assert ship(shop, bentos.first) == first
    assert by_digest(shop) == before
    created = [one for one in store.seen() if one["method"] == "PUT" and "by-digest" in one["path"]]
    assert len(created) == 1, "asked for only if there is none"
    assert [entry.event for entry in Ledger(Storage(shop)).entries()] == ["shipped"]
    other = with_deployment(shop, runtime_image=f"{RUNTIME}@sha256:{'6' * 64}")
    assert ship(other, bentos.first).bento_uri == first.bento_uri
    assert len(Ledger(Storage(shop)).entries()) == 2, "the same Bento for another image is another shipment"


@pytest.mark.parametrize("moment", ["before the file", "the answer is lost", "before the ledger"])
def test_one_that_was_interrupted_is_finished_by_the_next(
    moment: str, shop: Settings, bentos: BuiltBentos, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    if moment == "the answer is lost":
        store.misbehave(Fault("lose", "PUT", "by-digest", times=1))
        shipped = ship(shop, bentos.first)
        assert store.injected() == 1
    else:
        step = (Storage, "create") if moment == "before the file" else (Ledger, "append")
        with monkeypatch.context() as patch:
            patch.setattr(*step, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                ship(shop, bentos.first)
        shipped = ship(shop, bentos.first)
    assert list(by_digest(shop)) == [f"bentos/by-digest/{shipped.bento_sha256}.bento"]
    assert [entry.event for entry in Ledger(Storage(shop)).entries()] == ["shipped"]


def test_damage_is_seen_before_a_pod_sees_it(shop: Settings, bentos: BuiltBentos, tmp_path: Path) -> None:
    storage, file = Storage(shop), bento_file(bentos.first.version)
    shipped, good = ship(shop, bentos.first), storage.read(file)
    storage.write(f"bentos/by-digest/{shipped.bento_sha256}.bento", b"something else")
    with pytest.raises(IntegrityError, match="is not what its name says: somebody changed it"):
        ship(shop, bentos.first)

    spoiled = tmp_path / "spoiled"
    unpack(good, spoiled)
    (spoiled / "src/bento/service.py").write_text("import this\n")
    for data, said in ((good[:-500], "is damaged"), (pack(spoiled), "is damaged, or not sentiment:v1-")):
        storage.write(file, data)
        with pytest.raises(IntegrityError, match=said):
            ship(shop, bentos.first)
    storage.delete(file)
    with pytest.raises(IntegrityError, match="is not there") as raised:
        ship(shop, bentos.first)
    assert "sentiment package 1" in raised.value.fix
    assert len(by_digest(shop)) == 1


def test_what_pods_could_not_use_is_refused(
    shop: Settings, settings: Settings, bentos: BuiltBentos, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="pods cannot read a folder of this machine"):
        ship(with_deployment(settings, runtime_image=f"{RUNTIME}@{DIGEST}"), bentos.first)
    with pytest.raises(SettingsError, match=r"deployment\.runtime_image is empty"):
        ship(with_deployment(shop, runtime_image=""), bentos.first)
    monkeypatch.setattr(shipping, "MOST_BYTES", 1_000)
    with pytest.raises(SettingsError, match="pods fetch 1,000 at the most"):
        ship(shop, bentos.first)
    assert by_digest(shop) == {}


def test_an_image_is_made_of_the_bento_even_where_another_machine_packaged_it(
    shop: Settings, bentos: BuiltBentos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What builds the image is tested beside it; here only what it is given and what becomes of its answer."""
    given = []

    def build(_: Settings, bento: BentoPackage) -> Image:
        given.append(bento)
        assert is_whole(Path(bento.path), bentos.first.digest)
        return Image(RUNTIME, bento.version, DIGEST)

    monkeypatch.setattr(shipping, "build_and_push", build)
    shipped = ship(with_deployment(shop, ship="image"), replace(bentos.first, path="/not/on/this/machine"))
    assert (shipped.way, shipped.bento_uri, shipped.values()) == ("image", "", {"digest": DIGEST})
    assert (len(given), by_digest(shop)) == (1, {})
    assert Ledger(Storage(shop)).entries()[0].reason == f"{RUNTIME}@{DIGEST}"
    Storage(shop).delete(bento_file(bentos.first.version))
    shutil.rmtree(given[0].path)
    with pytest.raises(IntegrityError, match="neither on this machine nor whole in the storage"):
        at_hand(shop, bentos.first)


def test_every_machine_packs_the_same_bytes(shop: Settings, bentos: BuiltBentos, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bentos.first.path, copy, copy_function=shutil.copy)  # other times
    (copy / "src" / "__pycache__").mkdir()
    (copy / "src" / "__pycache__" / "x.pyc").write_bytes(b"x")
    data = pack(Path(bentos.first.path))
    assert pack(copy) == data
    unpack(data, tmp_path / "unpacked")
    assert pack(tmp_path / "unpacked") == data


def test_a_machine_that_never_saw_the_bento_takes_the_one_there_is(
    shop: Settings, bentos: BuiltBentos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks of one run may be on different machines; a Bento that each built itself would differ in its times."""
    monkeypatch.setattr("sentiment.packaging._build", lambda *_: pytest.fail("it was built again"))
    before = Storage(shop).read(bento_file(bentos.first.version))
    made = package(shop, bentos.shelf, "1")
    assert (made.digest, made.version) == (bentos.first.digest, bentos.first.version)
    assert Path(made.path, "bento.yaml").read_bytes() == Path(bentos.first.path, "bento.yaml").read_bytes()
    assert Storage(shop).read(bento_file(bentos.first.version)) == before


def test_the_command_prints_what_to_paste(
    shop: Settings, bentos: BuiltBentos, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sentiment.registry.Registry", lambda _: bentos.shelf)
    for name, value in {
        "STORAGE__ROOT": shop.storage.root,
        "STORAGE__ENDPOINT": shop.storage.endpoint,
        "DEPLOYMENT__RUNTIME_IMAGE": shop.deployment.runtime_image,
        "TRAINING__MIN_DOCUMENTS": "1",
    }.items():
        monkeypatch.setenv(f"SENTIMENT_{name}", value)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["ship", *arguments])
        assert ended.value.code == 0
        return capfd.readouterr().out

    said = json.loads(run("1", "--json"))
    assert said["bento_uri"] == f"{shop.storage.root}/{next(iter(by_digest(shop)))}"
    lines, _, values = run("1").partition("Values of the chart")
    assert said["bento_uri"] in lines
    assert yaml.safe_load(values.partition(":\n")[2]) == {
        "image": {"repository": RUNTIME, "digest": DIGEST},
        "bento": {"uri": said["bento_uri"], "sha256": said["bento_sha256"]},
    }
