"""The library stands without Airflow and BentoML, and the command line starts without anything heavy."""

import subprocess
import sys

BLOCK = """
import importlib, pkgutil, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"airflow", "bentoml"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
import sentiment
for module in pkgutil.walk_packages(sentiment.__path__, "sentiment."):
    importlib.import_module(module.name)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_every_module_imports_with_airflow_and_bentoml_blocked() -> None:
    done = run(BLOCK)
    assert done.returncode == 0, done.stderr[-2000:]


def test_help_loads_nothing_heavy() -> None:
    done = run(
        "import sys, sentiment.cli; "
        "heavy = {'mlflow', 'sklearn', 'pandas', 'evidently', 'deltalake', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    assert done.returncode == 0, done.stderr[-2000:]
