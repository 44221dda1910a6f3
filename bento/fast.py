"""The fast path: the service's methods, asked before BentoML's routing, instrumentation and middleware see the request.

BentoML keeps all that is no method (health, metrics, OpenAPI, pages), and the methods too for whatever is out of the
ordinary: a body that is not valid, a media type other than JSON, a failure. With the rest the fast path does what BentoML
does: it validates with the model that BentoML made of the method's signature, and sends the response that the same method
returns, so that both ways give the same bytes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import bentoml
from _bentoml_sdk import Service
from pydantic import ValidationError

from bento.edge import Edge

if TYPE_CHECKING:
    from _bentoml_sdk.method import APIMethod
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

JSON = b"application/json"

log = logging.getLogger(__name__)


class FastService(Service[Any]):
    """A BentoML service whose outermost layers are ours: ``bentoml.service`` takes it as its `service_class`.

    What `add_asgi_middleware` adds would be inside of BentoML's metrics, tracing and timeout.
    """

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Return the application that uvicorn runs: the edge, the fast path, then BentoML."""
        return Edge(FastPath(super().to_asgi(is_main), self.apis))


class FastPath:
    """ASGI middleware that asks the methods of the service itself where it can, and passes on all else.

    Parameters
    ----------
    app : ASGI application
        What answers all else.
    methods : dict
        The service's API methods by name. Each is a coroutine that returns a Starlette response and wants no context.
    """

    def __init__(self, app: ASGIApp, methods: dict[str, APIMethod[..., Any]]) -> None:
        self._app = app
        self._methods = {
            method.route: (method.func, method.input_spec.model_validate_json, tuple(method.input_spec.model_fields))
            for method in methods.values()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        method = self._methods.get(scope["path"]) if scope.get("method") == "POST" else None
        if method is None or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        first = await receive()
        if first["type"] != "http.request" or first.get("more_body", False):  # the edge gives bodies as a whole
            await self._app(scope, _again(first, receive), send)
            return
        answer, validated, fields = method
        try:
            asked = validated(first.get("body") or b"{}")
            response = await answer(bentoml.get_current_service(), **{field: getattr(asked, field) for field in fields})
        except ValidationError:  # BentoML finds it again, and says it
            await self._app(scope, _again(first, receive), send)
        except Exception:
            log.exception("%s failed; BentoML is asked to answer", scope["path"])
            await self._app(scope, _again(first, receive), send)
        else:
            await response(scope, receive, send)


def _is_json(scope: Scope) -> bool:
    """Whether the body is declared as JSON, or as nothing, which BentoML takes for JSON."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            return bool(value.partition(b";")[0].strip().lower() == JSON)
    return True


def _again(first: Message, receive: Receive) -> Receive:
    """Return what gives a message that was received already, and then what comes after it."""
    waiting = [first]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received
