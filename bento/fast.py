"""The fast path: the service's methods, asked before BentoML's routing, instrumentation and middleware see the request.

BentoML keeps all that is no method (health, metrics, OpenAPI, pages). With the methods the fast path does what
BentoML does: it validates with the model that BentoML made of the signature, and sends the response that the same
method returns. So both ways give the same bytes, which a test compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bentoml
from _bentoml_sdk import Service
from pydantic import ValidationError

from bento.edge import Edge
from bento.problems import invalid

if TYPE_CHECKING:
    from _bentoml_sdk.method import APIMethod
    from starlette.types import ASGIApp, Receive, Scope, Send


class FastService(Service[Any]):
    """A BentoML service whose outermost layers are ours: ``bentoml.service`` takes it as its `service_class`.

    What `add_asgi_middleware` adds would be inside of BentoML's metrics, tracing and timeout.
    """

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Return the application that uvicorn runs: the edge, the fast path, then BentoML."""
        return Edge(FastPath(super().to_asgi(is_main), self.apis))


class FastPath:
    """ASGI middleware, inside of the edge, that asks the methods of the service itself and passes on all else.

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
        """Answer, or pass on.

        Raises
        ------
        Refusal
            The body is not what the method takes.
        """
        method = self._methods.get(scope["path"]) if scope.get("method") == "POST" else None
        if method is None:
            await self._app(scope, receive, send)
            return
        answer, validated, fields = method
        body = (await receive())["body"]  # all of it: the edge has seen to that
        try:
            asked = validated(body or b"{}")
        except ValidationError as error:
            raise invalid(error.errors(include_url=False, include_context=False, include_input=False)) from None
        response = await answer(bentoml.get_current_service(), **{field: getattr(asked, field) for field in fields})
        await response(scope, receive, send)
