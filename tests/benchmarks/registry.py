"""A registry of 1,000 workspaces: how soon a change of it is in force, and what it costs those who follow it."""

from __future__ import annotations

import asyncio
import gc
import random
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
from benchmarks.system import BASE_ID, System
from benchmarks.timing import summary

from pyairtable_devkit.demo.people import Person
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.registry import WorkspaceRegistry
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable
from pyairtable_protos.airtable.v1.airtable_gateway_service_pb2_grpc import AirtableGatewayServiceStub
from pyairtable_protos.workspaces.v1 import (
    member_service_pb2,
    member_service_pb2_grpc,
    workspace_pb2,
    workspace_service_pb2,
    workspace_service_pb2_grpc,
)

WORKSPACES = 1000
AT_ONCE = 8
SNAPSHOTS = 10
DOORS = {"gateway": 9002, "door": 9000}
LET_IN = grpc.StatusCode.INVALID_ARGUMENT
REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND)
BEING_CHANGED = grpc.StatusCode.UNAVAILABLE
PATIENCE = 20.0
GUEST = Person("grace@bench.example", "Grace Bench", "four quiet copper kettles")

Change = Callable[[int], Awaitable[Any]]
Asked = Callable[[ServiceChannel, str, str], Awaitable[grpc.StatusCode]]


async def registry_cost(system: System, repetitions: int) -> dict[str, Any]:
    """`applied_ms` of a declaration; `enforced`: by kind of change and door, the delay until a call is refused;
    `reader`: a snapshot and the memory of a process that follows the registry."""
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(system.as_peer(9006))
        applied = await declare_all(peer, system.owner.email)
        house = await moved_in(system, stack, peer, 2 * repetitions)
        enforced = {
            "role lowered": await enforced_in(house, house.lower, asked_to_write, range(repetitions)),
            "workspace suspended": await enforced_in(house, house.suspend, asked_to_read, range(repetitions)),
            "member removed": await enforced_in(
                house, house.remove, asked_to_read, range(repetitions, 2 * repetitions)
            ),
        }
        reader = await reading(peer)
    return {"workspaces": WORKSPACES, "applied": applied, "enforced": enforced, "reader": reader}


def name_of(number: int) -> str:
    return f"bench-{number:04d}"


async def declare(
    peer: ServiceChannel, number: int, owner: str, *, generation: int = 1, suspended: bool = False
) -> None:
    """ApplyWorkspace, as the operator does."""
    stub: Any = workspace_service_pb2_grpc.WorkspaceServiceStub(peer.channel)
    access = workspace_pb2.BASE_ACCESS_READ_WRITE
    declared = workspace_pb2.Workspace(
        name=name_of(number),
        display_name=f"Workspace {number}",
        suspended=suspended,
        owners=[workspace_pb2.Owner(kind="User", name=owner)],
        airtable_token=workspace_pb2.SecretRef(name=name_of(number), key="token"),
        bases=[workspace_pb2.BaseBinding(name="crm", base_id=BASE_ID, access=access, is_default=True)],
    )
    source = workspace_pb2.Source(kind="Workspace", uid=f"uid-{number}", generation=generation)
    request = workspace_service_pb2.ApplyWorkspaceRequest(workspace=declared, source=source)
    await peer.call(stub.ApplyWorkspace, request)


async def declare_all(peer: ServiceChannel, owner: str) -> dict[str, Any]:
    """Declare all workspaces, some at once; the latency of each declaration."""
    numbers, samples = iter(range(WORKSPACES)), []
    began = time.perf_counter()

    async def declarer() -> None:
        for number in numbers:
            asked = time.perf_counter()
            await declare(peer, number, owner)
            samples.append(round((time.perf_counter() - asked) * 1000, 3))

    await asyncio.gather(*(declarer() for _ in range(AT_ONCE)))
    timed = summary(samples)
    del timed["samples_ms"]
    return {"seconds": round(time.perf_counter() - began, 3), **timed}


