"""What the contract says of each RPC's callers against what happens, at every door, over gRPC and REST."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from integration.auth.conftest import PEER, Platform, bearer

from pyairtable_platform.common.access import ADMIN, KNOWN, PERSON, PUBLIC, WORKSPACE, rule_of
from pyairtable_platform.common.access import PEER as PEERS
from pyairtable_platform.common.rest.routes import bindings
from pyairtable_platform.common.roles import need_of, scope_of
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2
from pyairtable_protos.auth.v1 import auth_service_pb2
from pyairtable_protos.chat.v1 import chat_service_pb2
from pyairtable_protos.tools.v1 import tool_service_pb2
from pyairtable_protos.workspaces.v1 import workspace_service_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVED_BY: dict[str, ServiceDescriptor] = {
    "auth": auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"],
    "workspaces": workspace_service_pb2.DESCRIPTOR.services_by_name["WorkspaceService"],
    "airtable-gateway": airtable_gateway_service_pb2.DESCRIPTOR.services_by_name["AirtableGatewayService"],
    "mcp-server": tool_service_pb2.DESCRIPTOR.services_by_name["ToolService"],
    "llm-orchestrator": chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"],
}
REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


def methods() -> Iterator[Any]:
    for service, descriptor in SERVED_BY.items():
        for method in descriptor.methods:
            yield pytest.param(service, method, id=method.name)


async def status_of(platform: Platform, door: str, method: MethodDescriptor, metadata: Any) -> grpc.StatusCode:
    """What an RPC answers to an empty request; a stream is left after its first message."""
    channel: Any = platform.channel(door).channel
    make = channel.unary_stream if method.server_streaming else channel.unary_unary
    rpc = make(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    call = rpc(message_factory.GetMessageClass(method.input_type)(), metadata=tuple(metadata), timeout=30)
    try:
        if not method.server_streaming:
            await call
        else:
            async for _ in call:
                break
    except grpc.aio.AioRpcError as error:
        return error.code()
    finally:
        call.cancel()
    return grpc.StatusCode.OK


@pytest.mark.parametrize(("service", "method"), list(methods()))
async def test_only_those_whom_the_contract_names_come_in(
    platform: Platform, key: str, service: str, method: MethodDescriptor
) -> None:
    rule = rule_of(str(method.full_name))
    token = await platform.identity_token(key)
    for door in (service, "api-gateway"):
        nobody = await status_of(platform, door, method, ())
        tenants = [
            await status_of(platform, door, method, bearer(key).items()),
            await status_of(platform, door, method, bearer(token).items()),
            await status_of(platform, door, method, [("x-api-key", key)]),
            await status_of(platform, door, method, [*bearer(token).items(), *PEER]),
        ]
        peer = await status_of(platform, door, method, PEER)
        assert (nobody is grpc.StatusCode.UNAUTHENTICATED) == (rule != PUBLIC), door
        assert (peer in REFUSALS) == (rule == PERSON), door
        if is_an_editors(method):
            assert not set(tenants) & set(REFUSALS), door
        else:
            assert set(tenants) == {grpc.StatusCode.PERMISSION_DENIED}, door


def is_an_editors(method: MethodDescriptor) -> bool:
    """Whether the key of these tests, an editor's, may make a call."""
    rpc = str(method.full_name)
    return rule_of(rpc) in (PUBLIC, KNOWN) or (rule_of(rpc) == WORKSPACE and need_of(rpc) in scope_of("editor").split())


ROUTES = [
    pytest.param(service, binding, id=f"{binding.verb} {binding.template}")
    for service, descriptor in SERVED_BY.items()
    for binding in bindings(descriptor)
]


@pytest.mark.parametrize(("service", "binding"), ROUTES)
async def test_rest_follows_the_same_rule(platform: Platform, key: str, service: str, binding: Any) -> None:
    rule = rule_of(str(binding.method.full_name))
    path = re.sub(r"\{(\w+)\}", "acme", binding.template)
    for door, prefix in ((service, ""), ("api-gateway", "/api")):

        async def status(headers: dict[str, str], url: str = f"{platform.url(door)}{prefix}{path}") -> int:
            body = b"{}" if binding.body else b""
            kind = {"content-type": "application/json"}
            async with platform.http.stream(binding.verb, url, content=body, headers=headers | kind) as answer:
                return int(answer.status_code)

        assert (await status({}) == 401) == (rule != PUBLIC), door
        assert (await status(bearer(key)) == 403) == (not is_an_editors(binding.method)), door
        assert (await status(dict(PEER)) in (401, 403)) == (rule == PERSON), door


async def test_the_rules_of_the_contract_are_those_that_were_meant() -> None:
    """A new RPC is a tenant's unless its contract says otherwise: say here that it was meant."""
    rules = {method.name: rule_of(str(method.full_name)) for each in SERVED_BY.values() for method in each.methods}
    assert {name for name, rule in rules.items() if rule == PUBLIC} == {"GetSigningKeys", "ListTemplates"}
    assert {name for name, rule in rules.items() if rule == PEERS} == {
        "Authorize",
        "WatchRevocations",
        "ApplyAccessKeys",
        "WatchWorkspaces",
        "ApplyWorkspace",
        "RemoveWorkspace",
        "VerifyBindings",
    }
    assert {name for name, rule in rules.items() if rule == ADMIN} == {"RotateSigningKey"}
    assert {name for name, rule in rules.items() if rule == PERSON} == {"ListMyWorkspaces", "CreateWorkspace"}
