"""The `helm` command of the tests: the real engine of Helm 4 behind the arguments that we use of Helm's own command.

Needs the package helm-sdkpy, whose library is Helm. What is not here is refused, as an unknown flag would be.
A dry run installs into a cluster that is thrown away, because the library renders only while installing, and
``rollback`` upgrades to the chart and values of the earlier revision, because the library's own is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import helm_sdkpy
import yaml

SECONDS = {"s": 1, "m": 60, "h": 3600}
PENDING = ("pending-install", "pending-upgrade", "pending-rollback")


def main() -> int:
    """Run one command; return its exit status."""
    given = _parser().parse_args()
    try:
        asyncio.run(COMMANDS[given.command](given))
    except helm_sdkpy.HelmError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("helm", allow_abbrev=False)
    parser.add_argument("--namespace", "-n", default="default")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        command = commands.add_parser(name, allow_abbrev=False)
        command.add_argument("--namespace", "-n", default=argparse.SUPPRESS)
        if name in ("install", "upgrade"):
            command.add_argument("release")
            command.add_argument("chart")
            command.add_argument("--values", "-f", action="append", default=[])
            command.add_argument("--set", action="append", default=[])
            command.add_argument("--set-string", action="append", default=[])
            command.add_argument("--create-namespace", action="store_true")
            command.add_argument("--dry-run", choices=["server"])
        if name == "version":
            command.add_argument("--template", choices=["{{.Version}}"], required=True)
        if name == "history":
            command.add_argument("--max", type=int, default=256)
        if name == "upgrade":
            command.add_argument("--install", "-i", action="store_true")
            command.add_argument("--reset-values", action="store_true")
            command.add_argument("--reuse-values", action="store_true")
            command.add_argument("--history-max", type=int, default=10)
        if name in ("install", "upgrade", "rollback", "uninstall"):
            command.add_argument("--wait", action="store_true")
            command.add_argument("--timeout", type=_seconds, default=300)
        if name in ("install", "upgrade"):
            command.add_argument("--rollback-on-failure", "--atomic", action="store_true")
        if name in ("history", "list", "status", "install", "upgrade"):
            command.add_argument("--output", "-o", choices=["json"], default="json")
        if name in ("history", "status", "test", "uninstall", "rollback"):
            command.add_argument("release")
        if name == "rollback":
            command.add_argument("revision", type=int)
        if name == "get":
            command.add_argument("what", choices=["manifest", "notes", "values", "hooks"])
            command.add_argument("release")
            command.add_argument("--revision", type=int, default=0)
            command.add_argument("--output", "-o", choices=["json", "yaml"], default="yaml")
        if name == "lint":
            command.add_argument("chart")
    return parser


async def _install(given: argparse.Namespace) -> None:
    if given.dry_run:
        await _pretend(given)
        return
    if given.command == "upgrade" and not (given.install and not _revisions(given)):
        action, more = helm_sdkpy.Upgrade(_cluster(given)), {
            "reset_values": given.reset_values, "reuse_values": given.reuse_values, "max_history": given.history_max,
        }  # fmt: skip
    else:
        action, more = helm_sdkpy.Install(_cluster(given)), {"create_namespace": given.create_namespace}
    await action.run(
        given.release,
        given.chart,
        _values(given),
        wait=given.wait or given.rollback_on_failure,
        timeout=given.timeout,
        server_side_apply="true",  # as Helm's own command does for new releases
        rollback_on_failure=given.rollback_on_failure,
        **more,
    )
    await _status(given)


async def _pretend(given: argparse.Namespace) -> None:
    """Install into a cluster of its own, and print the release."""
    from kubernetes_api import kubeconfig, serving  # slow to import
    from kubernetes_cluster import Cluster

    if any(found["info"]["status"] in PENDING for found in _revisions(given).values()):
        raise helm_sdkpy.HelmError("another operation (install/upgrade/rollback) is in progress")
    with serving(cluster := Cluster()) as url, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kubeconfig").write_text(kubeconfig(url))
        config = helm_sdkpy.Configuration(namespace=given.namespace, kubeconfig=f"{folder}/kubeconfig")
        await helm_sdkpy.Install(config).run(
            given.release, given.chart, _values(given), wait=False, create_namespace=True, server_side_apply="true"
        )
    print(json.dumps(cluster.release(given.release, namespace=given.namespace)))


async def _version(_: argparse.Namespace) -> None:
    print("v4.3.0")  # what the library is of


async def _rollback(given: argparse.Namespace) -> None:
    revisions = _revisions(given)
    if given.revision not in revisions:
        raise helm_sdkpy.HelmError("release: not found")
    wanted = revisions[given.revision]
    for revision, found in revisions.items():
        if found["info"]["status"] in PENDING:
            _ask(given, "DELETE", f"/sh.helm.release.v1.{given.release}.v{revision}")
    with tempfile.TemporaryDirectory() as folder:
        chart = _unpacked(wanted["chart"], Path(folder))
        await helm_sdkpy.Upgrade(_cluster(given)).run(
            given.release,
            str(chart),
            wanted.get("config") or {},
            wait=given.wait,
            timeout=given.timeout,
            server_side_apply="true",
            reset_values=True,
        )
    print("Rollback was a success! Happy Helming!")


async def _uninstall(given: argparse.Namespace) -> None:
    await helm_sdkpy.Uninstall(_cluster(given)).run(given.release, wait=given.wait, timeout=given.timeout)
    print(f'release "{given.release}" uninstalled')


async def _test(given: argparse.Namespace) -> None:
    print(json.dumps(await helm_sdkpy.ReleaseTest(_cluster(given)).run(given.release)))


async def _history(given: argparse.Namespace) -> None:
    found = _revisions(given)
    if not found:
        raise helm_sdkpy.HelmError("release: not found")
    rows = [
        {
            "revision": revision,
            "updated": one["info"]["last_deployed"],
            "status": one["info"]["status"],
            "chart": f"{one['chart']['metadata']['name']}-{one['chart']['metadata']['version']}",
            "app_version": one["chart"]["metadata"].get("appVersion", ""),
            "description": one["info"]["description"],
        }
        for revision, one in sorted(found.items())
    ]
    print(json.dumps(rows[-given.max :]))


async def _status(given: argparse.Namespace) -> None:
    found = _revisions(given)
    if not found:
        raise helm_sdkpy.HelmError("release: not found")
    print(json.dumps({**found[max(found)], "chart": None}))


async def _list(given: argparse.Namespace) -> None:
    print(json.dumps(await helm_sdkpy.List(_cluster(given)).run(all=True)))


async def _get(given: argparse.Namespace) -> None:
    found = _revisions(given)
    if not found or (given.revision and given.revision not in found):
        raise helm_sdkpy.HelmError("release: not found")
    one = found[given.revision or max(found)]
    match given.what:
        case "manifest":
            print(one["manifest"])
        case "notes":
            print(one["info"]["notes"])
        case "values":
            print((json.dumps if given.output == "json" else yaml.safe_dump)(one.get("config") or {}))
        case "hooks":
            print("\n".join(f"---\n{hook['manifest']}" for hook in one.get("hooks") or []))


async def _lint(given: argparse.Namespace) -> None:
    print(json.dumps(await helm_sdkpy.Lint(_cluster(given)).run(given.chart)))


COMMANDS = {
    "get": _get,
    "history": _history,
    "install": _install,
    "lint": _lint,
    "list": _list,
    "rollback": _rollback,
    "status": _status,
    "test": _test,
    "uninstall": _uninstall,
    "upgrade": _install,
    "version": _version,
}


def _cluster(given: argparse.Namespace) -> Any:
    return helm_sdkpy.Configuration(namespace=given.namespace, kubeconfig=os.environ["KUBECONFIG"])


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * SECONDS[duration[-1]]


def _values(given: argparse.Namespace) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in given.values:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
        values = _merged(values, yaml.safe_load(text) or {})
    for pairs, read in ((given.set, yaml.safe_load), (given.set_string, str)):
        for pair in pairs:
            path, _, value = pair.partition("=")
            nested: Any = read(value)
            for part in reversed(path.split(".")):
                nested = {part: nested}
            values = _merged(values, nested)
    return values


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {**one}
    for name, value in other.items():
        nested = isinstance(value, dict) and isinstance(one.get(name), dict)
        both[name] = _merged(one[name], value) if nested else value
    return both


def _revisions(given: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """Return what is stored about a release, by revision."""
    secrets = _ask(given, "GET", f"?labelSelector=owner%3Dhelm,name%3D{given.release}")["items"]
    read = [gzip.decompress(base64.b64decode(base64.b64decode(one["data"]["release"]))) for one in secrets]
    return {one["version"]: one for one in map(json.loads, read)}


def _ask(given: argparse.Namespace, method: str, place: str) -> Any:
    server = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]["server"]
    address = f"{server}/api/v1/namespaces/{given.namespace}/secrets{place}"
    with urllib.request.urlopen(urllib.request.Request(address, method=method)) as answer:
        return json.load(answer)


def _unpacked(chart: dict[str, Any], folder: Path) -> Path:
    """Write a chart, as a release stores it, to a folder."""
    (folder / "Chart.yaml").write_text(json.dumps(chart["metadata"]))
    (folder / "values.yaml").write_text(json.dumps(chart.get("values") or {}))
    if chart.get("schema"):
        (folder / "values.schema.json").write_bytes(base64.b64decode(chart["schema"]))
    for file in [*(chart.get("templates") or []), *(chart.get("files") or [])]:
        path = folder / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(file["data"]))
    return folder


if __name__ == "__main__":
    sys.exit(main())
