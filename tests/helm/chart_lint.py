"""What every pod of the chart must be, beyond what Kubernetes's schemas demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Object = dict[str, Any]


def problems(documents: Sequence[Object]) -> list[str]:
    """Return what is wrong with manifests, each with its kind and name."""
    return [f"{one['kind']} {one['metadata']['name']}: {said}" for one in documents for said in _of(one)]


def _of(document: Object) -> Iterator[str]:
    if document["kind"] == "Pod":
        yield from _pod(document["spec"])
    elif document["kind"] == "Deployment":
        yield from _pod(document["spec"]["template"]["spec"])
        yield from _serving(document["spec"]["template"]["spec"])
    elif document["kind"] in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"):
        yield "nothing in the chart needs rights in the cluster"


def _pod(spec: Object) -> Iterator[str]:
    security = spec.get("securityContext", {})
    if not security.get("runAsNonRoot") or not security.get("runAsUser"):
        yield "it may run as root"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "it has no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "it gets a token of the cluster"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"it has {name}"
    for volume in spec.get("volumes", []):
        if not {"emptyDir", "secret", "configMap"} & set(volume):
            yield f"the volume {volume['name']} is of another kind than emptyDir, secret and configMap"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"the volume {volume['name']} has no size limit"
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        yield from (f"container {container['name']}: {said}" for said in _container(container))


def _container(container: Object) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("privileged") or security.get("allowPrivilegeEscalation") is not False:
        yield "it may gain privileges"
    if not security.get("readOnlyRootFilesystem"):
        yield "its root file system can be written"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "it keeps capabilities"
    for bound in ("requests", "limits"):
        for name in ("cpu", "memory", "ephemeral-storage"):
            if name not in container.get("resources", {}).get(bound, {}):
                yield f"it has no {bound} of {name}"
    image = container["image"]
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and not any(character.isdigit() for character in tag):
        yield f"its image may change under it: {image}"


def _serving(spec: Object) -> Iterator[str]:
    for container in spec["containers"]:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if container.get(probe, {}).get("timeoutSeconds", 0) < 2:
                yield f"container {container['name']}: no {probe} that waits for 2 s"
        if "preStop" not in container.get("lifecycle", {}):
            yield f"container {container['name']}: it stops before load balancers know"
    drain = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if spec.get("terminationGracePeriodSeconds", 30) < drain + 30:
        yield "it is killed before its requests are done"
    if "topology.kubernetes.io/zone" not in [one["topologyKey"] for one in spec.get("topologySpreadConstraints", [])]:
        yield "its pods may all be in one zone"
