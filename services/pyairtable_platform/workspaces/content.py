"""Workspaces as rows of the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any

import orjson
from pydantic import TypeAdapter

from pyairtable_platform.common.workspace import Member, Workspace, declared_members

_WORKSPACE = TypeAdapter(Workspace)
_MEMBERS = TypeAdapter(list[Member])


def to_json(workspace: Workspace) -> str:
    """What is stored of a workspace."""
    return _WORKSPACE.dump_json(workspace, exclude={"version", "members", "made_by_call"}).decode()


def from_json(content: str, revision: int, members: tuple[Member, ...] = ()) -> Workspace:
    """A stored workspace with the members who joined. Keys that a later version wrote are passed over."""
    value: dict[str, Any] = {**orjson.loads(content), "version": revision}
    workspace = _WORKSPACE.validate_python(value, strict=False)
    return replace(workspace, members=(*declared_members(workspace.owners), *members))


def from_row(row: Any) -> Workspace:
    """A row with content, revision, members (a JSON array, or null) and made_by_call."""
    stored = row.members or "[]"  # the driver gives json as text
    members = _MEMBERS.validate_json(stored) if isinstance(stored, str) else _MEMBERS.validate_python(stored)
    workspace = from_json(
        row.content,
        row.revision,
        tuple(replace(item, joined_at=item.joined_at and item.joined_at.astimezone(UTC)) for item in members),
    )
    return replace(workspace, made_by_call=row.made_by_call)
