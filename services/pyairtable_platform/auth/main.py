"""Wires the auth service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.access import Access
from pyairtable_platform.common.channels import open_channel
from pyairtable_platform.common.database import check_database, open_engine
from pyairtable_platform.common.kubernetes_api import open_kubernetes
from pyairtable_platform.common.notifications import Listener
from pyairtable_platform.common.server import Service, Servicer
from pyairtable_platform.common.valkey import open_valkey
from pyairtable_protos.auth.v1 import auth_service_pb2, auth_service_pb2_grpc

from .accounts.office import Neighbours, Office, open_office
from .api_key_servicer import ApiKeyCalls
from .api_key_store import ApiKeyStore
from .api_keys import ApiKeys
from .authorizing import Authorizing, Sources
from .decisions import Decisions
from .local import LocalAuthorizer
from .memberships import Memberships
from .people import People
from .preferences import Preferences
from .revocations import CHANNEL, RevocationFeed, TableFollower
from .service import AuthService
from .servicer import AuthServicer
from .settings import Settings
from .signers import Signers
from .signing import Seal
from .store import AuthStore
from .token_review import ServiceAccounts
from .validating import TokenChecks

__all__ = ["Settings", "build"]


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """Credentials over PostgreSQL and the workspace registry."""
    async with AsyncExitStack() as stack:
        engine = open_engine(settings, "auth")
        stack.push_async_callback(engine.dispose)
        workspaces = await stack.enter_async_context(open_channel(settings.workspaces_target, settings))
        feed = RevocationFeed()
        follower = TableFollower(engine, feed)
        listener = Listener(engine, CHANNEL, heard=follower.hint, missed=follower.hint)
        memberships = Memberships(workspaces, feed)
        store = AuthStore(engine)
        signers = Signers(store, Seal(settings.jwt_secret.get_secret_value()))
        decisions = Decisions(engine)
        stack.push_async_callback(decisions.flush)
        users = await stack.enter_async_context(open_channel(settings.users_target, settings))
        preferences = Preferences(users)
        sources = await open_sources(stack, settings, engine, store, memberships, decisions, preferences)
        authorizing = Authorizing(signers, sources)
        api_keys = ApiKeyCalls(ApiKeys(ApiKeyStore(engine), sources.people, memberships))
        neighbours = Neighbours(signers, memberships, TokenChecks(authorizing, signers), api_keys, preferences)
        accounts = open_accounts(stack, settings, engine, neighbours)
        yield Service(
            name="auth",
            title="Auth Service",
            servicers=[
                Servicer(
                    AuthServicer(AuthService(store, memberships), authorizing, signers, feed),
                    auth_service_pb2_grpc.add_AuthServiceServicer_to_server,
                    auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"],
                ),
                *accounts.servicers,
            ],
            checks={
                "postgres": partial(check_database, engine),
                "workspaces": memberships.check,
                "signing-key": signers.check,
                "revocations": feed.check,
            },
            optional_checks=accounts.optional_checks,
            access=Access(settings, LocalAuthorizer(authorizing, signers, feed)),
            background=[
                memberships.follow,
                follower.run,
                listener.run,
                decisions.run,
                signers.keep_tidy,
                *accounts.background,
            ],
            on_drain=[feed.close],
        )


def open_accounts(stack: AsyncExitStack, settings: Settings, engine: AsyncEngine, neighbours: Neighbours) -> Office:
    """People's accounts, which tell others what becomes of them through Valkey."""
    valkey = open_valkey(settings)
    stack.push_async_callback(valkey.aclose)
    secret = settings.jwt_secret.get_secret_value()
    return open_office(stack, settings, engine, valkey, secret, settings.admins(), neighbours)


async def open_sources(
    stack: AsyncExitStack,
    settings: Settings,
    engine: AsyncEngine,
    store: AuthStore,
    memberships: Memberships,
    decisions: Decisions,
    preferences: Preferences,
) -> Sources:
    """Whom decisions about credentials ask."""
    reviews = None
    if settings.has_kubernetes():
        client = await stack.enter_async_context(open_kubernetes(settings))
        reviews = ServiceAccounts(client, settings.kubernetes_token_file)
    return Sources(
        access_keys=store,
        api_keys=ApiKeyStore(engine),
        people=People(engine, settings.admins()),
        rights=memberships,
        preferences=preferences,
        audit=decisions,
        reviews=reviews,
    )
