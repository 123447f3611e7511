"""A saga that is started, and asked for again with the same key until there is an answer; resumed when it failed."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable

import asyncpg
from integration.sagas.place import LONG_PATIENCE, Place

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import DeadlineExceeded, Unavailable
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.sagas.v1 import saga_service_pb2 as rpc
from pyairtable_protos.sagas.v1 import saga_service_pb2_grpc

from .scenarios import Scenario

_numbers = itertools.count(1)


class DrivenSaga:
    """One saga of a scenario. `target` tells where the service is just now."""

    def __init__(self, place: Place, scenario: Scenario, target: Callable[[], str]) -> None:
        self.scenario = scenario
        self.mark = f"Kill{next(_numbers):010d}"
        self.saga_id = ""
        self.begin = place.ledger_size()
        self._place = place
        self._target = target
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._drive())

    def has_ended(self) -> bool:
        return self._task is not None and self._task.done()

    async def ended(self) -> None:
        """Wait for its end; raises what kept it from ending."""
        assert self._task is not None, "it was not started"
        await self._task

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _drive(self) -> None:
        request = rpc.StartSagaForRequest(
            type=self.scenario.type,
            input=dict_to_struct(self.scenario.given(self.mark)),
            idempotency_key=f"key-{self.mark}",
            principal=f"user:{self.mark}",
        )
        self.saga_id = (await self._patiently("StartSagaFor", request)).saga.saga_id
        if await self._end() != "FAILED" or self.scenario.mended is None:
            return
        self._place.fault(**self.scenario.mended)  # somebody mended what was refused, and lets it go on
        await self._place.resume(self.saga_id)
        await self._end()

    async def _patiently(self, method: str, request: object) -> rpc.StartSagaForResponse:
        """Call until there is an answer, wherever the service is then."""
        ends = time.monotonic() + LONG_PATIENCE
        while True:
            try:
                async with ServiceChannel(self._target()) as channel:
                    stub = saga_service_pb2_grpc.SagaServiceStub(channel.channel)
                    answer: rpc.StartSagaForResponse = await channel.call(getattr(stub, method), request, timeout=10)
                    return answer
            except (Unavailable, DeadlineExceeded):
                if time.monotonic() > ends:
                    raise
            await asyncio.sleep(0.03)

    async def _end(self) -> str:
        """Wait until it has ended, while the database may be away; the state."""
        ends = time.monotonic() + LONG_PATIENCE
        while True:
            try:
                state = await self._place.state(self.saga_id)
                if state in ("COMPLETED", "COMPENSATED", "FAILED"):
                    return state
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                self._place.forget_connection()
            if time.monotonic() > ends:
                raise AssertionError(f"it did not end: {await self._place.all_of(self.saga_id)}")
            await asyncio.sleep(0.04)
