"""The HTTP surface as an ASGI application: tokens, limits, permissions, faults, handlers.

The order of refusals follows Airtable: unknown route or misshapen id (404), token (401), limits (429),
then scope, base, table and role (403, 404), then the request itself (422).
"""

import asyncio
import inspect
import logging
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send

from pyairtable_devkit.airtable import connection, control, errors, routes, wire
from pyairtable_devkit.airtable.emulator import Call, Emulator
from pyairtable_devkit.airtable.errors import ApiError
from pyairtable_devkit.airtable.faults import Fault, Target
from pyairtable_devkit.airtable.kept import KeptWorld
from pyairtable_devkit.airtable.latency import Effort
from pyairtable_devkit.airtable.model import Base, Table
from pyairtable_devkit.airtable.tokens import bearer
from pyairtable_devkit.airtable.traffic import Entry
from pyairtable_devkit.airtable.wire import Answer, Request

logger = logging.getLogger(__name__)


class App:
    """The emulator over ASGI."""

    def __init__(self, emulator: Emulator, kept: KeptWorld | None = None) -> None:
        self.emulator = emulator
        self._kept = kept

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
        self._keep()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = wire.raw_path(scope)
        if path == "/_emulator" or path.startswith("/_emulator/"):
            await self._aside(scope, path, receive, send)
        elif path.startswith("/_attachments/"):
            await wire.reply(send, self._download(scope["method"], path))
        elif scope["method"] == "OPTIONS":
            await wire.reply(send, Answer(204, b""))
        else:
            await self._api(scope, path, receive, send)

    async def _aside(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        """The control side: never counted, limited or struck by faults."""
        body = await wire.read_body(receive, None)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        status, answer = control.answer(self.emulator, scope["method"], path, query, body)
        if scope["method"] != "GET":
            self._keep()
        await wire.reply(send, Answer(status, orjson.dumps(answer, option=orjson.OPT_INDENT_2)))

    def _download(self, method: str, path: str) -> Answer:
        found = self.emulator.attachments.download(wire.segments(path)[1:])
        if found is None:
            return Answer(410, b"This link has expired or never led anywhere.", "text/plain; charset=utf-8")
        content, kind = found
        return Answer(200, b"" if method == "HEAD" else content, kind)

    async def _api(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        """One call to Airtable's API, logged from the moment it is complete."""
        emulator = self.emulator
        traffic, clock = emulator.traffic, emulator.clock
        entry = traffic.arrive(clock.monotonic(), scope["method"], path)
        fault: Fault | None = None
        try:
            request = await wire.read_request(scope, receive, emulator.settings.max_body_bytes)
            entry.arrived = clock.monotonic()
            entry.request_bytes = len(request.body)
            answer, fault = await self._answer(request, entry)
        except ApiError as error:
            answer = wire.refusal(error)
        except connection.Dropped as dropped:
            traffic.finish(entry, clock.monotonic(), None, 0)
            await connection.drop(scope, receive, hard=dropped.hard)
            return
        except Exception:
            logger.exception("the emulator itself failed on %s %s", scope["method"], path)
            answer = wire.refusal(errors.retriable(500))
        traffic.finish(entry, clock.monotonic(), answer.status, len(answer.body))
        if fault is not None and fault.kind == "cut_body":
            await connection.cut(scope, receive, send, wire.start(answer), answer.body)
        else:
            await wire.reply(send, answer)

    async def _answer(self, request: Request, entry: Entry) -> tuple[Answer, Fault | None]:
        """The answer of the endpoint, with the fault that is to spoil it on the way back, if any."""
        emulator = self.emulator
        endpoint, call = self._authorised(request, entry)
        await self._limit(endpoint, call, entry)
        fault = emulator.faults.strike(_target(request, call))
        if fault is not None:
            entry.fault = fault.kind
            await self._strike_before(fault, request)
        await self._take_time(endpoint.effort)
        _permit(endpoint, call)
        result = endpoint.handler(emulator, call)
        if inspect.isawaitable(result):
            result = await result
        if endpoint.effort == "write":
            self._keep()
        if fault is not None:
            await _strike_after(fault, request)
        return Answer(200, orjson.dumps(result)), fault

    def _keep(self) -> None:
        if self._kept is not None:
            self._kept.save(self.emulator)

    def _authorised(self, request: Request, entry: Entry) -> tuple[routes.Endpoint, Call]:
        """The endpoint and the call with its token; ApiError 404 before 401, as Airtable does it."""
        emulator, world = self.emulator, self.emulator.world
        emulator.origin = request.origin
        version, *parts = request.segments or [""]
        found = routes.match(request.method, parts) if version == "v0" else None
        if found is None:
            raise errors.not_found()
        endpoint, params = found
        base = world.bases.get(params.get("base", ""))
        table = base.table(params.get("table") or params.get("tbl") or "") if base else None
        entry.endpoint, entry.base, entry.table = endpoint.name, params.get("base"), table.name if table else None
        token = world.tokens.get(bearer(request.headers.get("authorization")) or "")
        if token is None:
            raise errors.unauthorized()
        entry.token = token.label
        call = Call(
            method=request.method,
            params=params,
            query=request.query,
            raw_body=request.body,
            is_json=request.is_json,
            origin=request.origin,
            token=token,
            settings=emulator.settings,
            found_base=base,
            found_table=table,
        )
        return endpoint, call

    async def _limit(self, endpoint: routes.Endpoint, call: Call, entry: Entry) -> None:
        emulator, settings, base = self.emulator, self.emulator.settings, call.found_base
        verdict = emulator.limiter.check(
            settings,
            now=entry.arrived,
            today=emulator.clock.now(),
            user_id=call.token.user_id,
            base_id=base.id if base else None,
            workspace_id=base.workspace_id if base else None,
            is_metadata=endpoint.is_metadata,
        )
        emulator.traffic.decide(entry, verdict.refusal)
        if verdict.refusal is None:
            return
        await self._take_time("refusal")
        wait = verdict.wait if settings.retry_after else None
        raise errors.too_many(verdict.refusal, plural=settings.rate_limit_body == "plural", retry_after=wait)

    async def _take_time(self, effort: Effort) -> None:
        settings = self.emulator.settings
        seconds = self.emulator.latency.draw(settings.profile, effort, settings.latency_scale)
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _strike_before(self, fault: Fault, request: Request) -> None:
        """Faults that keep the call from being carried out."""
        if fault.kind == "status" and fault.status == 429:
            plural = self.emulator.settings.rate_limit_body == "plural"
            raise errors.too_many("rate", plural=plural, retry_after=fault.retry_after)
        if fault.kind == "status":
            raise errors.retriable(fault.status, fault.retry_after)
        if fault.kind == "timeout_before":
            await connection.hang(request.receive, fault.seconds)
            raise connection.Dropped(hard=False)
        if fault.kind == "reset":
            raise connection.Dropped(hard=True)
        if fault.kind == "expired_cursor":
            self.emulator.listings.expire()


async def _strike_after(fault: Fault, request: Request) -> None:
    """Faults that lose the answer of a call that was carried out."""
    if fault.kind == "timeout_after":
        await connection.hang(request.receive, fault.seconds)
        raise connection.Dropped(hard=False)
    if fault.kind == "reset_after":
        raise connection.Dropped(hard=True)


def _target(request: Request, call: Call) -> Target:
    """The call as faults see it; its table goes by id and by name."""
    table = call.found_table
    names = {table.id, table.name} if table else set()
    return Target(request.method, request.raw_path, call.params.get("base"), frozenset(names))


def _permit(endpoint: routes.Endpoint, call: Call) -> None:
    """Scope, then base, then table, then role."""
    if endpoint.scope is not None and endpoint.scope not in call.token.scopes:
        raise errors.not_permitted_or_found()
    if endpoint.role is None:
        return
    _check_base(endpoint, call.found_base, call)
    _check_table(call.found_table, call)
    if not call.token.may(call.base.id, endpoint.role):
        raise errors.role_too_low()


def _check_base(endpoint: routes.Endpoint, base: Base | None, call: Call) -> None:
    if base is None:
        bare = endpoint.is_data and call.settings.unknown_base == "404"
        raise errors.not_found() if bare else errors.not_permitted_or_found()
    if not call.token.may(base.id, "read"):
        raise errors.not_permitted_or_found()


def _check_table(table: Table | None, call: Call) -> None:
    if table is None and ("table" in call.params or "tbl" in call.params):
        raise errors.not_permitted_or_found()
