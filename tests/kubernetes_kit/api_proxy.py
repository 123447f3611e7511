"""A proxy before the Kubernetes API server that a test programs: it counts, kills, refuses, delays, hides and lies.

It speaks plain HTTP on loopback and passes the bearer token of the client on over TLS, so that the client is a
ServiceAccount with its own rights and the answers are the real ones. What is done to them is a list of faults
(`kubernetes_kit.api_faults`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp
import orjson
from aiohttp import web
from kubernetes_kit.api_calls import Call, metadata
from multidict import CIMultiDict
from yarl import URL

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length", "accept-encoding"}
T = TypeVar("T")
NO_LIMIT = aiohttp.ClientTimeout(total=None, sock_connect=5)


class CutError(Exception):
    """The connection ends here without an answer."""


@dataclass(slots=True)
class Reply:
    """An answer to relay, or one made up by a fault."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Fault:
    """Something that goes wrong. Every method runs in the proxy's loop; each may raise `CutError`."""

    async def before(self, call: Call) -> Reply | None:
        """Called before the request is forwarded; a reply answers it in the server's place."""
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        """Called when the server has answered and the client has not yet heard."""
        return reply

    async def events(self, call: Call, event: dict[str, Any]) -> list[dict[str, Any]]:
        """What of a watch reaches the client in the place of one event."""
        return [event]


class ApiProxy:
    """The proxy in a thread of its own; use it as a context manager."""

    def __init__(self, server_url: str, ca_file: Path) -> None:
        self._upstream = server_url.rstrip("/")
        self._ca_file = ca_file
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api-proxy", daemon=True)
        self._faults: tuple[Fault, ...] = ()
        self._versions: dict[str, str] = {}
        self._streams: set[asyncio.Task[Any]] = set()
        self._numbered = 0
        self.calls: list[Call] = []
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Forget what was recorded and count from one again."""

        def forget() -> None:
            self.calls, self._numbered = [], 0

        self._in_loop(forget)

    @contextlib.contextmanager
    def fault(self, *faults: Fault) -> Iterator[None]:
        """Let faults happen inside the block."""
        before = self._faults
        self._faults = (*before, *faults)
        try:
            yield
        finally:
            self._faults = before

    def writes(self, where: Callable[[Call], bool] = lambda _call: True) -> list[Call]:
        """The writes that reached the server, in order (leases and events left out)."""
        return [call for call in tuple(self.calls) if call.counts and call.forwarded and where(call)]

    def cut_watches(self) -> int:
        """Break the connection of every watch; how many there were."""

        def cut() -> int:
            streams = tuple(self._streams)
            for stream in streams:
                stream.cancel()
            return len(streams)

        return self._in_loop(cut)

    def write_kubeconfig(self, path: Path, token: str) -> Path:
        """A kubeconfig that leads through the proxy, with a ServiceAccount's token."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "users": [{"name": "proxy", "user": {"token": token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        }
        path.write_bytes(orjson.dumps(config))
        path.chmod(0o600)
        return path

    def _in_loop(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    async def _start(self) -> None:
        context = ssl.create_default_context(cafile=str(self._ca_file))
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=NO_LIMIT, auto_decompress=False)
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        for stream in tuple(self._streams):
            stream.cancel()
        await self._runner.cleanup()
        await self._session.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0.1)  # TLS connections close in the loop's own time

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = Call.of(request.method, request.path, request.query_string, request.content_type, body)
        self._record(call)
        try:
            if call.watches:
                return await self._answer(request, call)
            # What was sent is done, whether the client lives to hear of it or not.
            return await asyncio.shield(self._answer(request, call))
        except (CutError, aiohttp.ClientError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    def _record(self, call: Call) -> None:
        if call.counts:
            self._numbered += 1
            call.number = self._numbered
        self.calls.append(call)

    async def _answer(self, request: web.Request, call: Call) -> web.StreamResponse:
        faults = self._faults
        for fault in faults:
            if (reply := await fault.before(call)) is not None:
                call.status = reply.status
                return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        headers["Accept-Encoding"] = "identity"  # the server compresses long lists, and we read them
        url = URL(self._upstream + call.path, encoded=True).with_query(call.query)
        known = self._versions.get(call.target.key)
        call.forwarded = True
        async with self._session.request(call.method, url, headers=headers, data=call.body or None) as upstream:
            if call.watches and upstream.status == 200:
                return await self._stream(request, call, upstream)
            reply = Reply(upstream.status, await upstream.read(), relayed(upstream.headers))
            self._learn(call, reply, known)
        for fault in faults:
            reply = await fault.after(call, reply)
        call.status = reply.status
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    def _learn(self, call: Call, reply: Reply, known: str | None) -> None:
        """Keep resource versions, to tell a write that changed something from one that did not."""
        if reply.status >= 300:
            return
        if call.verb == "list":
            for item in orjson.loads(reply.body).get("items") or ():
                self._see(call, item["metadata"])
        elif call.mutates or call.verb == "get":
            version = metadata(reply.body).get("resourceVersion")
            if call.mutates:
                call.changed = version is None or version != known
            if version is not None:
                self._versions[call.target.key] = version

    def _see(self, call: Call, meta: dict[str, Any]) -> None:
        parts = (call.target.resource, meta.get("namespace", ""), meta.get("name", ""))
        self._versions["/".join(part for part in parts if part)] = meta.get("resourceVersion", "")

    async def _stream(self, request: web.Request, call: Call, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=200, headers=relayed(upstream.headers))
        response.enable_chunked_encoding()
        call.status = 200
        await response.prepare(request)
        stream = asyncio.ensure_future(self._relay(call, upstream, response))
        self._streams.add(stream)
        try:
            await asyncio.wait([stream])
        finally:
            self._streams.discard(stream)
            stream.cancel()
        if stream.cancelled() or isinstance(stream.exception(), OSError | CutError | aiohttp.ClientError):
            raise CutError
        stream.result()
        return response

    async def _relay(self, call: Call, upstream: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        async for line in lines(upstream):
            event = orjson.loads(line)
            if event["type"] in ("ADDED", "MODIFIED"):
                self._see(call, event["object"]["metadata"])
            events = [event]
            for fault in self._faults:
                events = [after for one in events for after in await fault.events(call, one)]
            for one in events:
                await response.write(line if one is event else orjson.dumps(one) + b"\n")
        await response.write_eof()


async def lines(upstream: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a stream, of any length."""
    rest = b""
    async for chunk in upstream.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"


def relayed(headers: Any) -> dict[str, str]:
    """The headers of an answer that belong to it and not to the connection."""
    return {name: value for name, value in CIMultiDict(headers).items() if name.lower() not in HOP_BY_HOP}
