"""The HTTP surface as an ASGI application: routing on the raw path, tokens, limits, faults, answers.

The order of refusals follows Airtable: unknown route or misshapen id (404), token (401), limits (429),
then scope, base, table and role (403, 404), then the request itself (422).
"""

import asyncio
import inspect
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.types import Message, Receive, Scope, Send

from pyairtable_devkit.airtable import connection, control, errors, routes
from pyairtable_devkit.airtable.emulator import Call, Emulator
from pyairtable_devkit.airtable.errors import ApiError
from pyairtable_devkit.airtable.faults import Fault
from pyairtable_devkit.airtable.model import Base, Table
from pyairtable_devkit.airtable.tokens import Token, bearer
from pyairtable_devkit.airtable.traffic import Entry

logger = logging.getLogger(__name__)

MAX_URL = 16_000
_JSON = "application/json; charset=utf-8"
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"DELETE,GET,OPTIONS,PATCH,POST,PUT"),
    (
        b"access-control-allow-headers",
        b"authorization,content-length,content-type,user-agent,x-airtable-application-id,x-airtable-user-agent,"
        b"x-api-version,x-requested-with",
    ),
]


@dataclass(slots=True)
class Request:
    """What came over the wire, the path still encoded."""

    method: str
    raw_path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    receive: Receive

    @property
    def origin(self) -> str:
        """Scheme and host by which the caller reached us; links lead back there."""
        return f"http://{self.headers.get('host', 'localhost')}"

    @property
    def segments(self) -> list[str]:
        """The path cut at its slashes and then decoded, so that %2F stays within a name."""
        parts = self.raw_path.split("/")[1:]
        if parts and parts[-1] == "":
            parts.pop()
        return [unquote(part) for part in parts]


@dataclass(slots=True)
class Answer:
    """Status, body and headers of an answer; a body of None sends nothing."""

    status: int
    body: bytes
    content_type: str = _JSON
    headers: dict[str, str] | None = None


