"""What the documentation promises about a running system: its scripts and its example calls, literally."""

import json
import os
import re
import subprocess
from collections.abc import Mapping

import pytest
from integration.demo.running import RunningCommand, start
from unit.devkit.support import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(command: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=REPOSITORY,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


def example_calls() -> list[str]:
    """Return the curl lines of examples/acme/README.md."""
    text = (REPOSITORY / "examples" / "acme" / "README.md").read_text()
    block = re.search(r"```bash\n(.*?)```", text, re.DOTALL)
    assert block
    return [line for line in block[1].splitlines() if line.startswith("curl ")]


def test_health_check_is_green_word_for_word(system: RunningCommand) -> None:
    done = run("scripts/health-check.sh", system.script_environment())
    offset = system.port_offset
    assert done.stdout.splitlines() == [
        f"✅ API Gateway ({8000 + offset}): Healthy",
        f"✅ MCP Server ({8001 + offset}): Healthy",
        f"✅ Airtable Gateway ({8002 + offset}): Healthy",
        f"✅ LLM Orchestrator ({8003 + offset}): Healthy",
        f"✅ Auth Service ({8004 + offset}): Healthy",
        f"✅ User Service ({8005 + offset}): Healthy",
        f"✅ Workspace Service ({8006 + offset}): Healthy",
        f"✅ Saga Service ({8008 + offset}): Healthy",
        "✅ PostgreSQL: Connected",
        "✅ Redis: Connected",
    ]
    assert done.returncode == 0


def test_chat_is_green_at_both_doors(system: RunningCommand) -> None:
    done = run("scripts/test-chat.sh", system.script_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("named all") == 2


@pytest.mark.parametrize("command", example_calls())
def test_an_example_call_works(system: RunningCommand, command: str) -> None:
    documented = system.moved(command).replace("curl ", "curl -sS --fail-with-body --noproxy '*' ", 1)
    done = run(documented, system.script_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    if "stream" in command:
        assert "event: done" in done.stdout
    else:
        assert json.loads(done.stdout)


def test_a_second_stack_on_the_same_ports_is_refused_in_one_sentence(
    system: RunningCommand, tmp_path_factory: pytest.TempPathFactory
) -> None:
    second = start(tmp_path_factory.mktemp("second"), "demo", "--exit", port_offset=system.port_offset)
    assert second.wait() == 1
    refusal = second.output.splitlines()[-1]
    assert re.fullmatch(
        r"✗ Port \d+, which [a-z-]+ needs, is taken by .+ \(pid \d+\): stop it first, or move .+", refusal
    )
    assert system.process.poll() is None


def test_nothing_is_open(system: RunningCommand) -> None:
    for address in (
        "localhost:8000/api/bases",
        "localhost:8001/tools",
        "localhost:8002/bases",
        "localhost:8006/workspaces",
    ):
        done = run(
            system.moved(f"curl -sS --noproxy '*' -o /dev/null -w '%{{http_code}}' http://{address}"), os.environ
        )
        assert done.stdout == "401", address


def test_what_opens_it_is_for_its_owner_only(system: RunningCommand) -> None:
    for path in (system.data / "demo.env", *(system.data / "secrets").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
