"""Workspace objects in a cluster, through the Kubernetes API: server-side apply with a field manager of our own.

An object of ours has the label app.kubernetes.io/managed-by: pyairtable-api and, as an annotation, the uid of the call
that it was made for. Others are never changed or deleted. What somebody else adds to an object of ours (a credential,
for example) stays: we own only the fields that calls can set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import orjson

from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, Unavailable
from pyairtable_platform.common.kubernetes_api import shown_token
from pyairtable_platform.common.workspace import BaseBinding, Workspace

from .port import Declared

API_VERSION = "pyairtable.dev/v1alpha1"
FIELD_MANAGER = "pyairtable-api"
MANAGED_BY = "app.kubernetes.io/managed-by"
MADE_FOR = "pyairtable.dev/made-for"
_PATH = f"/apis/{API_VERSION}/workspaces"


class KubernetesProvisioner:
    """Provisioner in a cluster. The token is read anew for every request, because tokens rotate."""

    def __init__(self, client: httpx2.AsyncClient, token_file: Path) -> None:
        self._client = client
        self._token_file = token_file

    async def declare(self, name: str, display_name: str, uid: str) -> Declared:
        body = manifest(name, uid, {"displayName": display_name})
        found = await self._get(name)
        if found is None:
            # create, not apply: of two that want the name, one must be told
            found = await self._send("POST", _PATH, body, params={"fieldManager": FIELD_MANAGER})
            if found is None:
                found = await self._get(name)
        _require_ours(found, name, uid)
        assert found is not None, "_require_ours refuses that"
        return _declared(found)

    async def update(self, workspace: Workspace) -> Declared:
        found = await self._get(workspace.name)
        uid = _made_for(found)
        _require_ours(found, workspace.name, uid)
        body = manifest(workspace.name, uid, spec_of(workspace))
        # Our fields are ours, whoever wrote them since; the uid refuses an object that was made anew meanwhile.
        body["metadata"]["uid"] = workspace.source.uid
        parameters = {"fieldManager": FIELD_MANAGER, "force": "true"}
        changed = await self._send("PATCH", f"{_PATH}/{workspace.name}", body, params=parameters)
        if changed is None:
            raise FailedPrecondition(f"Workspace/{workspace.name} was made anew meanwhile: read the workspace again")
        return _declared(changed)

    async def delete(self, name: str, uid: str) -> None:
        found = await self._get(name)
        if found is None or _made_for(found) != uid:
            return
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": found["metadata"]["uid"]},
        }
        await self._send("DELETE", f"{_PATH}/{name}", options)

    async def _get(self, name: str) -> dict[str, Any] | None:
        return await self._send("GET", f"{_PATH}/{name}")

    async def _send(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, params: dict[str, str] | None = None
    ) -> dict[str, Any] | None:
        """The answer; None when there is no such object (404) or another one is there (409)."""
        try:
            kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
            response = await self._client.request(
                method,
                path,
                params=params,
                content=None if body is None else orjson.dumps(body),
                headers={**shown_token(self._token_file), "content-type": kind},
            )
        except (httpx2.HTTPError, OSError, ValueError):  # ValueError: a token file that holds no token
            raise _away("cannot be reached") from None
        return _content(response)


def _content(response: httpx2.Response) -> dict[str, Any] | None:
    if response.status_code in (404, 409):
        return None
    try:
        content = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise _away(f"answers with {response.status_code} and something else than an object")
    if response.status_code == 422:
        raise InvalidInput(f"Kubernetes refuses the Workspace object: {content.get('message', '')}")
    if response.status_code in (401, 403):
        raise _away("refuses this service: its ClusterRole must allow to get, create, patch and delete Workspaces")
    if not response.is_success:
        raise _away(f"answers with {response.status_code}")
    return content


def manifest(name: str, uid: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The object with what calls can set."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Workspace",
        "metadata": {"name": name, "labels": {MANAGED_BY: FIELD_MANAGER}, "annotations": {MADE_FOR: uid}},
        "spec": spec,
    }


def spec_of(workspace: Workspace) -> dict[str, Any]:
    """The fields of the spec that calls can set."""
    llm = workspace.llm
    return {
        "displayName": workspace.display_name,
        "suspend": workspace.suspended,
        "airtable": {
            "monthlyCallBudget": workspace.monthly_call_budget,
            "bases": [_base(base) for base in workspace.bases],
        },
        "llm": {"model": llm.model, "monthlyCostLimit": llm.monthly_cost_limit, "approval": llm.approval},
    }


def _base(base: BaseBinding) -> dict[str, Any]:
    return {
        "name": base.name,
        "baseId": base.base_id,
        "access": base.access,
        "default": base.is_default,
        "tables": list(base.tables),
    }


def _declared(content: dict[str, Any]) -> Declared:
    metadata = content["metadata"]
    return Declared(f"Workspace/{metadata['name']}", metadata["uid"], metadata.get("generation", 0))


def _made_for(content: dict[str, Any] | None) -> str:
    """The uid of the call that an object was made for; empty when it is none of ours."""
    metadata = (content or {}).get("metadata", {})
    if (metadata.get("labels") or {}).get(MANAGED_BY) != FIELD_MANAGER:
        return ""
    return str((metadata.get("annotations") or {}).get(MADE_FOR, ""))


def _require_ours(content: dict[str, Any] | None, name: str, uid: str) -> None:
    """Raise when the object is not the one of this call, or is on its way out."""
    if content is None:
        raise _away(f"has no Workspace/{name} any more")
    if not uid or _made_for(content) != uid:
        raise FailedPrecondition(
            f"Workspace/{name} is there already and was not made by this call: choose another name", workspace=name
        )
    if content["metadata"].get("deletionTimestamp"):
        raise _away(f"is still deleting Workspace/{name}")


def _away(how: str) -> Unavailable:
    return Unavailable(f"the Kubernetes API {how}: try again later", dependency="kubernetes")
