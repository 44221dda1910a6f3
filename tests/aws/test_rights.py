"""Least privilege: each role may do its work, and nothing of what the others do."""

from __future__ import annotations

import pytest
from cloud_account import Account
from iam_policies import allows, trusts

ROOT = "arn:aws:s3:::sentiment-data-123456789012-eu-central-1"
ARTIFACTS = "arn:aws:s3:::sentiment-artifacts-123456789012-eu-central-1"
LOGS = "arn:aws:s3:::sentiment-logs-123456789012-eu-central-1"
SERVING, AIRFLOW = "sentiment-serving-eu-central-1", "sentiment-airflow-eu-central-1"
PAGES, MLFLOW = "sentiment-airflow-pages-eu-central-1", "sentiment-mlflow-eu-central-1"
BUILD, DEPLOY = "sentiment-github-build-eu-central-1", "sentiment-github-deploy-eu-central-1"
NEW = {"s3:if-none-match": "*"}
FOLDERS = ("tables", "reports", "inbox", "processed", "candidates", "mlflow", "cache", "ledger")


def test_serving_writes_what_lands_and_reads_its_bento(account: Account) -> None:
    may = account.policies(SERVING)
    assert allows(may, "s3:PutObject", f"{ROOT}/platform/landing/predictions/2026-11-22/a.parquet")
    assert allows(may, "s3:PutObject", f"{ROOT}/platform/landing/feedback/2026-11-22/a.parquet")
    assert allows(may, "s3:GetObject", f"{ROOT}/platform/bentos/by-digest/{'0' * 64}.bento")
    assert allows(may, "s3:GetObject", f"{ROOT}/platform/keys/reporters")


def test_serving_makes_the_key_of_the_reporters_once_and_never_replaces_it(account: Account) -> None:
    may, key = account.policies(SERVING), f"{ROOT}/platform/keys/reporters"
    assert allows(may, "s3:PutObject", key, NEW)
    assert not allows(may, "s3:PutObject", key)
    assert not allows(may, "s3:PutObject", f"{ROOT}/platform/keys/other", NEW)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectVersion"])
def test_serving_touches_nothing_else(account: Account, folder: str, action: str) -> None:
    may = account.policies(SERVING)
    assert not allows(may, action, f"{ROOT}/platform/{folder}/x", NEW)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:ListBucket", ROOT),
        ("s3:GetObject", f"{ROOT}/platform/landing/predictions/a.parquet"),
        ("s3:DeleteObject", f"{ROOT}/platform/landing/predictions/a.parquet"),
        ("s3:PutObject", f"{ROOT}/platform/bentos/by-digest/{'0' * 64}.bento"),
        ("s3:PutObject", f"{ROOT}/platform/landing"),
        ("s3:GetObject", f"{ROOT}/platform/bentos/sentiment-v1.bento"),
        ("s3:PutObject", f"{ROOT}/other/landing/a.parquet"),
        ("s3:GetObject", f"{ARTIFACTS}/1/model"),
        ("s3:GetObject", f"{LOGS}/airflow/x"),
        ("ecr:PutImage", "*"),
        ("eks:DescribeCluster", "*"),
        ("sts:AssumeRole", f"arn:aws:iam::123456789012:role/{AIRFLOW}"),
    ],
)
def test_serving_may_not(account: Account, action: str, resource: str) -> None:
    assert not allows(account.policies(SERVING), action, resource, {"s3:prefix": "platform/tables/", **NEW})


@pytest.mark.parametrize("folder", [*FOLDERS, "landing", "keys", "bentos"])
def test_airflow_has_the_whole_root(account: Account, folder: str) -> None:
    may = account.policies(AIRFLOW)
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert allows(may, action, f"{ROOT}/platform/{folder}/x")
    assert allows(may, "s3:ListBucket", ROOT, {"s3:prefix": f"platform/{folder}/"})


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("ecr:PutImage", "arn:aws:ecr:eu-central-1:123456789012:repository/sentiment-bentos", True),
        ("ecr:DescribeImageScanFindings", "arn:aws:ecr:eu-central-1:123456789012:repository/sentiment-bentos", True),
        ("ecr:GetAuthorizationToken", "*", True),
        ("codebuild:StartBuild", "arn:aws:codebuild:eu-central-1:123456789012:project/sentiment-bentos", True),
        ("codebuild:BatchGetBuilds", "arn:aws:codebuild:eu-central-1:123456789012:project/sentiment-bentos", True),
        (
            "codebuild:ListBuildsForProject",
            "arn:aws:codebuild:eu-central-1:123456789012:project/sentiment-bentos",
            True,
        ),
        ("eks:DescribeCluster", "arn:aws:eks:eu-central-1:123456789012:cluster/sentiment", True),
        ("s3:PutObject", f"{LOGS}/airflow/dag_id=sentiment_drift/attempt=1.log", True),
        ("ecr:PutImage", "arn:aws:ecr:eu-central-1:123456789012:repository/sentiment-platform", False),
        ("ecr:BatchDeleteImage", "arn:aws:ecr:eu-central-1:123456789012:repository/sentiment-bentos", False),
        ("codebuild:UpdateProject", "arn:aws:codebuild:eu-central-1:123456789012:project/sentiment-bentos", False),
        ("eks:UpdateClusterConfig", "arn:aws:eks:eu-central-1:123456789012:cluster/sentiment", False),
        ("s3:DeleteObjectVersion", f"{ROOT}/platform/tables/x", False),
        ("s3:PutBucketPolicy", ROOT, False),
        ("s3:PutObject", f"{LOGS}/access/data/x", False),
        ("s3:GetObject", f"{ARTIFACTS}/1/model", False),
        ("sns:Publish", "arn:aws:sns:eu-central-1:123456789012:anything", False),
        ("iam:PassRole", "*", False),
    ],
)
def test_airflow_ships_but_does_not_administer(account: Account, action: str, resource: str, allowed: bool) -> None:
    assert allows(account.policies(AIRFLOW), action, resource) is allowed


