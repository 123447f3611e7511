"""Wires the saga service."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from pyairtable_platform.common.access import open_access
from pyairtable_platform.common.channels import open_channel
from pyairtable_platform.common.database import check_database, open_engine
from pyairtable_platform.common.events import Consumer, Relay
from pyairtable_platform.common.notifications import Listener
from pyairtable_platform.common.registry import WorkspaceRegistry
from pyairtable_platform.common.server import Service, Servicer
from pyairtable_platform.common.valkey import open_valkey
from pyairtable_platform.common.wakeups import Wakeups
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc
from pyairtable_protos.sagas.v1 import saga_service_pb2, saga_service_pb2_grpc

from .airtable_client import GrpcAirtable
from .caretaker import Caretaker
from .changes import Changes
from .clients import GrpcAccounts, GrpcPersonData, GrpcProfiles, GrpcProvisioning
from .engine import DbosEngine
from .executors import Lease
from .journal import PostgresJournal
from .onboarding import Onboarding
from .people import People
from .ports import Durable, Platform
from .rows import NOTIFY_CHANNEL, SCHEMA
from .runner import Runner
from .service import Sagas
from .servicer import PersonDataServicer, SagaServicer
from .settings import Settings
from .store import SagaStore
from .types import CATALOG

__all__ = ["Settings", "build"]


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """Sagas over PostgreSQL, carried out by DBOS through the other services."""
    async with AsyncExitStack() as stack:
        engine = open_engine(settings, SCHEMA)
        stack.push_async_callback(engine.dispose)
        auth, users, workspaces, airtable, chat = [
            await stack.enter_async_context(open_channel(target, settings))
            for target in (
                settings.auth_target,
                settings.users_target,
                settings.workspaces_target,
                settings.airtable_gateway_target,
                settings.llm_orchestrator_target,
            )
        ]
        valkey = open_valkey(settings)
        stack.push_async_callback(valkey.aclose)
        access = open_access(settings)
        registry = WorkspaceRegistry(workspaces)
        store = SagaStore(engine)
        keepers = {"auth": auth, "users": users, "workspaces": workspaces, "chat": chat}
        # The engine needs what runs sagas, which needs people's sagas, which the engine forgets: hence by name.
        people = People(store, lambda sagas: dbos.forget(sagas))
        platform = Platform(
            accounts=GrpcAccounts(auth),
            profiles=GrpcProfiles(users),
            provisioning=GrpcProvisioning(workspaces),
            airtable=GrpcAirtable(airtable),
            people=GrpcPersonData(keepers, people),
            workspaces=registry,
        )
        lease = Lease(engine, settings.executor_id, settings.lease_seconds)

        wakeups = Wakeups()
        changes = Changes(store, wakeups)

        async def run(saga_id: str, durable: Durable) -> str:
            journal = PostgresJournal(engine, lease.executor, lost=lease.lose)
            return await Runner(CATALOG, journal, platform, changes).run(saga_id, durable)

        dbos = DbosEngine(settings.database_dsn(), run, sagas_at_once=settings.sagas_at_once)
        caretaker = Caretaker(
            engine,
            store,
            dbos,
            lease,
            look_seconds=settings.lease_seconds / 4,
            keep_days=settings.keep_sagas_days,
            die=partial(os._exit, 1),
        )
        stack.push_async_callback(caretaker.close)
        listener = Listener(engine, NOTIFY_CHANNEL, heard=wakeups.wake, missed=wakeups.wake_all)
        sagas = Sagas(CATALOG, store, caretaker, changes, registry, access)
        consumer = Consumer(valkey, "sagas", ["user"], Onboarding(sagas).handle)
        yield Service(
            name="sagas",
            title="Saga Service",
            servicers=[
                Servicer(
                    SagaServicer(sagas),
                    saga_service_pb2_grpc.add_SagaServiceServicer_to_server,
                    saga_service_pb2.DESCRIPTOR.services_by_name["SagaService"],
                ),
                Servicer(
                    PersonDataServicer(people),
                    person_data_pb2_grpc.add_PersonDataServiceServicer_to_server,
                    person_data_pb2.DESCRIPTOR.services_by_name["PersonDataService"],
                ),
            ],
            access=access,
            checks={"engine": caretaker.check},
            optional_checks={
                "postgres": partial(check_database, engine),
                "registry": registry.check,
                "events": consumer.check,
            },
            background=[
                caretaker.run,
                listener.run,
                registry.follow,
                Relay(engine, valkey, "saga").run,
                consumer.run,
            ],
            on_drain=[changes.close],
        )
