"""From a registered model to a Bento: the one served artifact, made only if its scorer is proven.

A Bento's version is the model version and a digest of everything in it, so the same model and the same code
give the same Bento, and a changed line of served code gives another.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from sentiment.bento_files import is_whole, pack, unpack
from sentiment.errors import IntegrityError, ModelError, ServiceError, storage_errors
from sentiment.labels import LABELS, LabelScheme
from sentiment.ledger import Ledger
from sentiment.model_records import ModelVersion
from sentiment.promotions import Promotions
from sentiment.registry import Registry
from sentiment.serving.manifest import (
    MANIFEST_FILE,
    SCORER_FILE,
    CoveragePoint,
    Curves,
    Manifest,
    ReliabilityPoint,
    digest_of_files,
)
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.candidate_evaluation import FOLDER as EVALUATION
from sentiment.training.proof import prove

BENTO_NAME = "sentiment"
BENTOS = "bentos"
RECIPE = "bentofile.yaml"
IMAGE = "images/serving"
SERVICE = "bento/service.py"
BUILD_SECONDS = 300
_SHARE = ("rows", "accuracy", "accuracy_low", "accuracy_high")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BentoPackage:
    """A built Bento."""

    tag: str
    version: str
    path: str
    digest: str
    model_version: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the package as JSON types."""
        return asdict(self)


def package(settings: Settings, registry: Registry, version: str | None = None) -> BentoPackage:
    """Make the Bento of a model version, or return the one there is.

    Parameters
    ----------
    settings : Settings
        The Bento goes to ``bentoml/`` under the local folder and, as a file, to ``bentos/`` in the storage.
    registry : Registry
        Where the model is.
    version : str, optional
        The model version; the champion if not given.

    Raises
    ------
    NoChampionError
        No version was given and nothing has been promoted.
    IntegrityError
        The scorer is not the registered one, or does not reproduce the pipeline.
    ServiceError
        BentoML could not build it; with its last lines.
    """
    started = time.perf_counter()
    model = registry.version(version) if version else registry.champion()
    home = settings.local_dir / "bentoml"
    with _alone(home), tempfile.TemporaryDirectory(prefix="bento-") as temporary:
        manifest = _stage(settings, registry, model, Path(temporary))
        name = f"v{model.version}-{manifest.bento_digest[:12]}"
        path = home / "bentos" / BENTO_NAME / name
        storage, file = Storage(settings), bento_file(name)
        kept = file in storage.list(BENTOS)
        if not is_whole(path, manifest.bento_digest):
            kept = kept and _restore(storage, file, path, manifest.bento_digest)
            if not kept:
                _remake(Path(temporary), home, path, manifest.bento_digest)
        if _note_promotion(path, manifest) or not kept:
            storage.write(file, pack(path))
    Ledger(storage).append(
        "packaged",
        model_version=model.version,
        run_id=model.run_id,
        snapshot=model.snapshot,
        digests={"model": model.digest, "bento": manifest.bento_digest},
        reason=f"{BENTO_NAME}:{name}",
        key=f"packaged-{name}",
    )
    return BentoPackage(
        tag=f"{BENTO_NAME}:{name}",
        version=name,
        path=str(path),
        digest=manifest.bento_digest,
        model_version=model.version,
        seconds=time.perf_counter() - started,
    )


def bento_file(version: str) -> str:
    """Return where in the storage the file of a Bento is."""
    return f"{BENTOS}/{BENTO_NAME}-{version}.bento"


def at_hand(settings: Settings, package: BentoPackage) -> BentoPackage:
    """Return a Bento with its folder on this machine, be it that another one packaged it.

    Raises
    ------
    IntegrityError
        The storage has it no more, or not whole.
    """
    home = settings.local_dir / "bentoml"
    path = home / "bentos" / BENTO_NAME / package.version
    with _alone(home):
        here = is_whole(path, package.digest)
        if not (here or _restore(Storage(settings), bento_file(package.version), path, package.digest)):
            raise IntegrityError(
                f"{package.tag} is neither on this machine nor whole in the storage.",
                fix=f"Package it again: `sentiment package {package.model_version}`.",
            )
    return replace(package, path=str(path))


def _stage(settings: Settings, registry: Registry, model: ModelVersion, folder: Path) -> Manifest:
    """Put everything a Bento holds into `folder` and return its manifest."""
    root = _project_root()
    code, recipe = [*_needed_modules(root), *_assets(root)], [RECIPE, *_image_files(root)]
    for name in (*code, *recipe):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, folder / name)
    probes = prove(settings, registry, model)
    (folder / "model").mkdir()
    shutil.copyfile(registry.artifact(model, SCORER_FILE), folder / "model" / SCORER_FILE)
    manifest = Manifest(
        name=settings.registry.model_name,
        model_version=model.version,
        run_id=model.run_id,
        snapshot=model.snapshot,
        scorer_digest=model.digest,
        scheme=_scheme(model),
        labels=tuple(model.labels),
        metrics=dict(model.metrics),
        code_version=installed_version("sentiment"),
        code_digest=digest_of_files(folder, code),
        recipe_digest=digest_of_files(folder, recipe),
        probes=probes,
        curves=_curves(registry, model),
    )
    promotion = Promotions(Storage(settings)).made(model.version)
    circumstances = {
        "bento_digest": manifest.digest(),
        "built_at": datetime.now(UTC),
        "promoted_at": datetime.fromisoformat(promotion.at) if promotion else None,
        "promotion_reason": promotion.reason if promotion else None,
    }
    manifest = manifest.model_copy(update=circumstances)
    (folder / "model" / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2))
    return manifest


