"""gRPC through the door: every service at one address, as if the caller spoke to it directly."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status
from integration.api_gateway.conftest import Door
from integration.api_gateway.upstream_fakes import SERVICES

from pyairtable_platform.common.access import PERSON, rule_of
from pyairtable_protos.chat.v1 import chat_service_pb2, chat_service_pb2_grpc
from pyairtable_protos.tools.v1 import tool_service_pb2, tool_service_pb2_grpc

ALL_METHODS = [method for service in SERVICES for method in service.methods]
BUF = Path(sys.executable).with_name("buf")


@pytest.fixture
async def channel(door: Door) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(door.grpc_target) as opened:
        yield opened


@pytest.fixture
def tools(channel: grpc.aio.Channel) -> Any:
    return tool_service_pb2_grpc.ToolServiceStub(channel)


def valid_request(method: MethodDescriptor) -> Any:
    """A request that satisfies the contract's rules."""
    request: Any = message_factory.GetMessageClass(method.input_type)()
    for field in method.input_type.fields:
        if field.message_type is not None and not field.is_repeated:
            getattr(request, field.name).SetInParent()
        elif field.type == field.TYPE_STRING and not field.is_repeated:
            setattr(request, field.name, text_for(method, field.name))
        elif field.type == field.TYPE_BYTES:
            setattr(request, field.name, b"x")
    if "source" in method.input_type.fields_by_name:
        request.source.kind = "Workspace"
    fill_lists(request)
    return request


def text_for(method: MethodDescriptor, name: str) -> str:
    """A text that the rules of a field allow."""
    if name == "base_id" and method.name == "ConnectBase":
        return "appXXXXXXXXXXXXXX"
    if name == "role":
        return "viewer"
    return "ada@acme.example" if "email" in name else "x"


def fill_lists(request: Any) -> None:
    """Lists that must not be empty."""
    for field in request.DESCRIPTOR.fields:
        if not field.is_repeated or field.name in ("messages", "calls_by_base", "sort"):
            continue
        if field.message_type is None:
            getattr(request, field.name).append("recXXXXXXXXXXXXXX")
        else:
            item = getattr(request, field.name).add()
            for inner in ("id", "name", "type"):
                if inner in item.DESCRIPTOR.fields_by_name:
                    setattr(item, inner, "x")
    for name in ("table", "field"):
        if name in request.DESCRIPTOR.fields_by_name and request.DESCRIPTOR.fields_by_name[name].message_type:
            part = getattr(request, name)
            part.name = "x"
            fill_lists(part)
            if "type" in part.DESCRIPTOR.fields_by_name:
                part.type = "x"


