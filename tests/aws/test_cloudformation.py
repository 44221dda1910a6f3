"""The stacks as AWS would have them: encrypted, private, over three zones; each output leads somewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloud_account import ORDER, Account
from cloud_templates import FOLDER, TEMPLATES, Template

PROJECT = FOLDER.parent


def test_the_templates_are_lint_free() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), *map(str, TEMPLATES)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_template_is_deployed_or_said_not_to_be() -> None:
    assert {*ORDER, "api"} == {path.stem for path in TEMPLATES}


def test_every_parameter_and_output_is_explained(template: Template) -> None:
    for name, one in (template.parameters | template.outputs).items():
        assert len(one["Description"]) >= 10, name


def test_a_parameter_that_is_an_output_names_the_template_it_comes_from(template: Template) -> None:
    outputs = {path.stem: Template.read(path.stem).outputs for path in TEMPLATES}
    for name, one in template.parameters.items():
        for output, source in re.findall(r"output (\w+) of (\w+)", one["Description"], re.IGNORECASE):
            assert output in outputs[source], name


def test_an_output_that_is_a_parameter_names_the_templates_it_goes_to(template: Template) -> None:
    for name, one in template.outputs.items():
        for parameter, targets in re.findall(r"Parameter (\w+) of ([a-z]+(?:(?:, | and )[a-z]+)*)", one["Description"]):
            for target in re.findall(r"[a-z]+", targets.replace(" and ", " ")):
                assert parameter in Template.read(target).parameters, (name, target)


def test_moto_leaves_out_only_what_is_said(account: Account) -> None:
    assert account.unmade == {"AWS::EKS::AccessEntry", "AWS::EKS::Addon"}


@pytest.mark.parametrize("bucket", ["DataBucket", "ArtifactsBucket", "LogsBucket"])
def test_a_bucket_is_encrypted_and_asked_by_tls_only(account: Account, bucket: str) -> None:
    s3, name = account.client("s3"), account.outputs["storage"][bucket]
    [rule] = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    [denied, *_] = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert denied["Resource"] == [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]


def test_no_bucket_can_be_made_public_or_goes_with_its_stack_and_all_keep_old_versions() -> None:
    """Read from the template: moto's CloudFormation leaves all of these out."""
    buckets = Template.read("storage").of("AWS::S3::Bucket")
    assert len(buckets) == 3
    for bucket in buckets.values():
        given = bucket["Properties"]
        block = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        assert given["PublicAccessBlockConfiguration"] == dict.fromkeys(block, True)
        assert given["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        assert given["VersioningConfiguration"] == {"Status": "Enabled"}
        assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
        rules = given["LifecycleConfiguration"]["Rules"]
        assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)
        assert any("NoncurrentVersionExpiration" in rule for rule in rules)


def test_only_logs_expire_by_themselves() -> None:
    buckets = Template.read("storage").of("AWS::S3::Bucket")
    expiring = {
        name
        for name, bucket in buckets.items()
        for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        if "ExpirationInDays" in rule
    }
    assert expiring == {"Logs"}


