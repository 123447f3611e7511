"""Whether this process serves, and how its dependencies are: asked when somebody asks, never remembered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from .errors import PyAirtableError

Check = Callable[[], Awaitable[Mapping[str, Any] | None]]
"""Asks a dependency; returns when it answers (what it returns is told beside the status), raises when it does not."""

CHECK_SECONDS = 3.0


class Health:
    """The state of one process.

    `checks` are what it cannot work without; of `optional` ones it says how they are, and works on without them.
    """

    def __init__(
        self,
        service: str,
        version: str,
        checks: Mapping[str, Check],
        optional: Mapping[str, Check],
        notes: Sequence[str] = (),
    ) -> None:
        self._service = service
        self._version = version
        self._checks = dict(checks)
        self._optional = dict(optional)
        self._notes = list(notes)
        self.serving = False
        self.waiting_for: list[str] = []

    async def report(self) -> dict[str, Any]:
        """All of it as JSON: status is healthy, degraded (an optional dependency is away) or unhealthy."""
        names = [*self._checks, *self._optional]
        results = await asyncio.gather(*map(ask, [*self._checks.values(), *self._optional.values()]))
        checks = dict(zip(names, results, strict=True))
        return {
            "status": self._status(checks),
            "service": self._service,
            "version": self._version,
            "ready": self.serving,
            "checks": checks,
            "notes": self._notes,
        }

    def _status(self, checks: Mapping[str, Mapping[str, Any]]) -> str:
        bad = {name for name, result in checks.items() if result["status"] != "healthy"}
        if not self.serving or bad & self._checks.keys():
            return "unhealthy"
        return "degraded" if bad else "healthy"

    async def failing(self) -> dict[str, str]:
        """What it cannot work without and does not get, with the reason."""
        results = await asyncio.gather(*map(ask, self._checks.values()))
        pairs = zip(self._checks, results, strict=True)
        return {name: str(result.get("error", "")) for name, result in pairs if result["status"] != "healthy"}


async def ask(check: Check) -> dict[str, Any]:
    """Run one check, within a limit of time."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            told = await check()
    except PyAirtableError as error:
        return {"status": "unhealthy", "error": error.message}
    except TimeoutError:
        return {"status": "unhealthy", "error": f"no answer within {CHECK_SECONDS:g} s"}
    except Exception as error:
        # Messages of drivers may hold addresses with credentials in them, so only the kind is told.
        return {"status": "unhealthy", "error": type(error).__name__}
    return {"status": "healthy", "latency_ms": round((time.perf_counter() - started) * 1000, 1), **(told or {})}
