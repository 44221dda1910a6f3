"""A client for S3: all that a served Bento needs of AWS.

Without boto3, which the served image does not carry, obstore finds credentials itself: in the environment, by a web
identity (IRSA on EKS), from a container's agent (Pod Identity, ECS) or from the instance. It renews them too.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from obstore.store import S3Store

from sentiment.settings import StorageSettings

if TYPE_CHECKING:
    from obstore.store import S3Config

CONNECT_SECONDS = 5
BULK_RETRIES = 3  # of one request among the many of a large transfer; the transfer as a whole is tried again aloud


class S3Clients:
    """Clients for one S3 root.

    Parameters
    ----------
    settings : StorageSettings
        Endpoint, region, limits.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings

    def store(self, root: str, *, bulk: bool = False) -> S3Store:
        """Return an obstore client; `bulk` for what takes many requests, which are repeated one by one."""
        config: S3Config = {}
        if self._region:
            config["region"] = self._region
        if self._endpoint:
            config["endpoint"] = self._endpoint
        return S3Store.from_url(
            root,
            config=config,
            client_options={
                "allow_http": self._plain_http,
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "timeout": timedelta(seconds=self._settings.timeout_seconds),
            },
            retry_config={
                "max_retries": BULK_RETRIES if bulk else 0,
                "retry_timeout": timedelta(seconds=self._settings.retry_seconds),
            },
            credential_provider=self._credential_provider(),
        )

    def _credential_provider(self) -> Any:
        """Return who gives credentials; None lets obstore look for them."""
        return None

    @property
    def _region(self) -> str:
        return self._settings.region

    @property
    def _endpoint(self) -> str:
        named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return self._settings.endpoint or named or ""

    @property
    def _plain_http(self) -> bool:
        return self._endpoint.startswith("http://")