def test_images_are_scanned_and_their_tags_never_change(account: Account) -> None:
    ecr = account.client("ecr")
    found = ecr.describe_repositories()["repositories"]
    assert {one["repositoryName"] for one in found} == {
        "sentiment-runtime",
        "sentiment-bentos",
        "sentiment-platform",
    }
    for one in found:
        assert one["imageTagMutability"] == "IMMUTABLE"
    for repository in Template.read("registry").of("AWS::ECR::Repository").values():  # moto spells it otherwise
        assert repository["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert repository["Properties"]["LifecyclePolicy"] == {"LifecyclePolicyText": {"Ref": "OnlyUntaggedExpire"}}
    [rule] = json.loads(Template.read("registry").parameters["OnlyUntaggedExpire"]["Default"])["rules"]
    assert (rule["selection"]["tagStatus"], rule["action"]["type"]) == ("untagged", "expire")


def test_the_cluster_is_over_three_zones_with_encrypted_secrets_and_all_logs(account: Account) -> None:
    eks, ec2 = account.client("eks"), account.client("ec2")
    cluster = eks.describe_cluster(name="sentiment")["cluster"]
    [encrypted] = cluster["encryptionConfig"]
    assert encrypted["resources"] == ["secrets"]
    key = Template.read("cluster").of("AWS::KMS::Key")["Secrets"]["Properties"]
    assert encrypted["provider"]["keyArn"].startswith("arn:aws:kms:")
    assert key["EnableKeyRotation"] is True
    [logged] = Template.read("cluster").of("AWS::EKS::Cluster").values()
    kinds = {one["Type"] for one in logged["Properties"]["Logging"]["ClusterLogging"]["EnabledTypes"]}
    assert kinds == {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert set(eks.list_nodegroups(clusterName="sentiment")["nodegroups"]) == {"steady", "tasks"}
    for name in ("steady", "tasks"):
        group = eks.describe_nodegroup(clusterName="sentiment", nodegroupName=name)["nodegroup"]
        subnets = ec2.describe_subnets(SubnetIds=group["subnets"])["Subnets"]
        assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 3
        assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    assert group["capacityType"] == "SPOT"
    assert group["taints"] == [{"key": "workload", "value": "tasks", "effect": "NO_SCHEDULE"}]
    assert account.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]


def test_the_network_policy_of_the_chart_is_enforced() -> None:
    addons = {one["Properties"]["AddonName"]: one for one in Template.read("cluster").of("AWS::EKS::Addon").values()}
    assert set(addons) == {"vpc-cni", "kube-proxy", "coredns", "metrics-server", "eks-pod-identity-agent"}
    assert json.loads(addons["vpc-cni"]["Properties"]["ConfigurationValues"]) == {"enableNetworkPolicy": "true"}
    [cluster] = Template.read("cluster").of("AWS::EKS::Cluster").values()
    assert cluster["Properties"]["BootstrapSelfManagedAddons"] is False


def test_a_pod_does_not_get_the_credentials_of_its_node(account: Account) -> None:
    [template] = account.client("ec2").describe_launch_templates()["LaunchTemplates"]
    [version] = account.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    options = version["LaunchTemplateData"]["MetadataOptions"]
    assert (options["HttpTokens"], int(options["HttpPutResponseHopLimit"])) == ("required", 1)


def test_the_database_is_encrypted_private_and_keeps_its_password_to_itself(account: Account) -> None:
    [found] = account.client("rds").describe_db_instances()["DBInstances"]
    assert found["StorageEncrypted"]
    assert not found["PubliclyAccessible"]
    [server] = Template.read("database").of("AWS::RDS::DBInstance").values()
    assert server["Properties"]["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in server["Properties"]
    assert server["DeletionPolicy"] == "Snapshot"
    group = Template.read("database").of("AWS::RDS::DBParameterGroup")["TlsOnly"]
    assert group["Properties"]["Parameters"] == {"rds.force_ssl": "1"}


def test_traffic_to_s3_does_not_go_through_the_nat_gateway(account: Account) -> None:
    [endpoint] = account.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    assert endpoint["ServiceName"] == "com.amazonaws.eu-central-1.s3"
    assert len(endpoint["RouteTableIds"]) == 3


def test_the_gateway_hides_what_is_not_for_callers() -> None:
    routes = {one["Properties"]["RouteKey"] for one in Template.read("api").of("AWS::ApiGatewayV2::Route").values()}
    assert routes == {"POST /predict", "POST /predict_batch", "POST /explain", "POST /feedback", "GET /model"}
    described = (PROJECT / "docs" / "serving.md").read_text()
    assert all(f"`{route}`" in described for route in routes)


def outputs_with(pattern: str) -> list[tuple[str, str, str]]:
    return [
        (path.stem, name, found)
        for path in TEMPLATES
        for name, one in Template.read(path.stem).outputs.items()
        for found in re.findall(pattern, one["Description"])
    ]


@pytest.mark.parametrize(("template", "output", "key"), outputs_with(r"[Cc]hart values? ([\w.]+)"))
def test_a_chart_value_that_an_output_names_exists(template: str, output: str, key: str) -> None:
    found: Any = yaml.safe_load((PROJECT / "helm" / "sentiment" / "values.yaml").read_text())
    for part in key.split("."):
        assert part in found, key
        found = found[part]


@pytest.mark.parametrize(("template", "output", "where"), outputs_with(r"([A-Za-z][\w.]+ in helm/\w+-values\.yaml)"))
def test_a_value_that_an_output_goes_to_is_in_the_file(template: str, output: str, where: str) -> None:
    key, name = where.split(" in ")
    text = (PROJECT / name).read_text()
    found: Any = yaml.safe_load(text)
    for part in key.split("."):
        if part.startswith("SENTIMENT_"):
            assert f"{part}\n" in text
            return
        assert part in found, where
        found = found[part]


@pytest.mark.parametrize(("template", "output", "setting"), outputs_with(r"[Ss]etting ([a-z_]+\.[a-z_]+)"))
def test_a_setting_that_an_output_names_exists(template: str, output: str, setting: str) -> None:
    assert f"| `{setting}` |" in (PROJECT / "docs" / "settings.md").read_text()
