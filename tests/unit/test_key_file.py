"""The key file of a running server may be exchanged in the ways that files are exchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from bento import access
from sentiment.serving.keys import create
from sentiment.settings import load_settings


def test_keys_are_read_again_when_kubernetes_exchanges_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mounted Secret is a link to a folder of its version; an update turns the link and removes the old folder."""
    monkeypatch.setattr(access, "LOOK_SECONDS", 0)
    (tmp_path / "..v1").mkdir()
    old = create(tmp_path / "..v1" / "keys.json", name="shop")
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "keys.json").symlink_to("..data/keys.json")
    keys = access.KeyFile(Path(load_settings(serving={"keys_file": str(tmp_path / "keys.json")}).serving.keys_file))
    assert keys.find(old.key)

    (tmp_path / "..v2").mkdir()
    new = create(tmp_path / "..v2" / "keys.json", name="shop")
    (tmp_path / "..tmp").symlink_to("..v2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    (tmp_path / "..v1" / "keys.json").unlink()
    assert keys.find(new.key)
    assert keys.find(old.key) is None
