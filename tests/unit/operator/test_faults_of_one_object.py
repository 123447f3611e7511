"""A fault that the API server answers for one object keeps nothing else from being written and told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes_kit.tenant_documents import minimal_document, rich_document, workspace_of

from pyairtable_operator.applying import Applier, Outcome
from pyairtable_operator.constants import FINALIZER
from pyairtable_operator.decide import Action, ActionKind
from pyairtable_operator.findings import platform_synced
from pyairtable_operator.kube_errors import KubeError, NotFoundError, TemporaryKubeError
from pyairtable_operator.manifests import TenantConfig, tenant_objects
from pyairtable_operator.reconcile import PassResult, Reconciler
from pyairtable_operator.settings import Settings
from pyairtable_operator.spec import Workspace
from pyairtable_operator.store import Store

WORKSPACE = workspace_of(rich_document())
INSIDE = [item for item in tenant_objects(WORKSPACE, TenantConfig()) if item.kind != "Namespace"]
A_WEBHOOK = TemporaryKubeError('failed calling webhook "example.org"', status=500, reason="InternalError")
UNANSWERED = [TemporaryKubeError("no answer"), TemporaryKubeError("slow down", status=429)]


class Server:
    """Takes every write but those of one kind."""

    def __init__(self, kind: str, fault: Exception, subresource: str = "") -> None:
        self.refused, self.fault = (kind, subresource), fault
        self.written: list[tuple[str, str]] = []
        self.status: dict[str, Any] = {}

    async def get(self, *_: str) -> dict[str, Any]:
        raise NotFoundError("there is none")

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        return await self.apply(body)

    async def apply(self, body: dict[str, Any], *, force: bool = False, subresource: str = "") -> dict[str, Any]:
        if (body["kind"], subresource) == self.refused:
            raise self.fault
        self.written.append((body["kind"], subresource))
        if body["kind"] == "Workspace":
            self.status = body["status"]
        elif subresource:
            return body
        version = str(len(self.written) + 10)
        return {**body, "metadata": {"uid": "u", **body["metadata"], "resourceVersion": version}}


async def applied(kind: str, fault: Exception, action: ActionKind = ActionKind.CREATE) -> tuple[Outcome, set[str]]:
    kube = Server(kind, fault)
    applier = Applier(cast(Any, kube), Store(lambda _: None))
    outcome = await applier.run([Action(action, item.key, item) for item in INSIDE])
    return outcome, {kind for kind, _ in kube.written}


async def test_the_other_objects_are_written() -> None:
    outcome, written = await applied("Role", A_WEBHOOK)
    assert written == {item.kind for item in INSIDE} - {"Role"}
    assert [failure.key.kind for failure in outcome.failures] == ["Role"] and outcome.failed


@pytest.mark.parametrize("kind", ["ResourceQuota", "LimitRange", "NetworkPolicy"])
async def test_nobody_is_let_in_while_what_confines_him_is_missing(kind: str) -> None:
    _, written = await applied(kind, A_WEBHOOK)
    assert "RoleBinding" not in written and "Role" in written
    _, written = await applied(kind, A_WEBHOOK, ActionKind.UPDATE)
    assert "RoleBinding" in written, "rights that stand are corrected: somebody may have lost them"


@pytest.mark.parametrize("fault", UNANSWERED, ids=str)
async def test_a_server_that_does_not_answer_ends_the_pass(fault: Exception) -> None:
    with pytest.raises(TemporaryKubeError):
        await applied("Role", fault)


async def a_pass(kube: Server) -> tuple[PassResult, list[str]]:
    """Over a workspace of one base that was bound before, as it is made."""
    told: list[str] = []

    async def tell(workspace: Workspace, *_: Any) -> Any:
        told.append("registry")
        return platform_synced(workspace)

    async def declare(*_: Any) -> None:
        told.append("auth")

    document = minimal_document()
    document["metadata"]["finalizers"] = [FINALIZER]
    store = Store(lambda _: None)
    store.changed("Workspace", document)
    binding: dict[str, Any] = {
        "kind": "BaseBinding",
        "metadata": {"name": "crm", "namespace": "ws-small", "uid": "b", "generation": 1, "resourceVersion": "1"},
        "spec": {"baseId": "appAcmeRenovation"},
    }
    store.changed("BaseBinding", binding)
    nothing = SimpleNamespace(
        latest=lambda _: None, usage=lambda _: None, forget=lambda _: None, next_in=lambda _: None, some=lambda _: {}
    )
    silent = SimpleNamespace(
        did=lambda *_: None, tell=lambda *_: None, accepted=lambda *_: None, usage_written_at=lambda _: None
    )
    parts: list[Any] = [kube, store, nothing, SimpleNamespace(tell=tell, declare=declare), nothing, silent]
    parts.append(lambda _: None)
    reconciler = Reconciler(Settings(), *parts)
    return await reconciler.reconcile("small"), told


def conditions_of(kube: Server) -> dict[str, str]:
    return {item["type"]: item["reason"] for item in kube.status["conditions"]}


async def test_keys_registry_and_status_are_told_and_it_is_tried_again() -> None:
    kube = Server("NetworkPolicy", A_WEBHOOK)
    result, told = await a_pass(kube)
    assert result.failed and sorted(told) == ["auth", "registry"]
    reasons = conditions_of(kube)
    assert (reasons["NamespaceReady"], reasons["AccessKeyIssued"]) == ("ApplyFailed", "Issued")
    assert ("Secret", "") in kube.written


async def test_a_secret_that_cannot_be_written_holds_nothing_else_up() -> None:
    kube = Server("Secret", A_WEBHOOK)
    result, told = await a_pass(kube)
    assert result.failed and told == ["registry"]
    reasons = conditions_of(kube)
    assert (reasons["NamespaceReady"], reasons["AccessKeyIssued"]) == ("Ready", "Conflict")


@pytest.mark.parametrize("fault", [A_WEBHOOK, KubeError("refused", status=403)], ids=["fault", "refusal"])
async def test_a_binding_whose_status_is_refused_holds_nothing_else_up(fault: Exception) -> None:
    kube = Server("BaseBinding", fault, "status")
    result, told = await a_pass(kube)
    assert result.failed and sorted(told) == ["auth", "registry"]
    assert conditions_of(kube)["NamespaceReady"] == "Ready"


async def test_a_pass_without_a_fault_is_not_tried_again() -> None:
    result, _ = await a_pass(Server("Nothing", A_WEBHOOK))
    assert not result.failed


@pytest.mark.parametrize(("kind", "subresource"), [("Secret", ""), ("BaseBinding", "status"), ("NetworkPolicy", "")])
async def test_no_answer_ends_the_pass(kind: str, subresource: str) -> None:
    for fault in UNANSWERED:
        with pytest.raises(TemporaryKubeError):
            await a_pass(Server(kind, fault, subresource))
