"""What a role may do with tools: which are listed for it, and which it can call."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pyairtable_platform.common import context
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.errors import Denied
from pyairtable_platform.common.identity import Identity
from pyairtable_platform.common.roles import Need, scope_of
from pyairtable_platform.mcp_server.protocol.tools import ToolMethods
from pyairtable_platform.mcp_server.registry import all_tools
from pyairtable_platform.mcp_server.service import Caller, ToolService, usable_tools
from pyairtable_platform.mcp_server.servicer import ToolServicer
from pyairtable_protos.tools.v1 import tool_service_pb2 as rpc

WRITING = {
    *("create_record", "update_record", "delete_record", "batch_create_records", "batch_update_records"),
    *("create_metadata_table", "sync_tables"),
}


class Untouched:
    """A gateway that no call may reach."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the gateway was asked ({name})")


def by(role: str) -> CallContext:
    return CallContext(identity=Identity("user:1", "acme", role, frozenset(scope_of(role).split()), 2e9, ""))


LIMITED = {"its role": by("viewer"), "the role of who began the work": CallContext(role="viewer")}


def test_every_tool_needs_something_of_the_table_of_roles() -> None:
    assert {tool.need for tool in all_tools().values()} <= {Need.READ, Need.WRITE, Need.DESTROY, Need.SCHEMA}
    writing = {name for name, tool in all_tools().items() if tool.need is not Need.READ}
    assert writing <= WRITING | {name for name in writing if "table" in name}
    assert {"create_record", "delete_record"} <= writing


@pytest.mark.parametrize("call", list(LIMITED.values()), ids=list(LIMITED))
async def test_a_viewer_is_told_of_tools_that_read_and_of_no_other(call: CallContext) -> None:
    service = ToolService(cast(Any, Untouched()))
    with context.entered(call):
        over_grpc = await ToolServicer(service).ListTools(rpc.ListToolsRequest(), None)
        over_mcp = await ToolMethods(service, 5).list_tools(cast(Any, None), None)
    names = {tool.name for tool in over_grpc.tools}
    assert names == {tool.name for tool in over_mcp.tools} == {n for n, t in all_tools().items() if t.read_only}
    assert names


@pytest.mark.parametrize("call", list(LIMITED.values()), ids=list(LIMITED))
@pytest.mark.parametrize("tool", [name for name, tool in all_tools().items() if not tool.read_only])
async def test_a_viewer_cannot_call_what_is_not_listed(call: CallContext, tool: str) -> None:
    """The model may know a name from elsewhere: from a cell, from an earlier turn, or by guessing."""
    service = ToolService(cast(Any, Untouched()))
    with context.entered(call), pytest.raises(Denied, match="viewer"):
        await service.call(tool, {}, Caller())


@pytest.mark.parametrize("call", [by("editor"), by("admin"), by("owner"), CallContext(), CallContext(role="editor")])
def test_others_are_told_of_all(call: CallContext) -> None:
    with context.entered(call):
        assert list(usable_tools()) == list(all_tools())
