"""What Helm refuses is told in our words, with what to do."""

import pytest

from sentiment.deployment.helm import BusyError, FailedUpgradeError, explained
from sentiment.errors import ServiceError, SettingsError

SAID = [
    (
        "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
        BusyError,
        "Wait until it has ended",
    ),
    (
        "Error: UPGRADE FAILED: release sentiment failed, and has been rolled back due to atomic being set: timed out",
        FailedUpgradeError,
        "kubectl describe",
    ),
    (
        "Error: INSTALLATION FAILED: release sentiment failed, and has been uninstalled due to rollback-on-failure",
        FailedUpgradeError,
        "kubectl describe",
    ),
    (
        'Error: values don\'t meet the specifications of the schema(s) in the following chart(s):\nsentiment:\n- at ""',
        SettingsError,
        "deployment.values_files",
    ),
    (
        "Error: UPGRADE FAILED: conflict occurred while applying object: Apply failed with 1 conflict: conflict with "
        '"kubectl-edit" using apps/v1: .spec.replicas',
        ServiceError,
        "--force-conflicts",
    ),
    ("Error: Kubernetes cluster unreachable: dial tcp: connection refused", ServiceError, "deployment.kubeconfig"),
    (
        'Error: query: failed to query with labels: secrets is forbidden: User "airflow" cannot list resource',
        ServiceError,
        "kubectl auth can-i",
    ),
    ("Error: something new", ServiceError, "docs/kubernetes.md"),
]


@pytest.mark.parametrize(("said", "kind", "fix"), SAID)
def test_a_refusal_says_what_to_do(said: str, kind: type[Exception], fix: str) -> None:
    error = explained("upgrade", said)
    assert type(error) is kind
    assert fix in error.fix
    assert said.splitlines()[0].removeprefix("Error: ") in error.message
