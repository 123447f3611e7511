"""Wires the workspace registry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pyairtable_platform.common.server import Service, Servicer
from pyairtable_protos.workspaces.v1 import workspace_service_pb2, workspace_service_pb2_grpc

from .files import FileSource
from .service import Registry
from .servicer import WorkspaceServicer
from .settings import Settings

__all__ = ["Settings", "build"]


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The registry over the documents at WORKSPACES_PATH."""
    registry = Registry()
    source = FileSource(settings.workspaces_path, registry)
    source.refresh()
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
        checks={"documents": source.check},
        background=[source.follow],
        on_drain=[registry.close],
    )
