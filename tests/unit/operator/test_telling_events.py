"""Every Event of the handbook's table is sent when what it tells has happened, by that name, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes_kit.tenant_documents import as_stored, rich_document, workspace_of

from pyairtable_operator import access_keys, status
from pyairtable_operator.applying import Applier, Outcome
from pyairtable_operator.binding_status import binding_status
from pyairtable_operator.conditions import finding
from pyairtable_operator.credentials import BaseCheck
from pyairtable_operator.decide import Action, ActionKind, Claim, NamespaceClaim
from pyairtable_operator.deletion import Deletion
from pyairtable_operator.drift import Table
from pyairtable_operator.event_reasons import EVENT_REASONS
from pyairtable_operator.keys import Issued, KeyKeeper
from pyairtable_operator.kube_errors import NotFoundError
from pyairtable_operator.manifests import Manifest, TenantConfig, tenant_objects
from pyairtable_operator.metrics import Metrics
from pyairtable_operator.platform import PlatformError
from pyairtable_operator.reasons import REACHABLE
from pyairtable_operator.reporting import Reporter
from pyairtable_operator.spec import Workspace, parse_binding
from pyairtable_operator.store import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OURS = NamespaceClaim(Claim.OURS)
WORKSPACE = workspace_of(rich_document())
OBJECTS = tenant_objects(WORKSPACE, TenantConfig())
QUOTA = next(item for item in OBJECTS if item.kind == "ResourceQuota")
NAMESPACE = next(item for item in OBJECTS if item.kind == "Namespace")


class Heard:
    """Stands for Events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.reporter = Reporter(cast(Any, self), Metrics())

    def tell(self, _: tuple[str, str], reason: str, note: str, kind: str = "Normal", action: str = "") -> None:
        assert note
        self.events.append((reason, kind))


def with_status(**fields: Any) -> Workspace:
    return replace(WORKSPACE, status={"observedGeneration": WORKSPACE.meta.generation, **fields})


def made(*manifests: Manifest) -> list[dict[str, str]]:
    return [{"kind": item.kind, "namespace": item.key.namespace, "name": item.name} for item in manifests]


def adopted(heard: Heard) -> None:
    action = Action(ActionKind.UPDATE, NAMESPACE.key, NAMESPACE)
    heard.reporter.did(
        with_status(), NamespaceClaim(Claim.ADOPT, adopted=True), [action], Outcome(written={NAMESPACE.key}), Issued()
    )


def repaired(heard: Heard) -> None:
    action = Action(ActionKind.CREATE, QUOTA.key, QUOTA)
    heard.reporter.did(with_status(inventory=made(QUOTA)), OURS, [action], Outcome(written={QUOTA.key}), Issued())


def pruned(heard: Heard) -> None:
    action = Action(ActionKind.DELETE, QUOTA.key, uid="u")
    heard.reporter.did(with_status(), OURS, [action], Outcome(deleted={QUOTA.key}), Issued())


def planned(heard: Heard) -> None:
    heard.reporter.planned(WORKSPACE, [Action(ActionKind.CREATE, QUOTA.key, QUOTA)])


def told(heard: Heard, previous: dict[str, Any], now: dict[str, Any]) -> None:
    heard.reporter.tell(WORKSPACE.meta, previous, {"conditions": [], **now}, NOW)


def credential_rotated(heard: Heard) -> None:
    told(heard, {"credential": {"hash": "a"}}, {"credential": {"hash": "b"}})


def usage_threshold(heard: Heard) -> None:
    month = {"month": "2026-11"}
    told(heard, {"usage": {**month, "calls": 1, "percent": 1}}, {"usage": {**month, "calls": 990, "percent": 99}})


def schema_accepted(heard: Heard) -> None:
    heard.reporter.accepted(WORKSPACE, ["crm"])


class Server:
    """An API server that takes every write; `live` is the Secret there is."""

    def __init__(self, live: dict[str, Any] | None = None) -> None:
        self.live = live

    async def get(self, *_: str) -> dict[str, Any]:
        if self.live is None:
            raise NotFoundError("there is none")
        return self.live

    async def apply(self, body: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**body, "metadata": {**body["metadata"], "uid": "s", "resourceVersion": "9"}}

    async def merge(self, *_: Any) -> dict[str, Any]:
        body = as_stored(NAMESPACE)
        return {**body, "metadata": {**body["metadata"], "resourceVersion": "9"}}


def stored(*manifests: Manifest) -> Store:
    store = Store(lambda _: None)
    for manifest in manifests:
        body = as_stored(manifest)
        body["metadata"]["resourceVersion"] = "3"
        store.changed(manifest.kind, body)
    return store


async def key_changed(heard: Heard, workspace: Workspace, live: dict[str, Any] | None, now: datetime = NOW) -> None:
    store, kube = Store(lambda _: None), cast(Any, Server(live))
    if live is not None:
        store.changed("Secret", live)
    issued = await KeyKeeper(kube, store, Applier(kube, store), TenantConfig()).issue(workspace, now)
    heard.reporter.did(workspace, OURS, [], Outcome(), issued)


