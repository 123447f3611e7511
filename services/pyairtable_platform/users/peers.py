"""The other services that know something about people: auth, sagas, and all that keep data of theirs.

They are asked as a service of this installation, never for the caller: these calls are closed to people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import NotFound, PyAirtableError, Reason, Unavailable
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_protos.auth.v1 import account_service_pb2 as auth
from pyairtable_protos.auth.v1 import account_service_pb2_grpc
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc
from pyairtable_protos.sagas.v1 import saga_service_pb2 as sagas
from pyairtable_protos.sagas.v1 import saga_service_pb2_grpc

from .records import Account

STATE_SECONDS = 10.0
"""A profile is locked while auth is asked."""

EXPORT_SECONDS = 30.0
ERASURE = "person_erasure"


class Accounts:
    """The accounts of people, in the auth service."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = account_service_pb2_grpc.AccountServiceStub(channel.channel)

    async def find(self, user_id: str) -> Account | None:
        """The account of a person; None when there is none. Raises Unavailable."""
        request = auth.LookupAccountsRequest(user_ids=[user_id])
        with as_service(), told_as("auth"):
            answer = await self._channel.call(self._stub.LookupAccounts, request, timeout=STATE_SECONDS)
        return next((to_account(account) for account in answer.accounts), None)

    async def disable(self, user_id: str, key: str) -> None:
        """Let a person log in no more; their sessions end. Raises Unavailable; repeating it changes nothing."""
        await self._set_state(user_id, auth.ACCOUNT_STATE_DISABLED, key)

    async def enable(self, user_id: str, key: str) -> None:
        """Let a person log in again. Raises Unavailable; repeating it changes nothing."""
        await self._set_state(user_id, auth.ACCOUNT_STATE_ACTIVE, key)

    async def _set_state(self, user_id: str, state: auth.AccountState.ValueType, key: str) -> None:
        request = auth.SetAccountStateRequest(user_id=user_id, state=state, idempotency_key=key)
        with as_service(), told_as("auth"):
            await self._channel.call(self._stub.SetAccountState, request, timeout=STATE_SECONDS)


class Erasures:
    """The saga that erases a person, in the saga service."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = saga_service_pb2_grpc.SagaServiceStub(channel.channel)

    async def start(self, user_id: str, principal: str, key: str) -> str:
        """Begin to erase a person, for somebody; the id of the saga, which may be one that is active already."""
        request = sagas.StartSagaForRequest(
            type=ERASURE, input=dict_to_struct({"user_id": user_id}), idempotency_key=key, principal=principal
        )
        with as_service(), told_as("sagas"):
            answer = await self._channel.call(self._stub.StartSagaFor, request, timeout=STATE_SECONDS)
        return str(answer.saga.saga_id)


class KeepersOfData:
    """The services that keep data about people, by name."""

    def __init__(self, channels: Mapping[str, ServiceChannel]) -> None:
        self._channels = channels

    async def export(self, user_id: str) -> dict[str, Any]:
        """What each keeps about a person. Raises Unavailable that names every service which did not answer."""
        names = list(self._channels)
        with as_service():
            asked = (self._ask(self._channels[name], user_id) for name in names)
            answers = await asyncio.gather(*asked, return_exceptions=True)
        data: dict[str, Any] = {}
        away: dict[str, PyAirtableError] = {}
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, PyAirtableError):
                away[name] = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                data[name] = answer
        if away:
            raise incomplete(away)
        return data

    async def _ask(self, channel: ServiceChannel, user_id: str) -> dict[str, Any]:
        stub: Any = person_data_pb2_grpc.PersonDataServiceStub(channel.channel)
        request = person_data_pb2.ExportPersonRequest(user_id=user_id)
        answer = await channel.call(stub.ExportPerson, request, timeout=EXPORT_SECONDS)
        return struct_to_dict(answer.data)


@contextmanager
def as_service() -> Iterator[None]:
    """Calls in the block are this service's own, not the caller's; request id and deadline stay."""
    with context.entered(replace(context.current(), identity=None, tenant="")):
        yield


@contextmanager
def told_as(service: str) -> Iterator[None]:
    """Name the service that is away: the transport does not know what it is called."""
    try:
        yield
    except Unavailable as error:
        if error.metadata.get("dependency"):
            raise
        raise Unavailable(
            f"the {service} service cannot be reached: nothing was changed, try again when it is back",
            reason=Reason.DEPENDENCY_UNAVAILABLE,
            dependency=service,
        ) from error


def incomplete(away: Mapping[str, PyAirtableError]) -> Unavailable:
    """The error for an export that lacks a part; half of it would pass for the whole."""
    names = ", ".join(sorted(away))
    causes = "; ".join(f"{name}: {describe(error)}" for name, error in sorted(away.items()))
    return Unavailable(
        f"the export is not complete and therefore not handed out, because of {names} ({causes}): try again later",
        reason=Reason.DEPENDENCY_UNAVAILABLE,
        dependency=names,
    )


def describe(error: PyAirtableError) -> str:
    """Why a service did not give its part. One that does not serve the call is of another version."""
    if isinstance(error, NotFound):
        return "it does not know this call; is it of the same version?"
    return error.message


def to_account(account: auth.Account) -> Account:
    return Account(account.user_id, account.email, account.user_name, account.state == auth.ACCOUNT_STATE_DISABLED)
