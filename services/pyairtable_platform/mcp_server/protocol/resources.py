"""Schemas as resources: airtable://BASE/schema and airtable://BASE/TABLE/schema, and completion of their names."""

from __future__ import annotations

from typing import Any

import orjson
from mcp.shared.uri_template import UriTemplate
from mcp_types import (
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    ResourceTemplateReference,
    TextResourceContents,
)

from pyairtable_platform.common.errors import NotFound, Reason
from pyairtable_platform.mcp_server.model import DEFAULT_BASE, BaseRef
from pyairtable_platform.mcp_server.service import Caller, ToolService

from .calls import RequestContext, caller_of, protocol_errors, serving

BASE_TEMPLATE = "airtable://{base_id}/schema"
TABLE_TEMPLATE = "airtable://{base_id}/{table_id}/schema"

_JSON = "application/json"
_MAX_COMPLETIONS = 100


class ResourceMethods:
    """The methods of MCP that concern resources, and completion, which here only concerns their templates."""

    def __init__(self, service: ToolService, timeout: float) -> None:
        self._service = service
        self._timeout = timeout
        self._base = UriTemplate.parse(BASE_TEMPLATE)
        self._table = UriTemplate.parse(TABLE_TEMPLATE)

    async def list_resources(
        self, request: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """The schemas of the workspace's bases; those of tables are found by template."""
        with serving(self._timeout), protocol_errors():
            bases = await self._service.gateway.list_bases(caller_of(request).workspace)
        resources = [
            Resource(
                uri=self._base.expand({"base_id": base.id}),
                name=f"{base.name} schema",
                title=f"Schema of {base.name}",
                description="Tables of the base with their fields",
                mime_type=_JSON,
            )
            for base in bases
        ]
        return ListResourcesResult(resources=resources)

    async def list_templates(
        self, request: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        templates = [
            ResourceTemplate(
                uri_template=BASE_TEMPLATE,
                name="base_schema",
                title="Schema of a base",
                description="Tables of a base (id, bound name or 'default')",
                mime_type=_JSON,
            ),
            ResourceTemplate(
                uri_template=TABLE_TEMPLATE,
                name="table_schema",
                title="Schema of a table",
                description="Fields of a table (id or name) with types, choices, formulas and links",
                mime_type=_JSON,
            ),
        ]
        return ListResourceTemplatesResult(resource_templates=templates)

    async def read(self, request: RequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
        with serving(self._timeout), protocol_errors(uri=params.uri):
            structured = await self._schema(params.uri, caller_of(request))
        text = orjson.dumps(structured).decode()
        contents = TextResourceContents(uri=params.uri, mime_type=_JSON, text=text)
        return ReadResourceResult(contents=[contents])

    async def complete(self, request: RequestContext, params: CompleteRequestParams) -> CompleteResult:
        """Names that begin with what was typed; nothing for what cannot be completed."""
        with serving(self._timeout), protocol_errors():
            names: list[str] = []
            if isinstance(params.ref, ResourceTemplateReference):
                known = (params.context.arguments if params.context else None) or {}
                names = await self._names(params.argument.name, known, caller_of(request))
        typed = params.argument.value.casefold()
        found = [name for name in names if name.casefold().startswith(typed)]
        shown = found[:_MAX_COMPLETIONS]
        return CompleteResult(completion=Completion(values=shown, total=len(found), has_more=len(shown) < len(found)))

    async def _schema(self, uri: str, caller: Caller) -> dict[str, Any]:
        if found := self._table.match(uri):
            arguments = {"base_id": _base_id(found), "table_id": str(found["table_id"])}
            return await self._service.call("get_field_info", arguments, caller)
        if found := self._base.match(uri):
            return await self._service.call("list_tables", {"base_id": _base_id(found)}, caller)
        raise NotFound(
            f"there is no resource {uri!r}; there are {BASE_TEMPLATE} and {TABLE_TEMPLATE}",
            reason=Reason.ROUTE_NOT_FOUND,
        )

    async def _names(self, argument: str, known: dict[str, str], caller: Caller) -> list[str]:
        gateway = self._service.gateway
        if argument == "base_id":
            bases = await gateway.list_bases(caller.workspace)
            return [name for base in bases for name in (base.binding, base.id) if name]
        if argument == "table_id":
            base = BaseRef(caller.workspace, known.get("base_id") or DEFAULT_BASE)
            return [table.name for table in (await gateway.get_schema(base)).tables]
        return []


def _base_id(found: dict[str, str | list[str]]) -> str:
    return str(found["base_id"])
