"""Wires the workspace registry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from pyairtable_platform.common.database import check_database, open_engine
from pyairtable_platform.common.notifications import Listener
from pyairtable_platform.common.server import Service, Servicer
from pyairtable_protos.workspaces.v1 import workspace_service_pb2, workspace_service_pb2_grpc

from .files import FileSource
from .follow import Follower
from .service import Registry
from .servicer import WorkspaceServicer
from .settings import Settings
from .store import NOTIFY_CHANNEL, SCHEMA, WorkspaceStore

__all__ = ["Settings", "build"]


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The registry in PostgreSQL, with the documents at WORKSPACES_PATH as one of its sources."""
    engine = open_engine(settings, SCHEMA)
    registry = Registry(WorkspaceStore(engine))
    follower = Follower(registry)
    files = FileSource(settings.workspaces_path, registry)
    listener = Listener(engine, NOTIFY_CHANNEL, heard=follower.hint, missed=follower.hint)
    try:
        yield Service(
            name="workspaces",
            title="Workspace Service",
            servicers=[
                Servicer(
                    WorkspaceServicer(registry),
                    workspace_service_pb2_grpc.add_WorkspaceServiceServicer_to_server,
                    workspace_service_pb2.DESCRIPTOR.services_by_name["WorkspaceService"],
                )
            ],
            checks={"registry": registry.check, "documents": files.check},
            # The last state serves while the database is away; what needs it is refused by itself.
            optional_checks={"postgres": partial(check_database, engine), "sources": files.check_sources},
            background=[follower.run, listener.run, files.follow],
            on_drain=[registry.close],
        )
    finally:
        await engine.dispose()