def test_the_pages_of_airflow_only_read_and_never_the_keys(account: Account) -> None:
    may = account.policies(PAGES)
    assert allows(may, "s3:GetObject", f"{ROOT}/platform/reports/drift/1/report.html")
    assert allows(may, "s3:GetObject", f"{LOGS}/airflow/x.log")
    assert not allows(may, "s3:GetObject", f"{ROOT}/platform/keys/reporters")
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert not allows(may, action, f"{ROOT}/platform/reports/drift/1/report.html")


def test_mlflow_has_its_artifacts_and_nothing_of_the_root(account: Account) -> None:
    may = account.policies(MLFLOW)
    assert allows(may, "s3:PutObject", f"{ARTIFACTS}/1/abc/artifacts/model/model.skops")
    assert not allows(may, "s3:GetObject", f"{ROOT}/platform/tables/reviews/x.parquet")


def test_codebuild_reads_bentos_and_pushes_their_images_only(account: Account) -> None:
    [role] = [
        one["RoleName"] for one in account.client("iam").list_roles()["Roles"] if "builds-Role" in one["RoleName"]
    ]
    may = account.policies(role)
    assert allows(may, "s3:GetObject", f"{ROOT}/platform/bentos/sentiment-v1.bento")
    assert allows(may, "ecr:PutImage", "arn:aws:ecr:eu-central-1:123456789012:repository/sentiment-bentos")
    assert not allows(may, "s3:PutObject", f"{ROOT}/platform/bentos/sentiment-v1.bento")
    assert not allows(may, "s3:GetObject", f"{ROOT}/platform/tables/x")
    assert not allows(may, "ecr:PutImage", "arn:aws:ecr:eu-central-1:123456789012:repository/sentiment-runtime")


@pytest.mark.parametrize(
    ("role", "subject"),
    [
        (SERVING, "sentiment:sentiment"),
        (AIRFLOW, "airflow:airflow-worker"),
        (AIRFLOW, "airflow:airflow-triggerer"),
        (PAGES, "airflow:airflow-api-server"),
        (MLFLOW, "mlflow:mlflow"),
    ],
)
def test_only_its_service_account_in_its_namespace_takes_a_role(account: Account, role: str, subject: str) -> None:
    issuer = account.outputs["cluster"]["OidcIssuer"].removeprefix("https://")
    trust = account.trust(role)

    def claims(subject: str, *, audience: str = "sts.amazonaws.com", issuer: str = issuer) -> dict[str, str]:
        return {f"{issuer}:aud": audience, f"{issuer}:sub": f"system:serviceaccount:{subject}"}

    assert trusts(trust, claims(subject))
    assert not trusts(trust, claims(f"default:{subject.split(':')[1]}"))
    assert not trusts(trust, claims(f"{subject.split(':')[0]}:default"))
    assert not trusts(trust, claims(subject, audience="somebody-else"))
    assert not trusts(trust, claims(subject, issuer="oidc.eks.eu-central-1.amazonaws.com/id/OTHER"))
    [statement] = trust["Statement"]
    assert statement["Principal"] == {"Federated": account.outputs["cluster"]["OidcProviderArn"]}


@pytest.mark.parametrize(("role", "environment"), [(BUILD, "build"), (DEPLOY, "production")])
def test_github_is_one_repository_and_one_environment(account: Account, role: str, environment: str) -> None:
    def claims(subject: str) -> dict[str, str]:
        issuer = "token.actions.githubusercontent.com"
        return {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject}

    trust = account.trust(role)
    assert trusts(trust, claims(f"repo:acme/reviews:environment:{environment}"))
    for other in (
        "repo:acme/reviews:environment:staging",
        "repo:acme/reviews:ref:refs/heads/main",
        "repo:acme/reviews:pull_request",
        f"repo:acme/reviews-2:environment:{environment}",
        f"repo:mallory/reviews:environment:{environment}",
    ):
        assert not trusts(trust, claims(other))


def test_github_deploys_without_rights_to_data_or_images(account: Account) -> None:
    may = account.policies(DEPLOY)
    assert allows(may, "eks:DescribeCluster", "arn:aws:eks:eu-central-1:123456789012:cluster/sentiment")
    for action, resource in (("s3:GetObject", f"{ROOT}/platform/tables/x"), ("ecr:PutImage", "*"), ("s3:*", "*")):
        assert not allows(may, action, resource)
    pushes = account.policies(BUILD)
    for name, allowed in (("runtime", True), ("platform", True), ("bentos", False)):
        repository = f"arn:aws:ecr:eu-central-1:123456789012:repository/sentiment-{name}"
        assert allows(pushes, "ecr:PutImage", repository) is allowed
        assert not allows(pushes, "ecr:BatchDeleteImage", repository)


def test_no_role_may_do_anything_to_everything(account: Account) -> None:
    iam = account.client("iam")
    for role in iam.list_roles()["Roles"]:
        for policy in account.policies(role["RoleName"]):
            for statement in policy["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert not any("*" in action for action in actions), (role["RoleName"], actions)
                if statement["Resource"] == "*":
                    assert actions == ["ecr:GetAuthorizationToken"], role["RoleName"]
