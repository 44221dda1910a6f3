"""What moto's CloudFormation does not know, made by moto's own services, so that whole stacks can be deployed.

Not made at all, because moto has no such service: `AWS::EKS::AccessEntry` and `AWS::EKS::Addon`; nor by CloudFormation:
`AWS::ApiGatewayV2::*`. Their templates are checked by cfn-lint and read by the tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.cloudformation.parsing import get_model_map
from moto.codebuild.models import codebuild_backends
from moto.ec2.models import ec2_backends
from moto.eks.models import eks_backends
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends


class Made:
    """A resource with the attributes that templates ask for."""

    def __init__(self, reference: str, **attributes: str) -> None:
        self.type = ""
        self.physical_resource_id = reference
        self._attributes = attributes

    def is_created(self) -> bool:
        return True

    def get_cfn_attribute(self, name: str) -> str:
        return self._attributes[name]


def as_api(value: Any) -> Any:
    """Return properties as the API spells them: CloudFormation's begin with a capital."""
    if isinstance(value, Mapping):
        return {key[0].lower() + key[1:]: as_api(one) for key, one in value.items()}
    return [as_api(one) for one in value] if isinstance(value, list) else value


Maker = Callable[[Mapping[str, Any], str, str], Made]


def bucket_policy(given: Mapping[str, Any], account: str, region: str) -> Made:
    policy = json.dumps(given["PolicyDocument"]).encode()
    s3_backends[account]["aws"].put_bucket_policy(given["Bucket"], policy)
    return Made(given["Bucket"])


def oidc_provider(given: Mapping[str, Any], account: str, region: str) -> Made:
    iam = iam_backends[account]["aws"]
    return Made(iam.create_open_id_connect_provider(given["Url"], ["0" * 40], given["ClientIdList"], []).arn)


def project(given: Mapping[str, Any], account: str, region: str) -> Made:
    made = codebuild_backends[account][region].create_project(
        project_name=given["Name"],
        description=given["Description"],
        project_source={"type": given["Source"]["Type"], "buildspec": given["Source"]["BuildSpec"]},
        artifacts={"type": given["Artifacts"]["Type"]},
        environment=given["Environment"],
        service_role=given["ServiceRole"],
        tags=None,
        cache=None,
        timeout=int(given["TimeoutInMinutes"]),
        queued_timeout=int(given["QueuedTimeoutInMinutes"]),
        source_version=None,
        logs_config=None,
        vpc_config=None,
    )
    return Made(given["Name"], Arn=made["arn"])


def cluster(given: Mapping[str, Any], account: str, region: str) -> Made:
    made = eks_backends[account][region].create_cluster(
        name=given["Name"],
        role_arn=given["RoleArn"],
        resources_vpc_config=as_api(given["ResourcesVpcConfig"]),
        version=given["Version"],
        logging=as_api(given["Logging"]),
        encryption_config=as_api(given["EncryptionConfig"]),
    )
    ec2 = ec2_backends[account][region]  # moto's clusters have no security group of their own
    subnet = ec2.get_subnet(given["ResourcesVpcConfig"]["SubnetIds"][0])
    group = ec2.create_security_group(f"eks-{made.name}", "the cluster's", subnet.vpc_id)
    return Made(
        made.name,
        Arn=made.arn,
        OpenIdConnectIssuerUrl=made.identity["oidc"]["issuer"],
        ClusterSecurityGroupId=group.id,
    )


def nodegroup(given: Mapping[str, Any], account: str, region: str) -> Made:
    made = eks_backends[account][region].create_nodegroup(
        cluster_name=given["ClusterName"],
        node_role=given["NodeRole"],
        nodegroup_name=given["NodegroupName"],
        subnets=given["Subnets"],
        scaling_config=as_api(given["ScalingConfig"]),
        ami_type=given["AmiType"],
        instance_types=given["InstanceTypes"],
        labels=given["Labels"],
        taints=as_api(given.get("Taints")),
        capacity_type=given.get("CapacityType"),
    )
    return Made(made.nodegroup_name)


MAKERS: dict[str, Maker] = {
    "AWS::S3::BucketPolicy": bucket_policy,
    "AWS::IAM::OIDCProvider": oidc_provider,
    "AWS::CodeBuild::Project": project,
    "AWS::EKS::Cluster": cluster,
    "AWS::EKS::Nodegroup": nodegroup,
}


def _model(kind: str, make: Maker) -> Any:
    class Model:
        @staticmethod
        def cloudformation_name_type() -> str:
            return ""

        @staticmethod
        def cloudformation_type() -> str:
            return kind

        @staticmethod
        def has_cfn_attr(attr: str) -> bool:
            return True

        @staticmethod
        def create_from_cloudformation_json(name: str, body: Any, account: str, region: str, **_: Any) -> Made:
            made = make(body["Properties"], account, region)
            made.type = kind
            return made

    return Model


def teach() -> None:
    """Let moto's CloudFormation know them."""
    get_model_map().update({kind: _model(kind, make) for kind, make in MAKERS.items()})
