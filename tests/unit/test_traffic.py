"""Live traffic counts what it asks, and says when it cannot ask."""

import pytest

from sentiment.deployment.ports import free_port
from sentiment.errors import ServiceError
from sentiment.traffic import BATCH, Traffic


def test_traffic_that_meets_nobody_is_counted_as_failed() -> None:
    url = f"http://127.0.0.1:{free_port('127.0.0.1')}"
    with Traffic(url, domain="film", seed=1) as traffic:
        traffic.wait(BATCH, check=lambda: None, timeout_seconds=10)
    assert traffic.failed
    assert not traffic.answered
    assert "ConnectError" in traffic.last_failure


def test_traffic_that_gets_nowhere_is_said() -> None:
    traffic = Traffic("http://127.0.0.1:9", domain="film", seed=1)
    with pytest.raises(ServiceError, match="8 of 8 texts were not sent"):
        traffic.wait(8, check=lambda: None, timeout_seconds=0)
