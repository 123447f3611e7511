"""Accounts of people, as the auth service knows them, and the letters it sends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import Denied, Unavailable
from pyairtable_platform.workspaces.peers import as_installation
from pyairtable_protos.auth.v1 import account_service_pb2 as rpc
from pyairtable_protos.auth.v1 import account_service_pb2_grpc

LOOKUP_SECONDS = 10.0
MOST_AT_ONCE = 200


@dataclass(frozen=True)
class Account:
    """An account whose address is proved."""

    user_id: str
    email: str


class Accounts(Protocol):
    """Where accounts are known. Methods raise Unavailable."""

    async def of_ids(self, user_ids: Iterable[str]) -> list[Account]:
        """Those with a proved address; unknown ones are left out."""

    async def of_addresses(self, emails: Iterable[str]) -> list[Account]:
        """As `of_ids`, by address in any case."""


class NoAccounts:
    """For an installation without an auth service: nobody has an account."""

    async def of_ids(self, user_ids: Iterable[str]) -> list[Account]:
        return []

    async def of_addresses(self, emails: Iterable[str]) -> list[Account]:
        return []


class AuthAccounts:
    """Accounts at the auth service."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = account_service_pb2_grpc.AccountServiceStub(channel.channel)

    async def of_ids(self, user_ids: Iterable[str]) -> list[Account]:
        return [item for part in _parts(user_ids) for item in await self._ask(user_ids=part)]

    async def of_addresses(self, emails: Iterable[str]) -> list[Account]:
        return [item for part in _parts(emails) for item in await self._ask(emails=part)]

    async def _ask(self, **wanted: list[str]) -> list[Account]:
        with as_installation():
            answer = await self._channel.call(
                self._stub.LookupAccounts, rpc.LookupAccountsRequest(**wanted), timeout=LOOKUP_SECONDS
            )
        return [Account(item.user_id, item.email) for item in answer.accounts if item.HasField("verified_at")]


class LetterSender(Protocol):
    """Sends letters."""

    async def send_invitation(self, email: str, sent_by: str, values: dict[str, str], key: str) -> None:
        """At least once. Raises Unavailable or RateLimited when it should be tried again."""


class AuthLetters:
    """Letters through the auth service."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = account_service_pb2_grpc.AccountServiceStub(channel.channel)

    async def send_invitation(self, email: str, sent_by: str, values: dict[str, str], key: str) -> None:
        request = rpc.SendLetterRequest(
            email=email, template="invitation", values=values, idempotency_key=key, sent_by=sent_by
        )
        with as_installation():
            await self._channel.call(self._stub.SendLetter, request, timeout=LOOKUP_SECONDS)


class NoLetters:
    """For an installation without an auth service: letters wait."""

    async def send_invitation(self, email: str, sent_by: str, values: dict[str, str], key: str) -> None:
        raise Unavailable("letters need the auth service: set AUTH_TARGET", dependency="auth")


async def account_of(accounts: Accounts, user_id: str) -> Account:
    """The account of a person who calls; raises Denied when its address is not proved."""
    for account in await accounts.of_ids([user_id]):
        return account
    raise Denied("your account has no proved e-mail address: open the letter that was sent to you, or ask for another")


def _parts(items: Iterable[str]) -> list[list[str]]:
    everything = sorted(set(items))
    return [everything[start : start + MOST_AT_ONCE] for start in range(0, len(everything), MOST_AT_ONCE)]
