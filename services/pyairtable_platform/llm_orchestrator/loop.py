"""The tool loop: ask the model, run the tools it wants, tell it the results, until it answers or a bound is reached.

Pure over its ports. Every turn is read from and written to a log, so that a turn which another worker began goes on
where the log ends: answers of the model are not asked for again, tool results that are known are not fetched again,
and a call whose outcome is not known is repeated with the key it had.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from pyairtable_platform.common.errors import PyAirtableError, QuotaExhausted, Reason

from .answer import Answer
from .catalog import Catalog
from .model_calls import CUT_NOTE, CostMeter, ModelCalls
from .ports import Content, Cost, Journal, Model, ModelRequest, Reply, Step, Tool, ToolServer, Turn
from .prompt import system_prompt, user_content
from .tool_round import ToolLimits, ToolRunner, plan


@dataclass(frozen=True)
class Limits:
    """Bounds of a turn. `rounds` is how often the model may call tools."""

    rounds: int
    model_attempts: int
    tools: ToolLimits


@dataclass(frozen=True)
class Ended:
    """How a turn ended: with the answer that stands in the log, or with `error`."""

    cost: Cost
    error: PyAirtableError | None = None


def today() -> date:
    """The day by UTC: prices and the prompt go by it."""
    return datetime.now(UTC).date()


class ToolLoop:
    """Runs turns. `tools` is None for a plain chat."""

    def __init__(
        self,
        model: Model,
        tools: ToolServer | None,
        catalog: Catalog,
        limits: Limits,
        *,
        calls: ModelCalls | None = None,
        day: Callable[[], date] = today,
    ) -> None:
        self._calls = calls or ModelCalls(model, attempts=limits.model_attempts)
        self._tools = tools
        self._catalog = catalog
        self._limits = limits
        self._day = day

    async def run(self, turn: Turn, journal: Journal, *, seconds: float) -> Ended:
        """Bring a turn to its end within `seconds`. What goes wrong stands in the result.

        Only what concerns the log itself is raised: LeaseLost and LogUnavailable.
        """
        meter = CostMeter(lambda usage: self._catalog.price(turn.model, usage, self._day()), turn.cost)
        answer = Answer(journal, text=turn.text, settled=turn.settled_text)
        try:
            async with asyncio.timeout(seconds) as bound:
                await self._run(turn, journal, answer, meter, time.monotonic() + seconds)
        except PyAirtableError as error:
            return Ended(meter.total, error)
        except TimeoutError:
            if not bound.expired():
                raise
            limit = QuotaExhausted(
                "the turn took longer than allowed: ask for less at once", reason=Reason.TURN_LIMIT, limit="time"
            )
            return Ended(meter.total, limit)
        return Ended(meter.total)

    async def _run(self, turn: Turn, journal: Journal, answer: Answer, meter: CostMeter, deadline: float) -> None:
        tools = await self._tools.list_tools() if self._tools else ()
        runner = ToolRunner(self._tools, tools, turn, journal, self._limits.tools) if self._tools else None
        contents: list[Content] = [*turn.history, user_content(turn.message)]
        steps = list(turn.steps)
        for number in range(1, self._limits.rounds + 2):
            if len(steps) < number:
                request = self._request(turn, contents, tools)
                reply = await self._calls.ask(request, answer, meter, deadline=deadline)
                steps.append(await _keep(reply, number, journal, answer, meter))
            step = steps[number - 1]
            if not step.calls or runner is None:
                return
            if number > self._limits.rounds:
                break
            contents += [step.content, await runner.run(step.calls, step.outcomes)]
        raise QuotaExhausted(
            f"the model wanted more than {self._limits.rounds} rounds of tool calls: ask for less at once",
            reason=Reason.TURN_LIMIT,
            limit="rounds",
        )

    def _request(self, turn: Turn, contents: Sequence[Content], tools: Sequence[Tool]) -> ModelRequest:
        return ModelRequest(
            model=turn.model,
            system=system_prompt(workspace=turn.workspace, base_id=turn.base_id, today=self._day()),
            contents=tuple(contents),
            tools=tools,
            thinking=self._catalog.thinking(turn.model, turn.thinking_budget),
            timeout=0.0,  # set for each attempt
        )


async def _keep(reply: Reply, number: int, journal: Journal, answer: Answer, meter: CostMeter) -> Step:
    """Put an answer of the model into the log; calls of one that was cut off are not trusted."""
    if reply.finish_reason == "MAX_TOKENS":
        await answer.write(f"\n\n{CUT_NOTE}")
    calls = plan(number, reply.calls) if reply.finish_reason == "STOP" else []
    step = Step(reply.content, calls)
    await journal.add_step(step, thoughts=reply.thoughts, cost=meter.total)
    answer.settle()
    return step
