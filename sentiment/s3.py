"""Access to S3: one AWS session a process, for obstore, deltalake and MLflow alike.

The session finds credentials the way every AWS tool does: environment, profile files, web identity, container,
instance. A DAG task puts the one of its Airflow connection in its place (`use_session`). botocore renews credentials
that expire; nothing of them is written anywhere.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from obstore.auth.boto3 import Boto3CredentialProvider

from sentiment.errors import StorageError
from sentiment.s3_store import BULK_RETRIES, CONNECT_SECONDS, S3Clients
from sentiment.settings import StorageSettings

logger = logging.getLogger(__name__)

AWS_ERRORS = (BotoCoreError, ClientError, Boto3Error)
CREDENTIALS_LIVE = timedelta(minutes=10)  # botocore renews credentials that have no more than this left


def use_session(session: boto3.Session, settings: StorageSettings) -> None:
    """Make a session this process's own: for our storage, and for MLflow, whose client takes the same."""
    bounds = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=settings.timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": settings.attempts},
    )
    core = session._session  # boto3 has no way of its own to set what all clients of a session share
    there = core.get_default_client_config()
    core.set_default_client_config(there.merge(bounds) if there else bounds)
    session.events.register("needs-retry.s3", _say_retry, unique_id="sentiment-says-retries")
    boto3.DEFAULT_SESSION = session


class S3Access(S3Clients):
    """What clients of one S3 root need, with the credentials of an AWS session.

    Parameters
    ----------
    settings : StorageSettings
        Root, endpoint, region, limits.
    session : boto3.Session, optional
        Where credentials come from; the process's own by default.

    Raises
    ------
    StorageError
        There are no credentials; says where they were looked for.
    """

    def __init__(self, settings: StorageSettings, session: boto3.Session | None = None) -> None:
        super().__init__(settings)
        self._session = session or _own_session(settings)
        self._credentials()

    def options(self) -> dict[str, str]:
        """Return storage options for deltalake, with credentials that live for at least ten minutes.

        deltalake cannot renew them: ask again for every table that is opened.
        """
        keys = self._credentials()
        options = {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": keys.token,
            "AWS_REGION": self._region,
            "AWS_ENDPOINT": self._endpoint,
            "AWS_ALLOW_HTTP": "true" if self._plain_http else "",
            "connect_timeout": f"{CONNECT_SECONDS}s",
            "timeout": f"{self._settings.timeout_seconds}s",
            "max_retries": str(BULK_RETRIES),
            "retry_timeout": f"{self._settings.retry_seconds:.0f}s",
        }
        return {name: value for name, value in options.items() if value}

    def share_with_mlflow(self) -> None:
        """Tell MLflow's own S3 client the endpoint; credentials and region it takes from the session."""
        if self._endpoint:
            os.environ["MLFLOW_S3_ENDPOINT_URL"] = self._endpoint  # the only way to tell it

    def _credential_provider(self) -> Boto3CredentialProvider:
        return Boto3CredentialProvider(self._session, ttl=CREDENTIALS_LIVE)

    @property
    def _region(self) -> str:
        return self._settings.region or self._session.region_name or ""

    def _credentials(self) -> ReadOnlyCredentials:
        try:
            found: Credentials | None = self._session.get_credentials()
            keys = found.get_frozen_credentials() if found else None
        except AWS_ERRORS as error:
            raise StorageError(
                f"The AWS credentials for {self._settings.root} cannot be had: {str(error).rstrip('.')}.",
                fix="Correct the profile or the role (`aws sts get-caller-identity` must work).",
            ) from error
        if keys is None or not keys.access_key:
            raise StorageError(
                f"There are no AWS credentials for {self._settings.root}: not in the environment, in no profile, "
                "and neither a web identity nor a container nor an instance gives any.",
                fix="Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role; "
                "in Airflow, define the connection aws_default.",
            )
        return keys


def _own_session(settings: StorageSettings) -> boto3.Session:
    """Return the process's session; made from the standard AWS chain if nobody has set one."""
    if boto3.DEFAULT_SESSION is None:
        try:
            use_session(boto3.Session(), settings)
        except AWS_ERRORS as error:  # a profile that does not exist
            raise StorageError(
                f"The AWS configuration cannot be used: {str(error).rstrip('.')}.", fix="Correct AWS_PROFILE."
            ) from error
    session: boto3.Session = boto3.DEFAULT_SESSION
    return session


def _say_retry(
    *, response: Any = None, attempts: int = 0, caught_exception: Any = None, operation: Any = None, **_: Any
) -> None:
    """Log what botocore, the client of MLflow's artifacts, is about to try again: it does not do so itself."""
    status = response[0].status_code if response else 0
    if caught_exception is not None or status == 429 or status >= 500:
        name = operation.name if operation else "request"
        reason = caught_exception if caught_exception is not None else f"the store answered {status}"
        logger.warning("storage: artifacts, %s: attempt %d failed: %s", name, attempts, reason)
