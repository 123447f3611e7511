"""A workspace that is deleted and made anew under its name is another tenant: nothing of the old one is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from integration.llm_orchestrator.conftest import FakeTools, Registry, registered

from pyairtable_platform.common.errors import InvalidInput, NotFound, PyAirtableError, Reason
from pyairtable_protos.chat.v1 import chat_service_pb2 as rpc
from pyairtable_protos.workspaces.v1 import workspace_pb2

CREATE = {"calls": [{"name": "create_record", "args": {"fields": {"Name": "Tiles"}}}]}
Until = Callable[..., Awaitable[None]]


def declared(uid: str = "", **fields: Any) -> workspace_pb2.Workspace:
    """The workspace acme as a custom resource, or without a uid as a file declares it."""
    kind = "Workspace" if uid else "File"
    return registered("acme", source=workspace_pb2.Source(kind=kind, uid=uid, generation=1), **fields)


async def put(chats: Any, registry: Registry, until: Until, workspace: workspace_pb2.Workspace) -> None:
    """Change the workspace and wait until the orchestrator knows: it is suspended on the way."""
    registry.put(declared("on-the-way", suspended=True))

    async def reason() -> Any:
        try:
            await chats.call("ListSessions", rpc.ListSessionsRequest(workspace="acme"))
        except PyAirtableError as error:
            return error.reason

    async def is_suspended() -> bool:
        return await reason() is Reason.WORKSPACE_SUSPENDED

    async def is_open() -> bool:
        return await reason() is None

    await until(is_suspended)
    registry.put(workspace)
    await until(is_open)


async def sessions(chats: Any, **fields: Any) -> rpc.ListSessionsResponse:
    response: rpc.ListSessionsResponse = await chats.call(
        "ListSessions", rpc.ListSessionsRequest(workspace="acme", **fields)
    )
    return response


async def test_the_new_one_sees_nothing_of_the_old_one_and_a_file_keeps_all(
    chats: Any, registry: Registry, until: Until
) -> None:
    await put(chats, registry, until, declared("uid-1"))
    old = await chats.chat("hello", session_id="s", idempotency_key="k")
    await chats.chat("hello", session_id="t")
    page = await sessions(chats, page_size=1)
    assert page.sessions[0].workspace == "acme" and page.next_page_token
    assert (await chats.run(old.run_id)).workspace == "acme", "people see the name"

    await put(chats, registry, until, declared("uid-2"))
    assert not (await sessions(chats)).sessions
    with pytest.raises(InvalidInput) as refused:
        await sessions(chats, page_token=page.next_page_token)
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID
    for method, names in (
        ("GetSession", {"session_id": "s"}),
        ("ListMessages", {"session_id": "s"}),
        ("GetSessionCost", {"session_id": "s"}),
        ("DeleteSession", {"session_id": "s"}),
        ("GetRun", {"run_id": old.run_id}),
        ("CancelRun", {"run_id": old.run_id}),
    ):
        with pytest.raises(NotFound):
            await chats.call(method, getattr(rpc, f"{method}Request")(workspace="acme", **names))
    with pytest.raises(NotFound):
        await chats.events(old.run_id)
    new = await chats.chat("hello", session_id="s", idempotency_key="k")
    assert new.run_id != old.run_id, "the key of the old one answers nobody"
    assert (await sessions(chats)).sessions[0].message_count == 2

    await put(chats, registry, until, declared("uid-1"))
    assert [session.id for session in (await sessions(chats)).sessions] == ["t", "s"]
    assert (await chats.chat("hello", session_id="s", idempotency_key="k")).run_id == old.run_id


async def test_a_file_has_no_identity_but_its_name(chats: Any, registry: Registry, until: Until) -> None:
    before = await chats.chat("hello", session_id="s", idempotency_key="k")
    await chats.chat("hello", session_id="t")
    token = (await sessions(chats, page_size=1)).next_page_token
    await put(chats, registry, until, declared())
    assert [session.id for session in (await sessions(chats)).sessions] == ["t", "s"]
    assert [session.id for session in (await sessions(chats, page_token=token)).sessions] == ["s"]
    assert (await chats.chat("hello", session_id="s", idempotency_key="k")).run_id == before.run_id
    assert (await chats.run(before.run_id)).response == before.response


async def test_a_run_of_the_old_one_is_not_continued_for_the_new_one(
    chats: Any, registry: Registry, tools: FakeTools, gemini: Any, until: Until
) -> None:
    goes_on = asyncio.Event()

    async def look(arguments: dict[str, Any]) -> dict[str, Any]:
        await goes_on.wait()
        return {"tables": []}

    tools.handlers["list_tables"] = look
    replies = [{"calls": [{"name": "list_tables", "args": {}}]}, CREATE, {"text": "Created."}]
    gemini.script([{"replies": replies}])
    await put(chats, registry, until, declared("uid-1"))
    run_id = await chats.begin("look and write", session_id="s")
    events = chats.watch(run_id)
    await anext(events)  # a reader of the old one
    await until(lambda: tools.calls)
    await put(chats, registry, until, declared("uid-2"))
    goes_on.set()
    *_, last = [response.event async for response in events]
    assert last.failed.reason == "WORKSPACE_NOT_FOUND"
    assert "made anew" in last.failed.message
    assert [call.name for call in tools.calls] == ["list_tables"], "what the old one wanted is not written"
    assert tools.tenants == ["acme:uid-1"], "the next service can tell, too"
