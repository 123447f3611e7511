"""One answer from the model: asked again when that can help, its tokens counted even when it broke off."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import orjson

from pyairtable_platform.common.errors import FailedPrecondition, QuotaExhausted, Reason, Unavailable
from pyairtable_platform.common.rest.transcoding import MAX_JSON_DEPTH, deeper_than

from .answer import Answer
from .ports import Chunk, Cost, Model, ModelRequest, Reply, Usage

_MALFORMED = {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"}
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 20.0  # seconds

CUT_NOTE = "[The answer ends here because the model reached its limit of output tokens.]"


@dataclass
class CostMeter:
    """Adds up tokens and money of a turn. `price` gives the exact price of one call, None when none is known."""

    price: Callable[[Usage], Decimal | None]
    total: Cost = field(default_factory=Cost)

    def count(self, usage: Usage) -> None:
        """Add one call."""
        self.total += Cost(usage, 1, self.price(usage))


class ModelCalls:
    """Asks a model within bounds: `attempts` calls for faults that pass, one more for a malformed answer."""

    def __init__(
        self,
        model: Model,
        *,
        attempts: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._model = model
        self._attempts = attempts
        self._sleep = sleep
        self._jitter = jitter

    async def ask(self, request: ModelRequest, answer: Answer, meter: CostMeter, *, deadline: float) -> Reply:
        """Return a reply that can be used: text or calls, ended as it should be or cut at the token limit.

        `deadline` is a time of `time.monotonic`. Raises Unavailable when the model stays away, FailedPrecondition
        (MODEL_REFUSED, MODEL_KEY_REJECTED) or QuotaExhausted (TURN_LIMIT).
        """
        may_complain = True
        failures = 0
        while True:
            await answer.begin_call()
            try:
                reply = await self._attempt(
                    replace(request, timeout=max(0.1, deadline - time.monotonic())), answer, meter
                )
            except Unavailable as error:
                failures += 1
                await self._wait_or_raise(error, failures, deadline)
                continue
            if not _is_malformed(reply):
                _raise_if_refused(reply)
                return reply
            if not may_complain:
                raise _malformed(reply)
            may_complain = False

    async def _attempt(self, request: ModelRequest, answer: Answer, meter: CostMeter) -> Reply:
        usage: Usage | None = None
        reply: Reply | None = None

        async def texts() -> AsyncIterator[str]:
            nonlocal usage, reply
            async for piece in self._model.stream(request):
                usage = piece.usage or usage
                if isinstance(piece, Chunk):
                    yield piece.text
                else:
                    reply = piece

        try:
            await answer.follow(texts())
        finally:
            if usage is not None:
                meter.count(usage)
        if reply is None:
            raise Unavailable("the model broke off its answer", reason=Reason.MODEL_UNAVAILABLE)
        return reply

    async def _wait_or_raise(self, error: Unavailable, failures: int, deadline: float) -> None:
        """Wait before the next attempt; raise when there is none left or no time for it."""
        backoff = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (failures - 1)) * (0.5 + self._jitter())
        delay = max(backoff, error.retry_after or 0.0)
        if failures >= self._attempts or time.monotonic() + delay >= deadline:
            raise error
        await self._sleep(delay)


def _is_malformed(reply: Reply) -> bool:
    empty = not reply.calls and not reply.text.strip()
    return reply.finish_reason in _MALFORMED or (empty and reply.finish_reason == "STOP") or bool(_unusable(reply))


def _unusable(reply: Reply) -> list[str]:
    """Arguments that neither the log, the events of the run nor a tool can take: "tool.argument" of each."""
    return [f"{call.name}.{name}" for call in reply.calls for name, value in call.arguments.items() if not _fits(value)]


def _fits(value: Any) -> bool:
    if deeper_than(value, MAX_JSON_DEPTH):
        return False
    try:
        json.dumps(value, allow_nan=False)  # PostgreSQL takes no NaN
        orjson.dumps(value)  # and what goes back to the model has whole numbers of 64 bits and valid Unicode only
    except (TypeError, ValueError):
        return False
    return True


def _malformed(reply: Reply) -> FailedPrecondition:
    what = "an empty answer" if reply.finish_reason == "STOP" else f"an unusable answer ({reply.finish_reason})"
    if unusable := _unusable(reply):
        what = f"arguments nested too deep, too large or not text ({', '.join(unusable)})"
    return FailedPrecondition(
        f"the model gave {what} twice: ask again, or in other words",
        reason=Reason.MODEL_REFUSED,
        finish_reason=reply.finish_reason,
    )


def _raise_if_refused(reply: Reply) -> None:
    if reply.finish_reason == "STOP" or (reply.finish_reason == "MAX_TOKENS" and reply.text.strip()):
        return
    if reply.finish_reason == "MAX_TOKENS":
        raise QuotaExhausted(
            "the model used all its output tokens before it said anything: ask for less, or lower thinking_budget",
            reason=Reason.TURN_LIMIT,
            limit="tokens",
        )
    raise FailedPrecondition(
        f"the model did not answer ({reply.finish_reason}): put it in other words",
        reason=Reason.MODEL_REFUSED,
        finish_reason=reply.finish_reason,
    )
