"""A Kubernetes API in memory, enough for Helm: discovery, create, read, apply, patch, delete and watch of our kinds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import yaml
from aiohttp import web
from kubernetes_cluster import Cluster, Key, Object, merged
from kubernetes_discovery import KINDS, VERSION, RefusedError, discovered
from kubernetes_protobuf import decode_secret


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
            if (found := discovered(parts)) is not None:
                return web.json_response(found)
            return await self._resource(request, *_place(parts))
        except RefusedError as refused:
            return web.json_response(refused.status, status=refused.status["code"])

    async def _resource(self, request: web.Request, version: str, key: Key) -> web.StreamResponse:
        plural, namespace, name = key
        if not name and request.method == "GET":
            chosen = _chooser(request, plural, namespace)
            if request.query.get("watch") in ("true", "1"):
                return await self._watch(request, chosen, version, KINDS[version][plural])
            items = [found for place, found in sorted(self.cluster.objects.items()) if chosen(place, found)]
            return web.json_response(
                {
                    "kind": f"{KINDS[version][plural]}List",
                    "apiVersion": version,
                    "metadata": {"resourceVersion": "1"},
                    "items": items,
                }
            )
        body = _decoded(request.content_type, await request.read()) if request.can_read_body else {}
        if request.method == "POST":
            name = body["metadata"]["name"]
            if (plural, namespace, name) in self.cluster.objects:
                raise RefusedError(409, "AlreadyExists", f'{plural} "{name}" already exists')
            return web.json_response(self.cluster.put((plural, namespace, name), body), status=201)
        if request.method == "PATCH" and request.content_type == "application/apply-patch+yaml":
            return web.json_response(self.cluster.apply(key, body, manager=request.query["fieldManager"]))
        if key not in self.cluster.objects:
            raise RefusedError(404, "NotFound", f'{plural} "{name}" not found')
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
        raise RefusedError(
            415, "UnsupportedMediaType", f"{request.method} with {request.content_type} is not known here"
        )

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
                events.put_nowait(
                    {"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": version, "metadata": end}}
                )
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
    raise RefusedError(404, "NotFound", f"/{'/'.join(parts)} is not known here")


def _chooser(request: web.Request, plural: str, namespace: str) -> Callable[[Key, Object], bool]:
    fields = dict(
        part.split("=") for part in request.query.get("fieldSelector", "").replace("==", "=").split(",") if part
    )
    if set(fields) - {"metadata.name", "metadata.namespace"}:
        raise RefusedError(400, "BadRequest", f"the field selector {fields} is not known here")
    labels = dict(
        part.split("=") for part in request.query.get("labelSelector", "").replace("==", "=").split(",") if part
    )

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
