"""A run never does what who began it may not do any more: the role is asked again at each tool call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.llm_orchestrator.chat_fakes import Bench, FakeToolServer, MemoryJournal, ScriptedModel, calls, says

from pyairtable_platform.common import context
from pyairtable_platform.common.context import check_allowed
from pyairtable_platform.common.errors import Denied
from pyairtable_platform.common.registry import Workspace
from pyairtable_platform.common.roles import Need
from pyairtable_platform.common.workspace import from_message
from pyairtable_platform.llm_orchestrator.current_role import CurrentRoles, asker_of, role_now
from pyairtable_platform.llm_orchestrator.ports import Asker, ToolCall
from pyairtable_protos.workspaces.v1 import workspace_pb2

ADA = "user:ada"


def workspace(*owners: str, accounts: tuple[str, ...] = (), **members: str) -> Workspace:
    """Owners of the declaration by address, ServiceAccounts of ws-acme, and members' roles by user_id."""
    declared = [workspace_pb2.Member(email=owner, role="owner", declared=True) for owner in owners]
    joined = [workspace_pb2.Member(user_id=user_id, role=role) for user_id, role in members.items()]
    programs = [workspace_pb2.Owner(kind="ServiceAccount", name=name, namespace="ws-acme") for name in accounts]
    return from_message(workspace_pb2.Workspace(name="acme", owners=programs, members=[*declared, *joined]))


BOT = "service-account:ws-acme:bot"


@pytest.mark.parametrize(
    ("principal", "role", "before", "after", "now"),
    [
        (ADA, "editor", workspace(ada="editor"), workspace(ada="viewer"), "viewer"),
        (ADA, "editor", workspace(ada="editor"), workspace(ada="owner"), "editor"),
        (ADA, "viewer", workspace(ada="owner"), workspace(ada="editor"), "viewer"),
        (ADA, "editor", workspace(ada="editor"), workspace(bob="editor"), ""),
        (ADA, "owner", workspace(ada="owner"), workspace("x@acme.example", bob="editor"), ""),
        (ADA, "owner", workspace("ada@acme.example"), workspace("ADA@acme.example", bob="viewer"), "owner"),
        (ADA, "owner", workspace("ada@acme.example"), workspace("eve@acme.example"), ""),
        (ADA, "owner", workspace("ada@acme.example", ada="viewer"), workspace(ada="viewer"), "viewer"),
        (BOT, "owner", workspace(accounts=("bot",)), workspace(accounts=("bot", "other")), "owner"),
        (BOT, "owner", workspace(accounts=("bot",)), workspace(accounts=("other",)), ""),
        ("access-key:k1", "editor", workspace(), workspace(), "editor"),
    ],
)
def test_the_role_is_the_one_of_now_and_never_a_higher_one(
    principal: str, role: str, before: Workspace, after: Workspace, now: str
) -> None:
    asker = asker_of(principal, role, before)
    assert role_now(asker, before) == role
    assert role_now(asker, after) == now


class Guarded(FakeToolServer):
    """Allows by the role of the call, as our tool server does."""

    async def call(self, call: ToolCall) -> dict[str, Any]:
        check_allowed(Need.WRITE if call.name == "change" else Need.READ)
        return await super().call(call)


async def test_an_editor_who_is_made_a_viewer_writes_no_more_in_the_run_that_goes_on() -> None:
    registry = {"acme": workspace(ada="editor")}

    async def demotes(call: ToolCall) -> dict[str, Any]:
        registry["acme"] = workspace(ada="viewer")
        return {"id": call.idempotency_key}

    tools = Guarded(demotes)
    script = [says("", calls("change", q="1")), says("", calls("change", q="2")), says("", calls("look")), says("Done")]
    bench = Bench(ScriptedModel(list(script)), CurrentRoles(tools, registry.__getitem__), MemoryJournal())  # type: ignore[arg-type]
    bench.turn = replace(bench.turn, asker=asker_of(ADA, "editor", registry["acme"]))
    with context.entered(context.CallContext(role="editor")):
        ended = await bench.run()
    assert ended.error is None
    assert [call.name for call in tools.calls] == ["change", "look"]
    assert [bench.journal.outcomes[of].is_error for of in ("1.1", "2.1", "3.1")] == [False, True, False]
    assert "viewer" in str(bench.journal.outcomes["2.1"].response)


async def test_who_was_taken_out_calls_nothing_more_and_a_peer_has_no_limit() -> None:
    server = FakeToolServer()
    tools = CurrentRoles(server, lambda _: workspace(bob="owner"))
    call = ToolCall("acme", "look", {}, "k", 5, asker_of(ADA, "owner", workspace(ada="owner")))
    with pytest.raises(Denied, match="no member"):
        await tools.call(call)
    assert not server.calls
    await tools.call(replace(call, asker=Asker()))
    assert len(server.calls) == 1
