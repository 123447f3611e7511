"""What the operator tells the platform: for which object, never without the Lease, and nothing twice."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes_kit.platform_double import PlatformDouble

from pyairtable_operator.access_keys import DeclaredKey
from pyairtable_operator.fence import Fence, NotLeaderError
from pyairtable_operator.metrics import Metrics
from pyairtable_operator.platform import GrpcPlatform
from pyairtable_operator.settings import Settings
from pyairtable_operator.spec import Workspace, parse_workspace
from pyairtable_operator.sweep import Sweep
from pyairtable_operator.told import Registrar
from pyairtable_protos.workspaces.v1 import workspace_pb2

KEYS = (DeclaredKey("operator0001", "0" * 64),)
NEXT_KEYS = (DeclaredKey("operator0002", "1" * 64),)


def workspace(uid: str) -> Workspace:
    return parse_workspace(
        {"metadata": {"name": "acme", "uid": uid, "generation": 1, "resourceVersion": "1"}, "spec": {}}
    )


@pytest.fixture
def double() -> Iterator[PlatformDouble]:
    with PlatformDouble() as running:
        yield running


@pytest.fixture
def fence() -> Fence:
    opened = Fence()
    opened.extend(time.monotonic() + 600)
    return opened


@pytest.fixture
async def platform(double: PlatformDouble, fence: Fence) -> AsyncIterator[GrpcPlatform]:
    settings = Settings.model_validate({name.lower(): target for name, target in double.env.items()})
    opened = GrpcPlatform(settings, fence, Metrics())
    yield opened
    await opened.close()


def held(double: PlatformDouble) -> set[str]:
    return set(double.state.keys["acme"])


async def test_without_the_lease_nothing_is_told(double: PlatformDouble, platform: GrpcPlatform, fence: Fence) -> None:
    fence.close()
    entry, source = workspace_pb2.Workspace(name="acme"), workspace_pb2.Source(kind="Workspace", uid="uid-1")
    for call in (
        platform.apply_workspace(entry, source),
        platform.remove_workspace("acme", "uid-1"),
        platform.apply_keys("acme", "uid-1", KEYS),
    ):
        with pytest.raises(NotLeaderError):
            await call
    assert not double.state.calls
    assert await platform.registered() == []


async def test_keys_are_declared_once_for_each_object(double: PlatformDouble, platform: GrpcPlatform) -> None:
    registrar = Registrar(platform)
    for uid, calls in (("uid-1", 1), ("uid-1", 1), ("uid-2", 2)):
        assert await registrar.declare(workspace(uid), KEYS) is None
        assert (double.state.key_uids["acme"], double.state.calls["ApplyAccessKeys"]) == (uid, calls)


async def test_a_late_deletion_leaves_the_successors_keys_alone(double: PlatformDouble, platform: GrpcPlatform) -> None:
    registrar = Registrar(platform)
    await registrar.declare(workspace("uid-1"), KEYS)
    await registrar.declare(workspace("uid-2"), NEXT_KEYS)
    await registrar.remove(workspace("uid-1"))
    assert held(double) == {"operator0002"}
    await registrar.remove(workspace("uid-2"))
    assert held(double) == set()


class NoWorkspaces:
    """An API server and a store that have none."""

    def workspaces(self) -> list[str]:
        return []

    async def is_gone(self, kind: str, namespace: str, name: str) -> bool:
        return True


async def test_a_sweep_ends_the_keys_of_the_object_that_is_gone_only(
    double: PlatformDouble, platform: GrpcPlatform
) -> None:
    source = workspace_pb2.Source(kind="Workspace", uid="uid-1", generation=1)
    await platform.apply_workspace(workspace_pb2.Workspace(name="acme"), source)
    await platform.apply_keys("acme", "uid-2", NEXT_KEYS)
    nothing = cast(Any, NoWorkspaces())
    sweep = Sweep(cast(Any, SimpleNamespace()), nothing, nothing, platform, cast(Any, None))
    await sweep.clean()
    assert "acme" not in double.state.registry
    assert held(double) == {"operator0002"}
