"""`make e2e-local`: six green lines on a system that is well, and each red on one that is broken on purpose."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx2
import pytest
from integration.demo.running import free_offset, start
from rich.console import Console
from unit.devkit.support import REPOSITORY, wait_until

from pyairtable_devkit import topology
from pyairtable_devkit.demo.people import default_workspace
from pyairtable_devkit.demo.platform import StepFailedError
from pyairtable_devkit.demo.show import Show
from pyairtable_devkit.e2e import lines
from pyairtable_devkit.e2e.journey import journey
from pyairtable_devkit.e2e.run import TITLES, Everything, Line, one, with_key
from pyairtable_devkit.e2e.world import World
from pyairtable_devkit.parts import ProcessPart
from pyairtable_devkit.ports import is_free
from pyairtable_devkit.processes import family

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def test_a_red_line_says_why_and_is_no_other_ones() -> None:
    def broken(world: object) -> Iterator[str]:
        yield "this holds"
        raise StepFailedError("that does not")

    show = Show(Console(file=io.StringIO()))
    line = one("A Line", broken, None, show)  # type: ignore[arg-type]
    assert line.text() == "❌ A Line: that does not"
    assert Line("Another", ["a", "b"]).text() == "✅ Another: a; b"


@pytest.mark.torture
def test_all_six_are_green(tmp_path: Path) -> None:
    done = start(tmp_path, "e2e-local")
    assert done.wait() == 0, done.output
    printed = [line for line in done.output.splitlines() if line.startswith(("✅", "❌"))]
    assert [line.partition(": ")[0] for line in printed] == [f"✅ {title}" for title in TITLES]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A stack of this process, which tests break."""
    environment = {name: value for name, value in os.environ.items() if name not in ("OPEN_ACCESS", "API_KEY")}
    data = tmp_path_factory.mktemp("e2e")
    plan = topology.make_plan(data, REPOSITORY / "examples" / "acme", free_offset(), environment, write=True)
    with contextlib.closing(Everything(plan, Show(Console(file=io.StringIO())))) as everything:
        everything.start()
        with contextlib.closing(World(plan, everything.restart)) as opened:
            yield opened


def show() -> Show:
    return Show(Console(file=io.StringIO()))


def fails(facts: Iterator[str]) -> str:
    """Take the facts; one of them must not hold."""
    with pytest.raises((StepFailedError, httpx2.HTTPError, KeyError)) as failure:
        list(facts)
    return str(failure.value)


def process(name: str) -> int:
    """The process of a service."""
    (pid,) = (one.pid for one in family(os.getpid()) if one.cmdline()[-2:] == ["serve", name])
    return int(pid)


def fault(url: str, **fields: object) -> None:
    httpx2.post(f"{url}/_emulator/faults", json=fields).raise_for_status()


@pytest.mark.torture
def test_health_is_red_while_a_service_hangs(world: World) -> None:
    os.kill(process("sagas"), signal.SIGSTOP)
    try:
        assert "not well: ['sagas']" in fails(lines.health(world))
    finally:
        os.kill(process("sagas"), signal.SIGCONT)
    wait_until(lambda: httpx2.get(f"{world.plan.http('api-gateway')}/api/health").status_code == 200, seconds=60)
    assert len(list(lines.health(world))) == 2


@pytest.mark.torture
def test_the_journey_is_red_when_the_model_fails(world: World) -> None:
    fault(world.gemini, kind="status", status=400, times=None)
    try:
        assert "/api/chat answered" in fails(journey(world))
    finally:
        httpx2.delete(f"{world.gemini}/_emulator/faults").raise_for_status()


@pytest.mark.torture
def test_authentication_is_red_when_no_letter_arrives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyairtable_devkit.demo.people.LETTER_SECONDS", 3.0)
    mailbox = f"http://127.0.0.1:{world.plan.port(topology.MAILBOX_PORT)}"
    fault(mailbox, kind="refuse", stage="data", status=550, times=None)
    try:
        assert "no letter" in fails(lines.authentication(world))
    finally:
        httpx2.delete(f"{mailbox}/_emulator/faults").raise_for_status()


@contextlib.contextmanager
def told_otherwise(world: World, name: str, **environment: str) -> Iterator[None]:
    """A service that was started with other secrets than those beside it."""
    (part,) = (part for part in topology.parts(world.plan) if part.name == name)
    assert isinstance(part, ProcessPart)
    os.kill(process(name), signal.SIGKILL)
    wait_until(lambda: all(map(is_free, part.ports)), seconds=60)
    mistaken = replace(part, env={**part.env, **environment})
    mistaken.start()
    try:
        wait_until(lambda: not is_free(part.ports[0]), seconds=120)
        yield
    finally:
        mistaken.stop()
        world.restart()


@pytest.mark.torture
def test_health_and_authentication_are_red_when_auth_has_another_jwt_secret(world: World) -> None:
    with told_otherwise(world, "auth", JWT_SECRET="another-secret-of-thirty-two-characters"):
        assert "not well: ['auth']" in fails(lines.health(world))
        assert "answered 503" in fails(lines.authentication(world))
    assert len(list(lines.health(world))) == 2


@pytest.mark.torture
def test_the_journey_is_red_when_a_service_has_another_api_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users does not know the others as its peers, so that nobody gets a profile, and no workspace."""
    monkeypatch.setattr("pyairtable_devkit.e2e.journey.default_workspace", partial(default_workspace, seconds=20.0))
    with told_otherwise(world, "users", API_KEY="not-the-key-of-the-others"):
        assert "no workspace of their own" in fails(journey(world))


@pytest.fixture(scope="module")
def without_tools(world: World) -> Iterator[World]:
    """The stack after its tool server was killed."""
    os.kill(process("mcp-server"), signal.SIGKILL)
    yield world
    world.restart()


@pytest.mark.torture
def test_routing_is_red_without_the_tool_server(without_tools: World) -> None:
    assert "/api/tools answered 503" in fails(with_key(lines.routing, show(), without_tools))


@pytest.mark.torture
def test_the_pipeline_is_red_without_the_tool_server(without_tools: World) -> None:
    assert fails(with_key(lines.pipeline, show(), without_tools))


@pytest.mark.torture
def test_database_is_red_when_a_restart_loses_airtables_data(world: World) -> None:
    restart, kept = world.restart, world.plan.data_dir / "airtable.json"

    def forgetful() -> None:
        restart()
        httpx2.post(f"{world.plan.upstreams.airtable_url}/_emulator/reset").raise_for_status()

    world.restart = forgetful
    try:
        assert "records in Airtable are called" in fails(lines.database(world, show()))
    finally:
        world.restart = restart
    assert kept.exists()