def _curves(registry: Registry, model: ModelVersion) -> Curves | None:
    """Return the curves of the evaluation that was registered with the model; None if there is none."""
    try:
        path = registry.artifact(model, f"{EVALUATION}/evaluation.json")
    except ServiceError:
        raise
    except ModelError as error:
        log.warning("the Bento of version %s has no curves: %s", model.version, error)
        return None
    found = json.loads(path.read_bytes())
    return Curves(
        reliability=tuple(
            ReliabilityPoint(confidence=point["confidence"], **{name: point["share"][name] for name in _SHARE})
            for point in found["calibration"]
        ),
        coverage=tuple(
            CoveragePoint(coverage=point["coverage"], threshold=point["threshold"], accuracy=point["share"]["accuracy"])
            for point in found["coverage"]
        ),
    )


def _scheme(model: ModelVersion) -> LabelScheme:
    for scheme, labels in LABELS.items():
        if labels == tuple(model.labels):
            return scheme
    raise IntegrityError(
        f"Model version {model.version} has the labels {tuple(model.labels)}, which are those of no scheme.",
        fix="Train and register the model again.",
    )


def _project_root() -> Path:
    """Return the folder of the checkout, which holds the recipe and the service."""
    root = Path(__file__).resolve().parents[1]
    if missing := [name for name in (RECIPE, SERVICE) if not (root / name).is_file()]:
        raise ServiceError(
            f"Cannot package: {root} holds no {' and no '.join(missing)}.",
            fix="Install the project from its checkout in editable mode: `make install`.",
        )
    return root


def _needed_modules(root: Path) -> list[str]:
    """Return the files of our modules that the service imports, directly or not, as paths under `root`."""
    found: set[str] = set()
    waiting = [SERVICE, "bento/__init__.py", "sentiment/__init__.py"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for module in _imports(root / name):
            parts = module.split(".")
            for end in range(1, len(parts) + 1):
                stem = "/".join(parts[:end])
                waiting += [file for file in (f"{stem}.py", f"{stem}/__init__.py") if (root / file).is_file()]
    return sorted(found)


def _assets(root: Path) -> list[str]:
    """Return the files beside the service that are no code: those of its page."""
    files = (file for file in (root / SERVICE).parent.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return [str(file.relative_to(root)) for file in files if file.suffix not in (".py", ".pyc")]


def _image_files(root: Path) -> list[str]:
    """Return the files with which an image is made of a Bento."""
    return [f"{IMAGE}/{file.name}" for file in sorted((root / IMAGE).iterdir()) if file.is_file()]


def _imports(path: Path) -> Iterator[str]:
    """Yield the modules of ours that a file imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ("bento", "sentiment"))


def _restore(storage: Storage, file: str, path: Path, digest: str) -> bool:
    """Make the folder of a Bento from its file, so that all machines have the same one; whether that was whole."""
    shutil.rmtree(path, ignore_errors=True)
    try:
        unpack(storage.read(file), path)
    except (FileNotFoundError, IntegrityError) as error:
        log.warning("%s cannot be taken from the storage: %s", file, error)
        return False
    return is_whole(path, digest)


def _remake(context: Path, home: Path, path: Path, digest: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
    _build(context, home, path.name)
    if not is_whole(path, digest):
        raise IntegrityError(f"The built Bento {path} is not what was staged.", fix="Package it again.")


def _build(context: Path, home: Path, version: str) -> None:
    """Run ``bentoml build`` in a process of its own: this package does not import bentoml."""
    command = [sys.executable, "-m", "bentoml", "build", "--version", version, "--output", "tag", "."]
    env = {
        **os.environ,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        done = subprocess.run(
            command,
            cwd=context,
            env=env,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceError(
            f"BentoML did not finish building {BENTO_NAME}:{version} in {BUILD_SECONDS} s.",
            fix="Try again when the machine is less busy.",
        ) from error
    if done.returncode:
        last = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).splitlines()[-15:])
        raise ServiceError(
            f"BentoML could not build {BENTO_NAME}:{version}. Its last lines:\n{last}\n",
            fix=f"Correct what they say, in {RECIPE} or bento/.",
        )


def _note_promotion(path: Path, manifest: Manifest) -> bool:
    """Write into a Bento that was there already when its model was promoted; whether that was news to it."""
    target = path / "src" / "model" / MANIFEST_FILE
    kept = Manifest.read(target)
    told = kept.model_copy(update={"promoted_at": manifest.promoted_at, "promotion_reason": manifest.promotion_reason})
    if told == kept:
        return False
    temporary = target.with_suffix(".new")  # beside it, because it may be being served
    temporary.write_text(told.model_dump_json(indent=2))
    temporary.replace(target)
    return True


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Let one process at a time make Bentos in `home`; the others wait."""
    with storage_errors(str(home)):
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "package.lock").open("a")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
