"""The web page at ``/`` and its files, and the page of the API's documentation at ``/docs``.

The files stand in ``bento/page`` as they are sent. The page names them under the digest of all of them, so that a
browser may keep them for ever and still never mixes those of two Bentos; pages themselves are asked for anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

FOLDER = Path(__file__).resolve().parent / "page"
KINDS = MappingProxyType(
    {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"},
)
MARK = b"{{files}}"
"""Where a page names the folder of its files."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""BentoML's Swagger UI writes styles into its elements and draws with ``data:`` pictures."""
GUARDS = MappingProxyType({"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"})
FOR_EVER, ASK_ANEW = "public, max-age=31536000, immutable", "no-cache"


@dataclass(frozen=True)
class Pages:
    """The files of the page, read once.

    Attributes
    ----------
    files : mapping of str to bytes
        By name.
    digest : str
        Of all of them.
    """

    files: Mapping[str, bytes]
    digest: str

    @classmethod
    def read(cls, folder: Path = FOLDER) -> Pages:
        """Read the files of a folder."""
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in KINDS}
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
        return cls(files, digest.hexdigest()[:16])

    def routes(self) -> list[Route]:
        """Return what answers for the pages and their files."""
        return [
            Route("/", self._page("index.html", POLICY)),
            Route("/docs", self._page("docs.html", DOCS_POLICY)),
            Route("/page/{digest}/{name}", self._file),
        ]

    def _page(self, name: str, policy: str) -> Callable[[Request], Awaitable[Response]]:
        content = self.files[name].replace(MARK, f"page/{self.digest}".encode())
        headers = {"Content-Security-Policy": policy, "Cache-Control": ASK_ANEW}

        async def page(request: Request) -> Response:
            return _answer(request, content, kind=".html", headers=headers)

        return page

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.files or name.endswith(".html"):
            return Response("There is no such file.\n", status_code=404, media_type="text/plain")
        ours = request.path_params["digest"] == self.digest  # another Bento's page asks for its files during a swap
        headers = {"Cache-Control": FOR_EVER if ours else ASK_ANEW}
        return _answer(request, self.files[name], kind=Path(name).suffix, headers=headers)


def _answer(request: Request, content: bytes, *, kind: str, headers: Mapping[str, str]) -> Response:
    """Return a file, or 304 when the browser has it."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**GUARDS, **headers, "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=KINDS[kind], headers=headers)