class App:
    """The emulator over ASGI."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.emulator.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        if path == "/_emulator" or path.startswith("/_emulator/"):
            await self._aside(scope, path, receive, send)
        elif path.startswith("/_attachments/"):
            await _reply(send, self._download(scope, path))
        elif scope["method"] == "OPTIONS":
            await _reply(send, Answer(204, b""))
        else:
            await self._api(scope, path, receive, send)

    async def _aside(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        """The control side: never counted, limited or struck by faults."""
        body = await _read(receive, None)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        status, answer = control.answer(self.emulator, scope["method"], path, query, body)
        await _reply(send, Answer(status, orjson.dumps(answer, option=orjson.OPT_INDENT_2)))

    def _download(self, scope: Scope, path: str) -> Answer:
        found = self.emulator.attachments.download([unquote(part) for part in path.split("/")[2:]])
        if found is None:
            return Answer(410, b"This link has expired or never led anywhere.", "text/plain; charset=utf-8")
        return Answer(200, found[0] if scope["method"] != "HEAD" else b"", found[1])

    async def _api(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        emulator = self.emulator
        traffic, clock = emulator.traffic, emulator.clock
        entry = traffic.arrive(clock.monotonic(), scope["method"], path)
        fault: Fault | None = None
        try:
            request = await self._request(scope, path, receive)
            entry.request_bytes = len(request.body)
            answer, fault = await self._answer(request, entry)
        except ApiError as error:
            answer = _refusal(error)
        except connection.Dropped as dropped:
            traffic.finish(entry, clock.monotonic(), None, 0)
            await connection.drop(scope, receive, hard=dropped.hard)
            return
        except Exception:
            logger.exception("the emulator itself failed on %s %s", scope["method"], path)
            answer = _refusal(errors.retriable(500))
        traffic.finish(entry, clock.monotonic(), answer.status, len(answer.body))
        if fault is not None and fault.kind == "cut_body":
            await connection.cut(scope, receive, send, _start(answer), answer.body)
        else:
            await _reply(send, answer)

    async def _request(self, scope: Scope, path: str, receive: Receive) -> Request:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if len(path) + len(scope["query_string"]) > MAX_URL:
            raise ApiError(414, {"error": {"type": "REQUEST_URI_TOO_LONG"}})
        body = await _read(receive, self.emulator.settings.max_body_bytes)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return Request(scope["method"], path, query, headers, body, receive)

    async def _answer(self, request: Request, entry: Entry) -> tuple[Answer, Fault | None]:
        """The answer of the endpoint, with the fault that is to spoil it on the way back, if any."""
        emulator = self.emulator
        emulator.origin = request.origin
        found = routes.match(request.method, request.segments[1:]) if request.segments[:1] == ["v0"] else None
        if found is None:
            raise errors.not_found()
        endpoint, params = found
        token = emulator.world.tokens.get(bearer(request.headers.get("authorization")) or "")
        base = emulator.world.bases.get(params.get("base", ""))
        table = base.table(params.get("table") or params.get("tbl") or "") if base else None
        entry.endpoint, entry.base, entry.table = endpoint.name, params.get("base"), table.name if table else None
        if token is None:
            raise errors.unauthorized()
        entry.token = token.label
        await self._limit(endpoint, token, base, entry)
        fault = (
            emulator.faults.strike(
                request.method, request.raw_path, entry.base, params.get("table") or params.get("tbl")
            )
            or (table and emulator.faults.strike(request.method, request.raw_path, entry.base, table.name))
            or None
        )
        if fault is not None:
            entry.fault = fault.kind
            await self._strike_before(fault, request)
        await self._take_time(endpoint.effort)
        call = Call(
            request.method, params, request.query, request.body, _is_json(request), request.origin, token,
            emulator.settings, base, table,
        )  # fmt: skip
        self._permit(endpoint, call, base, table)
        result = endpoint.handler(emulator, call)
        if inspect.isawaitable(result):
            result = await result
        if fault is not None:
            await self._strike_after(fault, request)
        return Answer(200, orjson.dumps(result)), fault

    async def _limit(self, endpoint: routes.Endpoint, token: Token, base: Base | None, entry: Entry) -> None:
        emulator, settings = self.emulator, self.emulator.settings
        verdict = emulator.limiter.check(
            settings,
            now=entry.arrived,
            today=emulator.clock.now(),
            user_id=token.user_id,
            base_id=base.id if base else None,
            workspace_id=base.workspace_id if base else None,
            is_metadata=endpoint.is_metadata,
        )
        emulator.traffic.decide(entry, verdict.refusal)
        if verdict.refusal is None:
            return
        await self._take_time("refusal")
        raise _limit_error(verdict.refusal, settings.rate_limit_body, verdict.wait if settings.retry_after else None)

    def _permit(self, endpoint: routes.Endpoint, call: Call, base: Base | None, table: Table | None) -> None:
        """Scope, then base, then table, then role."""
        if endpoint.scope is not None and endpoint.scope not in call.token.scopes:
            raise errors.not_permitted_or_found()
        if endpoint.role is None:
            return
        if base is None:
            on_data = not endpoint.path.startswith(("/meta", "/bases"))
            as_missing = on_data and self.emulator.settings.unknown_base == "404"
            raise errors.not_found() if as_missing else errors.not_permitted_or_found()
        if not call.token.may(base.id, "read"):
            raise errors.not_permitted_or_found()
        if ("table" in call.params or "tbl" in call.params) and table is None:
            raise errors.not_permitted_or_found()
        if not call.token.may(base.id, endpoint.role):
            raise errors.role_too_low()

    async def _take_time(self, effort: Any) -> None:
        settings = self.emulator.settings
        seconds = self.emulator.latency.draw(settings.profile, effort, settings.latency_scale)
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _strike_before(self, fault: Fault, request: Request) -> None:
        """Faults that keep the call from being carried out."""
        if fault.kind == "status":
            if fault.status == 429:
                raise _limit_error("rate", self.emulator.settings.rate_limit_body, fault.retry_after)
            error = errors.retriable(fault.status)
            if fault.retry_after is not None:
                error.headers["retry-after"] = str(round(fault.retry_after))
            raise error
        if fault.kind == "timeout_before":
            await connection.hang(request.receive, fault.seconds)
            raise connection.Dropped(hard=False)
        if fault.kind == "reset":
            raise connection.Dropped(hard=True)
        if fault.kind == "expired_cursor":
            self.emulator.listings.expire()

    async def _strike_after(self, fault: Fault, request: Request) -> None:
        """Faults that lose the answer of a call that was carried out."""
        if fault.kind == "timeout_after":
            await connection.hang(request.receive, fault.seconds)
            raise connection.Dropped(hard=False)
        if fault.kind == "reset_after":
            raise connection.Dropped(hard=True)


def _limit_error(refusal: str, body: str, retry_after: float | None) -> ApiError:
    if refusal == "billing":
        kind = "PUBLIC_API_BILLING_LIMIT_EXCEEDED"
        message = (
            "API billing plan limit exceeded. You've reached the maximum number of requests allowed for this month."
        )
    else:
        kind, message = "RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later"
    return errors.too_many(kind, message, plural=body == "plural", retry_after=retry_after)


def _is_json(request: Request) -> bool:
    return "json" in request.headers.get("content-type", "").lower()


async def _read(receive: Receive, limit: int | None) -> bytes:
    """The whole body; ApiError 413 as soon as it is over the limit."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if limit is not None and size > limit:
            raise errors.typed(413, "REQUEST_TOO_LARGE", "Request body is too large")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _refusal(error: ApiError) -> Answer:
    body = b"" if error.body is None else orjson.dumps(error.body)
    return Answer(error.status, body, headers=error.headers)


def _start(answer: Answer) -> Message:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"vary", b"Accept-Encoding"),
        *_CORS,
    ]
    headers += [(name.encode(), value.encode()) for name, value in (answer.headers or {}).items()]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _reply(send: Send, answer: Answer) -> None:
    await send(_start(answer))
    await send({"type": "http.response.body", "body": answer.body})
