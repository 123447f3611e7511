"""REST of every service at one address: routing, bad input, errors."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from integration.api_gateway.conftest import Door
from integration.api_gateway.upstream_fakes import SERVICES

from pyairtable_platform.common.access import PERSON, rule_of
from pyairtable_platform.common.rest.routes import bindings

ALL_BINDINGS = [binding for service in SERVICES for binding in bindings(service)]


async def test_every_rest_route_of_the_contract_reaches_its_rpc(door: Door) -> None:
    for binding in ALL_BINDINGS:
        path = re.sub(r"\{(\w+)\}", lambda match: f"a-{match[1]}", binding.template)
        answer = await door.http.request(binding.verb, f"/api{path}", json={} if binding.body else None)
        if rule_of(str(binding.method.full_name)) == PERSON:  # these callers are nobody: tests/e2e has people
            assert answer.status_code == 401, f"{binding.verb} {path}: {answer.text}"
            continue
        assert answer.status_code == 200, f"{binding.verb} {path}: {answer.text}"
        recorded = door.behind.recorder.last
        assert recorded.method == binding.method.name
        for name in binding.path_variables:
            assert getattr(recorded.request, name) == f"a-{name}"


@pytest.mark.parametrize(
    "body",
    [
        {"message": "List all tables", "session_id": "demo-user"},
        {"messages": [{"role": "user", "content": "List all tables"}], "sessionId": "demo-user"},
    ],
    ids=["message", "messages"],
)
async def test_chat_takes_a_message_or_messages(door: Door, body: dict[str, Any]) -> None:
    answer = await door.http.post("/api/chat", json=body)
    assert answer.status_code == 200
    request = door.behind.recorder.last.request
    assert request.session_id == "demo-user"
    assert [request.message, *(said.content for said in request.messages)].count("List all tables") == 1


async def test_a_name_with_a_slash_is_one_part_of_the_path(door: Door) -> None:
    await door.http.get("/api/bases/default/tables/Hours%2FWeek%20%C3%A9/records")
    assert door.behind.recorder.last.request.table_id == "Hours/Week é"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"mesage": "x"}', "mesage"),
        (b'{"message": 5}', "message"),
        (b'{"message": ', "body"),
        (b"[1, 2]", "body"),
        (b'{"messages": [{"rolle": "user"}]}', "rolle"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "body"),
        (b"\xff\xfe", "body"),
    ],
)
async def test_a_malformed_body_is_refused_with_the_name_of_the_field(door: Door, body: bytes, field: str) -> None:
    answer = await door.http.post("/api/chat", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in answer.json()["errors"][0]["field"]
    assert door.behind.recorder.calls == []


async def test_an_unknown_parameter_is_refused_by_name(door: Door) -> None:
    answer = await door.http.get("/api/sessions?pagesize=3")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "pagesize"


async def test_a_body_that_is_not_json_is_refused(door: Door) -> None:
    answer = await door.http.post("/api/chat", content=b"message=x", headers={"content-type": "text/plain"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Content-Type"


async def test_an_unknown_address_is_a_404_problem(door: Door) -> None:
    for path in ("/api/nothing", "/nothing", "/static/nothing.js", "/api/", "/api/chat/"):
        answer = await door.http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path
        assert answer.json()["reason"] == "ROUTE_NOT_FOUND"


async def test_a_wrong_method_is_a_405_problem_that_names_the_right_one(door: Door) -> None:
    for method, path, allowed in (("GET", "/api/chat", "POST"), ("DELETE", "/", "GET"), ("PUT", "/api/health", "GET")):
        answer = await door.http.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json"), path
        assert allowed in answer.headers["allow"]


async def test_an_error_behind_keeps_its_reason_wait_and_fields(door: Door) -> None:
    async def fail(_: Any, call: Any) -> None:
        status = status_pb2.Status(code=8, message="wait a moment")
        info = error_details_pb2.ErrorInfo(reason="RATE_LIMITED", domain="pyairtable.dev", metadata={"base": "crm"})
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(2500)
        for detail in (info, retry):
            status.details.add().Pack(detail)
        await call.abort_with_status(rpc_status.to_status(status))

    door.behind.recorder.answers["ListTools"] = fail
    answer = await door.http.get("/api/tools")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] in ("2", "3")
    problem = answer.json()
    assert problem["reason"] == "RATE_LIMITED"
    assert problem["detail"] == "wait a moment"
    assert problem["metadata"] == {"base": "crm"}
    assert problem["retry_after_seconds"] == 2.5


async def test_a_service_that_is_away_is_503_and_the_door_stays_up(door: Door) -> None:
    await door.behind.server.stop(0)
    answer = await door.http.get("/api/tools")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "DEPENDENCY_UNAVAILABLE"
    assert "127.0.0.1" not in answer.text
    assert (await door.http.get("/ready")).status_code == 200


async def test_the_deadline_of_a_request_goes_with_it(door: Door) -> None:
    await door.http.get("/api/tools", headers={"request-timeout": "7"})
    remaining = door.behind.recorder.last.remaining
    assert remaining is not None
    assert 0 < remaining <= 7


async def test_a_service_that_hangs_costs_the_deadline_and_no_more(door: Door) -> None:
    async def wait_for_ever(_: Any, __: Any) -> None:
        await asyncio.Event().wait()

    door.behind.recorder.answers["ListTools"] = wait_for_ever
    answer = await door.http.get("/api/tools", headers={"request-timeout": "0.3"})
    assert answer.status_code == 504
    assert answer.json()["reason"] == "DEADLINE"
    async with asyncio.timeout(20):
        await door.behind.recorder.last.ended.wait()


async def test_openapi_lists_every_route_below_api(door: Door) -> None:
    paths = (await door.http.get("/openapi.json")).json()["paths"]
    assert {f"/api{binding.template}" for binding in ALL_BINDINGS} == set(paths)
