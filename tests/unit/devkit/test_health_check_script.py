"""scripts/health-check.sh against tiny servers: healthy, unhealthy, absent; each red when it must be."""

import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from unit.devkit.support import REPOSITORY, TinyServer

from pyairtable_devkit.ports import free_port

SERVICES = {
    "API_GATEWAY_PORT": "API Gateway",
    "MCP_SERVER_PORT": "MCP Server",
    "AIRTABLE_GATEWAY_PORT": "Airtable Gateway",
    "LLM_ORCHESTRATOR_PORT": "LLM Orchestrator",
    "AUTH_PORT": "Auth Service",
    "USERS_PORT": "User Service",
    "WORKSPACES_PORT": "Workspace Service",
    "SAGAS_PORT": "Saga Service",
}
CHECKS = {"postgres": {"status": "healthy", "latency_ms": 1.2}, "redis": {"latency_ms": 0.3, "status": "healthy"}}


def answer(status: str = "healthy", checks: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A /health answer in which the checks come first, so that only a real reader tells the statuses apart."""
    return {"checks": checks or {}, "service": "x", "version": "0.1.0", "notes": [], "status": status, **more}


Servers = dict[str, TinyServer]


@pytest.fixture
def servers(start_server: Callable[[], TinyServer]) -> Servers:
    """Healthy services; the airtable gateway reports both databases."""
    all_of_them = {variable: start_server() for variable in SERVICES}
    for variable, server in all_of_them.items():
        checks = CHECKS if variable == "AIRTABLE_GATEWAY_PORT" else {}
        server.answers["/health"] = (200, answer(checks=checks))
    return all_of_them


def run(servers: Servers, *options: str, **environment: str) -> tuple[int, list[str]]:
    ports = {variable: str(server.port) for variable, server in servers.items()}
    absent = {variable: str(free_port()) for variable in SERVICES if variable not in servers}
    done = subprocess.run(
        [str(REPOSITORY / "scripts" / "health-check.sh"), *options],
        env={"PATH": os.environ["PATH"], **ports, **absent, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_all_healthy_is_one_line_each_in_the_promised_words(servers: Servers) -> None:
    code, lines = run(servers)
    expected = [f"✅ {title} ({servers[variable].port}): Healthy" for variable, title in SERVICES.items()]
    assert lines == [*expected, "✅ PostgreSQL: Connected", "✅ Redis: Connected"]
    assert code == 0


@pytest.mark.parametrize("variable", SERVICES)
def test_a_service_that_is_absent_is_told_and_counts(servers: Servers, variable: str) -> None:
    present = {name: server for name, server in servers.items() if name != variable}
    code, lines = run(present)
    bad = [line for line in lines if SERVICES[variable] in line]
    assert code == 1
    assert len(bad) == 1
    assert bad[0].startswith("❌")
    assert "no answer (curl: (7)" in bad[0]
    assert sum(line.startswith("✅") for line in lines) >= 4


def test_a_service_that_says_it_is_unhealthy_is_told_with_its_reason(servers: Servers) -> None:
    sick = {"postgres": {"status": "unhealthy", "error": "connection refused"}, "redis": CHECKS["redis"]}
    server = servers["LLM_ORCHESTRATOR_PORT"]
    server.answers["/health"] = (503, answer("unhealthy", sick))
    code, lines = run(servers)
    assert f"❌ LLM Orchestrator ({server.port}): HTTP 503, status unhealthy, postgres unhealthy" in lines
    assert code == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param((500, answer()), id="an error status with a healthy body"),
        pytest.param((200, answer("degraded")), id="a good status with another word"),
        pytest.param((200, {"checks": CHECKS}), id="healthy checks but no status of its own"),
        pytest.param((200, "<html>healthy</html>"), id="not our service"),
        pytest.param((404, {}), id="no such page"),
    ],
)
def test_nothing_else_counts_as_healthy(servers: Servers, body: tuple[int, Any]) -> None:
    servers["MCP_SERVER_PORT"].answers["/health"] = body
    code, lines = run(servers)
    assert [line for line in lines if line.startswith(f"❌ MCP Server ({servers['MCP_SERVER_PORT'].port}): HTTP ")]
    assert code == 1


def test_a_database_that_no_service_reaches_is_told(servers: Servers) -> None:
    down = {"status": "unhealthy", "error": "connection refused"}
    server = servers["AIRTABLE_GATEWAY_PORT"]
    server.answers["/health"] = (503, answer("unhealthy", {"postgres": CHECKS["postgres"], "redis": down}))
    code, lines = run(servers)
    assert "✅ PostgreSQL: Connected" in lines
    assert [line for line in lines if line.startswith("❌ Redis:") and "connection refused" in line]
    assert code == 1


def test_a_database_that_nobody_asked_is_not_counted_as_connected(servers: Servers) -> None:
    servers["AIRTABLE_GATEWAY_PORT"].answers["/health"] = (200, answer())
    code, lines = run(servers)
    assert "❌ PostgreSQL: no service that answers could ask it" in lines
    assert "❌ Redis: no service that answers could ask it" in lines
    assert code == 1


def test_quiet_prints_failures_only(servers: Servers) -> None:
    assert run(servers, "-q") == (0, [])
    servers["API_GATEWAY_PORT"].answers["/health"] = (503, answer("unhealthy"))
    code, lines = run(servers, "-q")
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("❌ API Gateway")


def test_verbose_adds_versions_checks_and_notes(servers: Servers) -> None:
    note = "Open development mode: loopback callers get the only workspace"
    servers["AIRTABLE_GATEWAY_PORT"].answers["/health"] = (200, answer(checks=CHECKS, notes=[note]))
    code, lines = run(servers, "-v")
    assert code == 0
    assert sum(line.strip() == "version 0.1.0" for line in lines) == len(SERVICES)
    assert any('"postgres": {"status": "healthy", "latency_ms": 1.2}' in line for line in lines)
    assert f'     note: "{note}"' in lines


def test_an_unknown_option_is_refused() -> None:
    script = str(REPOSITORY / "scripts" / "health-check.sh")
    assert subprocess.run([script, "-x"], capture_output=True, check=False).returncode == 2


def test_help_tells_what_it_does() -> None:
    script = str(REPOSITORY / "scripts" / "health-check.sh")
    done = subprocess.run([script, "-h"], capture_output=True, text=True, check=True)
    assert "Asks every service" in done.stdout
    assert "set -u" not in done.stdout
