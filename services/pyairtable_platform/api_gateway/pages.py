"""The web chat: files of this package, served as they are."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

LETTER_PATHS = ("/verify-email", "/reset-password", "/invitations")
"""Where links of letters lead; what they are to do stands behind the #, which no browser sends."""
PAGE_PATHS = ("/", "/static/", *LETTER_PATHS)
FILES = Path(__file__).parent / "static"
# Always asked for again, by ETag: after an upgrade nobody runs half of the old page with half of the new one.
_CACHE = {"cache-control": "no-cache"}


class PageFiles(StaticFiles):
    """The page's files, asked for again on every visit."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_CACHE)
        return response


async def chat_page(_: Request) -> Response:
    return FileResponse(FILES / "index.html", headers=_CACHE)


def page_routes() -> list[BaseRoute]:
    """The page at `/` and where letters lead, and its files under `/static`."""
    pages = [Route(path, chat_page) for path in ("/", *LETTER_PATHS)]
    return [*pages, Mount("/static", PageFiles(directory=FILES))]
