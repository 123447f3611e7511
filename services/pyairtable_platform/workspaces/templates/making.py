"""Makes a template's tables in a base, through the gateway and as the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyairtable_platform.common import events
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.event import Event
from pyairtable_platform.common.workspace import Workspace
from pyairtable_platform.workspaces.members.rules import Actor
from pyairtable_platform.workspaces.store import WorkspaceStore
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2_grpc, schema_pb2

from .catalogue import NewField, NewTable, Template

CALL_SECONDS = 60.0
_COLOURS = ("blueLight2", "greenLight2", "yellowLight2", "redLight2", "purpleLight2", "grayLight2", "cyanLight2")


class Templates:
    """Applies templates to bases, at the gateway."""

    def __init__(self, channel: ServiceChannel, store: WorkspaceStore) -> None:
        self._channel = channel
        self._store = store
        self._stub: Any = airtable_gateway_service_pb2_grpc.AirtableGatewayServiceStub(channel.channel)

    async def apply(
        self, workspace: Workspace, base: str, template: Template, actor: Actor
    ) -> tuple[list[str], list[str]]:
        """Make the tables that are not there yet; names of those made, and of those kept."""
        binding = workspace.base(base)
        created, kept = await self._make(workspace.name, binding.base_id, template)
        if created:
            facts = {"tenant": workspace.tenant, "template": template.name, "created": created, "kept": kept}
            event = Event("workspace.template_applied.v1", binding.name, workspace.name, actor.principal, facts)
            async with self._store.transaction(workspace.name) as connection:
                await events.record(connection, event)
        return created, kept

    async def _make(self, workspace: str, base: str, template: Template) -> tuple[list[str], list[str]]:
        """One call makes a table with all of it, so that a repeat after a failure finds whole tables or none."""
        request = rpc.GetBaseSchemaRequest(workspace=workspace, base_id=base)
        schema = await self._channel.call(self._stub.GetBaseSchema, request, timeout=CALL_SECONDS)
        ids = {table.name.casefold(): table.id for table in schema.tables}
        created, kept = [], []
        for table in template.tables:
            if table.name.casefold() in ids:
                kept.append(table.name)
                continue
            make = rpc.CreateTableRequest(workspace=workspace, base_id=base, table=table_message(table, ids))
            answer = await self._channel.call(self._stub.CreateTable, make, timeout=CALL_SECONDS)
            ids[table.name.casefold()] = answer.table.id
            created.append(table.name)
        return created, kept


def table_message(table: NewTable, ids: Mapping[str, str]) -> schema_pb2.NewTable:
    """A table as the contract's message; `ids`: of the tables that are there, by name in small letters."""
    fields = [_field_message(field, ids) for field in table.fields]
    return schema_pb2.NewTable(name=table.name, description=table.description, fields=fields)


def _field_message(field: NewField, ids: Mapping[str, str]) -> schema_pb2.NewField:
    message = schema_pb2.NewField(name=field.name, type=field.type, description=field.description)
    options: dict[str, Any] = dict(field.options)
    if field.choices:
        options["choices"] = [
            {"name": name, "color": _COLOURS[number % len(_COLOURS)]} for number, name in enumerate(field.choices)
        ]
    if field.link:
        options["linkedTableId"] = ids[field.link.casefold()]
    if options:
        message.options.update(options)
    return message
