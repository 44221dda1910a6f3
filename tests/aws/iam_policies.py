"""Whether IAM policies allow a call: explicit denials, then permissions; names and conditions as IAM's manual says.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html. An operator of conditions
that is not known here is an error, never an assumption. moto's own check takes an unmet condition for a denial.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Policy = Mapping[str, Any]


def allows(policies: Iterable[Policy], action: str, resource: str, context: Mapping[str, str] | None = None) -> bool:
    """Return whether identity policies of one principal let it do `action` to `resource`."""
    statements = [one for policy in policies for one in _list(policy["Statement"])]
    applying = [one for one in statements if _applies(one, action, resource, context or {})]
    return bool(applying) and all(one["Effect"] == "Allow" for one in applying)


def trusts(policy: Policy, context: Mapping[str, str]) -> bool:
    """Return whether a role may be taken by a web identity with these claims."""
    return any(
        one["Effect"] == "Allow"
        and "sts:AssumeRoleWithWebIdentity" in _list(one["Action"])
        and one.get("Condition")
        and _met(one["Condition"], context)
        for one in _list(policy["Statement"])
    )


def _applies(statement: Policy, action: str, resource: str, context: Mapping[str, str]) -> bool:
    if unknown := set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}:
        raise AssertionError(f"the evaluation does not know {unknown}")
    return (
        any(_like(pattern.lower(), action.lower()) for pattern in _list(statement["Action"]))
        and any(_like(pattern, resource) for pattern in _list(statement["Resource"]))
        and _met(statement.get("Condition", {}), context)
    )


def _met(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    return all(
        OPERATORS[operator](context.get(key), [str(value) for value in _list(values)])
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


OPERATORS = {
    "StringEquals": lambda found, wanted: found is not None and found in wanted,
    "StringLike": lambda found, wanted: found is not None and any(_like(one, found) for one in wanted),
    "Null": lambda found, wanted: [str(found is None).lower()] == wanted,
}


def _like(pattern: str, text: str) -> bool:
    found = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(found, text, re.DOTALL) is not None


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
