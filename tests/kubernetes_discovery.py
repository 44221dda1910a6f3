"""Which kinds the Kubernetes API of the tests knows, and how it tells.

Known are exactly the kinds of `KINDS`; anything else is refused as a cluster without that resource would.
"""

from __future__ import annotations

from kubernetes_cluster import Object

VERSION = "v1.34.1"
KINDS = {
    "v1": {
        "configmaps": "ConfigMap",
        "namespaces": "Namespace",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment", "replicasets": "ReplicaSet"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "external-secrets.io/v1": {"externalsecrets": "ExternalSecret"},
    "gateway.networking.k8s.io/v1": {"httproutes": "HTTPRoute"},
    "monitoring.coreos.com/v1": {"prometheusrules": "PrometheusRule", "servicemonitors": "ServiceMonitor"},
    "networking.k8s.io/v1": {"ingresses": "Ingress", "networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


class RefusedError(Exception):
    """An answer other than success, in Kubernetes's words."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
            "message": message,
        }  # fmt: skip


def discovered(parts: list[str]) -> Object | None:
    """Return what tells a client which kinds there are; None for other paths."""
    match parts:
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            versions = [
                {"groupVersion": version, "version": version.split("/")[1]} for version in KINDS if "/" in version
            ]
            groups = [
                {"name": one["groupVersion"].split("/")[0], "versions": [one], "preferredVersion": one}
                for one in versions
            ]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["openapi", "v3"]:
            return {
                "paths": {_root(version): {"serverRelativeURL": f"/openapi/v3/{_root(version)}"} for version in KINDS}
            }
        case ["openapi", "v3", *rest]:
            return _openapi("/".join(rest[1:]))
        case ["api", "v1"] | ["apis", _, _]:
            version = "/".join(parts[1:])
            if version not in KINDS:
                raise RefusedError(404, "NotFound", f"{version} is not known here")
            resources = [
                {
                    "name": plural,
                    "singularName": kind.lower(),
                    "namespaced": plural != "namespaces",
                    "kind": kind,
                    "verbs": VERBS,
                }
                for plural, kind in KINDS[version].items()
            ]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
    return None


def _root(version: str) -> str:
    return f"apis/{version}" if "/" in version else f"api/{version}"


def _openapi(version: str) -> Object:
    """Say that the server checks fields itself, which is all that Helm wants to know; it does not."""
    group, _, name = version.rpartition("/")
    asked = [{"name": "fieldValidation", "in": "query"}]
    paths = {
        f"/{_root(version)}/namespaces/{{namespace}}/{plural}/{{name}}": {
            "patch": {
                "x-kubernetes-group-version-kind": {"group": group, "version": name, "kind": kind},
                "parameters": asked,
                "responses": {},
            }
        }
        for plural, kind in KINDS[version].items()
    }
    return {"openapi": "3.0.0", "info": {"title": "tests", "version": "1"}, "paths": paths}
