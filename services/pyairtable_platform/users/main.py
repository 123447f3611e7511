"""Wires the user service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from pyairtable_platform.common.channels import open_channel
from pyairtable_platform.common.database import check_database, open_engine
from pyairtable_platform.common.events import Consumer
from pyairtable_platform.common.server import Service, Servicer
from pyairtable_platform.common.valkey import check_valkey, open_valkey
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc
from pyairtable_protos.users.v1 import user_service_pb2, user_service_pb2_grpc

from .account_events import AREAS, GROUP, AccountEvents
from .peers import Accounts, Erasures, KeepersOfData
from .person_data import PersonDataServicer
from .purge import Purge
from .service import UserService
from .servicer import UserServicer
from .settings import Settings
from .store import UserStore

__all__ = ["Settings", "build"]

NO_AUTH = "127.0.0.1:1"
"""Where nothing listens: without AUTH_TARGET people cannot call, and what would change accounts fails."""


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """Profiles over PostgreSQL; auth, sagas and the keepers of people's data beside it."""
    async with AsyncExitStack() as stack:
        engine = open_engine(settings, "users")
        stack.push_async_callback(engine.dispose)
        valkey = open_valkey(settings)
        stack.push_async_callback(valkey.aclose)
        targets = {
            "auth": settings.auth_target or NO_AUTH,
            "workspaces": settings.workspaces_target,
            "llm-orchestrator": settings.llm_orchestrator_target,
            "sagas": settings.sagas_target,
        }
        channels = {
            name: await stack.enter_async_context(open_channel(target, settings)) for name, target in targets.items()
        }
        store, erasures = UserStore(engine), Erasures(channels["sagas"])
        service = UserService(store, Accounts(channels["auth"]), erasures)
        consumer = Consumer(valkey, GROUP, AREAS, AccountEvents(service).handle)
        yield Service(
            name="users",
            title="User Service",
            servicers=servicers(service, KeepersOfData(channels)),
            checks={"postgres": partial(check_database, engine)},
            optional_checks={"redis": partial(check_valkey, valkey), "events": consumer.check},
            background=[consumer.run, Purge(store, erasures).run],
        )


def servicers(service: UserService, keepers: KeepersOfData) -> list[Servicer]:
    """What it serves."""
    return [
        Servicer(
            UserServicer(service, keepers),
            user_service_pb2_grpc.add_UserServiceServicer_to_server,
            user_service_pb2.DESCRIPTOR.services_by_name["UserService"],
        ),
        Servicer(
            PersonDataServicer(service),
            person_data_pb2_grpc.add_PersonDataServiceServicer_to_server,
            person_data_pb2.DESCRIPTOR.services_by_name["PersonDataService"],
        ),
    ]
