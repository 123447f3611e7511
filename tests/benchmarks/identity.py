"""What proving who calls adds to a call between services: beside a read through the gateway, and by itself."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

from benchmarks.accounts import access_keys
from benchmarks.cpu import spent
from benchmarks.system import BASE_ID, WORKSPACE, System
from benchmarks.timing import Way, interleaved

from pyairtable_platform.common import context
from pyairtable_platform.common.access import Access
from pyairtable_platform.common.authorizer import Authorizer
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.interceptors import CallInterceptor
from pyairtable_platform.common.settings import ServiceSettings
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable
from pyairtable_protos.airtable.v1.airtable_gateway_service_pb2_grpc import AirtableGatewayServiceStub
from pyairtable_protos.auth.v1 import auth_service_pb2, auth_service_pb2_grpc

TABLE = "Projects"
RPC = "/pyairtable.airtable.v1.AirtableGatewayService/GetRecord"
CALLS = 10_000
BLOCKS = 10
NEW_TOKENS = 200
PAUSE = 0.005

Headers = Mapping[str, str]
Served = Callable[[Headers], Awaitable[None]]


async def identity_cost(system: System, rounds: int) -> dict[str, Any]:
    """`reads`: a record and a page through the gateway, as a peer for nobody and with an identity (latency, and CPU of
    the gateway for one). `border_us`: CPU of what happens before and after a servicer, by what is shown.
    `forwarding_us`: CPU of what a caller sends along. `added_us`: what an identity adds to a call, both sides
    together, with a token that was seen before; `share` is its part of a read of one record."""
    async with system.as_peer(9004) as auth:
        [key] = await access_keys(auth, 1)
        reads = await gateway_reads(system, auth, key, rounds)
        border = await border_cost(system, auth, key)
        forwarding = await forwarding_cost(auth, await identity_token(auth, key))
    added = border["identity token, seen before"] - border["API_KEY"]
    added += forwarding["with an identity"] - forwarding["without"]
    read_us = reads["a record"]["without"]["median_ms"] * 1000
    cpu_us = reads["a record"]["without"]["gateway_cpu_ms"] * 1000
    return {
        "reads": reads,
        "border_us": border,
        "forwarding_us": forwarding,
        "added_us": round(added, 1),
        "share": round(added / read_us, 5),
        "share_of_cpu": round(added / cpu_us, 5),
    }


async def gateway_reads(system: System, auth: ServiceChannel, key: str, rounds: int) -> dict[str, Any]:
    """Two kinds of read, each without and with an identity."""
    found: dict[str, Any] = {}
    peer = (("x-api-key", system.api_key),)
    async with ServiceChannel(system.grpc(9002)) as channel:
        stub: Any = AirtableGatewayServiceStub(channel.channel)
        page = airtable.ListRecordsRequest(workspace=WORKSPACE, base_id=BASE_ID, table_id=TABLE)
        records = (await stub.ListRecords(page, metadata=peer, timeout=30)).records
        record = airtable.GetRecordRequest(
            workspace=WORKSPACE, base_id=BASE_ID, table_id=TABLE, record_id=records[0].id
        )
        for kind, method, request in (("a record", stub.GetRecord, record), ("a page", stub.ListRecords, page)):
            # A new one for each: it counts for a minute.
            tenant = (*peer, *bearer(await identity_token(auth, key)).items())
            ways: dict[str, Way] = {
                "without": lambda m=method, r=request: m(r, metadata=peer, timeout=30),  # type: ignore[misc]
                "with": lambda m=method, r=request, shown=tenant: m(r, metadata=shown, timeout=30),  # type: ignore[misc]
            }
            found[kind] = await interleaved(ways, rounds=rounds, pause=PAUSE)
            for name, way in ways.items():
                found[kind][name]["gateway_cpu_ms"] = await gateway_cpu(system, way, rounds)
    return found


async def gateway_cpu(system: System, way: Way, calls: int) -> float:
    """CPU milliseconds of the gateway for a call."""
    with spent(system) as cost:
        for _ in range(calls):
            await way()
    return cost.milliseconds_each(calls, "airtable-gateway")


async def border_cost(system: System, auth: ServiceChannel, key: str) -> dict[str, float]:
    """CPU microseconds of a call whose servicer does nothing, by what its caller shows; gRPC itself is not in it."""
    nobody = await border(ServiceSettings(open_access=True), auth)
    somebody = await border(ServiceSettings.model_validate({"api_key": system.api_key}), auth)
    peer = {"x-api-key": system.api_key}
    await somebody(peer | bearer(await identity_token(auth, key)))  # asks for the signing keys
    tokens = [await identity_token(auth, key) for _ in range(NEW_TOKENS)]
    new = await cpu_us(somebody, [peer | bearer(token) for token in tokens])
    totals = dict.fromkeys(("nothing (open development mode)", "API_KEY", "identity token, seen before"), 0.0)
    for _ in range(BLOCKS):  # in turns, so that a noisy machine is noisy for all of them
        seen = peer | bearer(await identity_token(auth, key))  # a new one for each: it counts for a minute
        await somebody(seen)
        for name, served, headers in zip(totals, (nobody, somebody, somebody), ({}, peer, seen), strict=True):
            totals[name] += await cpu_us(served, [headers] * (CALLS // BLOCKS))
    return {**{name: round(total / BLOCKS, 2) for name, total in totals.items()}, "identity token, new": round(new, 2)}


async def border(settings: ServiceSettings, auth: ServiceChannel) -> Served:
    """The interceptor of every service around a servicer that does nothing."""
    access = Access(settings, Authorizer(auth))

    async def nothing(request: Any, call: Any) -> None:
        return None

    async def continuation(details: Any) -> Any:
        handler = {"request_deserializer": None, "response_serializer": None, "response_streaming": False}
        return SimpleNamespace(unary_unary=nothing, **handler)

    details: Any = SimpleNamespace(method=RPC)
    handler = await CallInterceptor(access, 60.0).intercept_service(continuation, details)
    request = airtable.GetRecordRequest(workspace=WORKSPACE, base_id=BASE_ID, table_id=TABLE, record_id="rec")

    async def served(headers: Headers) -> None:
        await handler.unary_unary(request, FakeCall(headers))

    return served


class FakeCall:
    """What the interceptor asks of gRPC's context of a call."""

    def __init__(self, headers: Headers) -> None:
        self._metadata = tuple(headers.items())

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def time_remaining(self) -> float:
        return 30.0

    def peer(self) -> str:
        return "ipv4:127.0.0.1:40000"

    async def abort_with_status(self, status: Any) -> None:
        raise AssertionError(f"the call was refused: {status}")


async def forwarding_cost(auth: ServiceChannel, token: str) -> dict[str, float]:
    """CPU microseconds of making the metadata of a call to another service."""
    identity = await Authorizer(auth).of_token(token)
    found = {}
    for name, call in {"without": CallContext("1"), "with an identity": CallContext("1", identity=identity)}.items():
        with context.entered(call):
            began = time.process_time()
            for _ in range(CALLS):
                await auth.metadata()
            found[name] = round((time.process_time() - began) * 1e6 / CALLS, 2)
    return found


async def cpu_us(served: Served, calls: list[Headers]) -> float:
    """CPU microseconds of one call."""
    began = time.process_time()
    for headers in calls:
        await served(headers)
    return (time.process_time() - began) * 1e6 / len(calls)


async def identity_token(auth: ServiceChannel, credential: str) -> str:
    """What a door gets for a credential."""
    stub: Any = auth_service_pb2_grpc.AuthServiceStub(auth.channel)
    request = auth_service_pb2.AuthorizeRequest(credential=credential)
    return str((await auth.call(stub.Authorize, request)).identity_token)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
