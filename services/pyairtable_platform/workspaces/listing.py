"""Which workspaces a caller may use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pyairtable_platform.common.errors import InvalidInput, Reason
from pyairtable_platform.common.workspace import Member, Workspace

from .members.accounts import Accounts
from .members.rules import declared_addresses, resolved
from .service import Registry


async def of_person(registry: Registry, accounts: Accounts, user_id: str) -> list[Workspace]:
    """Where a person is a member, suspended ones too, by name; each with the person as its only member."""
    workspaces = registry.snapshot().workspaces
    own_addresses: dict[str, str] = {}
    if any(declared_addresses(workspace) for workspace in workspaces):  # declarations know people by address
        own_addresses = {account.email.lower(): user_id for account in await accounts.of_ids([user_id])}
    found = []
    for workspace in workspaces:
        member = _who(resolved(workspace.members, own_addresses), user_id)
        if member is not None:
            found.append(replace(workspace, members=(member,)))
    return found


def page_of(workspaces: Iterable[Workspace], size: int, token: str) -> tuple[list[Workspace], str]:
    """Workspaces by name from `token` (the last name of the page before), and the token of the next page."""
    if token and not token.isprintable():
        raise InvalidInput.at("page_token", "is not one of ours", reason=Reason.PAGE_TOKEN_INVALID)
    rest = [workspace for workspace in workspaces if workspace.name > token]
    page = rest[:size]
    return page, page[-1].name if len(rest) > size else ""


def _who(members: Iterable[Member], user_id: str) -> Member | None:
    return next((member for member in members if member.user_id == user_id), None)
