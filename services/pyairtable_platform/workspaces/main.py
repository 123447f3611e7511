"""Wires the workspace service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.channels import open_channel
from pyairtable_platform.common.database import check_database, open_engine
from pyairtable_platform.common.errors import NotFound, Unavailable
from pyairtable_platform.common.events import Consumer, Relay
from pyairtable_platform.common.kubernetes_api import open_kubernetes
from pyairtable_platform.common.notifications import Listener
from pyairtable_platform.common.server import Service, Servicer
from pyairtable_platform.common.valkey import open_valkey
from pyairtable_platform.common.wakeups import Follower
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc
from pyairtable_protos.workspaces.v1 import (
    member_service_pb2,
    member_service_pb2_grpc,
    provisioning_service_pb2,
    provisioning_service_pb2_grpc,
    workspace_service_pb2,
    workspace_service_pb2_grpc,
)

from .audit.log import AuditLog
from .creation import Creation
from .edits import Edits
from .files import FileSource
from .members.accounts import Accounts, AuthAccounts, AuthLetters, LetterSender, NoAccounts, NoLetters
from .members.invitations import Invitations, Limits
from .members.letters import Letters
from .members.service import Members
from .members.servicer import MemberServicer
from .people import People
from .people_servicer import PersonDataServicer
from .provisioning.kubernetes import KubernetesProvisioner
from .provisioning.port import Provisioner, Standalone
from .provisioning.service import Provisioning
from .provisioning.servicer import ProvisioningServicer
from .sagas import Sagas
from .service import Registry
from .servicer import Parts, WorkspaceServicer
from .settings import Settings
from .store import NOTIFY_CHANNEL, SCHEMA, WorkspaceStore
from .templates.making import Templates

__all__ = ["Settings", "build"]

LOOK_SECONDS = 5.0
"""How long a change of the registry may go unnoticed when its notification was lost."""
_STORE_IS_AWAY = "the registry's store is away: its last state stays in force"


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The service over PostgreSQL and Valkey, with the documents at WORKSPACES_PATH as one source of the registry."""
    async with AsyncExitStack() as opened:
        engine = open_engine(settings, SCHEMA)
        opened.push_async_callback(engine.dispose)
        yield await _wired(settings, engine, opened)


async def _wired(settings: Settings, engine: AsyncEngine, opened: AsyncExitStack) -> Service:
    store = WorkspaceStore(engine)
    registry = Registry(store)
    valkey = open_valkey(settings)
    opened.push_async_callback(valkey.aclose)
    accounts, sender = await _auth(settings, opened)
    letters = Letters(store, accounts, sender)
    follower = Follower(registry.refresh, look_seconds=LOOK_SECONDS, when_away=_STORE_IS_AWAY)
    files = FileSource(settings.workspaces_path, registry)
    audit = AuditLog(engine, partial(_tenant_of, registry))
    relay = Relay(engine, valkey, "workspace")
    heard = Consumer(valkey, "workspaces-audit", ["workspace", "saga", "user"], audit.write)
    return Service(
        name="workspaces",
        title="Workspace Service",
        servicers=await _servicers(settings, store, registry, accounts, letters, audit, opened),
        checks={"registry": registry.check, "documents": files.check},
        # The last state serves while the database is away; what needs it is refused by itself.
        optional_checks={
            "postgres": partial(check_database, engine),
            "sources": files.check_sources,
            "events": relay.check,
            "audit": heard.check,
        },
        background=[
            follower.run,
            Listener(engine, NOTIFY_CHANNEL, heard=follower.hint, missed=follower.hint).run,
            files.follow,
            letters.run,
            relay.run,
            heard.run,
        ],
        on_drain=[registry.close],
    )


async def _servicers(
    settings: Settings,
    store: WorkspaceStore,
    registry: Registry,
    accounts: Accounts,
    letters: Letters,
    audit: AuditLog,
    opened: AsyncExitStack,
) -> list[Servicer]:
    provisioner = await _provisioner(settings, opened)
    sagas = Sagas(await opened.enter_async_context(open_channel(settings.sagas_target, settings)))
    gateway = await opened.enter_async_context(open_channel(settings.airtable_gateway_target, settings))
    edits = Edits(store, registry, provisioner, settings.shared_airtable_token, settings.bounds())
    creation = Creation(store, registry, accounts, sagas, edits)
    limits = Limits(settings.invitations_per_hour, settings.members_per_workspace)
    invitations = Invitations(store, registry, accounts, limits, letters.hint)
    provisioning = Provisioning(store, registry, provisioner, edits, settings.workspaces_per_person)
    parts = Parts(registry, accounts, creation, edits, audit, Templates(gateway, store))
    return [
        Servicer(
            WorkspaceServicer(parts),
            workspace_service_pb2_grpc.add_WorkspaceServiceServicer_to_server,
            workspace_service_pb2.DESCRIPTOR.services_by_name["WorkspaceService"],
        ),
        Servicer(
            MemberServicer(Members(store, registry, accounts), invitations),
            member_service_pb2_grpc.add_MemberServiceServicer_to_server,
            member_service_pb2.DESCRIPTOR.services_by_name["MemberService"],
        ),
        Servicer(
            ProvisioningServicer(provisioning),
            provisioning_service_pb2_grpc.add_ProvisioningServiceServicer_to_server,
            provisioning_service_pb2.DESCRIPTOR.services_by_name["ProvisioningService"],
        ),
        Servicer(
            PersonDataServicer(People(store, registry, accounts, edits)),
            person_data_pb2_grpc.add_PersonDataServiceServicer_to_server,
            person_data_pb2.DESCRIPTOR.services_by_name["PersonDataService"],
        ),
    ]


async def _auth(settings: Settings, opened: AsyncExitStack) -> tuple[Accounts, LetterSender]:
    if not settings.auth_target:
        return NoAccounts(), NoLetters()
    channel = await opened.enter_async_context(open_channel(settings.auth_target, settings))
    return AuthAccounts(channel), AuthLetters(channel)


async def _provisioner(settings: Settings, opened: AsyncExitStack) -> Provisioner:
    if settings.provisioning == "standalone":
        return Standalone()
    client = await opened.enter_async_context(open_kubernetes(settings))
    return KubernetesProvisioner(client, settings.kubernetes_token_file)


def _tenant_of(registry: Registry, name: str) -> str:
    """The tenant that a name stands for now; empty for none."""
    try:
        return registry.get(name).tenant
    except (NotFound, Unavailable):
        return ""
