"""The stacks of cloudformation/ in moto, in the order of the guide, each given what the ones before it put out."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from cloud_templates import Template
from iam_policies import Policy

REGION = "eu-central-1"
UNMADE = re.compile(r"Tried to parse (AWS::\w+::\w+) but it's not supported")
GIVEN = {  # what the guide has people choose
    "AdminRoleArn": "arn:aws:iam::123456789012:role/admin",
    "ApiCidrs": "203.0.113.7/32",
    "Repository": "acme/reviews",
}
NOT_IN_MOTO = {  # moto's RDS does not say where a password is kept, nor does it take a group of parameters
    "database": ("Outputs.MasterSecretArn", "Resources.Server.Properties.DBParameterGroupName")
}
ORDER = ("network", "storage", "registry", "cluster", "database", "builds", "roles", "github")  # api: see `moto_models`


@dataclass(frozen=True)
class Account:
    """An AWS account with the stacks in it."""

    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    unmade: set[str] = field(default_factory=set)  # types that moto left out

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)

    def deploy(self, name: str) -> None:
        """Deploy a template; its parameters are given, or are outputs of the same name."""
        known = {key: value for outputs in self.outputs.values() for key, value in outputs.items()} | GIVEN
        known["Subnets"] = known.get("PrivateSubnets", "")
        template = Template.read(name)
        parameters = {
            key: known.get(key, str(parameter.get("Default", "")))
            for key, parameter in template.parameters.items()
            if key != "Name"
        }
        assert all(value or "Default" in template.parameters[key] for key, value in parameters.items())
        cloud = self.client("cloudformation")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            cloud.create_stack(
                StackName=f"sentiment-{name}",
                TemplateBody=template.without(*NOT_IN_MOTO.get(name, ())),
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
                Capabilities=["CAPABILITY_NAMED_IAM"],
            )
        self.unmade.update(name for one in said for name in UNMADE.findall(str(one.message)))
        [stack] = cloud.describe_stacks(StackName=f"sentiment-{name}")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack
        self.outputs[name] = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}

    def policies(self, role: str) -> list[Policy]:
        """Return the inline policies of a role."""
        iam = self.client("iam")
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        found = (iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names)
        return [ast.literal_eval(one) if isinstance(one, str) else one for one in found]  # moto keeps Python's text

    def trust(self, role: str) -> Mapping[str, Any]:
        """Return who may take a role."""
        return dict(self.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"])
