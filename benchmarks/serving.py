"""Our service against the usual one, FastAPI with TfidfVectorizer and LogisticRegression: speed, start, memory.

Run it with ``python -m benchmarks.serving [--seconds N] [--rounds N] [--soak MINUTES] [--texts FILE]``. Both serve
models of the same reviews on this machine with one worker each. A generator in a process of its own
(`benchmarks.load`) sends the same texts over 16 kept-alive connections, to one and the other in turn; its own CPU is
printed too. Ours validates, counts and logs every answer, the other does none of that. On a shared machine the CPU
that the processes of a server take for a request is what can be compared; requests a second say what was left of two
cores.

``--soak MINUTES`` loads ours steadily instead (``--rate`` requests a second) and prints errors, latency and memory by
the minute. ``--folder`` keeps the models for the next run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.model import DATA, SHORT, read
from benchmarks.servers import Server, in_fresh_process, ours, plain, prepare
from sentiment.packaging import package
from sentiment.registry import Registry
from sentiment.settings import Settings

REQUESTS, BATCHES, BATCH, CONNECTIONS = 2_000, 200, 64, 16
MODULES = "_bentoml_impl.worker.service, _bentoml_impl.server.app, uvicorn"


@dataclass
class Rounds:
    """What all rounds on one server and path saw."""

    requests: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    load_cpu: float = 0.0
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    failed: int = 0

    def add(self, line: dict[str, Any], cpu: float) -> None:
        """Add a round."""
        self.requests += line["requests"]
        self.seconds += line["seconds"]
        self.cpu += cpu
        self.load_cpu += line["cpu"]
        self.p50.append(line["p50"])
        self.p99.append(line["p99"])
        self.failed += sum(line["failed"].values())

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def cost(self) -> float:
        """CPU milliseconds of the server for a request."""
        return 1000 * self.cpu / max(self.requests, 1)


def bodies(folder: Path, texts: Sequence[str]) -> dict[str, tuple[str, Path, int]]:
    """Write what is sent; return path, file and texts a request for each kind of load."""
    short = [text[:SHORT] for text in texts]
    found = {}
    for name, some in (("full reviews", texts), (f"{SHORT} characters", short)):
        ones = [{"text": text} for text in some[:REQUESTS]]
        starts = range(0, min(len(some), BATCH * BATCHES) - BATCH + 1, BATCH)
        many = [{"texts": some[start : start + BATCH]} for start in starts]
        for path, asked, size in (("/predict", ones, 1), ("/predict_batch", many, BATCH)):
            file = folder / f"{path[1:]}-{len(found)}.jsonl"
            file.write_text("".join(json.dumps(one) + "\n" for one in asked))
            found[f"{path}, {name}"] = (path, file, size)
    return found


def load(server: Server, path: str, file: Path, *options: str) -> Iterator[dict[str, Any]]:
    """Load a server from a process of its own; yield each line it prints."""
    command = [sys.executable, "-m", "benchmarks.load", str(server.port), path, str(file), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        sys.exit(f"the load generator ended with status {process.returncode}")


def compare(servers: Sequence[Server], kinds: dict[str, tuple[str, Path, int]], *, seconds: float, rounds: int) -> None:
    """Print one table of all kinds of load, the servers in turn."""
    print(f"| {CONNECTIONS} connections | server | requests/s | texts/s | p50 | p99 | CPU a request | of the load |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    texts: dict[tuple[str, str], float] = {}
    for kind, (path, file, size) in kinds.items():
        found = {server.name: Rounds() for server in servers}
        for turn in range(rounds):
            for server in servers if turn % 2 == 0 else reversed(servers):
                before = server.cpu()
                for line in load(server, path, file, "--seconds", str(seconds)):
                    share = line["seconds"] / (line["seconds"] + 0.5)  # the load warms up before it counts
                    found[server.name].add(line, (server.cpu() - before) * share)
        for name, all_rounds in found.items():
            _row(kind, name, all_rounds, size)
            texts[kind, name] = size * all_rounds.rate
        if len(found) == 2:
            we, they = found.values()
            faster, p99 = f"{we.rate / they.rate:.1f}", f"{min(they.p99) / min(we.p99):.1f}"
            print(f"| | ratio | {faster} | {faster} | | {p99} | {they.cost / we.cost:.1f} | |", flush=True)
    if len(servers) == 2:
        we, they = (server.name for server in servers)
        for kind in (kind for kind in kinds if kind.startswith("/predict_batch")):
            single = kind.replace("_batch", "")
            print(f"| | {kind}, against {they}'s {single} | | {texts[kind, we] / texts[single, they]:.1f} | | | | |")


def _row(kind: str, name: str, found: Rounds, size: int) -> None:
    failed = f" ({found.failed} failed)" if found.failed else ""
    print(
        f"| {kind} | {name} | {found.rate:,.0f}{failed} | {found.rate * size:,.0f} | {min(found.p50):.1f} ms | "
        f"{min(found.p99):.1f} ms | {found.cost:.3f} ms | {1000 * found.load_cpu / max(found.requests, 1):.3f} ms |"
    )


def starts(servers: Sequence[Server], source: Path) -> None:
    """Print how long each took to be ready, what of, and the memory of its processes."""
    print("\n| cold start | to ready | memory of its processes |\n|---|---|---|")
    for server in servers:
        sizes = " + ".join(f"{size:.0f}" for size in server.memory())
        print(f"| {server.name} | {server.seconds_to_ready:.1f} s | {sizes} MB |")
    print("\n| part of a worker's start, in a process of its own | s |\n|---|---|")
    clock = "import time; a = time.perf_counter(); {}; print(time.perf_counter() - a)"
    (bare,) = in_fresh_process("import psutil, time; print(time.time() - psutil.Process().create_time())", source)
    (framework,) = in_fresh_process(clock.format(f"import {MODULES}"), source)
    (service,) = in_fresh_process(f"import {MODULES}; " + clock.format("import bento.service"), source)
    load_model = "ServedModel.load(Path('model'))"
    setup = "from pathlib import Path; from sentiment.serving.manifest import ServedModel; "
    (model,) = in_fresh_process(setup + clock.format(load_model), source)
    print(f"| Python | {bare:.2f} |\n| BentoML, uvicorn | {framework:.2f} |\n| our modules, numpy | {service:.2f} |")
    print(f"| the model: read, verified, probed | {model:.2f} |", flush=True)


def soak(server: Server, kinds: dict[str, tuple[str, Path, int]], *, minutes: float, rate: float) -> None:
    """Load steadily, and print what each minute was like."""
    path, file, _ = next(iter(kinds.values()))
    print(
        "| minute | requests | failed | p50 | p99 | 99.9% | memory | CPU a request |\n|---|---|---|---|---|---|---|---|"
    )
    before = server.cpu()
    options = ("--seconds", str(60 * minutes), "--every", "60", "--rate", str(rate))
    for minute, line in enumerate(load(server, path, file, *options), start=1):
        cpu = server.cpu()
        sizes = " + ".join(f"{size:.1f}" for size in server.memory())
        failed = ", ".join(f"{number} {kind}" for kind, number in line["failed"].items()) or "0"
        print(
            f"| {minute} | {line['requests']:,} | {failed} | {line['p50']:.1f} ms | {line['p99']:.1f} ms | "
            f"{line['p999']:.1f} ms | {sizes} MB | {1000 * (cpu - before) / max(line['requests'], 1):.3f} ms |",
            flush=True,
        )
        before = cpu


def measure(folder: Path, settings: Settings, asked: argparse.Namespace) -> None:
    """Start what was asked for and measure it."""
    kinds = bodies(folder, read(asked.texts)[0])
    with ExitStack() as stack:
        us = stack.enter_context(ours(settings))
        if asked.soak:
            soak(us, kinds, minutes=asked.soak, rate=asked.rate)
            return
        servers = [us] if asked.only_ours else [us, stack.enter_context(plain(folder))]
        source = Path(package(settings, Registry(settings), "1").path) / "src"
        starts(servers, source)
        print()
        compare(servers, kinds, seconds=asked.seconds, rounds=asked.rounds)
        print("\nMemory afterwards, MB: " + ", ".join(f"{one.name} {one.memory()}" for one in servers))


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--texts", type=Path, default=DATA / "imdb_train.parquet", help="what both learn from and are asked"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second of the soak")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--folder", type=Path, help="keeps the models for the next run")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="serving-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measure(folder, prepare(folder, asked.texts), asked)


if __name__ == "__main__":
    main()