async def refused(call: Any) -> None:
    """The call must end at the door: it is for people."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call.read() if hasattr(call, "read") else await call
    assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_every_method_of_the_contract_goes_through(door: Door, channel: grpc.aio.Channel) -> None:
    for method in ALL_METHODS:
        assert not method.client_streaming, "the pass-through forwards one request a call: teach it to stream them"
        request = valid_request(method)
        response = message_factory.GetMessageClass(method.output_type)
        make = channel.unary_stream if method.server_streaming else channel.unary_unary
        rpc: Any = make(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        if rule_of(str(method.full_name)) == PERSON:  # these callers are nobody: tests/e2e has people
            await refused(rpc(request))
            continue
        if method.server_streaming:
            assert [message async for message in rpc(request)] == [response()]
        else:
            assert await rpc(request) == response()
        assert door.behind.recorder.last.request == request


async def test_metadata_goes_both_ways_and_the_request_id_too(door: Door, tools: Any) -> None:
    async def answer(_: Any, call: Any) -> Any:
        await call.send_initial_metadata((("from-behind", "first"),))
        call.set_trailing_metadata((("from-behind", "last"), ("bytes-bin", b"\x00\xff")))
        return tool_service_pb2.ListToolsResponse()

    door.behind.recorder.answers["ListTools"] = answer
    metadata = (("x-request-id", "abc-1"), ("traceparent", "00-1"), ("my-bin", b"\x01"))
    call = tools.ListTools(tool_service_pb2.ListToolsRequest(), metadata=metadata)
    await call
    seen = door.behind.recorder.last.metadata
    assert (seen["x-request-id"], seen["traceparent"], seen["my-bin"]) == ("abc-1", "00-1", b"\x01")
    assert dict(await call.initial_metadata())["from-behind"] == "first"
    trailing = dict(await call.trailing_metadata())
    assert (trailing["from-behind"], trailing["bytes-bin"]) == ("last", b"\x00\xff")


async def test_status_message_and_details_come_back_unchanged(door: Door, tools: Any) -> None:
    async def fail(_: Any, call: Any) -> None:
        status = status_pb2.Status(code=9, message="mend this first: é")
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason="SOMETHING_NEW", domain="elsewhere.example"))
        await call.abort_with_status(rpc_status.to_status(status))

    door.behind.recorder.answers["ListTools"] = fail
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await tools.ListTools(tool_service_pb2.ListToolsRequest())
    assert failure.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.value.details() == "mend this first: é"
    status = rpc_status.from_call(cast(grpc.Call, failure.value))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("SOMETHING_NEW", "elsewhere.example")


async def test_a_status_without_details_keeps_its_code(door: Door, tools: Any) -> None:
    async def fail(_: Any, call: Any) -> None:
        await call.abort(grpc.StatusCode.DATA_LOSS, "gone")

    door.behind.recorder.answers["ListTools"] = fail
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await tools.ListTools(tool_service_pb2.ListToolsRequest())
    assert (failure.value.code(), failure.value.details()) == (grpc.StatusCode.DATA_LOSS, "gone")


async def test_the_deadline_goes_on(door: Door, tools: Any) -> None:
    await tools.ListTools(tool_service_pb2.ListToolsRequest(), timeout=9)
    remaining = door.behind.recorder.last.remaining
    assert remaining is not None
    assert 0 < remaining <= 9


async def test_a_call_without_deadline_gets_the_doors(door: Door, tools: Any) -> None:
    await tools.ListTools(tool_service_pb2.ListToolsRequest())
    remaining = door.behind.recorder.last.remaining
    assert remaining is not None
    assert 60 < remaining <= 200


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_cancelled_call_is_cancelled_behind(door: Door, channel: grpc.aio.Channel, streaming: bool) -> None:
    async def wait_for_ever(*_: Any) -> None:
        await asyncio.Event().wait()

    async def stream_for_ever(*_: Any) -> AsyncIterator[Any]:
        yield chat_service_pb2.StreamChatResponse()
        await asyncio.Event().wait()

    recorder = door.behind.recorder
    recorder.answers = {"Chat": wait_for_ever, "StreamChat": stream_for_ever}
    chat: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
    if streaming:
        call = chat.StreamChat(chat_service_pb2.StreamChatRequest(chat=chat_service_pb2.ChatRequest(message="x")))
        await call.read()
    else:
        call = chat.Chat(chat_service_pb2.ChatRequest(message="x"))
    recorded = await recorder.arrived("StreamChat" if streaming else "Chat")
    call.cancel()
    async with asyncio.timeout(20):
        await recorded.ended.wait()
    assert recorded.cancelled


async def test_messages_of_a_stream_come_one_by_one(door: Door, channel: grpc.aio.Channel) -> None:
    go_on = asyncio.Event()

    async def stream(*_: Any) -> AsyncIterator[Any]:
        yield chat_service_pb2.WatchRunResponse()
        await go_on.wait()
        yield chat_service_pb2.WatchRunResponse()

    door.behind.recorder.answers["WatchRun"] = stream
    chat: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
    call = chat.WatchRun(chat_service_pb2.WatchRunRequest(run_id="r"))
    await call.read()
    go_on.set()
    await call.read()
    assert await call.read() is grpc.aio.EOF


async def test_a_request_against_the_contract_is_refused_here(door: Door, channel: grpc.aio.Channel) -> None:
    chat: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await chat.GetRun(chat_service_pb2.GetRunRequest())
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "run_id" in str(failure.value.details())
    assert door.behind.recorder.calls == []


async def test_a_service_that_is_away_is_named_without_its_address(door: Door, tools: Any) -> None:
    await door.behind.server.stop(0)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await tools.ListTools(tool_service_pb2.ListToolsRequest())
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    assert failure.value.details() == "the MCP Server cannot be reached"


async def test_an_unknown_method_is_unimplemented(channel: grpc.aio.Channel) -> None:
    rpc: Any = channel.unary_unary("/pyairtable.tools.v1.ToolService/Nothing")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await rpc(b"")
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_every_service_and_describes_it(channel: grpc.aio.Channel, version: str) -> None:
    rpc: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services="*"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="pyairtable.chat.v1.ChatService"),
    ]
    listed, described = [answer async for answer in rpc(iter(requests))]
    names = {service.name for service in listed.list_services_response.service}
    assert {str(service.full_name) for service in SERVICES} | {"grpc.health.v1.Health"} <= names
    assert described.file_descriptor_response.file_descriptor_proto


async def test_grpc_health_of_the_door(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def buf_curl(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        str(BUF),
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_a_client_that_knows_nothing_can_call_by_reflection(chat_door: Door) -> None:
    code, listed = await buf_curl("--list-methods", f"http://{chat_door.grpc_target}")
    assert code == 0, listed
    assert {f"{method.containing_service.full_name}/{method.name}" for method in ALL_METHODS} <= set(listed.split())

    address = f"http://{chat_door.grpc_target}/pyairtable.chat.v1.ChatService/StreamChat"
    code, streamed = await buf_curl(address, "-d", '{"chat": {"message": "hi"}}')
    assert code == 0, streamed
    decoder, events, rest = json.JSONDecoder(), [], streamed.strip()
    while rest:
        event, end = decoder.raw_decode(rest)
        events.append(event["event"])
        rest = rest[end:].strip()
    assert events[-1]["done"]["response"] == "You said: hi"
