"""The HTTP side: the letters, a page of them for people, and the control side under /_emulator."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pyairtable_devkit.mailbox.faults import FaultError
from pyairtable_devkit.mailbox.smtp import SmtpServer
from pyairtable_devkit.mailbox.state import SettingsError, State

LONGEST_WAIT = 60.0
ENDPOINTS = {
    "GET /": "the letters as a page",
    "GET /messages?to=ADDRESS&after=ID&wait=SECONDS": "letters, the oldest first; waits until there is one",
    "GET /messages/{id}": "one letter",
    "DELETE /messages": "forget all letters",
    "GET, POST, DELETE /_emulator/faults": "injected faults",
    "GET, PATCH /_emulator/settings": "settings",
    "GET /_emulator/log?since=SEQ": "attempts seen, the oldest first",
    "GET /_emulator/counters": "attempts by outcome",
    "POST /_emulator/reset": "back to how it started",
}
_LINK = re.compile(r"https?://[^\s<>\"]+")


def create_app(state: State, smtp_listener: Any) -> Starlette:
    """The mailbox as an ASGI application; while it lives it takes letters on the SMTP listener."""
    smtp = SmtpServer(state)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await smtp.start(smtp_listener)
        yield
        await smtp.stop()

    pages = Pages(state)
    routes = [
        Route("/", pages.page),
        Route("/messages", pages.messages, methods=["GET"]),
        Route("/messages", pages.clear, methods=["DELETE"]),
        Route("/messages/{id}", pages.message),
        Route("/_emulator", pages.index),
        Route("/_emulator/log", pages.log),
        Route("/_emulator/counters", pages.counters),
        Route("/_emulator/settings", pages.settings, methods=["GET", "PATCH"]),
        Route("/_emulator/faults", pages.faults, methods=["GET", "POST", "DELETE"]),
        Route("/_emulator/reset", pages.reset, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=REFUSALS)


class Pages:
    """The endpoints over one State."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def messages(self, request: Request) -> Response:
        to, after = request.query_params.get("to", ""), int(number(request, "after"))
        seconds = min(number(request, "wait"), LONGEST_WAIT)
        found = self._state.letters.find(to, after)
        if not found and seconds:
            found = await self._state.letters.wait(to, after, seconds)
        return answer({"messages": [letter.as_dict() for letter in found]})

    async def message(self, request: Request) -> Response:
        letter = self._state.letters.get(request.path_params["id"])
        if letter is None:
            raise HTTPException(404, f"there is no letter {request.path_params['id']}")
        return answer(letter.as_dict())

    async def clear(self, request: Request) -> Response:
        return answer({"deleted": self._state.letters.clear()})

    async def page(self, request: Request) -> Response:
        letters = reversed(self._state.letters.find())
        items = "".join(PAGE_ITEM.format(**as_html(letter.as_dict())) for letter in letters)
        return HTMLResponse(PAGE.format(items=items or "<p>No letters yet.</p>"))

    async def index(self, request: Request) -> Response:
        return answer({"what": "mailbox of pyairtable-devkit: keeps letters, sends none on", "endpoints": ENDPOINTS})

    async def log(self, request: Request) -> Response:
        since = number(request, "since")
        return answer({"entries": [entry.as_dict() for entry in self._state.log if entry.seq > since]})

    async def counters(self, request: Request) -> Response:
        return answer(dict(self._state.counters))

    async def settings(self, request: Request) -> Response:
        if request.method == "PATCH":
            self._state.settings = self._state.settings.changed(await mapping(request))
        return answer(self._state.settings.as_dict())

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            return answer(self._state.faults.add(await mapping(request)).as_dict())
        if request.method == "DELETE":
            self._state.faults.clear()
        return answer({"faults": self._state.faults.as_list()})

    async def reset(self, request: Request) -> Response:
        self._state.reset()
        return answer({"reset": True})


def answer(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body, option=orjson.OPT_INDENT_2), status, media_type="application/json")


async def refusal(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return answer({"error": error.detail}, error.status_code)
    return answer({"error": str(error)}, 400)


REFUSALS: dict[Any, Any] = {HTTPException: refusal, FaultError: refusal, SettingsError: refusal}


def number(request: Request, name: str) -> float:
    """A number of the query; 0 when it is not there."""
    text = request.query_params.get(name, "0")
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        raise HTTPException(400, f"{name}={text!r} is no number")
    return float(text)


async def mapping(request: Request) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    try:
        data = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"the body is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return data


def as_html(letter: dict[str, Any]) -> dict[str, str]:
    """A letter for the page: everything escaped, addresses of pages as links."""
    text = html.escape(letter["text"])
    return {
        "subject": html.escape(letter["subject"]),
        "to": html.escape(", ".join(letter["to"])),
        "text": _LINK.sub(lambda found: f'<a href="{found[0]}">{found[0]}</a>', text),
    }


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">
<title>Mailbox (emulator)</title><style>body{{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere}}article{{border-top:1px solid #ccc;padding:.5rem 0}}</style>
<h1>Mailbox</h1><p>Letters of this installation. They are kept here and sent to nobody.</p>{items}</html>"""
PAGE_ITEM = "<article><h2>{subject}</h2><p>To {to}</p><pre>{text}</pre></article>"
