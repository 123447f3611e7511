"""The life of a service process: bind, wait for what it needs, serve, go unready, drain, stop.

opened -> listening (unready) -> dependencies answered -> ready -> SIGTERM -> unready -> delay -> drained -> closed
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
import uvicorn
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as grpc_health
from grpc_reflection.v1alpha import reflection
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from pyairtable_platform import __version__

from .access import DEVELOPMENT_NOTE, Access, open_access
from .channels import MAX_MESSAGE_BYTES, ServiceChannel, open_channel
from .health import Check, Health
from .http import build_app
from .interceptors import Addressed, CallInterceptor, Count
from .logs import configure_logging
from .rest.handler import rest_routes
from .settings import ServiceSettings, load
from .tasks import end
from .tracing import configure_tracing

log = logging.getLogger(__name__)


S = TypeVar("S", bound=ServiceSettings)
Background = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Servicer:
    """A gRPC service: its implementation, the generated function that registers it, its descriptor."""

    implementation: Any
    register: Callable[[Any, grpc.aio.Server], None]
    descriptor: ServiceDescriptor


@dataclass(frozen=True)
class Service:
    """What `main.py` wires together and the server runs."""

    name: str
    title: str
    servicers: Sequence[Servicer]
    checks: Mapping[str, Check] = field(default_factory=dict)
    """Dependencies it cannot work without: it becomes ready when each has answered once."""
    optional_checks: Mapping[str, Check] = field(default_factory=dict)
    """Dependencies it can do without for a while."""
    routes: Sequence[BaseRoute] = ()
    """HTTP routes beside those of the contract."""
    public_paths: Sequence[str] = ()
    """Paths of `routes` that need no credential; one that ends in a slash stands for everything below it."""
    access: Access | None = None
    """Who may call, when the service needs to know it before the kit does; else the kit opens its own."""
    edge: Callable[[ASGIApp], ASGIApp] | None = None
    """Wraps the whole HTTP side, probes and refusals included (the door's guards)."""
    notes: Sequence[str] = ()
    """Said at start and in /health."""
    background: Sequence[Background] = ()
    """Run until the end; one that returns or fails ends the process."""
    on_drain: Sequence[Callable[[], None]] = ()
    """Called when the service goes unready: end streams that would otherwise hold it until the grace is over."""
    generic_handlers: Sequence[grpc.GenericRpcHandler] = ()
    """For gRPC methods that no servicer has (the door's pass-through)."""
    count_grpc: Count | None = None
    """Counts gRPC calls, also those whose credential will be refused (the door's rate limit)."""
    addressed: Addressed | None = None
    """Tells where gRPC calls come from, when the kit cannot know it (the door's trusted proxies)."""
    reflected: Sequence[str] = ()
    """Full names of services that reflection lists beside our own."""


Build = Callable[[S], AbstractAsyncContextManager[Service]]


@dataclass(frozen=True)
class Addresses:
    """Where a running service listens."""

    http_url: str
    grpc_target: str


class PortTaken(OSError):
    """Something else listens where we were told to."""


def run_service(build: Build[S], settings_class: type[S], name: str) -> None:
    """Run a service until SIGTERM or SIGINT. Called by the command line, once per process."""
    settings = load(settings_class)
    configure_logging(name, "DEBUG" if settings.debug else settings.log_level)
    provider = None
    if settings.tracing_enabled:
        provider = configure_tracing(name, __version__, settings.otel_exporter_otlp_endpoint)
    try:
        asyncio.run(serve(build, settings))
    except PortTaken as error:
        sys.exit(f"{name}: {error}")
    finally:
        if provider is not None:
            provider.shutdown()


async def serve(build: Build[S], settings: S) -> None:
    """Serve until a signal comes or a background task ends."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(build, settings) as server:
        ended = asyncio.create_task(server.background_ended())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        failure = ended.exception() if ended.done() else None
        ended.cancel()
    if failure is not None:
        raise failure


@asynccontextmanager
async def running(build: Build[S], settings: S) -> AsyncIterator[RunningService]:
    """A service that serves as long as the block runs; tests use it with ports 0."""
    async with build(settings) as service:
        server = RunningService(service, settings)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()


class RunningService:
    """A service with its two servers and its background tasks."""

    def __init__(self, service: Service, settings: ServiceSettings) -> None:
        self.service = service
        self._settings = settings
        self._access = service.access or open_access(settings)
        notes = [*([DEVELOPMENT_NOTE] if self._access.is_open else []), *service.notes]
        optional = dict(service.optional_checks)
        self._background = list(service.background)
        if self._access.authorizer is not None:
            optional["auth"] = self._access.authorizer.check
            self._background.append(self._access.authorizer.follow)
        self.health = Health(service.name, __version__, service.checks, optional, notes)
        self._notes = notes
        self._grpc_health = grpc_health.HealthServicer()
        self._grpc: grpc.aio.Server | None = None
        self._http: QuietServer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._http_task: asyncio.Task[None] | None = None
        self._own_channel: ServiceChannel | None = None
        self._becoming_ready: asyncio.Task[None] | None = None
        self.addresses = Addresses("", "")

    async def start(self) -> None:
        """Listen, then become ready in the background as soon as every dependency has answered."""
        grpc_port = await self._start_grpc()
        self._own_channel = open_channel(f"{loopback_of(self._settings.host)}:{grpc_port}", self._settings)
        http_port = await self._start_http(self._own_channel)
        host = loopback_of(self._settings.host)
        self.addresses = Addresses(f"http://{host}:{http_port}", f"{host}:{grpc_port}")
        self._tasks = [asyncio.create_task(run_forever(task)) for task in self._background]
        self._becoming_ready = asyncio.create_task(self._become_ready())
        log.info("listening", extra={"http_port": http_port, "grpc_port": grpc_port, "notes": self._notes})

    async def ready(self) -> None:
        """Wait until it serves."""
        assert self._becoming_ready is not None, "start() comes first"
        await asyncio.shield(self._becoming_ready)

    async def background_ended(self) -> None:
        """Wait until a background task ends, which none should: raises what ended it."""
        if not self._tasks:
            await asyncio.Event().wait()
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Go unready, give load balancers a moment, let calls end, close. Also after a start that failed half-way."""
        self.health.serving = False
        background = [task for task in (*self._tasks, self._becoming_ready) if task is not None]
        if self._becoming_ready is not None:
            self._becoming_ready.cancel()
            await self._grpc_health.enter_graceful_shutdown()
            await asyncio.sleep(self._settings.shutdown_delay_seconds)
            for end_streams in self.service.on_drain:
                end_streams()
        if self._http is not None and self._http_task is not None:
            self._http.should_exit = True
            await asyncio.gather(self._http_task, return_exceptions=True)
        if self._grpc is not None:
            await self._grpc.stop(self._settings.shutdown_grace_seconds)
        if self._own_channel is not None:
            await self._own_channel.channel.close()
        await self._access.close()
        await end(*background)
        log.info("stopped")

    async def _start_grpc(self) -> int:
        timeout = self._settings.request_timeout_seconds
        interceptor = CallInterceptor(self._access, timeout, self.service.count_grpc, self.service.addressed)
        self._grpc = server = grpc.aio.server(interceptors=[interceptor], options=self._grpc_options())
        for servicer in self.service.servicers:
            servicer.register(servicer.implementation, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._grpc_health, server)
        own = [str(servicer.descriptor.full_name) for servicer in self.service.servicers]
        names = [*own, *self.service.reflected, reflection.SERVICE_NAME, "grpc.health.v1.Health"]
        reflection.enable_server_reflection(names, server)
        if self.service.generic_handlers:
            server.add_generic_rpc_handlers(tuple(self.service.generic_handlers))
        await self._set_grpc_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        try:
            port = server.add_insecure_port(f"{self._settings.host}:{self._settings.grpc_port}")
        except RuntimeError:
            port = 0
        if port == 0:
            raise PortTaken(
                f"port {self._settings.grpc_port} (GRPC_PORT) is taken: stop what listens there or choose another"
            )
        await server.start()
        return port

    async def _start_http(self, own_channel: ServiceChannel) -> int:
        contract = [(servicer.descriptor, own_channel) for servicer in self.service.servicers]
        app = build_app(
            title=self.service.title,
            version=__version__,
            settings=self._settings,
            health=self.health,
            routes=[*self.service.routes, *rest_routes(contract)],
            access=self._access,
            public_paths=self.service.public_paths,
        )
        if self.service.edge is not None:
            app = self.service.edge(app)
        listener = listen(self._settings.host, self._settings.http_port)
        grace = max(1, int(self._settings.shutdown_grace_seconds))
        self._http = QuietServer(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=grace,
                server_header=False,
                proxy_headers=False,  # uvicorn would believe X-Forwarded-For of every caller on this machine
            )
        )
        self._http_task = asyncio.create_task(self._http.serve(sockets=[listener]))
        return int(listener.getsockname()[1])

    async def _become_ready(self) -> None:
        told: dict[str, str] = {}
        while failing := await self.health.failing():
            self.health.waiting_for = sorted(failing)
            if failing != told:
                log.warning("waiting for what this service needs", extra={"waiting_for": failing})
                told = failing
            await asyncio.sleep(0.25)
        self.health.waiting_for = []
        self.health.serving = True
        await self._set_grpc_health(health_pb2.HealthCheckResponse.SERVING)
        log.info("ready")

    async def _set_grpc_health(self, status: Any) -> None:
        names = ["", *(str(servicer.descriptor.full_name) for servicer in self.service.servicers)]
        for name in names:
            await self._grpc_health.set(name, status)

    def _grpc_options(self) -> list[tuple[str, Any]]:
        return [
            ("grpc.so_reuseport", 0),  # else two processes share a port without a word
            ("grpc.max_receive_message_length", max(self._settings.max_request_bytes, MAX_MESSAGE_BYTES)),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            # Our own channels ping every 20 s, also over streams that say nothing for long: none is cut off for it.
            ("grpc.http2.max_ping_strikes", 0),
        ]


class QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers: the life cycle above owns the signals."""

    def install_signal_handlers(self) -> None:
        return None

    def capture_signals(self) -> Any:
        return nullcontext()


async def run_forever(task: Background) -> None:
    """Run a background task, which should not end by itself."""
    await task()
    raise RuntimeError("a background task ended, which it should not")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; PortTaken says what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named so that asyncio sets TCP_NODELAY on connections: else every answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(f"port {port} (HTTP_PORT) cannot be used ({error.strerror}): choose another") from error
    listener.setblocking(False)
    return listener


def loopback_of(host: str) -> str:
    """An address under which this process reaches itself."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
