"""Sagas a second, over the real services that their steps call."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import Any

import asyncpg
from benchmarks.cpu import spent
from benchmarks.pressing import Call, pressed
from benchmarks.system import System

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.auth.v1 import account_service_pb2, account_service_pb2_grpc
from pyairtable_protos.sagas.v1 import saga_service_pb2, saga_service_pb2_grpc

AT_ONCE = (1, 8)
PEOPLE = 1000
WAIT_SECONDS = 30
IDLE_SECONDS = 4

_INSERT = """INSERT INTO auth.accounts
(user_id, email, email_folded, user_name, user_name_folded, display_name, password_hash, state, verified_at)
SELECT id, id || '@example.com', id || '@example.com', id, id, 'Somebody', '', 'active', now()
FROM unnest($1::text[]) AS id"""


async def saga_rate(system: System, seconds: float) -> dict[str, Any]:
    """Sagas of two types, so many at once, each kind for so many seconds: type and steps beside what `pressed` tells.
    `idle_cpu_ms` is what the services use in a second without any.

    A call starts a saga and waits for its end, as the service that asks for a workspace does."""
    runs = []
    with spent(system) as idle:
        await asyncio.sleep(IDLE_SECONDS)
    people = iter(await made_accounts(system))
    async with system.as_peer(9008) as channel, system.as_peer(9004) as auth:
        owner = await owner_id(system, auth)
        for kind, saga in (
            ("workspace_creation", creation(channel, owner)),
            ("user_onboarding", onboarding(channel, people)),
        ):
            steps = (await saga()).steps_total
            for callers in AT_ONCE:
                run = await pressed(system, saga, callers, seconds)
                runs.append({"type": kind, "steps": steps, **run})
    used = {name: idle.milliseconds_each(IDLE_SECONDS, name) for name in ("sagas", "workspaces", "postgres")}
    return {"idle_cpu_ms": used, "runs": runs}


def creation(channel: ServiceChannel, owner: str) -> Call:
    """Makes a workspace for a person."""
    numbers = itertools.count(1)

    async def make() -> Any:
        name = f"saga-{next(numbers)}"
        return await completed(channel, "workspace_creation", {"name": name, "user_id": owner}, name, owner)

    return make


def onboarding(channel: ServiceChannel, people: Any) -> Call:
    """Makes profile, workspace and letter of a person who is new."""

    async def welcome() -> Any:
        user_id = next(people)
        return await completed(channel, "user_onboarding", {"user_id": user_id}, user_id, user_id)

    return welcome


async def completed(channel: ServiceChannel, kind: str, given: dict[str, Any], key: str, user_id: str) -> Any:
    """Start a saga and wait for its end."""
    stub: Any = saga_service_pb2_grpc.SagaServiceStub(channel.channel)
    request = saga_service_pb2.StartSagaForRequest(
        type=kind,
        input=dict_to_struct(given),
        idempotency_key=f"benchmark:{key}",
        principal=f"user:{user_id}",
        wait_seconds=WAIT_SECONDS,
    )
    saga = (await channel.call(stub.StartSagaFor, request, timeout=WAIT_SECONDS + 10)).saga
    if saga.state != saga_service_pb2.SAGA_STATE_COMPLETED:
        raise RuntimeError(f"the saga {kind} did not complete: {saga}")
    return saga


async def made_accounts(system: System) -> list[str]:
    """Accounts with a proved address, written past auth: registering takes a fifth of a second of CPU each, and starts
    the onboarding by itself."""
    people = [uuid.uuid4().hex for _ in range(PEOPLE)]
    connection = await asyncpg.connect(system.database_url)
    try:
        await connection.execute(_INSERT, people)
    finally:
        await connection.close()
    return people


async def owner_id(system: System, auth: ServiceChannel) -> str:
    stub: Any = account_service_pb2_grpc.AccountServiceStub(auth.channel)
    request = account_service_pb2.LookupAccountsRequest(emails=[system.owner.email])
    return str((await auth.call(stub.LookupAccounts, request)).accounts[0].user_id)
