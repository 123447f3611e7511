"""/healthz, /readyz and /metrics over HTTP.

Alive means: the event loop answers and every watch was heard lately. Ready means: everything was listed once. A standby
is ready too: it takes over without a delay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import generate_latest

from pyairtable_operator.metrics import Metrics
from pyairtable_operator.watches import Watch


@dataclass(frozen=True, slots=True)
class Probes:
    """What the probes look at."""

    watches: Sequence[Watch]
    metrics: Metrics
    silence: float
    refresh: Callable[[], None]

    async def start(self, host: str, port: int) -> web.AppRunner:
        """Listens; who starts it calls `cleanup` of the runner."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        return runner

    async def _healthz(self, _: web.Request) -> web.Response:
        silent = [f"{watch.kind.plural}: {watch.age():.0f} s" for watch in self.watches if watch.age() > self.silence]
        if silent:
            return web.Response(status=503, text="nothing was heard of " + ", ".join(silent))
        return web.Response(text="ok")

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = [watch.kind.plural for watch in self.watches if not watch.synced.is_set()]
        if missing:
            return web.Response(status=503, text="not listed yet: " + ", ".join(missing))
        return web.Response(text="ok")

    async def _metrics(self, _: web.Request) -> web.Response:
        for watch in self.watches:
            self.metrics.watch_age.labels(watch.kind.name).set(watch.age())
        self.refresh()
        return web.Response(body=generate_latest(self.metrics.registry), content_type="text/plain")
