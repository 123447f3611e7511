"""Starts everything, looks at the six lines one after the other, and prints them: green, or red and why."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx2
from rich.console import Console
from rich.markup import escape

from pyairtable_devkit import topology
from pyairtable_devkit.demo.platform import StepFailedError
from pyairtable_devkit.demo.show import Show
from pyairtable_devkit.demo.sign_in import SignIn
from pyairtable_devkit.e2e import lines
from pyairtable_devkit.e2e.journey import journey
from pyairtable_devkit.e2e.world import World
from pyairtable_devkit.parts import PartFailedError
from pyairtable_devkit.ports import PortTakenError
from pyairtable_devkit.stack import Stack, StopRequestedError, stop_signals
from pyairtable_devkit.topology import Plan, PlanError

Look = Callable[[World], Iterator[str]]

TITLES = (
    "Service Health Validation 8/8",
    "User Journey (Registration -> Login -> Usage)",
    "Authentication Flow",
    "API Gateway Routing",
    "Database Integration (data survives a restart of everything)",
    "AI Pipeline (LLM -> MCP -> Airtable)",
)


@dataclass
class Line:
    """One of the six: what held, and why it is red if it is."""

    title: str
    facts: list[str] = field(default_factory=list)
    trouble: str = ""

    def text(self) -> str:
        """The line as it is printed."""
        if self.trouble:
            return f"❌ {self.title}: {self.trouble}"
        return f"✅ {self.title}: {'; '.join(self.facts)}"


def e2e_local(data: Path, workspaces: Path, port_offset: int, environment: Mapping[str, str]) -> int:
    """Return 0 when all six lines are green."""
    show = Show(Console())
    emulated = {name: value for name, value in environment.items() if name not in ("AIRTABLE_TOKEN", "GEMINI_API_KEY")}
    try:
        plan = topology.make_plan(data, workspaces, port_offset, emulated, write=True)
        with stop_signals(), contextlib.closing(Everything(plan, show)) as everything:
            everything.start()
            found = look(everything, show)
    except (PlanError, PortTakenError) as error:
        show.failed(str(error))
        return 1
    except PartFailedError as error:
        # Nothing can be looked at, so that no line holds.
        found = [Line(title, trouble=f"the system did not start: {str(error).splitlines()[0]}") for title in TITLES]
        show.failed(str(error))
    except StopRequestedError:
        show.quiet()
        return 130
    show.quiet()
    show.line()
    for line in found:
        show.line(escape(line.text()))
    return 0 if all(not line.trouble for line in found) else 1


class Everything:
    """The stack, which can be killed and started again."""

    def __init__(self, plan: Plan, show: Show) -> None:
        self.plan = plan
        self._show = show
        self._stack = Stack(topology.parts(plan), report=show.part)

    def start(self) -> None:
        self._stack.start()
        self._show.quiet()

    def restart(self) -> None:
        """Kill every process at once and start all anew over what they left."""
        self._stack.kill()
        self._stack = Stack(topology.parts(self.plan), report=self._show.part)
        self.start()

    def close(self) -> None:
        self._stack.stop()


def look(everything: Everything, show: Show) -> Sequence[Line]:
    """Look at all six, in the order in which one disturbs the next least; return them in theirs."""
    world = World(everything.plan, everything.restart)
    try:
        found = {
            TITLES[0]: one(TITLES[0], lines.health, world, show),
            TITLES[1]: one(TITLES[1], journey, world, show),
            TITLES[2]: one(TITLES[2], lines.authentication, world, show),
            TITLES[3]: one(TITLES[3], partial(with_key, lines.routing, show), world, show),
            TITLES[5]: one(TITLES[5], partial(with_key, lines.pipeline, show), world, show),
            TITLES[4]: one(TITLES[4], partial(lines.database, show=show), world, show),
        }
    finally:
        world.close()
    return [found[title] for title in TITLES]


def one(title: str, facts: Look, world: World, show: Show) -> Line:
    """Look at one line; whatever goes wrong there makes it red and no other."""
    line = Line(title)
    show.heading(title)
    try:
        for fact in facts(world):
            line.facts.append(fact)
            show.held(fact)
    except (StepFailedError, PartFailedError, httpx2.HTTPError, KeyError, OSError, ValueError) as error:
        line.trouble = str(error) if isinstance(error, StepFailedError) else repr(error)
        show.failed(line.trouble)
    return line


def with_key(facts: Callable[[World, str], Iterator[str]], show: Show, world: World) -> Iterator[str]:
    """Look with the key that the demo's person makes for programs."""
    coming = SignIn(world.plan, show)
    try:
        for _, step in coming.steps():
            step()
        yield from facts(world, coming.key)
    finally:
        coming.close()