@dataclass
class House:
    """Workspaces with an owner and a guest who is an editor in some of them."""

    peer: ServiceChannel
    owner: ServiceChannel
    owner_email: str
    owner_token: str
    guest_token: str
    guest_id: str = ""
    doors: dict[str, ServiceChannel] = field(default_factory=dict)

    async def lower(self, number: int) -> None:
        await self.as_owner("UpdateMember", workspace=name_of(number), user_id=self.guest_id, role="viewer")

    async def remove(self, number: int) -> None:
        await self.as_owner("RemoveMember", workspace=name_of(number), user_id=self.guest_id)

    async def suspend(self, number: int) -> None:
        await declare(self.peer, number, self.owner_email, generation=2, suspended=True)

    async def as_owner(self, method: str, **fields: Any) -> Any:
        return await self._members(method, self.owner_token, fields)

    async def as_guest(self, method: str, **fields: Any) -> Any:
        return await self._members(method, self.guest_token, fields)

    async def _members(self, method: str, token: str, fields: dict[str, Any]) -> Any:
        stub: Any = member_service_pb2_grpc.MemberServiceStub(self.owner.channel)
        request = getattr(member_service_pb2, f"{method}Request")(**fields)
        return await getattr(stub, method)(request, metadata=shown(token), timeout=30)


async def moved_in(system: System, stack: AsyncExitStack, peer: ServiceChannel, number: int) -> House:
    """Sign the guest up, and make an editor of the guest in so many workspaces."""
    door, mailbox = system.door(), system.mailbox()
    stack.callback(door.close)
    stack.callback(mailbox.close)
    tokens, _ = await asyncio.to_thread(GUEST.come_in, door, mailbox)
    owner = await asyncio.to_thread(system.owner.log_in, door)
    channel = await stack.enter_async_context(ServiceChannel(system.grpc(9006)))
    house = House(peer, channel, system.owner.email, owner["access_token"], tokens["access_token"])
    for name, port in DOORS.items():
        house.doors[name] = await stack.enter_async_context(ServiceChannel(system.grpc(port)))
    for each in range(number):
        invited = await house.as_owner("CreateInvitation", workspace=name_of(each), email=GUEST.email, role="editor")
        await house.as_guest("AcceptInvitation", invitation_id=invited.invitation.invitation_id)
    members = (await house.as_owner("ListMembers", workspace=name_of(0))).members
    house.guest_id = next(member.user_id for member in members if member.role == "editor")
    return house


async def enforced_in(house: House, change: Change, asked: Asked, numbers: Sequence[int]) -> dict[str, Any]:
    """Change workspaces one after the other, and see when each door refuses the guest's next call.

    Delays count from the moment the change is asked for, so that the time of the change itself (`change`) is in them.
    `being_changed` counts answers that the rights are being changed, which let nobody in either.
    """
    delays: dict[str, list[float]] = {name: [] for name in house.doors}
    took, changing = [], 0
    for number in numbers:
        watches = {name: Watch(house, channel, asked, number) for name, channel in house.doors.items()}
        await asyncio.gather(*(watch.let_in() for watch in watches.values()))
        tasks = {name: asyncio.create_task(watch.until_refused()) for name, watch in watches.items()}
        await asyncio.sleep(random.uniform(0.01, 0.05))
        began = time.perf_counter()
        await change(number)
        took.append(round((time.perf_counter() - began) * 1000, 3))
        for name, task in tasks.items():
            delays[name].append(round((await task - began) * 1000, 3))
        changing += sum(watch.being_changed for watch in watches.values())
    found = {name: {**summary(values), "max_ms": max(values)} for name, values in delays.items()}
    return {"doors": found, "change": summary(took), "being_changed": changing}


