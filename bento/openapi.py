"""The OpenAPI document: BentoML's description of what is taken, ours of what is answered and refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bento.access import SCOPES
from bento.answers import MAX_COMMENT, MAX_REPORTER, REQUEST_ID
from bento.examples import PROBLEM, REQUESTS, RESPONSES
from bento.problems import MEDIA_TYPE
from bento.shapes import Explanation, ModelFacts, Prediction, Predictions, Problem, Received, RecentAnswers
from sentiment.serving.keys import KeyScope
from sentiment.settings import ServingSettings

Schema = dict[str, Any]

ANSWERS: Mapping[str, tuple[int, type[BaseModel]]] = {
    "/predict": (200, Prediction),
    "/predict_batch": (200, Predictions),
    "/explain": (200, Explanation),
    "/feedback": (202, Received),
}
BODY_PROBLEMS = (400, 408, 413, 415, 422, 500, 503)
FACTS = "Say which model answers, what it learned from and how good it is."
RECENT = "Show the last answers of this process, the newest first, without personal data."
KEY_PROBLEMS = (401, 403, 429)
INFRASTRUCTURE = {
    "/livez": ("Whether the process lives, also while it stops.", (200,)),
    "/healthz": ("As `/livez`.", (200,)),
    "/readyz": ("Whether the model is loaded, checked and answers right, and nobody stops the server.", (200, 503)),
    "/metrics": ("Prometheus metrics.", (200,)),
}  # fmt: skip


def document(bentoml: Mapping[str, Any], settings: ServingSettings, *, labels: Sequence[str]) -> Schema:
    """Return the document.

    Parameters
    ----------
    bentoml : mapping
        What BentoML generates of the service: its input schemas are taken from here.
    settings : ServingSettings
        Limits, and whether keys are needed.
    labels : sequence of str
        Those of the served model.
    """
    models: Sequence[type[BaseModel]] = (*(model for _, model in ANSWERS.values()), ModelFacts, RecentAnswers, Problem)
    pairs = [(model, "serialization") for model in models]
    _, schemas = models_json_schema(pairs, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    taken = bentoml["components"]["schemas"]
    inputs = {path: _limited(path, taken[f"{path[1:]}__Input"], settings, labels) for path in ANSWERS}
    paths: Schema = {path: {"post": _operation(bentoml, path, inputs[path], settings)} for path in ANSWERS}
    paths["/model"] = {"get": _read("/model", ModelFacts, FACTS, settings)}
    if settings.show_recent:
        paths["/recent"] = {"get": _read("/recent", RecentAnswers, RECENT, settings)}
    paths |= {path: {"get": _infrastructure(*said)} for path, said in INFRASTRUCTURE.items()}
    components: Schema = {"schemas": schemas["$defs"]}
    if settings.keys_file:
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `sentiment keys create`."},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sentiment",
            "version": bentoml["info"]["version"],
            "description": f"Says how positive a text is, and how sure that is. Refusals are `{MEDIA_TYPE}`.",
        },
        "servers": bentoml["servers"],
        "paths": paths,
        "components": components,
    }


def _operation(bentoml: Mapping[str, Any], path: str, schema: Schema, settings: ServingSettings) -> Schema:
    found = bentoml["paths"][path]["post"]
    status, model = ANSWERS[path]
    answer = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": RESPONSES[path]}
    statuses = [*BODY_PROBLEMS, *_key_statuses(settings)]
    return {
        "operationId": path[1:],
        "summary": found["description"],
        "tags": ["Service APIs"],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": REQUESTS[path]}},
        },
        "responses": {
            str(status): {"description": HTTPStatus(status).phrase, "content": {"application/json": answer}},
            **{str(status): _problem(status) for status in sorted(statuses)},
        },
        **_security(path, settings),
    }


def _read(path: str, model: type[BaseModel], summary: str, settings: ServingSettings) -> Schema:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
    return {
        "operationId": path[1:],
        "summary": summary,
        "tags": ["Service APIs"],
        "responses": {
            "200": {"description": "OK", "content": content},
            **{str(status): _problem(status) for status in (*_key_statuses(settings), 500)},
        },
        **_security(path, settings),
    }


def _infrastructure(summary: str, statuses: Sequence[int]) -> Schema:
    good = {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}
    responses = {str(status): good if status == 200 else _problem(status) for status in statuses}
    return {"summary": summary, "tags": ["Infrastructure"], "responses": responses}


def _problem(status: int) -> Schema:
    example = PROBLEM if status == 422 else None
    content: Schema = {"schema": {"$ref": "#/components/schemas/Problem"}, **({"example": example} if example else {})}
    found: Schema = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: content}}
    named = {401: ("WWW-Authenticate",), 403: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
    if status in named:
        found["headers"] = {name: {"schema": {"type": "string"}} for name in named[status]}
    return found


def _key_statuses(settings: ServingSettings) -> tuple[int, ...]:
    if settings.keys_file:
        return KEY_PROBLEMS
    return (429,) if settings.requests_per_minute else ()


def _security(path: str, settings: ServingSettings) -> Schema:
    if not settings.keys_file:
        return {}
    scope = SCOPES.get(path, KeyScope.admin)
    return {"security": [{"bearer": [scope]}, {"header": [scope]}]}


def _limited(path: str, schema: Schema, settings: ServingSettings, labels: Sequence[str]) -> Schema:
    """Return the schema of a body with the limits of this server in it."""
    limits: dict[str, Schema] = {
        "/predict": {"text": {"maxLength": settings.max_characters}},
        "/explain": {"text": {"maxLength": settings.max_characters}},
        "/predict_batch": {"texts": {"minItems": 1, "maxItems": settings.max_batch}},
        "/feedback": {
            "request_id": {"pattern": f"^{REQUEST_ID.pattern}$"},
            "label": {"enum": list(labels)},
            "comment": {"maxLength": MAX_COMMENT},
            "reporter": {"maxLength": MAX_REPORTER},
        },
    }
    properties = {name: {**field, **limits[path][name]} for name, field in schema["properties"].items()}
    return {**schema, "properties": properties}
