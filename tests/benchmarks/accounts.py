"""Logins a second and what each costs, and what it takes to turn a credential into an identity (Authorize)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import httpx2
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY
from benchmarks.cpu import spent
from benchmarks.pressing import Call, pressed
from benchmarks.system import WORKSPACE, System
from benchmarks.timing import summary

from pyairtable_platform.common.authorizer import Authorizer
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_protos.auth.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    auth_service_pb2,
    auth_service_pb2_grpc,
)

AT_ONCE = (1, 2, 4, 8)
HASHES = 5
KEYS = 150
LOGINS = 10
AGAIN = 8
REMEMBERED_CALLS = 10_000


async def logins(system: System, seconds: float) -> dict[str, Any]:
    """Logins of one person by so many callers at once, over gRPC and REST, each for so many seconds.

    `argon2` is a comparison of a password by itself; `runs` have the way beside what `pressed` tells.
    """
    owner = system.owner
    argon2 = one_comparison(owner.password)
    async with (
        ServiceChannel(system.grpc(9004)) as channel,
        httpx2.AsyncClient(base_url=system.http(8004), timeout=60, trust_env=False) as http,
    ):
        stub: Any = account_service_pb2_grpc.AccountServiceStub(channel.channel)
        body = {"login": owner.email, "password": owner.password, "device": "benchmark"}
        request = account_service_pb2.LoginRequest(**body)
        ways: dict[str, Call] = {
            "gRPC": lambda: channel.call(stub.Login, request),
            "REST": lambda: accepted(http, "/auth/login", body),
        }
        runs = []
        for way, login in ways.items():
            await login()
            runs += [{"way": way, **await pressed(system, login, callers, seconds)} for callers in AT_ONCE]
    return {"argon2": argon2, "runs": runs}


def one_comparison(password: str) -> dict[str, float]:
    """Milliseconds of comparing a password by the parameters in force, in this process: on the clock, and of CPU."""
    hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
    kept = hasher.hash(password)
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(HASHES):
        hasher.verify(kept, password)
    return {
        "wall_ms": round((time.perf_counter() - began) * 1000 / HASHES, 3),
        "cpu_ms": round((time.process_time() - cpu) * 1000 / HASHES, 3),
    }


async def authorizing(system: System) -> dict[str, Any]:
    """Turning credentials into identities as a service does it, by kind of question: each with the latency, and CPU
    milliseconds for one of auth, of PostgreSQL and of who asks (`here`)."""
    found: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(system.as_peer(9004))
        keys = await access_keys(channel, KEYS + 1)
        tokens = await access_tokens(system, LOGINS + 1)
        first, again = await fresh(channel, keys.pop()), await fresh(channel, tokens.pop())
        found["access key, never seen"] = await asked(system, [partial(first.of_credential, key) for key in keys])
        found["access key, asked again"] = await asked(system, [partial(again.of_credential, key) for key in keys])
        forgetful = [await fresh(channel, keys[0]) for _ in range(AGAIN)]
        entrances = [partial(enter, authorizer, token) for authorizer in forgetful for token in tokens]
        found["access token, entering a workspace"] = await asked(system, entrances)
        remembered = [partial(again.of_credential, keys[0])] * REMEMBERED_CALLS
        found["access key, remembered"] = await asked(system, remembered)
        entered = [partial(enter, again, tokens[0])] * REMEMBERED_CALLS
        found["access token in a workspace, remembered"] = await asked(system, entered)
    return found


async def asked(system: System, questions: Sequence[Call]) -> dict[str, Any]:
    """Ask one after the other. Samples are not kept of questions that nobody is asked for: they would be thousands."""
    samples = []
    with spent(system) as cost:
        for question in questions:
            began = time.perf_counter()
            await question()
            samples.append(round((time.perf_counter() - began) * 1000, 4))
    timed = summary(samples)
    if len(questions) >= REMEMBERED_CALLS:
        del timed["samples_ms"]
    cpu = {name: cost.milliseconds_each(len(questions), name) for name in ("auth", "postgres", "here")}
    return {"questions": len(questions), **timed, "cpu_ms": cpu}


async def enter(authorizer: Authorizer, token: str) -> None:
    """What a service does with a person's access token whose call names a workspace."""
    await authorizer.entered(await authorizer.of_credential(token), WORKSPACE)


async def fresh(channel: ServiceChannel, credential: str) -> Authorizer:
    """An authorizer that remembers nobody but knows the signing keys, as one that has worked for a while."""
    authorizer = Authorizer(channel)
    await authorizer.of_credential(credential)
    return authorizer


async def access_keys(channel: ServiceChannel, number: int) -> list[str]:
    """New access keys of the workspace."""
    stub: Any = auth_service_pb2_grpc.AuthServiceStub(channel.channel)
    request = auth_service_pb2.CreateAccessKeyRequest(workspace=WORKSPACE, name="benchmark", role="editor")
    return [str((await channel.call(stub.CreateAccessKey, request)).key) for _ in range(number)]


async def access_tokens(system: System, number: int) -> list[str]:
    """New logins of the workspace's owner."""
    async with ServiceChannel(system.grpc(9004)) as channel:
        stub: Any = account_service_pb2_grpc.AccountServiceStub(channel.channel)
        request = account_service_pb2.LoginRequest(login=system.owner.email, password=system.owner.password)
        answers = [await channel.call(stub.Login, request) for _ in range(number)]
    return [str(answer.tokens.access_token) for answer in answers]


async def accepted(http: httpx2.AsyncClient, path: str, body: dict[str, str]) -> None:
    (await http.post(path, json=body)).raise_for_status()
