"""How much a caller may send: calls a minute over all replicas, bytes a request."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc
import pytest
import redis
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from integration.api_gateway.conftest import Door, OpenDoor
from integration.api_gateway.upstream_fakes import Behind

from pyairtable_devkit.databases import Valkey
from pyairtable_protos.auth.v1 import account_service_pb2, account_service_pb2_grpc
from pyairtable_protos.tools.v1 import tool_service_pb2, tool_service_pb2_grpc

LIMIT = 5


@pytest.fixture(autouse=True)
def fresh_windows(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()


async def call_tools(door: Door, times: int = 1) -> None:
    async with grpc.aio.insecure_channel(door.grpc_target) as channel:
        stub: Any = tool_service_pb2_grpc.ToolServiceStub(channel)
        for _ in range(times):
            await stub.ListTools(tool_service_pb2.ListToolsRequest())


async def test_answers_tell_how_much_is_left_and_then_when_to_come_back(open_door: OpenDoor, behind: Behind) -> None:
    async with open_door(behind, rate_limit_rpm=LIMIT) as door:
        for left in range(LIMIT - 1, -1, -1):
            answer = await door.http.get("/api/tools")
            assert answer.status_code == 200
            assert answer.headers["ratelimit-limit"] == str(LIMIT)
            assert answer.headers["ratelimit-remaining"] == str(left)
            assert 1 <= int(answer.headers["ratelimit-reset"]) <= 61
            assert answer.headers["ratelimit-policy"] == f"{LIMIT};w=60"
        refused = await door.http.get("/api/tools")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["reason"] == "RATE_LIMITED"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit-remaining"] == "0"
        assert "content-security-policy" in refused.headers
    assert len(behind.recorder.calls) == LIMIT


async def test_replicas_and_protocols_share_one_window(open_door: OpenDoor, behind: Behind) -> None:
    limit: dict[str, Any] = {"rate_limit_rpm": LIMIT}
    async with open_door(behind, **limit) as one, open_door(behind, **limit) as other:
        await call_tools(one, times=2)
        await one.http.get("/api/tools")
        statuses = [
            answer.status_code for answer in await asyncio.gather(*[other.http.get("/api/tools") for _ in range(6)])
        ]
        assert sorted(statuses) == [200] * (LIMIT - 3) + [429] * 4
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call_tools(one)
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = rpc_status.from_call(cast(grpc.Call, failure.value)).details
    assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in details)


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
async def test_guesses_over_grpc_cost_their_address_too(open_door: OpenDoor, behind: Behind, header: str) -> None:
    async with open_door(behind, rate_limit_rpm=LIMIT, api_key="a-test-key") as door:
        async with grpc.aio.insecure_channel(door.grpc_target) as channel:
            stub: Any = tool_service_pb2_grpc.ToolServiceStub(channel)
            codes = []
            for n in range(LIMIT + 1):
                guess = ((header, FORGED[header].format(n=n)),)
                with pytest.raises(grpc.aio.AioRpcError) as failure:
                    await stub.ListTools(tool_service_pb2.ListToolsRequest(), metadata=guess)
                codes.append(failure.value.code())
            right = stub.ListTools(tool_service_pb2.ListToolsRequest(), metadata=(("x-api-key", "a-test-key"),))
            await right  # a caller that proves who it is does not pay for others at its address
            left = dict(await right.initial_metadata())["ratelimit-remaining"]
        assert (await door.http.get("/api/tools", headers={header: "Bearer one-more"})).status_code == 429
    assert codes == [grpc.StatusCode.UNAUTHENTICATED] * LIMIT + [grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert left == str(LIMIT - 1)
    assert len(behind.recorder.calls) == 1


async def test_the_page_and_probes_are_not_counted(open_door: OpenDoor, behind: Behind) -> None:
    async with open_door(behind, rate_limit_rpm=1) as door:
        for path in ("/", "/static/app.js", "/health", "/ready", "/metrics") * 2:
            assert (await door.http.get(path)).status_code == 200
        assert (await door.http.get("/api/tools")).status_code == 200


FORGED = {
    "x-forwarded-for": "9.9.9.{n}",
    "forwarded": "for=9.9.9.{n}",
    "x-real-ip": "9.9.9.{n}",
    "x-client-ip": "9.9.9.{n}",
    "true-client-ip": "9.9.9.{n}",
    "cf-connecting-ip": "9.9.9.{n}",
    "x-api-key": "key-{n}",
    "authorization": "Bearer {n}",
    "x-user-id": "{n}",
    "x-workspace": "{n}",
}


@pytest.mark.parametrize("header", FORGED)
async def test_no_header_makes_a_caller_another_one(open_door: OpenDoor, behind: Behind, header: str) -> None:
    async with open_door(behind, rate_limit_rpm=LIMIT) as door:
        statuses = [
            (await door.http.get("/api/tools", headers={header: FORGED[header].format(n=n)})).status_code
            for n in range(LIMIT + 1)
        ]
    # Credentials that prove nothing are refused, and cost their address all the same.
    served = 401 if header in ("x-api-key", "authorization") else 200
    assert statuses == [served] * LIMIT + [429]


async def test_callers_behind_a_trusted_proxy_are_told_apart(open_door: OpenDoor, behind: Behind) -> None:
    async with open_door(behind, rate_limit_rpm=1, trusted_proxies="127.0.0.1,10.0.0.0/8") as door:
        # Access in development mode is for this machine, so that these callers have loopback addresses too.
        for forwarded, status in (
            ("127.1.0.1", 200),
            ("127.1.0.2, 10.0.0.9", 200),
            ("127.1.0.3, 127.1.0.1", 429),  # what stands left of the last untrusted address is a claim
        ):
            answer = await door.http.get("/api/tools", headers={"x-forwarded-for": forwarded})
            assert answer.status_code == status, forwarded


async def test_a_proxy_that_adds_a_line_of_its_own_is_believed_and_not_the_line_before(
    open_door: OpenDoor, behind: Behind
) -> None:
    async with open_door(behind, rate_limit_rpm=1, trusted_proxies="127.0.0.1") as door:
        for forged, status in (("127.9.9.1", 200), ("127.9.9.2", 429)):
            lines = [("x-forwarded-for", forged), ("x-forwarded-for", "127.1.0.1")]
            assert (await door.http.get("/api/tools", headers=lines)).status_code == status


async def test_the_api_key_is_a_caller_of_its_own(open_door: OpenDoor, behind: Behind) -> None:
    async with open_door(behind, rate_limit_rpm=1, api_key="a-test-key") as door:
        assert (await door.http.get("/api/tools", headers={"x-api-key": "wrong"})).status_code == 401
        assert (await door.http.get("/api/tools", headers={"x-api-key": "a-test-key"})).status_code == 200
        assert (await door.http.get("/api/tools", headers={"x-api-key": "a-test-key"})).status_code == 429
    assert behind.recorder.calls[0].metadata["x-api-key"] == "a-test-key"


async def test_without_valkey_each_replica_counts_and_health_says_so(behind: Behind, open_door: OpenDoor) -> None:
    with Valkey.start() as valkey:
        async with open_door(behind, rate_limit_rpm=LIMIT, redis_url=valkey.url) as door:
            assert (await door.http.get("/api/tools")).status_code == 200
            assert (await door.http.get("/health")).json()["status"] == "healthy"
            valkey.kill()
            statuses = [(await door.http.get("/api/tools")).status_code for _ in range(LIMIT + 1)]
            assert statuses == [200] * LIMIT + [429]
            answer = await door.http.get("/health")
            assert answer.status_code == 200
            assert answer.json()["status"] == "degraded"
            assert "counted by each replica for itself" in answer.json()["checks"]["redis"]["error"]
            valkey.restart()
            async with asyncio.timeout(30):  # the shared window has forgotten, so that calls pass again
                while (await door.http.get("/api/tools")).status_code == 429:  # noqa: ASYNC110 - asks another process
                    await asyncio.sleep(0.2)
            assert (await door.http.get("/health")).json()["status"] == "healthy"


async def test_a_valkey_that_hangs_does_not_hang_the_door(behind: Behind, open_door: OpenDoor) -> None:
    with Valkey.start() as valkey:
        async with open_door(behind, rate_limit_rpm=100, redis_url=valkey.url) as door:
            await door.http.get("/api/tools")
            valkey.pause()
            try:
                async with asyncio.timeout(20):
                    for _ in range(20):
                        assert (await door.http.get("/api/tools")).status_code == 200
            finally:
                valkey.resume()


async def test_a_body_at_the_limit_passes_and_one_byte_more_is_413(open_door: OpenDoor, behind: Behind) -> None:
    head, tail = b'{"message": "', b'"}'
    async with open_door(behind, max_request_bytes=2048) as door:
        for size, status in ((2048, 200), (2049, 413)):
            body = head + b"x" * (size - len(head) - len(tail)) + tail
            answer = await door.http.post("/api/chat", content=body, headers={"content-type": "application/json"})
            assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"] == "TOO_LARGE"
        assert "2048" in answer.json()["detail"]


async def test_a_chunked_body_is_bounded_too(open_door: OpenDoor, behind: Behind) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1024

    async with open_door(behind, max_request_bytes=2048) as door:
        answer = await door.http.post("/api/chat", content=endless(), headers={"content-type": "application/json"})
        assert answer.status_code == 413
        assert "content-security-policy" in answer.headers
    assert behind.recorder.calls == []


LOGIN = {"login": "ada@acme.example", "password": "a password of this test"}


@pytest.mark.parametrize("path", ["/api/auth/login", "/api/auth/refresh"])
async def test_calls_without_credential_have_a_smaller_limit_of_their_own(
    open_door: OpenDoor, behind: Behind, path: str
) -> None:
    body = LOGIN if path.endswith("login") else {"refresh_token": "pyr_not_a_token"}
    limits: dict[str, Any] = {"rate_limit_rpm": 100, "public_rate_limit_rpm": LIMIT, "auth_target": behind.target}
    async with open_door(behind, **limits) as door:
        for left in range(LIMIT - 1, -1, -1):
            answer = await door.http.post(path, json=body)
            assert (answer.status_code, answer.headers["ratelimit-remaining"]) == (200, str(left))
        assert (await door.http.post(path, json=body)).status_code == 429
        assert (await door.http.get("/api/templates")).status_code == 429  # the same kind of call
        assert (await door.http.get("/api/tools")).status_code == 200
    methods = [call.method for call in behind.recorder.calls]
    assert methods.count("Login") + methods.count("Refresh") == LIMIT
    assert "ListTemplates" not in methods


async def test_public_calls_over_grpc_and_rest_share_that_limit(open_door: OpenDoor, behind: Behind) -> None:
    limits: dict[str, Any] = {"rate_limit_rpm": 100, "public_rate_limit_rpm": LIMIT, "auth_target": behind.target}
    async with open_door(behind, **limits) as door, grpc.aio.insecure_channel(door.grpc_target) as channel:
        accounts: Any = account_service_pb2_grpc.AccountServiceStub(channel)
        for _ in range(LIMIT):
            await accounts.Login(account_service_pb2.LoginRequest(**LOGIN))
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await accounts.Login(account_service_pb2.LoginRequest(**LOGIN))
        assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await door.http.post("/api/auth/login", json=LOGIN)).status_code == 429
        await call_tools(door)
    assert [call.method for call in behind.recorder.calls].count("Login") == LIMIT


async def test_public_limits_of_addresses_are_apart(open_door: OpenDoor, behind: Behind) -> None:
    limits: dict[str, Any] = {"public_rate_limit_rpm": 1, "auth_target": behind.target, "trusted_proxies": "127.0.0.1"}
    async with open_door(behind, **limits) as door:
        for forwarded, status in (("127.1.0.1", 200), ("127.1.0.2", 200), ("127.1.0.1", 429)):
            answer = await door.http.post("/api/auth/login", json=LOGIN, headers={"x-forwarded-for": forwarded})
            assert answer.status_code == status
