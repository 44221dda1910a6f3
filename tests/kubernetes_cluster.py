"""What a Kubernetes cluster holds, in memory; `kubernetes_api` gives it an address.

It keeps objects and says what became of Deployments and Pods, as a test wants it: nothing runs.
"""

from __future__ import annotations

import base64
import gzip
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str, str]  # plural, namespace, name: the plurals of our kinds are unique


class Cluster:
    """What is in the cluster. Safe from any thread.

    Attributes
    ----------
    becomes_ready : callable
        Takes a Deployment and says whether its pods become ready: True, False once its deadline is over, None as
        long as it is not known.
    succeeds : callable
        Takes a Pod and says whether it ends well.
    """

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.becomes_ready: Callable[[Object], bool | None] = lambda _: True
        self.succeeds: Callable[[Object], bool] = lambda _: True
        self._applied: dict[tuple[Key, str], Object] = {}
        self._listeners: list[Callable[[str, Key, Object], None]] = []
        self._version = 0
        self._lock = threading.RLock()

    def all(self, plural: str, namespace: str = "") -> list[Object]:
        """Return the objects of a kind, by name."""
        with self._lock:
            return [
                found for key, found in sorted(self.objects.items()) if key[0] == plural and namespace in ("", key[1])
            ]

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

    def look_again(self) -> None:
        """Say anew what became of each object, after a test has changed its mind."""
        with self._lock:
            for key, found in list(self.objects.items()):
                self.put(key, json.loads(json.dumps(found)))

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


def _deployment_status(wanted: Object, generation: int, *, ready: bool | None) -> Object:
    number = wanted["spec"].setdefault("replicas", 1)
    reason = {True: "NewReplicaSetAvailable", False: "ProgressDeadlineExceeded", None: "ReplicaSetUpdated"}[ready]
    conditions = [
        {"type": "Available", "status": str(bool(ready)), "reason": "Tests", "message": "as the test says"},
        {"type": "Progressing", "status": str(ready is not False), "reason": reason, "message": "as the test says"},
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
