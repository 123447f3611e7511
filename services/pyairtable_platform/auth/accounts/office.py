"""Wires accounts: what the auth service serves, runs and checks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.auth.departures import GROUP, Departures
from pyairtable_platform.common.events import Consumer, Relay
from pyairtable_platform.common.health import Check
from pyairtable_platform.common.server import Background, Servicer
from pyairtable_platform.common.valkey import check_valkey
from pyairtable_protos.auth.v1 import account_service_pb2, account_service_pb2_grpc
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc

from .administration import Wishes
from .desk import Desk, Signers
from .housekeeping import Housekeeping
from .passwords import Passwords
from .postman import Mail, NoMail, Postman, Smtp
from .sealing import Secrets
from .servicer import AccountServicer, ApiKeyCalls, Memberships, PersonDataServicer, TokenChecks
from .settings import AccountSettings

EVENTS = "user"
"""The area of what is told of accounts."""


@dataclass(frozen=True)
class Neighbours:
    """What the rest of the auth service does for accounts."""

    signers: Signers
    memberships: Memberships
    tokens: TokenChecks
    api_keys: ApiKeyCalls
    wishes: Wishes


@dataclass(frozen=True)
class Office:
    """Accounts as a part of the auth service."""

    servicers: Sequence[Servicer]
    background: Sequence[Background]
    optional_checks: Mapping[str, Check]


def open_office(
    stack: AsyncExitStack,
    settings: AccountSettings,
    engine: AsyncEngine,
    valkey: Redis,
    jwt_secret: str,
    admins: frozenset[str],
    neighbours: Neighbours,
) -> Office:
    """Accounts over PostgreSQL, a mail server and Valkey (for events). The stack closes what is opened here."""
    passwords = Passwords(settings.password_hashes_at_once, settings.password_hashes_waiting)
    stack.callback(passwords.close)
    secrets, mail = Secrets(jwt_secret), mail_of(settings)
    postman = Postman(engine, secrets, mail, sender=settings.mail_from, public_url=settings.public_url)
    desk = Desk(engine, passwords, secrets, neighbours.signers, admins, postman.there_is_one)
    servicers = [
        Servicer(
            AccountServicer(desk, neighbours.memberships, neighbours.tokens, neighbours.api_keys, neighbours.wishes),
            account_service_pb2_grpc.add_AccountServiceServicer_to_server,
            account_service_pb2.DESCRIPTOR.services_by_name["AccountService"],
        ),
        Servicer(
            PersonDataServicer(desk),
            person_data_pb2_grpc.add_PersonDataServiceServicer_to_server,
            person_data_pb2.DESCRIPTOR.services_by_name["PersonDataService"],
        ),
    ]
    housekeeping = Housekeeping(engine, settings.audit_kept)
    relay = Relay(engine, valkey, EVENTS)
    departures = Consumer(valkey, GROUP, ["workspace"], Departures(engine).handle)
    return Office(
        servicers,
        [postman.run, housekeeping.run, relay.run, departures.run],
        {"mail": mail.check, "redis": partial(check_valkey, valkey), "events": departures.check},
    )


def mail_of(settings: AccountSettings) -> Mail:
    """The mail server of the settings, if there is one."""
    if not settings.smtp_host:
        return NoMail()
    return Smtp(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_user,
        settings.smtp_password.get_secret_value(),
        settings.smtp_starttls,
    )