@dataclass
class Watch:
    """The guest at one of the doors of a workspace, calling again and again."""

    house: House
    channel: ServiceChannel
    asked: Asked
    number: int
    being_changed: int = 0

    async def let_in(self) -> None:
        """Wait until the guest is let in."""
        ends = time.perf_counter() + PATIENCE
        while (code := await self._code()) is not LET_IN:
            if time.perf_counter() > ends:
                raise RuntimeError(f"the guest is not let in to {name_of(self.number)}: {code}")
            await asyncio.sleep(0.02)

    async def until_refused(self) -> float:
        """Call until a call is refused; the time of that answer (of `time.perf_counter`)."""
        ends = time.perf_counter() + PATIENCE
        while (code := await self._code()) is LET_IN or code is BEING_CHANGED:
            self.being_changed += code is BEING_CHANGED
            if time.perf_counter() > ends:
                raise RuntimeError(f"the guest was never refused in {name_of(self.number)}")
        if code not in REFUSED:
            raise RuntimeError(f"the guest was answered {code}")
        return time.perf_counter()

    async def _code(self) -> grpc.StatusCode:
        return await self.asked(self.channel, name_of(self.number), self.house.guest_token)


async def asked_to_read(channel: ServiceChannel, workspace: str, token: str) -> grpc.StatusCode:
    """A read that names no record: whoever is let in is told that it is not valid, and Airtable is not asked."""
    stub: Any = AirtableGatewayServiceStub(channel.channel)
    return await code_of(stub.GetRecord(airtable.GetRecordRequest(), metadata=shown(token, workspace), timeout=10))


async def asked_to_write(channel: ServiceChannel, workspace: str, token: str) -> grpc.StatusCode:
    """The same for who may change records."""
    stub: Any = AirtableGatewayServiceStub(channel.channel)
    request = airtable.DeleteRecordsRequest()
    return await code_of(stub.DeleteRecords(request, metadata=shown(token, workspace), timeout=10))


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def shown(token: str, workspace: str = "") -> tuple[tuple[str, str], ...]:
    """What a person shows."""
    named = (("pyairtable-workspace", workspace),) if workspace else ()
    return (("authorization", f"Bearer {token}"), *named)


async def reading(peer: ServiceChannel) -> dict[str, Any]:
    """What a process pays that follows the registry: a fresh snapshot, with the way and by itself, and its memory."""
    samples = []
    for _ in range(SNAPSHOTS):
        registry = WorkspaceRegistry(peer)
        began = time.perf_counter()
        following = asyncio.create_task(registry.follow())
        await registry.heard()
        samples.append(round((time.perf_counter() - began) * 1000, 3))
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    known = len(registry.names())
    update = await snapshot(peer)
    return {"workspaces": known, "snapshot": summary(samples), "bytes": update.ByteSize(), **applied_here(peer, update)}


async def snapshot(peer: ServiceChannel) -> workspace_service_pb2.WatchWorkspacesResponse:
    """The first message of the stream."""
    stub: Any = workspace_service_pb2_grpc.WorkspaceServiceStub(peer.channel)
    updates = peer.stream(stub.WatchWorkspaces, workspace_service_pb2.WatchWorkspacesRequest(), timeout=30)
    first: workspace_service_pb2.WatchWorkspacesResponse = await anext(updates)
    await updates.aclose()  # type: ignore[attr-defined]
    return first


def applied_here(peer: ServiceChannel, update: workspace_service_pb2.WatchWorkspacesResponse) -> dict[str, float]:
    """Milliseconds of taking a snapshot in, of one change after it, and the memory of the copy in KiB."""
    registry = WorkspaceRegistry(peer)
    began = time.perf_counter()
    registry.apply(update)
    whole = time.perf_counter() - began
    change = workspace_service_pb2.WatchWorkspacesResponse(
        registry=update.registry, revision=update.revision + 1, applied=update.snapshot.workspaces[0]
    )
    began = time.perf_counter()
    registry.apply(change)
    one = time.perf_counter() - began
    gc.collect()
    tracemalloc.start()
    copy = WorkspaceRegistry(peer)
    copy.apply(update)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "apply_ms": round(whole * 1000, 3),
        "apply_change_ms": round(one * 1000, 3),
        "memory_kib": round(used / 1024, 1),
    }
