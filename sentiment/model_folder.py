"""MLflow's folder of a scikit-learn pipeline, as ``mlflow.sklearn.save_model`` writes it.

`save_model` looks at the metadata of every installed package before it writes the requirements, to warn of some that
are not met, and takes ten times as long for it. Ours are what is installed, so there is nothing to warn
of. What this module writes is MLflow's documented format, and a test compares it with what `save_model` writes.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PIPELINE_FILE = "model.skops"
_CONDA, _VIRTUALENV, _REQUIREMENTS = "conda.yaml", "python_env.yaml", "requirements.txt"


def requirements() -> list[str]:
    """Return the installed versions that a stored pipeline needs."""
    return [_installed(name) for name in ("numpy", "scikit-learn", "scipy", "skops")]


def write_model_folder(folder: Path, pipeline: Pipeline, *, trusted_types: Sequence[str]) -> None:
    """Write a trained pipeline, from a text to a label, so that MLflow can load it.

    Raises
    ------
    UntrustedTypesFoundException
        It holds types that are not among `trusted_types`, and could not be loaded again.
    """
    import skops.io
    from mlflow.models import Model, infer_signature

    folder.mkdir(parents=True)
    skops.io.dump(pipeline, folder / PIPELINE_FILE)
    skops.io.load(folder / PIPELINE_FILE, trusted=list(trusted_types))
    model = Model(
        signature=infer_signature(["a review"], ["positive"]), model_size_bytes=(folder / PIPELINE_FILE).stat().st_size
    )
    model.add_flavor(
        "python_function",
        loader_module="mlflow.sklearn",
        model_path=PIPELINE_FILE,
        predict_fn="predict",
        python_version=platform.python_version(),
        env={"conda": _CONDA, "virtualenv": _VIRTUALENV},
    )
    model.add_flavor(
        "sklearn",
        pickled_model=PIPELINE_FILE,
        sklearn_version=version("scikit-learn"),
        serialization_format="skops",
        skops_trusted_types=list(trusted_types),
        code=None,
    )
    model.save(folder / "MLmodel")
    _write_environment(folder)


def _write_environment(folder: Path) -> None:
    """Write what the pipeline needs in the three forms that MLflow knows; JSON is YAML."""
    needed, python = [_installed("mlflow"), *requirements()], platform.python_version()
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", _installed("pip").replace("==", "<="), {"pip": needed}],
    }
    virtualenv = {
        "python": python,
        "build_dependencies": [_installed(name) for name in ("pip", "setuptools", "wheel")],
        "dependencies": [f"-r {_REQUIREMENTS}"],
    }
    (folder / _REQUIREMENTS).write_text("\n".join(needed))
    (folder / _CONDA).write_text(json.dumps(conda, indent=2))
    (folder / _VIRTUALENV).write_text(json.dumps(virtualenv, indent=2))


def _installed(name: str) -> str:
    """Return a package and its version; some environments have no pip to ask for."""
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        return name
