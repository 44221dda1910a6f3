"""Canaries beside a stable version for real: Bentos, nginx between them by weight, Prometheus, and callers."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from bentos import BAD, GOOD, PATTERNS, THINGS
from served import serve, wait_ready

from sentiment.deployment.ports import free_port
from sentiment.serving.manifest import MANIFEST_FILE, Manifest, code_files, digest_of_files
from sentiment.settings import Settings
from sentiment.supervisor import Service, stop_all

HOST = "127.0.0.1"
CALLERS, PAUSE_SECONDS = 4, 0.35
PREDICT = "        [answer] = self._judged([self._checked(text)], record=record)\n"
FAULTS = {
    "errors": "        import random\n        if random.random() < 0.3: raise RuntimeError('a bug')\n",
    "slow": "        import time; time.sleep(0.1)\n",
}


@dataclass(frozen=True)
class Watched:
    """Where everything is; a rollout's series have its name in the label `rollout`."""

    settings: Settings
    prometheus: str
    stable: str
    canaries: Mapping[str, str]
    sent: Mapping[str, int]
    stop_calling: threading.Event


def break_bento(path: str, target: Path, fault: str) -> str:
    """Copy a Bento and put a bug into its code, with digests that are in order."""
    shutil.copytree(path, target)
    source = target / "src"
    answers = source / "bento" / "answers.py"
    code = answers.read_text()
    assert code.count(PREDICT) == 1
    answers.write_text(code.replace(PREDICT, fault + PREDICT))
    file = source / "model" / MANIFEST_FILE
    manifest = Manifest.read(file)
    manifest = manifest.model_copy(update={"code_digest": digest_of_files(source, code_files(source))})
    file.write_text(manifest.model_copy(update={"bento_digest": manifest.digest()}).model_dump_json())
    return str(target)


@contextmanager
def watched(folder: Path, settings: Settings, stable: str, canaries: Mapping[str, str]) -> Iterator[Watched]:
    """Serve a stable Bento and canaries, each of which gets half of the traffic of a proxy of its own."""
    for command in ("nginx", "prometheus"):
        if not shutil.which(command):
            pytest.skip(f"{command} is not here: install Debian's {command.replace('nginx', 'nginx-light')}")
    with ExitStack() as stack:
        served: dict[str, tuple[Service, str]] = {}
        stack.callback(lambda: stop_all([service for service, _ in served.values()], grace_seconds=3))
        for name, path in {"stable": stable, **canaries}.items():  # all at once, they take seconds
            (folder / name).mkdir()
            served[name] = serve(path, folder / name, settings)
        urls = {name: url for name, (_, url) in served.items()}
        for service, url in served.values():
            with httpx.Client(base_url=url) as client:
                wait_ready(client, service, 120)
        ports = {name: free_port(HOST) for name in canaries}
        _run(stack, "nginx", _nginx(folder, urls, ports), folder)
        at = free_port(HOST)
        _run(stack, "prometheus", _prometheus(folder, urls, at), folder)
        prometheus = f"http://{HOST}:{at}"
        _wait_for_scrapes(prometheus, 2 * len(canaries))
        sent, stop = dict.fromkeys(canaries, 0), threading.Event()
        threads = [
            threading.Thread(target=_call, args=(name, f"http://{HOST}:{port}", number, sent, stop))
            for name, port in ports.items()
            for number in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield Watched(settings, prometheus, urls.pop("stable"), urls, sent, stop)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _run(stack: ExitStack, name: str, command: Sequence[str], folder: Path) -> None:
    service = Service(name, command, log_path=folder / f"{name}.log")
    service.start()
    stack.callback(service.stop, grace_seconds=3)
    time.sleep(0.5)
    service.check_alive()


def _nginx(folder: Path, urls: Mapping[str, str], ports: Mapping[str, int]) -> list[str]:
    def server(name: str, port: int) -> str:
        stable, canary = (urls[one].removeprefix("http://") for one in ("stable", name))
        return (
            f"upstream {name} {{ server {stable} weight=50 max_fails=0; server {canary} weight=50 max_fails=0; }}\n"
            f"server {{ listen {HOST}:{port}; location / {{ proxy_pass http://{name}; proxy_next_upstream off; }} }}\n"
        )

    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/nginx-{kind};" for kind in kinds)
    servers = "\n".join(server(name, port) for name, port in ports.items())
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\n{servers} }}\n"
    )
    return ["nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def _prometheus(folder: Path, urls: Mapping[str, str], port: int) -> list[str]:
    jobs = [
        {
            "job_name": f"{name}-{track}",
            "static_configs": [
                {
                    "targets": [urls[name if track == "canary" else track].removeprefix("http://")],
                    "labels": {"track": track, "rollout": name},
                }
            ],
        }
        for name in urls
        if name != "stable"
        for track in ("stable", "canary")
    ]
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
    (folder / "prometheus.json").write_text(json.dumps(config))
    return [
        "prometheus", f"--config.file={folder / 'prometheus.json'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={HOST}:{port}", "--log.level=warn",
    ]  # fmt: skip


def _wait_for_scrapes(url: str, targets: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            found = httpx.get(f"{url}/api/v1/query", params={"query": "sum(up)"}).json()["data"]["result"]
            if found and float(found[0]["value"][1]) == targets:
                return
        except (httpx.TransportError, ValueError):
            pass
        time.sleep(0.2)
    pytest.fail(f"Prometheus does not see {targets} targets")


def texts() -> Iterator[str]:
    """Four out of five texts are good ones."""
    good, bad = itertools.cycle(GOOD), itertools.cycle(BAD)
    for number, (pattern, thing) in enumerate(itertools.cycle(itertools.product(PATTERNS, THINGS))):
        yield f"{pattern.format(thing, next(bad if number % 5 == 0 else good))} {number}"


def _call(name: str, url: str, caller: int, sent: dict[str, int], stop: threading.Event) -> None:
    with httpx.Client(base_url=url, timeout=20) as client:
        for text in itertools.islice(texts(), caller * 7, None):
            if stop.wait(PAUSE_SECONDS):
                return
            client.post("/predict", json={"text": text})
            with _counting:
                sent[name] += 1


_counting = threading.Lock()
