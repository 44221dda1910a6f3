"""Credentials for S3: found as every AWS tool finds them, renewed when they expire, and missed in plain words."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials
from faults import S3Server

from sentiment import s3 as s3_module
from sentiment.errors import StorageError
from sentiment.ledger import Ledger
from sentiment.settings import Settings
from sentiment.storage import Storage

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # botocore's own


def keys_used(store: S3Server) -> set[str]:
    return {request["key"] for request in store.seen()}


def use(settings: Settings) -> None:
    """Reach the store through obstore and through deltalake."""
    storage = Storage(settings)
    storage.write("a", b"1")
    Ledger(storage).append("trained")


def test_the_environment_gives_credentials(s3: Settings, store: S3Server) -> None:
    use(s3)
    assert keys_used(store) == {"from-environment"}


def test_a_profile_gives_credentials_and_region(
    s3: Settings, store: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "aws").mkdir()
    (tmp_path / "aws" / "config").write_text("[profile work]\nregion = eu-central-1\n")
    (tmp_path / "aws" / "credentials").write_text(
        "[work]\naws_access_key_id = from-profile\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "work")
    use(s3)
    assert keys_used(store) == {"from-profile"}
    monkeypatch.setenv("AWS_PROFILE", "home")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(StorageError, match=r"profile \(home\) could not be found"):
        Storage(s3)


def test_a_web_identity_gives_credentials(
    s3: Settings, store: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a pod on EKS has: a role and a token file."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "token").write_text("a token of the cluster")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/sentiment")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", store.direct)
    use(s3)
    assert all(key.startswith("ASIA") for key in keys_used(store)), "temporary keys of the role"


def test_no_credentials_are_said_at_once_with_what_to_do(s3: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StorageError, match="There are no AWS credentials for s3://") as raised:
        Storage(s3)
    assert "AWS_PROFILE" in raised.value.fix
    assert "aws_default" in raised.value.fix


def test_credentials_that_expire_are_renewed_for_obstore_and_for_deltalake(
    s3: Settings, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter(range(100))

    def renew() -> dict[str, str]:
        return {
            "access_key": f"key-{next(given)}",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),  # renewed at every look
        }

    core = botocore.session.Session()
    core._credentials = RefreshableCredentials.create_from_metadata(renew(), refresh_using=renew, method="test")
    s3_module.use_session(boto3.Session(botocore_session=core), s3.storage)
    monkeypatch.setattr(s3_module, "CREDENTIALS_LIVE", timedelta(seconds=0))
    storage = Storage(s3)
    for _ in range(2):
        storage.write("a", b"1")
    obstore_used = keys_used(store)
    ledger = Ledger(storage)
    for _ in range(2):
        ledger.append("trained")
    assert len(obstore_used) == 2
    assert len(keys_used(store) - obstore_used) >= 2
    assert not any(key == "from-environment" for key in keys_used(store))


def test_secrets_are_in_no_message_and_no_representation(s3: Settings, store: S3Server) -> None:
    storage = Storage(s3)
    assert "hush-hush" not in repr(vars(storage))
    elsewhere = s3.storage.model_copy(update={"root": "s3://no-such-bucket"})
    with pytest.raises(StorageError) as raised:
        Storage(s3.model_copy(update={"storage": elsewhere})).write("x", b"")
    assert "hush-hush" not in str(raised.value)


def test_a_local_root_does_not_pay_for_aws(tmp_path: Path) -> None:
    code = (
        "import sys; from sentiment.settings import load_settings; from sentiment.storage import Storage; "
        f"Storage(load_settings(storage={{'root': {str(tmp_path)!r}}})).write('a', b'1'); "
        "assert not {'boto3', 'botocore'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
