"""What each layer around the scorer costs: CPU microseconds of one `/predict`, from the application's door on.

``python -m benchmarks.layers BENTO`` asks the service of a built Bento in process, without a network, in a fresh
process for each row, because BentoML reads its configuration once. The least of several turns is shown: other work on
the machine can only add to it. uvicorn and the kernel come on top, the same for all.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TURNS, REQUESTS = 8, 400
TEXT = "Not a bad film at all: the plot is thin, but the actors carry it, and the last half hour is a small wonder."
ACCESS = {"services": {"sentiment": {"logging": {"access": {"enabled": True}}}}}
NO_METRICS = {"services": {"sentiment": {"metrics": {"enabled": False}}}}
ROWS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "the scorer alone": ("scorer", False, {}),
    "and everything of ours without HTTP: answer, metrics, log": ("answers", False, {}),
    "and the fast path and the edge: as released": ("fast", False, {}),
    "BentoML's way instead of the fast path": ("slow", False, {}),
    "the same without BentoML's metrics": ("slow", False, NO_METRICS),
    "the same with BentoML's access log": ("slow", False, ACCESS),
    "the same with OpenTelemetry": ("slow", True, {}),
}


class Service:
    """The service of a Bento, in this process."""

    def __init__(self, bento: Path) -> None:
        from _bentoml_sdk import Service as Base

        from bento import service
        from bento.edge import Edge
        from bento.fast import FastPath

        service.ROOT = bento / "src"
        made = service.SentimentService
        self._inner = Base.to_asgi(made)
        self.ways = {"fast": Edge(FastPath(self._inner, made.apis)), "slow": Edge(self._inner)}

    async def measure(self, way: str) -> float:
        """Return the CPU microseconds of a request in this thread, the least of the turns."""
        import bentoml

        async with self._inner.router.lifespan_context(self._inner):
            answers = bentoml.get_current_service().answers
            body = json.dumps({"text": TEXT}).encode()
            best = float("inf")
            for _ in range(TURNS):
                begun = time.thread_time()
                for _ in range(REQUESTS):
                    if way == "scorer":
                        answers.scorer.read([TEXT])
                    elif way == "answers":
                        answers.predict(TEXT)
                    else:
                        await _ask(self.ways[way], body)
                best = min(best, time.thread_time() - begun)
        return 1e6 * best / REQUESTS


async def _ask(app: Any, body: bytes) -> None:
    headers = [(b"host", b"ours"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/predict", "raw_path": b"/predict"}
    scope |= {"query_string": b"", "root_path": "", "scheme": "http", "headers": headers, "state": {}}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "asgi": {"version": "3.0"}}
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status"))

    await app(scope, receive, send)
    if statuses[0] != 200:
        sys.exit(f"/predict was answered with {statuses[0]}")


def in_process_of_its_own(bento: Path, way: str, *, traces: bool, configuration: dict[str, Any]) -> float:
    """Measure one row."""
    with tempfile.TemporaryDirectory(prefix="layers-") as folder:
        (Path(folder) / "bentoml.yaml").write_text(json.dumps(configuration or {"services": {}}))
        (Path(folder) / "counts").mkdir()
        env = {
            **os.environ,
            "BENTOML_CONFIG": str(Path(folder) / "bentoml.yaml"),  # JSON is YAML
            "BENTOML_DO_NOT_TRACK": "True",
            "OTEL_SDK_DISABLED": str(not traces).lower(),
            "PROMETHEUS_MULTIPROC_DIR": str(Path(folder) / "counts"),
            "SENTIMENT_STORAGE__ROOT": str(Path(folder) / "var"),
        }
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.layers", str(bento), "--way", way]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{way}: {done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print the table, or measure one row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bento", type=Path, help="folder of a built Bento")
    parser.add_argument("--way", choices=("scorer", "answers", "fast", "slow"), help="measure one row in this process")
    asked = parser.parse_args()
    if asked.way:
        found = asyncio.run(Service(asked.bento).measure(asked.way))
        print(found)
        return
    print("| one /predict of 120 characters, in process | CPU |\n|---|---|", flush=True)
    for name, (way, traces, configuration) in ROWS.items():
        cost = in_process_of_its_own(asked.bento, way, traces=traces, configuration=configuration)
        print(f"| {name} | {cost:.0f} us |", flush=True)


if __name__ == "__main__":
    main()