def secret() -> tuple[dict[str, Any], Workspace]:
    """An access Secret, and the Workspace whose status knows its key."""
    material = access_keys.new_key(bytes(access_keys.RANDOM_BYTES))
    record = access_keys.KeyRecord(material.key_id, material.sha256, NOW, "")
    body = as_stored(access_keys.secret_manifest(WORKSPACE, material.key, record, TenantConfig()))
    body["metadata"]["resourceVersion"] = "3"
    return body, with_status(accessKey=access_keys.status_of(record, NOW))


async def key_issued(heard: Heard) -> None:
    await key_changed(heard, WORKSPACE, None)


async def key_rotated(heard: Heard) -> None:
    live, workspace = secret()
    await key_changed(heard, workspace, live, NOW + timedelta(days=400))


async def key_replaced(heard: Heard) -> None:
    live, workspace = secret()
    await key_changed(heard, workspace, {**live, "data": {}})


async def key_deleted(heard: Heard) -> None:
    _, workspace = secret()
    await key_changed(heard, workspace, None)


async def delete(heard: Heard, workspace: Workspace, store: Store, refusal: Exception | None = None) -> None:
    async def remove(_: Workspace) -> None:
        if refusal is not None:
            raise refusal

    registrar, kube = cast(Any, SimpleNamespace(remove=remove)), cast(Any, Server())
    deletion = Deletion(kube, store, Applier(kube, store), registrar, heard.reporter, grace=0)
    assert await deletion.run(workspace, NOW) == ""


async def namespace_deleted(heard: Heard) -> None:
    workspace = replace(with_status(inventory=made(NAMESPACE)), spec=replace(WORKSPACE.spec, deletion_policy="Delete"))
    await delete(heard, workspace, Store(lambda _: None))


async def namespace_retained(heard: Heard) -> None:
    await delete(heard, with_status(), stored(NAMESPACE))


async def without_platform(heard: Heard) -> None:
    await delete(
        heard, with_status(), Store(lambda _: None), PlatformError("the registry is away", reason="", away=True)
    )


HAPPENINGS: list[tuple[str, Callable[[Heard], Any]]] = [
    ("NamespaceAdopted", adopted),
    ("Repaired", repaired),
    ("Pruned", pruned),
    ("Planned", planned),
    ("CredentialRotated", credential_rotated),
    ("UsageThreshold", usage_threshold),
    ("SchemaAccepted", schema_accepted),
    ("AccessKeyIssued", key_issued),
    ("AccessKeyRotated", key_rotated),
    ("AccessKeyReplaced", key_replaced),
    ("AccessKeyReplaced", key_deleted),
    ("NamespaceDeleted", namespace_deleted),
    ("NamespaceRetained", namespace_retained),
    ("DeletedWithoutPlatform", without_platform),
]


@pytest.mark.parametrize(("reason", "happens"), HAPPENINGS, ids=[happens.__name__ for _, happens in HAPPENINGS])
async def test_what_happened_is_told_once_and_by_its_name(reason: str, happens: Callable[[Heard], Any]) -> None:
    heard = Heard()
    waits = happens(heard)
    if waits is not None:
        await waits
    assert heard.events == [(reason, EVENT_REASONS[reason].type)]


def test_every_reason_of_the_table_has_its_happening() -> None:
    assert {reason for reason, _ in HAPPENINGS} == set(EVENT_REASONS)


def test_news_of_conditions_are_told_by_the_reason_of_the_condition() -> None:
    heard = Heard()
    first = status.workspace_status(WORKSPACE, status.Facts(findings=(finding("BasesBound", "BaseNotFound"),)), NOW)
    heard.reporter.tell(WORKSPACE.meta, {}, first, NOW)
    assert heard.events == [("BaseNotFound", "Warning")]
    heard.reporter.tell(WORKSPACE.meta, first, first, NOW)
    assert len(heard.events) == 1, "nothing new"


def test_making_a_new_workspaces_objects_is_no_repair() -> None:
    heard = Heard()
    action = Action(ActionKind.CREATE, QUOTA.key, QUOTA)
    heard.reporter.did(with_status(inventory=[]), OURS, [action], Outcome(written={QUOTA.key}), Issued())
    assert heard.events == []


def test_a_schema_is_accepted_by_the_annotation_only() -> None:
    body: dict[str, Any] = {
        "metadata": {"name": "crm", "namespace": "ws-acme", "uid": "b", "generation": 1, "resourceVersion": "1"},
        "spec": {"baseId": "appAcmeRenovation"},
        "status": {"baseline": {"fingerprint": "old", "tables": []}},
    }
    check = BaseCheck("appAcmeRenovation", "", "", "CRM", "create", (Table("t", "T", "f"),), "new")
    reachable = finding(REACHABLE, "Reachable")
    assert not binding_status(parse_binding(body), reachable, check, NOW, NOW).accepted
    body["metadata"]["annotations"] = {"pyairtable.dev/accept-schema": "new"}
    assert binding_status(parse_binding(body), reachable, check, NOW, NOW).accepted
