"""What who began a run may do by now: asked of the registry at each tool call, for rights end while a run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import Denied
from pyairtable_platform.common.registry import Workspace
from pyairtable_platform.common.roles import lesser, rank_of
from pyairtable_platform.common.workspace import OWNER, Owner

from .ports import Asker, Tool, ToolCall, ToolServer

PERSON = "user"
SERVICE_ACCOUNT = "service-account"


class CurrentRoles:
    """A tool server that every call reaches with the role that its asker has at that moment, never with a higher one
    than the run began with. `find` is the registry's; who is in the workspace no more is refused."""

    def __init__(self, server: ToolServer, find: Callable[[str], Workspace]) -> None:
        self._server = server
        self._find = find

    async def list_tools(self) -> Sequence[Tool]:
        """Those of the role that the run began with: a call is refused when it is too much by then."""
        return await self._server.list_tools()

    async def call(self, call: ToolCall) -> dict[str, Any]:
        """Run a tool. Raises Denied, as the tool server does for a role that does not allow the tool."""
        if not call.asker.role:  # a peer
            return await self._server.call(call)
        role = role_now(call.asker, self._find(call.workspace))
        if not role:
            text = f'who began this run is no member of workspace "{call.workspace}" any more'
            raise Denied(text, workspace=call.workspace)
        with context.entered(replace(context.current(), role=role)):
            return await self._server.call(call)


def role_now(asker: Asker, workspace: Workspace) -> str:
    """The role of who began a run, now and not above the one at its beginning; empty for nobody's."""
    kind, _, name = asker.principal.partition(":")
    if kind == PERSON:
        is_declared = bool(asker.declaration) and asker.declaration == declaration_of(workspace)
        return lesser(asker.role, OWNER if is_declared else member_role(workspace, name))
    if kind == SERVICE_ACCOUNT:
        namespace, _, account = name.partition(":")
        return asker.role if Owner("ServiceAccount", account, namespace) in workspace.owners else ""
    return asker.role  # a key's role is its own


def asker_of(principal: str, role: str, workspace: Workspace) -> Asker:
    """Who begins a run, and whether the role comes from the declaration of the workspace."""
    kind, _, user_id = principal.partition(":")
    is_declared = kind == PERSON and rank_of(role) > rank_of(member_role(workspace, user_id))
    return Asker(principal, role, declaration_of(workspace) if is_declared else "")


def member_role(workspace: Workspace, user_id: str) -> str:
    """The role of a member by id; empty for none, and for owners of the declaration, who stand there by address."""
    return next((member.role for member in workspace.members if member.user_id == user_id), "")


def declaration_of(workspace: Workspace) -> str:
    """Stands for the people whom the declaration makes owners, for it is not known here whose which address is; empty
    when there are none. When these change, whoever had a role by them is asked to begin anew."""
    addresses = sorted(member.email.casefold() for member in workspace.members if member.declared)
    return hashlib.sha256("\n".join(addresses).encode()).hexdigest()[:32] if addresses else ""
