"""A Kubernetes API in memory, enough for Helm: discovery, create, read, apply, patch, delete and watch of our kinds.

It keeps objects and says what became of Deployments and Pods, as a test wants it: there is nothing behind it.
Listed are exactly the kinds of `KINDS`; anything else is refused as a cluster without that resource would.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import yaml
from aiohttp import web

from kubernetes_protobuf import decode_secret

Object = dict[str, Any]
Key = tuple[str, str, str]  # plural, namespace, name: the plurals of our kinds are unique

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


class Cluster:
    """What is in the cluster. Safe from any thread.

    Attributes
    ----------
    becomes_ready : callable
        Takes a Deployment and says whether its pods become ready.
    succeeds : callable
        Takes a Pod and says whether it ends well.
    """

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.becomes_ready: Callable[[Object], bool] = lambda _: True
        self.succeeds: Callable[[Object], bool] = lambda _: True
        self._applied: dict[tuple[Key, str], Object] = {}
        self._listeners: list[Callable[[str, Key, Object], None]] = []
        self._version = 0
        self._lock = threading.RLock()

    def all(self, plural: str, namespace: str = "") -> list[Object]:
        """Return the objects of a kind, by name."""
        with self._lock:
            return [found for key, found in sorted(self.objects.items()) if key[0] == plural and namespace in ("", key[1])]

    def get(self, plural: str, name: str, namespace: str = "default") -> Object:
        """Return an object.

        Raises
        ------
        KeyError
            There is none.
        """
        with self._lock:
            return self.objects[plural, namespace, name]

    def release(self, name: str, revision: int | None = None, namespace: str = "default") -> Object:
        """Return what Helm stored about a revision of a release; the newest if none is named."""
        found = [
            json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
            for secret in self.all("secrets", namespace)
            if secret.get("type") == "helm.sh/release.v1" and secret["metadata"]["labels"]["name"] == name
        ]
        by_revision = {one["version"]: one for one in found}
        return by_revision[revision or max(by_revision)]

    def put(self, key: Key, wanted: Object, *, created: bool = False) -> Object:
        """Store an object and tell those who watch. Its status is what a controller would say."""
        with self._lock:
            self._version += 1
            before = self.objects.get(key)
            meta = wanted["metadata"] = {**wanted.get("metadata", {}), "name": key[2]}
            if key[1]:
                meta["namespace"] = key[1]
            old = before["metadata"] if before else {}
            meta["uid"] = old.get("uid") or str(uuid.uuid4())
            meta["creationTimestamp"] = old.get("creationTimestamp") or datetime.now(UTC).strftime("%FT%TZ")
            changed = before is not None and before.get("spec") != wanted.get("spec")
            meta["generation"] = old.get("generation", 1) + changed
            meta["resourceVersion"] = str(self._version)
            wanted["status"] = self._status(wanted, meta["generation"], before)
            self.objects[key] = wanted
            self._tell("ADDED" if before is None else "MODIFIED", key, wanted)
            return wanted

    def apply(self, key: Key, given: Object, *, manager: str) -> Object:
        """Apply server-side: set what is given, remove what this manager gave before and gives no more."""
        with self._lock:
            live = json.loads(json.dumps(self.objects.get(key, {})))
            _prune(live, self._applied.get((key, manager), {}), given)
            self._applied[key, manager] = json.loads(json.dumps(given))
            return self.put(key, merged(live, given))

    def delete(self, key: Key) -> Object:
        """Remove an object."""
        with self._lock:
            gone = self.objects.pop(key)
            self._applied = {place: given for place, given in self._applied.items() if place[0] != key}
            self._tell("DELETED", key, gone)
            return gone

    @contextmanager
    def listening(self, listener: Callable[[str, Key, Object], None]) -> Iterator[list[tuple[Key, Object]]]:
        """Call `listener` for every change from now on; gives what is there."""
        with self._lock:
            self._listeners.append(listener)
            now = sorted(self.objects.items())
        try:
            yield now
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def _tell(self, event: str, key: Key, found: Object) -> None:
        for listener in self._listeners:
            listener(event, key, json.loads(json.dumps(found)))

    def _status(self, wanted: Object, generation: int, before: Object | None) -> Object:
        match wanted.get("kind"):
            case "Deployment":
                return _deployment_status(wanted, generation, ready=self.becomes_ready(wanted))
            case "Pod":
                return {"phase": "Succeeded" if self.succeeds(wanted) else "Failed"}
            case "PodDisruptionBudget":
                return {"observedGeneration": generation, "desiredHealthy": 1, "currentHealthy": 2, "expectedPods": 2}
            case "Namespace":
                return {"phase": "Active"}
        return before.get("status", {}) if before else {}


def _deployment_status(wanted: Object, generation: int, *, ready: bool) -> Object:
    number = wanted["spec"].setdefault("replicas", 1)
    conditions = [
        {"type": "Available", "status": str(ready), "reason": "Tests", "message": "as the test says"},
        {
            "type": "Progressing",
            "status": "True",
            "reason": "NewReplicaSetAvailable" if ready else "ReplicaSetUpdated",
            "message": "as the test says",
        },
    ]
    status = {"observedGeneration": generation, "replicas": number, "updatedReplicas": number, "conditions": conditions}
    if ready:
        return {**status, "readyReplicas": number, "availableReplicas": number}
    return {**status, "unavailableReplicas": number}


def merged(live: Any, given: Any) -> Any:
    """Merge mappings, as a JSON merge patch does: null removes; lists are replaced."""
    if not (isinstance(live, dict) and isinstance(given, dict)):
        return given
    both = {**live, **{name: merged(live.get(name, {}), value) for name, value in given.items()}}
    return {name: value for name, value in both.items() if value is not None}


def _prune(live: Object, before: Object, given: Object) -> None:
    for name in before:
        if name not in given:
            live.pop(name, None)
        elif all(isinstance(one.get(name), dict) for one in (live, before, given)):
            _prune(live[name], before[name], given[name])


class Refused(Exception):
    """An answer other than success, in Kubernetes's words."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
        }  # fmt: skip


