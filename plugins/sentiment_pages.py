"""What our pages in the Airflow UI share: templates, headers that confine them, and how refusals and failures look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from sentiment.errors import SentimentError

HEADERS = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-cache",
    }
)
EVENTS = MappingProxyType(
    {
        "trained": "Trained",
        "registered": "Registered",
        "decided": "Judged",
        "approved": "Approved",
        "rejected": "Rejected",
        "promoted": "Promoted",
        "packaged": "Packaged",
        "shipped": "Shipped",
        "canary": "Checked",
        "deployed": "Deployed",
        "rolled_back": "Rolled back to",
    }
)
"""What people call what the ledger records."""

_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'self'"
)
_DOCUMENT_POLICY = "sandbox allow-scripts allow-popups; connect-src 'none'; frame-ancestors 'self'; form-action 'none'"

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, *, status_code: int = 200, **context: object) -> HTMLResponse:
    """Render one of our templates; scripts do not run in it."""
    html = _TEMPLATES.get_template(template).render(**context)
    return HTMLResponse(html, status_code, headers={**HEADERS, "Content-Security-Policy": _PAGE_POLICY})


def document(html: bytes) -> HTMLResponse:
    """Return a page that a stage wrote; its scripts run without the origin, and so the session, of the Airflow UI."""
    return HTMLResponse(html, headers={**HEADERS, "Content-Security-Policy": _DOCUMENT_POLICY})


def answer_errors(app: FastAPI, *, refusals: Mapping[int, tuple[str, str]], failure: str) -> None:
    """Show what an app refuses, and why it fails, as pages.

    Parameters
    ----------
    app : FastAPI
        The pages.
    refusals : mapping of int to (str, str)
        Title and text for a status code.
    failure : str
        Title of a page about one of our own errors.
    """

    def refuse(_request: object, error: Any) -> HTMLResponse:
        title, text = refusals.get(error.status_code, ("That did not work", str(error.detail)))
        return page("message.html", status_code=error.status_code, title=title, text=text)

    def fail(_request: object, error: Any) -> HTMLResponse:
        return page("message.html", status_code=503, title=failure, text=str(error))

    app.add_exception_handler(HTTPException, refuse)
    app.add_exception_handler(SentimentError, fail)
