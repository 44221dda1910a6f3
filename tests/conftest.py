"""What every test may use."""

from pathlib import Path

import pytest

from sentiment.settings import Settings, load_settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


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
