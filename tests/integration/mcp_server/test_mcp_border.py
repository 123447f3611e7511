"""Who may reach /mcp: hosts, origins, sizes, broken messages; and what there is beside tools."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from integration.mcp_server.conftest import fast_settings, serving
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceTemplateReference, TextContent
from unit.mcp_server.fake_gateway import BASE_ID, FakeGateway

from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.server import RunningService

HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


async def post(http: httpx2.AsyncClient, body: Any = LIST, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await http.post("/mcp", content=content, headers={**HEADERS, **headers})


@pytest.mark.parametrize("host", ["127.0.0.1:8001", "localhost", "localhost:1234", "[::1]:8001"])
async def test_hosts_on_this_machine_are_served(http: httpx2.AsyncClient, host: str) -> None:
    assert (await post(http, host=host)).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "evil.example.com:8001", "localhost.evil.example.com", "10.0.0.1"]
)
async def test_a_foreign_host_is_refused(http: httpx2.AsyncClient, host: str) -> None:
    assert (await post(http, host=host)).status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 403),
        ("https://evil.example.com", 403),
        ("http://localhost.evil.example.com", 403),
        ("null", 403),
    ],
)
async def test_a_foreign_origin_is_refused(http: httpx2.AsyncClient, origin: str, status: int) -> None:
    assert (await post(http, origin=origin)).status_code == status


async def test_configured_hosts_and_origins_are_served(gateway: FakeGateway) -> None:
    settings = fast_settings(allowed_hosts="mcp.example.com, mcp-server:*", allowed_origins="https://app.example.com")
    async with (
        serving(gateway, settings) as server,
        httpx2.AsyncClient(base_url=server.addresses.http_url, trust_env=False) as http,
    ):
        for host in ("mcp.example.com", "mcp-server:8001"):
            assert (await post(http, host=host, origin="https://app.example.com")).status_code == 200
        assert (await post(http, host="other.example.com")).status_code == 403
        assert (await post(http, origin="https://other.example.com")).status_code == 403


async def test_too_large_a_body_is_refused_and_the_server_lives(gateway: FakeGateway) -> None:
    async with (
        serving(gateway, fast_settings(max_request_bytes=2000)) as server,
        httpx2.AsyncClient(base_url=server.addresses.http_url, trust_env=False) as http,
    ):
        assert (await post(http, b"x" * 3000)).status_code == 413

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield b"x" * 100

        streamed = await http.post("/mcp", content=chunks(), headers=HEADERS)
        assert streamed.status_code == 413
        assert (await post(http)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"42", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","id":1,"method":5}', b"\xff\xfe", [LIST, LIST]],
)
async def test_broken_messages_are_the_clients_fault(http: httpx2.AsyncClient, body: Any) -> None:
    answer = await post(http, body)
    assert 400 <= answer.status_code < 500
    assert (await post(http)).status_code == 200


async def test_arguments_that_are_no_object_are_refused(http: httpx2.AsyncClient) -> None:
    request = {**LIST, "method": "tools/call", "params": {"name": "list_tables", "arguments": [1]}}
    answer = (await post(http, request)).json()
    assert answer["error"]["code"] == -32602


async def test_answers_are_json_and_hold_no_session(http: httpx2.AsyncClient) -> None:
    answer = await post(http)
    assert answer.headers["content-type"] == "application/json"
    assert "mcp-session-id" not in answer.headers
    assert answer.headers["x-request-id"]


async def test_fixtures_are_not_there_unless_asked_for(server: RunningService) -> None:
    async with Client(f"{server.addresses.http_url}/mcp") as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
    assert not any(name.startswith("test_") for name in names | prompts)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_schemas_are_resources(server: RunningService, mode: str) -> None:
    async with Client(f"{server.addresses.http_url}/mcp", mode=mode) as client:
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        base = await client.read_resource(f"airtable://{BASE_ID}/schema")
        table = await client.read_resource("airtable://default/tasks/schema")
        with pytest.raises(MCPError, match="there is no table 'Nope'") as missing:
            await client.read_resource(f"airtable://{BASE_ID}/Nope/schema")
        with pytest.raises(MCPError, match="there is no resource"):
            await client.read_resource("airtable://nothing")
    assert [str(item.uri) for item in listed] == [f"airtable://{BASE_ID}/schema"]
    assert [item.uri_template for item in templates] == [
        "airtable://{base_id}/schema",
        "airtable://{base_id}/{table_id}/schema",
    ]
    assert "Tasks" in str(base.contents[0]) and "multilineText" in str(table.contents[0])
    assert missing.value.code == -32602
    assert missing.value.data["uri"] == f"airtable://{BASE_ID}/Nope/schema"


async def test_names_are_completed(server: RunningService) -> None:
    reference = ResourceTemplateReference(uri="airtable://{base_id}/{table_id}/schema")
    async with Client(f"{server.addresses.http_url}/mcp") as client:
        tables = await client.complete(reference, {"name": "table_id", "value": "ta"})
        bases = await client.complete(reference, {"name": "base_id", "value": ""})
        nothing = await client.complete(reference, {"name": "table_id", "value": "zzz"})
    assert tables.completion.values == ["Tasks"]
    assert bases.completion.values == ["crm", BASE_ID]
    assert nothing.completion.values == []


async def test_prompts_name_what_they_need(server: RunningService) -> None:
    async with Client(f"{server.addresses.http_url}/mcp") as client:
        assert len((await client.list_prompts()).prompts) == 2
        prompt = await client.get_prompt("clean_up_duplicates", {"table_id": "{base_id} & {0}", "base_id": "crm"})
        content = prompt.messages[0].content
        assert isinstance(content, TextContent) and "the table {base_id} & {0} of the Airtable base crm" in content.text
        for arguments, said in (({}, "table_id: is needed"), ({"table_id": "T", "x": "y"}, "x: is not an argument")):
            with pytest.raises(MCPError, match=said):
                await client.get_prompt("clean_up_duplicates", arguments)
        with pytest.raises(MCPError, match="there is no prompt 'nope'"):
            await client.get_prompt("nope")


async def test_a_failing_gateway_is_a_protocol_error_for_resources(
    server: RunningService, gateway: FakeGateway
) -> None:
    gateway.fail["list_bases"] = Unavailable("the gateway is away")
    async with Client(f"{server.addresses.http_url}/mcp") as client:
        with pytest.raises(MCPError, match="the gateway is away") as caught:
            await client.list_resources()
    assert (caught.value.code, caught.value.data["reason"]) == (-32603, "DEPENDENCY_UNAVAILABLE")
