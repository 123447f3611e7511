"""Wires the auth service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from pyairtable_platform.common.channels import open_channel
from pyairtable_platform.common.database import check_database, open_engine
from pyairtable_platform.common.registry import WorkspaceRegistry
from pyairtable_platform.common.server import Service, Servicer
from pyairtable_protos.auth.v1 import auth_service_pb2, auth_service_pb2_grpc

from .service import AuthService
from .servicer import AuthServicer
from .settings import Settings
from .signers import Signers
from .signing import Seal
from .store import AuthStore

__all__ = ["Settings", "build"]


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """Credentials over PostgreSQL and the workspace registry."""
    async with AsyncExitStack() as stack:
        engine = open_engine(settings, "auth")
        stack.push_async_callback(engine.dispose)
        channel = await stack.enter_async_context(open_channel(settings.workspaces_target, settings))
        registry = WorkspaceRegistry(channel)
        store = AuthStore(engine)
        signers = Signers(store, Seal(settings.jwt_secret.get_secret_value()))
        yield Service(
            name="auth",
            title="Auth Service",
            servicers=[
                Servicer(
                    AuthServicer(AuthService(store, signers, registry), signers),
                    auth_service_pb2_grpc.add_AuthServiceServicer_to_server,
                    auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"],
                )
            ],
            checks={
                "postgres": partial(check_database, engine),
                "workspaces": registry.check,
                "signing-key": signers.check,
            },
            background=[registry.follow],
        )
