"""What the door says of itself and of the services behind it."""

from __future__ import annotations

import socket

from grpc_health.v1 import health_pb2
from integration.api_gateway.conftest import Door, OpenDoor
from integration.api_gateway.upstream_fakes import Behind

NAMES = {"llm-orchestrator", "mcp-server", "airtable-gateway", "workspaces", "users", "sagas"}


async def test_all_services_in_one_answer(door: Door) -> None:
    answer = await door.http.get("/api/health")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "healthy"
    assert set(body["services"]) == NAMES
    for service in body["services"].values():
        assert service["status"] == "healthy"
        assert service["title"]
        assert service["latency_ms"] >= 0


async def test_development_mode_is_said(door: Door) -> None:
    system = (await door.http.get("/api/health")).json()
    assert system["environment"] == "development"
    own = (await door.http.get("/health")).json()
    assert own["service"] == "api-gateway"
    for notes in (system["notes"], own["notes"]):
        assert any("development mode" in note for note in notes)


async def test_a_service_that_is_not_ready_is_not_counted_healthy(door: Door) -> None:
    await door.behind.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    answer = await door.http.get("/api/health")
    assert answer.status_code == 503
    assert {service["status"] for service in answer.json()["services"].values()} == {"unhealthy"}
    assert "not ready" in answer.json()["services"]["mcp-server"]["error"]


async def test_one_that_is_away_is_named_and_the_door_itself_stays_healthy(open_door: OpenDoor, behind: Behind) -> None:
    async with open_door(behind, mcp_server_target="127.0.0.1:1") as door:
        answer = await door.http.get("/api/health")
        assert answer.status_code == 503
        statuses = {name: service["status"] for name, service in answer.json()["services"].items()}
        assert statuses == dict.fromkeys(NAMES, "healthy") | {"mcp-server": "unhealthy"}
        assert (await door.http.get("/health")).json()["status"] == "healthy"


async def test_one_that_hangs_is_said_so_within_the_limit(open_door: OpenDoor, behind: Behind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and never says a word
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        async with open_door(behind, workspaces_target=target, health_timeout_seconds=0.5) as door:
            answer = await door.http.get("/api/health")
    assert answer.json()["services"]["workspaces"]["error"] == "no answer within 0.5 s"
    assert answer.json()["services"]["mcp-server"]["status"] == "healthy"
