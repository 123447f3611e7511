"""An access key opens chat, tools and Airtable at every door, for its own workspace only."""

from __future__ import annotations

from typing import Any

import grpc
import httpx2
import pytest
from integration.auth.conftest import API_KEY, PEER, Databases, Platform, bearer
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2_grpc as airtable_grpc
from pyairtable_protos.chat.v1 import chat_service_pb2 as chat
from pyairtable_protos.chat.v1 import chat_service_pb2_grpc as chat_grpc
from pyairtable_protos.tools.v1 import tool_service_pb2 as tools
from pyairtable_protos.tools.v1 import tool_service_pb2_grpc as tools_grpc
from pyairtable_protos.workspaces.v1 import workspace_service_pb2, workspace_service_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

REST = [("api-gateway", "/api"), ("airtable-gateway", ""), ("mcp-server", ""), ("llm-orchestrator", "")]
PATHS = {
    "airtable-gateway": ["/bases", "/usage"],
    "mcp-server": ["/tools"],
    "llm-orchestrator": ["/sessions"],
    "api-gateway": ["/bases", "/usage", "/tools", "/sessions", "/workspaces"],
}


@pytest.mark.parametrize(("service", "prefix"), REST)
async def test_a_key_opens_rest(platform: Platform, key: str, service: str, prefix: str) -> None:
    for path in PATHS[service]:
        answer = await platform.get(service, prefix + path, key)
        assert answer.status_code == 200, answer.text
        assert (await platform.get(service, prefix + path, **{"x-api-key": key})).status_code == 200
        assert (await platform.get(service, prefix + path, **{"x-api-key": API_KEY})).status_code in (200, 400)


