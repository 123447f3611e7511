"""A run keeps the role of who began it: its worker tells the tool server, which lists and allows by it."""

from __future__ import annotations

from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.context import CallContext

QUESTION = "List all tables in my Airtable base"


async def test_the_role_of_who_began_a_run_goes_with_its_tools(chats: Any, tools: Any) -> None:
    with context.entered(CallContext(role="viewer")):
        run_id = await chats.begin(QUESTION)  # the caller leaves at once: the worker is alone with the run
    await chats.events(run_id)
    assert tools.roles == {"viewer lists", "viewer calls"}


async def test_a_run_of_a_peer_has_no_limit(chats: Any, tools: Any) -> None:
    assert (await chats.chat(QUESTION)).tools_used == ["list_tables"]
    assert tools.roles == set()
