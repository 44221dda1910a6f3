"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sentiment.settings import Settings, load_settings

if TYPE_CHECKING:
    from bentos import BuiltBentos

for name in [name for name in os.environ if name.startswith("SENTIMENT_")]:
    del os.environ[name]  # a user's own settings are not the tests'

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def complete_on_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a test drops into an inbox need no time to settle."""
    monkeypatch.setenv("SENTIMENT_DATA__SETTLE_SECONDS", "0")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty platform in a folder of its own."""
    return load_settings(storage={"root": str(tmp_path / "var")})


@pytest.fixture
def real_data() -> Path:
    """The folder of real text, where it is present."""
    if not DATA.is_dir():
        pytest.skip(f"real text is not here: {DATA} is absent")
    return DATA


@pytest.fixture(scope="session")
def bentos(tmp_path_factory: pytest.TempPathFactory) -> BuiltBentos:
    """Two real Bentos, built once, whose models disagree about every text."""
    from bentos import build

    return build(tmp_path_factory.mktemp("bentos"))
