"""The connection to MLflow, and its errors in our words."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sentiment.errors import (
    NO_ROOM,
    ModelError,
    SentimentError,
    ServiceError,
    SettingsError,
    StorageError,
    disk_full,
    storage_errors,
)
from sentiment.settings import Settings
from sentiment.tracking import ensure_database

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def connect(settings: Settings) -> MlflowClient:
    """Connect to the tracking server of the settings, or to the SQLite database, which is made if need be.

    Raises
    ------
    SettingsError
        The address is none of an MLflow server.
    """
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.registry.timeout_seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }.items():
        os.environ.setdefault(name, value)  # the only way to tell MLflow
    uri = settings.tracking_uri
    ensure_database(uri)
    for noisy, level in {
        "alembic": logging.WARNING,
        "mlflow.store.db.utils": logging.WARNING,
        "urllib3.connectionpool": logging.ERROR,  # its retries; that they failed is an error of ours
    }.items():
        logging.getLogger(noisy).setLevel(level)
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        with storage_errors(uri):  # makes the database
            return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except mlflow.exceptions.MlflowException as error:
        raise SettingsError(
            f"registry.tracking_uri {uri!r} is no MLflow server: {error.message.partition('. ')[0]}.",
            fix="Set it to http://HOST:PORT, or leave it empty for SQLite under the storage root.",
        ) from error


@contextmanager
def mlflow_errors(address: str, what: str) -> Iterator[None]:
    """Translate what MLflow raises while it tries to do `what`.

    Raises
    ------
    ServiceError
        The server does not answer, or refuses the credentials.
    StorageError
        There is no room, or the store of the artifacts failed.
    ModelError
        MLflow refused.
    """
    try:
        yield
    except SentimentError:
        raise
    except Exception as error:
        if (cause := _of_the_store(error)) is not None:
            raise StorageError(
                f"Could not {what}: the store of the artifacts failed: {cause}",
                fix="Look whether the store is up and the credentials are right, then run the same command again.",
            ) from error
        _translate(address, what, error)
        raise


def _translate(address: str, what: str, error: Exception) -> None:
    import requests
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        if any(sign in str(error) for sign in NO_ROOM):
            raise disk_full(address) from error
        if error.error_code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            raise _refused(address, what) from error
        if "Max retries" in str(error) or "API request to" in str(error):
            raise _unreachable(address, what, error) from error
        raise ModelError(f"MLflow could not {what}: {error.message}", fix=f"MLflow: {address}") from error
    if isinstance(error, requests.RequestException):
        if error.response is not None and error.response.status_code in (401, 403):
            raise _refused(address, what) from error
        raise _unreachable(address, what, error) from error


def _of_the_store(error: BaseException | None) -> BaseException | None:
    """Return the error of the S3 client behind one of MLflow's; a missing object is not one."""
    while error is not None:
        if type(error).__module__.split(".")[0] in ("boto3", "botocore"):
            answer = getattr(error, "response", None) or {}
            return None if answer.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404 else error
        error = error.__cause__ or error.__context__
    return None


def _unreachable(address: str, what: str, error: Exception) -> ServiceError:
    return ServiceError(
        f"Could not {what}: MLflow at {address} does not answer ({type(error).__name__}).",
        fix="Start it (`sentiment up`) or correct registry.tracking_uri.",
    )


def _refused(address: str, what: str) -> ServiceError:
    """Return the error of credentials that the server does not take; it names them and never shows them."""
    sent = [name for name in _CREDENTIALS if os.environ.get(name)]
    return ServiceError(
        f"Could not {what}: MLflow at {address} refuses the credentials; in the environment: "
        f"{' and '.join(sent) if sent else 'none'}.",
        fix=f"Set {_CREDENTIALS[0]} and {_CREDENTIALS[1]}, or {_CREDENTIALS[2]} alone, for a user who may edit this "
        "experiment and this model.",
    )