@pytest.mark.parametrize(("service", "prefix"), REST)
async def test_nothing_opens_without_a_credential(platform: Platform, service: str, prefix: str) -> None:
    for path in [*PATHS[service], "/no/such/address"]:
        answer = await platform.get(service, prefix + path)
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["reason"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(("service", "prefix"), REST)
async def test_a_wrong_key_opens_nothing(platform: Platform, key: str, service: str, prefix: str) -> None:
    turned = key[:-1] + ("A" if key[-1] != "A" else "B")
    for wrong in (turned, key[:-1], key + "A", key.upper(), f"pya_{'a' * 12}_{'A' * 43}", "pya_", "pya_x"):
        answer = await platform.get(service, prefix + PATHS[service][0], wrong)
        assert answer.status_code == 401, wrong


@pytest.mark.parametrize(("service", "prefix"), REST)
async def test_another_workspace_is_denied_whether_it_is_there_or_not(
    platform: Platform, key: str, service: str, prefix: str
) -> None:
    path = {"mcp-server": "/bases/default/tables/Projects/export.csv"}.get(service, PATHS[service][0])
    texts = set()
    for other in ("beta", "never-heard-of"):
        answer = await platform.get(service, f"{prefix}{path}?workspace={other}", key)
        assert (answer.status_code, answer.json()["reason"]) == (403, "DENIED")
        texts.add(answer.json()["detail"])
    assert len(texts) == 1
    assert (await platform.get("api-gateway", "/api/bases?workspace=acme", key)).status_code == 200


async def test_a_tenant_sees_its_own_workspace_only(platform: Platform, key: str) -> None:
    listed = (await platform.get("api-gateway", "/api/workspaces", key)).json()
    assert [workspace["name"] for workspace in listed["workspaces"]] == ["acme"]
    assert (await platform.get("api-gateway", "/api/workspaces/acme", key)).status_code == 200
    for other in ("beta", "never-heard-of"):
        assert (await platform.get("api-gateway", f"/api/workspaces/{other}", key)).status_code == 403
    everything = (await platform.get("api-gateway", "/api/workspaces", **{"x-api-key": API_KEY})).json()
    assert {"acme", "beta"} <= {workspace["name"] for workspace in everything["workspaces"]}


async def test_chat_works_with_a_key_and_stays_in_its_workspace(platform: Platform, key: str, beta_key: str) -> None:
    asked = {"message": "List all tables in my Airtable base", "session_id": "s-1"}
    url = f"{platform.url('api-gateway')}/api/chat"
    answer = await platform.http.post(url, json=asked, headers=bearer(key))
    assert answer.status_code == 200, answer.text
    assert "Projects" in answer.json()["response"]
    run = answer.json()["run_id"]
    events = f"/api/runs/{run}/events"
    async with platform.http.stream("GET", f"{platform.url('api-gateway')}{events}", headers=bearer(key)) as stream:
        assert stream.status_code == 200
        assert "event: done" in (await stream.aread()).decode()
    for path, reason in (
        (f"/api/runs/{run}", "RUN_NOT_FOUND"),
        (events, "RUN_NOT_FOUND"),
        ("/api/sessions/s-1", "SESSION_NOT_FOUND"),
    ):
        assert (await platform.get("api-gateway", path, beta_key)).json()["reason"] == reason
    refused = await platform.http.post(
        f"{url}/stream", json={"chat": asked | {"workspace": "acme"}}, headers=bearer(beta_key)
    )
    assert refused.status_code in (400, 403)


CALLS: list[tuple[str, Any, str, Any]] = [
    ("airtable-gateway", airtable_grpc.AirtableGatewayServiceStub, "ListBases", airtable.ListBasesRequest),
    ("mcp-server", tools_grpc.ToolServiceStub, "CallTool", tools.CallToolRequest),
    ("llm-orchestrator", chat_grpc.ChatServiceStub, "ListSessions", chat.ListSessionsRequest),
]


@pytest.mark.parametrize("through_the_door", [True, False])
@pytest.mark.parametrize(("service", "stub", "method", "request_class"), CALLS)
async def test_a_key_opens_grpc(
    platform: Platform, key: str, service: str, stub: Any, method: str, request_class: Any, through_the_door: bool
) -> None:
    channel = platform.channel("api-gateway" if through_the_door else service).channel
    rpc: Any = getattr(stub(channel), method)
    fields = {"name": "list_tables"} if method == "CallTool" else {}
    shown = tuple(bearer(key).items())
    assert await rpc(request_class(**fields), metadata=shown)
    assert await rpc(request_class(**fields, workspace="acme"), metadata=shown)
    with pytest.raises(grpc.aio.AioRpcError) as denied:
        await rpc(request_class(**fields, workspace="beta"), metadata=shown)
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rpc(request_class(**fields))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_stream_is_guarded_like_a_call(platform: Platform, beta_key: str) -> None:
    stub: Any = chat_grpc.ChatServiceStub(platform.channel("api-gateway").channel)
    request = chat.StreamChatRequest(chat=chat.ChatRequest(workspace="acme", message="hello"))
    with pytest.raises(grpc.aio.AioRpcError) as denied:
        async for _ in stub.StreamChat(request, metadata=tuple(bearer(beta_key).items())):
            pytest.fail("nothing may come")
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_mcp_takes_a_key(platform: Platform, key: str) -> None:
    url = f"{platform.url('mcp-server')}/mcp"
    async with httpx2.AsyncClient(headers=bearer(key), timeout=60, trust_env=False) as http:
        client = Client(streamable_http_client(url, http_client=http), mode=MODERN_PROTOCOL_VERSIONS[-1])
        async with client:
            result = await client.call_tool("list_tables", {})
            assert not result.is_error
            assert "Projects" in str(result.structured_content)
            other: Any = {"pyairtable.dev/workspace": "beta"}
            denied = await client.call_tool("list_tables", {}, meta=other)
            assert denied.is_error
            assert "DENIED" in str(denied.content)
    assert (await platform.http.post(url, json={})).status_code == 401


async def test_a_viewer_reads_and_does_not_write(platform: Platform) -> None:
    viewer = await platform.key_for("acme", role="viewer")
    url = platform.url("api-gateway")
    assert (await platform.get("api-gateway", "/api/bases", viewer)).status_code == 200
    for path, body in (
        ("/api/bases/default/tables/Projects/records", {"records": [{"fields": {"Name": "never"}}]}),
        ("/api/tools/call", {"name": "create_record", "arguments": {"table_id": "Projects", "fields": {"Name": "x"}}}),
    ):
        answer = await platform.http.post(url + path, json=body, headers=bearer(viewer))
        assert answer.status_code == 403, (path, answer.text)
        assert "viewer" in answer.json()["detail"]
    listed = (await platform.get("api-gateway", "/api/tools", viewer)).json()["tools"]
    assert "list_tables" in {tool["name"] for tool in listed}
    assert {tool["access"] for tool in listed} == {"TOOL_ACCESS_READ"}


async def test_a_viewers_model_cannot_write(platform: Platform, databases: Databases) -> None:
    """It is told of no tool that writes, and one that it calls all the same is refused."""
    viewer = await platform.key_for("acme", role="viewer")
    arguments = {"table_id": "Projects", "fields": {"Name": "written by a viewer"}}
    call = {"calls": [{"name": "create_record", "args": arguments}]}
    databases.gemini.script([{"replies": [call, {"text": "I could not."}]}])
    url = f"{platform.url('api-gateway')}/api/chat"
    answer = await platform.http.post(url, json={"message": "Create it"}, headers=bearer(viewer))
    databases.gemini.script([])
    assert answer.status_code == 200, answer.text
    sent = databases.gemini.log()[-1]["body"]
    declared = {each["name"] for tool in sent["tools"] for each in tool["functionDeclarations"]}
    assert "list_tables" in declared
    assert "create_record" not in declared
    records = (await platform.get("api-gateway", "/api/bases/default/tables/Projects/records", viewer)).text
    assert "written by a viewer" not in records


async def test_what_a_caller_adds_at_the_door_is_not_taken_behind_it(platform: Platform, key: str) -> None:
    token = await platform.identity_token(await platform.key_for("beta"))
    url = f"{platform.url('api-gateway')}/api/workspaces"
    for shown in (
        bearer(key) | {"x-api-key": "smuggled"},
        bearer(token) | {"x-api-key": key},
        {"authorization": f"Bearer {key}, Bearer {token}"},
    ):
        assert (await platform.http.get(url, headers=shown)).status_code == 401
    twice = [("authorization", f"Bearer {key}"), ("authorization", f"Bearer {token}")]
    answer = await platform.http.get(url, headers=twice)
    assert answer.status_code == 401 or len(answer.json()["workspaces"]) == 1
    stub: Any = workspace_service_pb2_grpc.WorkspaceServiceStub(platform.channel("api-gateway").channel)
    request = workspace_service_pb2.ListWorkspacesRequest()
    both = await stub.ListWorkspaces(request, metadata=(*bearer(key).items(), *PEER))
    assert [workspace.name for workspace in both.workspaces] == ["acme"]


async def test_the_page_and_the_descriptions_are_public(platform: Platform) -> None:
    for path in ("/", "/static/app.js", "/openapi.json", "/health", "/ready", "/metrics"):
        assert (await platform.get("api-gateway", path)).status_code == 200, path
    for path in ("/static/../api/workspaces", "/static/%2e%2e/api/workspaces", "//api/workspaces", "/static"):
        assert (await platform.get("api-gateway", path)).status_code != 200, path
    keys = (await platform.get("api-gateway", "/api/.well-known/jwks.json")).json()["keys"]
    assert {one["alg"] for one in keys} == {"EdDSA"}
    assert (await platform.get("auth", "/.well-known/jwks.json")).json()["keys"] == keys
