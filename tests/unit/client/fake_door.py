"""A small door that follows the contract as far as the command line goes, and counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pyairtable_devkit.emulator_thread import ServerThread

PASSWORD = "plainly-not-a-real-password"
SESSION = "session-1"
Answer = Callable[[Request, dict[str, Any]], Any]


class DoorServer:
    """Serves one fake door after another: a server for each test would take most of the time."""

    def __init__(self) -> None:
        config = uvicorn.Config(
            self._serve, interface="asgi3", lifespan="off", ws="none", log_level="critical", access_log=False
        )
        self.thread = ServerThread(config, "fake door")
        self.door = self.new_door()

    def new_door(self) -> FakeDoor:
        """From now on this one is served."""
        self.door = FakeDoor(f"{self.thread.url}/api")
        return self.door

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self.door.app(scope, receive, send)


@dataclass
class FakeDoor:
    """Tokens are counted texts: access-1, refresh-1, access-2 ... Only the last pair counts."""

    url: str
    number: int = 0
    refreshes: int = 0
    is_over: bool = False
    seen: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    """As they were sent, percent escapes kept."""
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    break_after: list[int] = field(default_factory=list)
    """For each connection of a chat the number of events after which it breaks; beyond: never."""
    expires_in: int = 900
    forgotten: int = 0
    is_endless: bool = False
    """Chats go on until their reader leaves."""

    def __post_init__(self) -> None:
        routes = [
            Route("/api/auth/login", self._login, methods=["POST"]),
            Route("/api/auth/refresh", self._refresh, methods=["POST"]),
            Route("/api/auth/logout", self._logout, methods=["POST"]),
            Route("/api/chat/stream", self._chat, methods=["POST"]),
            Route("/api/runs/{run_id}/events", self._watch, methods=["GET"]),
            Route("/api/{path:path}", self._other, methods=["GET", "POST", "DELETE"]),
        ]
        self.app = Starlette(routes=routes)

    def says(self, verb: str, path: str, answer: Any) -> None:
        """What it answers to a call: JSON, or (status, problem)."""
        self.answers[verb, path] = answer

    def calls(self, verb: str, path: str) -> list[dict[str, Any]]:
        """Bodies (or queries) of the calls of an address."""
        return [body for seen_verb, seen_path, body in self.seen if (seen_verb, seen_path) == (verb, path)]

    def forget_tokens(self) -> None:
        """The access token that was given last does not count any more; the refresh token does."""
        self.forgotten = self.number

    def _tokens(self) -> dict[str, Any]:
        self.number += 1
        return {
            "tokens": {
                "access_token": f"access-{self.number}",
                "refresh_token": f"refresh-{self.number}",
                "token_type": "Bearer",
                "expires_in": self.expires_in,
                "login_id": "login-1",
            }
        }

    async def _login(self, request: Request) -> Response:
        body = await self._note(request)
        if body["password"] != PASSWORD:
            return problem(401, "UNAUTHENTICATED", "this name and password are not accepted")
        return JSONResponse(self._tokens())

    async def _refresh(self, request: Request) -> Response:
        body = await self._note(request)
        await asyncio.sleep(0.05)  # so that two at once would meet
        self.refreshes += 1
        if self.is_over or body["refresh_token"] != f"refresh-{self.number}":
            self.is_over = True
            return problem(401, "UNAUTHENTICATED", "this refresh token is not accepted")
        return JSONResponse(self._tokens())

    async def _logout(self, request: Request) -> Response:
        await self._note(request)
        return JSONResponse({})

    async def _other(self, request: Request) -> Response:
        body = await self._note(request)
        if refusal := self._refusal(request):
            return refusal
        answer = self.answers.get((request.method, f"/{request.path_params['path']}"))
        if answer is None:
            return problem(404, "ROUTE_NOT_FOUND", f"there is nothing at {request.url.path}")
        if callable(answer):
            answer = answer(body)
        if isinstance(answer, tuple):
            return problem(answer[0], answer[1], answer[2], **(answer[3] if len(answer) > 3 else {}))
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    async def _chat(self, request: Request) -> Response:
        await self._note(request)
        return self._refusal(request) or self._stream(0)

    async def _watch(self, request: Request) -> Response:
        await self._note(request)
        return self._refusal(request) or self._stream(int(request.headers["last-event-id"]))

    def _refusal(self, request: Request) -> Response | None:
        if self.forgotten != self.number and request.headers.get("authorization") == f"Bearer access-{self.number}":
            return None
        return problem(401, "UNAUTHENTICATED", "the access token is not accepted")

    def _stream(self, after: int) -> Response:
        most = self.break_after.pop(0) if self.break_after else None
        events = [{"id": number, "run_id": "run-1", **event} for number, event in enumerate(self.events, 1)][after:]

        async def body() -> AsyncIterator[bytes]:
            yield b": keep-alive\n\n"
            for event in events[:most]:
                kind = next(name for name in event if name not in ("id", "run_id"))
                yield f"id: {event['id']}\nevent: {kind}\ndata: {json.dumps(event)}\n\n".encode()
            while self.is_endless:
                yield b": keep-alive\n\n"
                await asyncio.sleep(0.05)
            if most is not None:
                raise ConnectionError("the connection breaks")

        return StreamingResponse(body(), media_type="text/event-stream")

    async def _note(self, request: Request) -> dict[str, Any]:
        raw = await request.body()
        body: dict[str, Any] = json.loads(raw) if raw else dict(request.query_params)
        self.seen.append((request.method, request.url.path.removeprefix("/api"), body))
        self.headers.append(dict(request.headers))
        self.paths.append(request.scope["raw_path"].decode())
        return body


def problem(status: int, reason: str, detail: str, **more: Any) -> Response:
    """An error as the door tells it."""
    body = {"title": reason, "status": status, "reason": reason, "detail": detail, "request_id": "request-1", **more}
    return JSONResponse(body, status, media_type="application/problem+json")
