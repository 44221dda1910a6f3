"""Deploys to a cluster again and again until it ends by itself: ``python killing_deployment.py SETTINGS SHIPPED``.

Whoever kills it is outside: the test, or its `helm`. Prints how often it was killed and what it came to, as JSON.
"""

import json
import os
import sys
from typing import Any

import mlflow

from sentiment.deployment.kubernetes import canary_step, finish, upgrade
from sentiment.deployment.shipping import Shipped
from sentiment.errors import ModelError
from sentiment.registry import Registry
from sentiment.settings import Settings, load_settings

REQUEST = "run-1"
MOST = 60


def deployment(settings: Settings, shipped: Shipped) -> str:
    """All steps, as the DAG calls them."""
    try:
        registry = Registry(settings)
        progress = upgrade(settings, registry, shipped, request=REQUEST)
        while progress.state == "watch":
            progress = canary_step(settings, registry, shipped, request=REQUEST)
        return finish(settings, registry, shipped, request=REQUEST).model_version
    except ModelError as error:  # a task of the DAG is not tried again after these
        return f"{type(error).__name__}: {error}"


def forked(settings: Settings, shipped: Shipped) -> str | None:
    """Return what a deployment in a fork came to; None if it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writing, "w") as file:
                file.write(deployment(settings, shipped))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    _, status = os.waitpid(child, 0)
    if status and not os.WIFSIGNALED(status):
        sys.exit("a deployment failed by itself")
    return None if status else said


def main(settings: dict[str, Any], shipped: dict[str, Any]) -> None:
    for killed in range(MOST):
        if (said := forked(load_settings(**settings), Shipped.from_dict(shipped))) is not None:
            sys.stdout.write(json.dumps({"killed": killed, "said": said, "mlflow": mlflow.__version__}))
            return
    sys.exit(f"killed {MOST} times")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))
