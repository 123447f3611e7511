"""What UpdateWorkspace changes: the mask's rules, on plain values."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from pyairtable_platform.common.errors import Denied, InvalidInput
from pyairtable_platform.common.workspace import Workspace
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as rpc

_LLM = ("model", "monthly_cost_limit", "approval")
_PATHS = ("display_name", "monthly_call_budget", "suspended", *(f"llm.{name}" for name in _LLM))


def edit_of(request: rpc.UpdateWorkspaceRequest, *, can_suspend: bool) -> Callable[[Workspace], Workspace]:
    """The change that a request asks for; raises InvalidInput for a mask that names no field of it.

    Nobody gets an identity in a suspended workspace, its owners neither: who is in it must not suspend it (Denied).
    """
    paths = _named(request.update_mask.paths) if request.HasField("update_mask") else _set(request)

    def edit(current: Workspace) -> Workspace:
        own = {name: getattr(request, name) for name in paths if not name.startswith("llm.")}
        llm = {name: getattr(request.llm, name) for name in _LLM if f"llm.{name}" in paths}
        if "approval" in llm:
            llm["approval"] = llm["approval"] or "Never"
        if "display_name" in own:
            own["display_name"] = own["display_name"].strip() or current.name
        changed = replace(current, llm=replace(current.llm, **llm), **own)
        if changed.suspended != current.suspended and not can_suspend:
            text = "the installation suspends workspaces (x-api-key): nobody in one could take it back"
            raise Denied(text, workspace=current.name)
        return changed

    return edit


def _named(paths: Collection[str]) -> set[str]:
    """The fields that a mask names; `llm` is all of it, `*` is everything."""
    found: set[str] = set()
    for path in paths:
        covered = {name for name in _PATHS if path in ("*", name) or name.startswith(f"{path}.")}
        if not covered:
            raise InvalidInput.at("update_mask", f"names what cannot be changed here; use {', '.join(_PATHS)}")
        found |= covered
    return found


def _set(request: rpc.UpdateWorkspaceRequest) -> set[str]:
    """Without a mask: the fields that are not empty."""

    def value(path: str) -> Any:
        holder, _, name = path.rpartition(".")
        return getattr(request.llm if holder else request, name)

    return {path for path in _PATHS if value(path)}
