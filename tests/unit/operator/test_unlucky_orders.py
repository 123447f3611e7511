"""Orders of events and answers after which a workspace would never have become right again."""

from __future__ import annotations

import asyncio
import logging
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes_kit.tenant_documents import as_stored, rich_document, workspace_of

from pyairtable_operator import bases, census, conditions
from pyairtable_operator.applying import Applier, both
from pyairtable_operator.census import Census
from pyairtable_operator.decide import Action, ActionKind
from pyairtable_operator.fence import Fence
from pyairtable_operator.kinds import KINDS
from pyairtable_operator.kube_errors import NotFoundError, TemporaryKubeError
from pyairtable_operator.lease import Lease
from pyairtable_operator.manifests import TenantConfig, tenant_objects
from pyairtable_operator.metrics import Metrics
from pyairtable_operator.spec import SecretRef
from pyairtable_operator.store import Store
from pyairtable_operator.verification import Verifier, _reason
from pyairtable_operator.watches import Watch

WORKSPACE = workspace_of(rich_document())
QUOTA = next(item for item in tenant_objects(WORKSPACE, TenantConfig()) if item.kind == "ResourceQuota")


def known() -> tuple[Store, list[str]]:
    told: list[str] = []
    store = Store(told.append)
    store.changed("Workspace", {**rich_document(), "metadata": {"name": "acme", "uid": "u", "resourceVersion": "1"}})
    told.clear()
    return store, told


def quota(version: int) -> dict[str, Any]:
    body = as_stored(QUOTA)
    body["metadata"]["resourceVersion"] = str(version)
    return body


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def test_the_late_answer_to_a_write_does_not_bring_a_deleted_object_back() -> None:
    store, _ = known()
    store.changed("ResourceQuota", quota(5))
    store.gone(*QUOTA.key, version="8")
    store.changed("ResourceQuota", quota(7))
    assert store.essence(QUOTA.key) is None
    store.changed("ResourceQuota", quota(9))
    assert store.essence(QUOTA.key) is not None, "that is a new one"


def test_nothing_is_kept_of_workspaces_that_are_gone() -> None:
    store, _ = known()
    store.changed("ResourceQuota", quota(5))
    store.gone(*QUOTA.key, version="6")
    store.gone("Workspace", "", "acme", "7")
    kept = (store._entries, store._labelled, store._bindings, store._tenants, store._namespaces, store._secrets)
    assert [dict(index) for index in kept] == [{}] * len(kept)


async def test_a_change_that_could_not_be_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "PATIENCE", 0.01)
    store, told = known()
    answers: list[Any] = [TemporaryKubeError("away"), TemporaryKubeError("away"), rich_document()]

    async def get(*_: str) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {**answer, "metadata": {**answer["metadata"], "resourceVersion": "4"}}

    watched = Census(store, cast(Any, SimpleNamespace(get=get)))
    watched.changed("Workspace", {"metadata": {"name": "acme", "resourceVersion": "4"}})
    await until(lambda: store.version("Workspace", "", "acme") == 4)
    assert told == ["acme"]


async def test_what_stands_in_the_way_is_looked_at_again() -> None:
    """An object without our label is told of by no watch."""
    store, told = known()
    foreign = quota(5)
    foreign["metadata"]["labels"] = {}
    store.changed("ResourceQuota", foreign)
    told.clear()

    async def get(*_: str) -> Any:
        raise NotFoundError("gone")

    applier = Applier(cast(Any, SimpleNamespace(get=get)), store)
    outcome = await applier.run([Action(ActionKind.CONFLICT, QUOTA.key, QUOTA)])
    assert outcome.left and store.essence(QUOTA.key) is None and told == ["acme"]


async def test_a_pass_that_fails_leaves_no_writer_behind() -> None:
    ended = []

    async def fails() -> None:
        raise TemporaryKubeError("away")

    async def writes() -> None:
        await asyncio.sleep(0.02)
        ended.append(True)

    with pytest.raises(TemporaryKubeError):
        await both(fails(), writes())
    assert ended


async def test_a_fault_in_a_verification_is_not_repeated_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def verify(*_: Any) -> Any:
        raise ValueError("nobody foresaw this")

    verifier = Verifier(cast(Any, SimpleNamespace(verify=verify)), 600)
    task = verifier.ask(WORKSPACE, SecretRef("acme-airtable"), "0" * 16, (), known=False)
    assert task is not None
    with caplog.at_level(logging.CRITICAL):
        await asyncio.wait([task])
    assert task.exception() is None
    assert (verifier.next_in(WORKSPACE.name) or 0) > 1


def test_a_reason_that_only_a_newer_gateway_knows_has_a_name_too() -> None:
    assert _reason(9999) == "REASON_9999"
    assert _reason(1).isupper()


async def test_the_lease_is_given_up_even_when_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def replace(*_: Any) -> Any:
        raise TimeoutError

    fence = Fence()
    fence.extend(time.monotonic() + 60)
    lease = Lease(cast(Any, SimpleNamespace(replace=replace)), fence, Metrics(), "system", "me", 15)
    lease._held = {"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": "me"}}
    await lease.release()
    assert lease._held is None and fence.remaining() < 0


def test_managed_fields_without_a_manager_stop_nobody() -> None:
    store, _ = known()
    body = quota(5)
    body["metadata"]["managedFields"] = [{"operation": "Apply", "fieldsV1": {"f:spec": {}}}]
    store.changed("ResourceQuota", body)
    assert store.essence(QUOTA.key)


def test_an_object_that_cannot_be_understood_stops_no_watch(caplog: pytest.LogCaptureFixture) -> None:
    store, _ = known()
    watch = Watch(KINDS["ResourceQuota"], cast(Any, store), cast(Any, None), Metrics())
    poison = {"metadata": {"name": "poison", "namespace": "ws-acme", "resourceVersion": "5", "managedFields": [7]}}
    with caplog.at_level(logging.CRITICAL):
        watch._event({"type": "ADDED", "object": poison})
    watch._event({"type": "ADDED", "object": quota(6)})
    assert store.essence(QUOTA.key) and watch._version == "6"


def test_a_workspace_that_waits_for_its_secret_is_not_looked_at_every_second() -> None:
    found, _ = bases.judge_bases(WORKSPACE, bases.effective_bases(WORKSPACE, ()), None)
    assert found.reason.name == "Pending" and conditions.retry_after([found]) is None
