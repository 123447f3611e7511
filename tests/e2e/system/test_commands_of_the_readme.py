"""The README's commands work literally, on a system that was started as it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from integration.demo.running import RunningCommand

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def blocks() -> list[list[str]]:
    return [block.strip().splitlines() for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)]


def test_the_first_block_is_the_two_commands() -> None:
    assert [line.split("#")[0].strip() for line in blocks()[0]] == ["make demo", "make test"]


def moved(command: str, system: RunningCommand) -> str:
    """A documented command with this system's ports in place of the usual ones."""
    spread = re.sub(
        r"(\S*localhost:800)\{([\d,]+)\}(\S*)",
        lambda found: " ".join(f"{found[1]}{digit}{found[3]}" for digit in found[2].split(",")),
        command,
    )
    return system.moved(spread)


def run(command: str, system: RunningCommand) -> subprocess.CompletedProcess[str]:
    environment = system.script_environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    environment["HOME"] = os.environ["HOME"]
    del environment["PYAIRTABLE_API_KEY"]  # the README says where it comes from
    return subprocess.run(
        ["bash", "-c", moved(command, system)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


def test_the_second_block_begins_with_the_key() -> None:
    assert blocks()[1][0].split("#")[0].strip() == "source .devkit/demo.env"


@pytest.mark.parametrize("command", blocks()[1][1:])
def test_a_command_of_the_second_block_works(system: RunningCommand, command: str) -> None:
    documented = command.replace("curl ", "curl -sS --fail-with-body ", 1)
    done = run(f"source .devkit/demo.env && {documented}", system)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("address", re.findall(r"<(http://localhost[^>]*)>", README))
def test_an_address_answers(system: RunningCommand, address: str) -> None:
    done = run(f"curl -sS --fail-with-body {address}", system)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("grpcurl -plaintext localhost:9002 list", "pyairtable.airtable.v1.AirtableGatewayService"),
        (
            'grpcurl -plaintext -d \'{"workspace":"acme"}\' localhost:9002 '
            "pyairtable.airtable.v1.AirtableGatewayService/ListBases",
            "appAcmeRenovation",
        ),
        ("grpcurl -plaintext localhost:9000 list", "pyairtable.chat.v1.ChatService"),
        (
            "grpcurl -plaintext localhost:9000 pyairtable.workspaces.v1.WorkspaceService/ListWorkspaces",
            "Acme Renovations",
        ),
        ("grpcurl -plaintext localhost:9000 describe pyairtable.tools.v1.CallToolRequest", "idempotency_key"),
    ],
)
def test_grpcurl_works(system: RunningCommand, command: str, shows: str) -> None:
    shown = '-plaintext -H "authorization: Bearer $PYAIRTABLE_API_KEY"'
    done = run(f"source .devkit/demo.env && {command.replace('-plaintext', shown)}", system)
    assert done.returncode == 0, done.stdout + done.stderr
    assert shows in done.stdout


def test_the_mcp_command_of_the_readme_exists() -> None:
    command = re.search(r"`\.venv/bin/pyairtable-platform ([\w-]+)`", README)
    assert command
    done = subprocess.run(
        [Path(sys.executable).with_name("pyairtable-platform"), command[1], "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "MCP" in done.stdout
