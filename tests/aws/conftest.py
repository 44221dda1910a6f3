"""An AWS account in moto with all stacks in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_account import ORDER, Account
from cloud_templates import TEMPLATES, Template
from moto import mock_aws
from moto_models import teach


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.delenv("AWS_PROFILE", raising=False)
        teach()
        account = Account()
        for name in ORDER:
            account.deploy(name)
        yield account


@pytest.fixture(params=TEMPLATES, ids=lambda path: path.stem)
def template(request: pytest.FixtureRequest) -> Template:
    path: Path = request.param
    return Template.read(path.stem)