class Api:
    """The HTTP side of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.loop = asyncio.new_event_loop()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        try:
            parts = request.path.strip("/").split("/")
            if parts == ["version"]:
                major, minor = VERSION.removeprefix("v").split(".")[:2]
                return web.json_response({"major": major, "minor": minor, "gitVersion": VERSION})
            if (found := _discovered(parts)) is not None:
                return web.json_response(found)
            return await self._resource(request, *_place(parts))
        except Refused as refused:
            return web.json_response(refused.status, status=refused.status["code"])

    async def _resource(self, request: web.Request, version: str, key: Key) -> web.StreamResponse:
        plural, namespace, name = key
        if not name and request.method == "GET":
            chosen = _chooser(request, plural, namespace)
            if request.query.get("watch") in ("true", "1"):
                return await self._watch(request, chosen, version, KINDS[version][plural])
            items = [found for place, found in sorted(self.cluster.objects.items()) if chosen(place, found)]
            return web.json_response(
                {"kind": f"{KINDS[version][plural]}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items}
            )
        body = _decoded(request.content_type, await request.read()) if request.can_read_body else {}
        if request.method == "POST":
            name = body["metadata"]["name"]
            if (plural, namespace, name) in self.cluster.objects:
                raise Refused(409, "AlreadyExists", f'{plural} "{name}" already exists')
            return web.json_response(self.cluster.put((plural, namespace, name), body), status=201)
        if request.method == "PATCH" and request.content_type == "application/apply-patch+yaml":
            return web.json_response(self.cluster.apply(key, body, manager=request.query["fieldManager"]))
        if key not in self.cluster.objects:
            raise Refused(404, "NotFound", f'{plural} "{name}" not found')
        live = self.cluster.objects[key]
        match request.method, request.content_type:
            case "GET", _:
                return web.json_response(live)
            case "PUT", _:
                return web.json_response(self.cluster.put(key, body))
            case "PATCH", "application/merge-patch+json":
                return web.json_response(self.cluster.put(key, merged(live, body)))
            case "DELETE", _:
                return web.json_response(self.cluster.delete(key))
        raise Refused(415, "UnsupportedMediaType", f"{request.method} with {request.content_type} is not known here")

    async def _watch(
        self, request: web.Request, chosen: Callable[[Key, Object], bool], version: str, kind: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        events: asyncio.Queue[Object] = asyncio.Queue()

        def tell(event: str, key: Key, found: Object) -> None:
            if chosen(key, found):
                self.loop.call_soon_threadsafe(events.put_nowait, {"type": event, "object": found})

        with self.cluster.listening(tell) as now:
            if request.query.get("sendInitialEvents") == "true":
                for event in [{"type": "ADDED", "object": found} for key, found in now if chosen(key, found)]:
                    events.put_nowait(event)
                end = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
                events.put_nowait({"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": version, "metadata": end}})
            with contextlib.suppress(ConnectionError):  # who watched has gone
                while True:
                    await response.write(json.dumps(await events.get()).encode() + b"\n")
        return response

    async def start(self) -> None:
        """Listen on a free port of this machine."""
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self.answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0])

    async def stop(self) -> None:
        """Close every connection."""
        if self._runner:
            await self._runner.cleanup()


def _discovered(parts: list[str]) -> Object | None:
    """Return what tells a client which kinds there are; None for other paths."""
    match parts:
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            versions = [{"groupVersion": version, "version": version.split("/")[1]} for version in KINDS if "/" in version]
            groups = [
                {"name": one["groupVersion"].split("/")[0], "versions": [one], "preferredVersion": one} for one in versions
            ]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["api", "v1"] | ["apis", _, _]:
            version = "/".join(parts[1:])
            if version not in KINDS:
                raise Refused(404, "NotFound", f"{version} is not known here")
            resources = [
                {"name": plural, "singularName": kind.lower(), "namespaced": plural != "namespaces", "kind": kind, "verbs": VERBS}
                for plural, kind in KINDS[version].items()
            ]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
    return None


def _place(parts: list[str]) -> tuple[str, Key]:
    """Return the API version and the key that a path means; the name is empty for a whole kind."""
    match parts:
        case ["api", "v1", "namespaces"]:
            return "v1", ("namespaces", "", "")
        case ["api", "v1", "namespaces", name]:
            return "v1", ("namespaces", "", name)
    version, rest = ("v1", parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
    namespace, rest = (rest[1], rest[2:]) if rest[:1] == ["namespaces"] else ("", rest)
    if version in KINDS and rest and rest[0] in KINDS[version] and len(rest) <= 2:
        return version, (rest[0], namespace, rest[1] if len(rest) == 2 else "")
    raise Refused(404, "NotFound", f"/{'/'.join(parts)} is not known here")


def _chooser(request: web.Request, plural: str, namespace: str) -> Callable[[Key, Object], bool]:
    fields = dict(part.split("=") for part in request.query.get("fieldSelector", "").replace("==", "=").split(",") if part)
    if set(fields) - {"metadata.name", "metadata.namespace"}:
        raise Refused(400, "BadRequest", f"the field selector {fields} is not known here")
    labels = dict(part.split("=") for part in request.query.get("labelSelector", "").replace("==", "=").split(",") if part)

    def chosen(key: Key, found: Object) -> bool:
        meta = found["metadata"]
        here = key[0] == plural and namespace in ("", key[1]) and fields.get("metadata.name", key[2]) == key[2]
        return here and labels.items() <= meta.get("labels", {}).items()

    return chosen


def _decoded(content_type: str, body: bytes) -> Object:
    if content_type == "application/vnd.kubernetes.protobuf":
        return decode_secret(body)
    read = yaml.safe_load if content_type.endswith("yaml") else json.loads
    return dict(read(body)) if body else {}


@contextmanager
def serving(cluster: Cluster) -> Iterator[str]:
    """Serve a cluster from a thread; gives its address."""
    api = Api(cluster)
    thread = threading.Thread(target=api.loop.run_forever, name="kubernetes-api")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(api.start(), api.loop).result(30)
        yield api.url
    finally:
        asyncio.run_coroutine_threadsafe(api.stop(), api.loop).result(30)
        api.loop.call_soon_threadsafe(api.loop.stop)
        thread.join()
        api.loop.close()


def kubeconfig(url: str) -> str:
    """Return a kubeconfig, as text, for the address of a cluster."""
    context = {"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": "default"}}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": url}}],
            "contexts": [context],
            "users": [{"name": "tests", "user": {}}],
        }
    )
