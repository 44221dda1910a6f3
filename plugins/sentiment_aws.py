"""The settings of a task, with the credentials of an Airflow connection where the storage root is on S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import boto3

    from sentiment.settings import Settings


def connected_settings() -> tuple[Settings, boto3.Session | None]:
    """Return the settings, and the AWS session of the connection ``storage.aws_conn_id`` for a root on S3.

    Endpoint and region of the connection apply where the settings leave them empty. If there is no such connection,
    the session finds credentials like any AWS tool. The session renews what expires; nothing is written or logged.
    """
    from sentiment.settings import load_settings

    settings = load_settings()
    if not settings.storage.root.startswith("s3://"):
        return settings, None
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    hook = AwsGenericHook(aws_conn_id=settings.storage.aws_conn_id, client_type="s3")
    connection = hook.conn_config
    storage = settings.storage.model_copy(
        update={
            "endpoint": settings.storage.endpoint or connection.get_service_endpoint_url("s3") or "",
            "region": settings.storage.region or connection.region_name or "",
        }
    )
    return settings.model_copy(update={"storage": storage}), hook.get_session()
