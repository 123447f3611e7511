"""The sixteen tools: names, arguments and defaults of the earlier system, schemas, and the page that documents them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.common.errors import InvalidInput, NotFound
from pyairtable_platform.mcp_server.registry import all_tools, input_schema, output_schema
from pyairtable_platform.mcp_server.service import Caller, ToolService
from pyairtable_platform.mcp_server.tool import Access

DOCUMENT = Path(__file__).parents[3] / "docs" / "tools.md"

EARLIER: dict[str, dict[str, Any]] = {
    "list_tables": {"base_id": ""},
    "get_records": {"base_id": "", "table_id": ..., "max_records": 100, "view": "", "filter_by_formula": ""},
    "create_record": {"base_id": "", "table_id": ..., "fields": ...},
    "update_record": {"base_id": "", "table_id": ..., "record_id": ..., "fields": ...},
    "delete_record": {"base_id": "", "table_id": ..., "record_id": ...},
    "search_records": {"base_id": "", "table_id": ..., "query": ..., "fields": [], "max_records": 50},
    "create_metadata_table": {"base_id": "", "table_name": "Table Metadata"},
    "batch_create_records": {"base_id": "", "table_id": ..., "records": ...},
    "batch_update_records": {"base_id": "", "table_id": ..., "records": ...},
    "get_field_info": {"base_id": "", "table_id": ...},
    "analyze_table_data": {"base_id": "", "table_id": ..., "sample_size": 100},
    "find_duplicates": {"base_id": "", "table_id": ..., "fields": [], "ignore_empty": True},
    "export_table_csv": {"base_id": "", "table_id": ..., "fields": [], "view": "", "max_records": 1000},
    "sync_tables": {
        "source_base_id": "",
        "source_table_id": ...,
        "target_base_id": "",
        "target_table_id": ...,
        "key_field": ...,
        "dry_run": True,
    },
}
"""Of each tool of the earlier system its arguments and defaults; `...` is needed. base_id was needed and is not now."""


def test_the_earlier_tools_keep_names_arguments_and_defaults() -> None:
    assert set(all_tools()) == {*EARLIER, "list_bases", "get_record"}
    for name, arguments in EARLIER.items():
        schema = input_schema(name)
        for argument, default in arguments.items():
            assert argument in schema["properties"], f"{name}.{argument}"
            if default is ...:
                assert argument in schema["required"], f"{name}.{argument}"
            else:
                assert schema["properties"][argument].get("default") == default, f"{name}.{argument}"
        assert set(schema.get("required", [])) <= set(arguments), name


@pytest.mark.parametrize("name", list(all_tools()))
def test_schemas_are_plain_and_described(name: str) -> None:
    for schema in (input_schema(name), output_schema(name)):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert "$ref" not in str(schema) and "$defs" not in schema
    arguments = input_schema(name)
    assert arguments["additionalProperties"] is False
    for argument, schema in arguments["properties"].items():
        assert schema.get("description"), f"{name}.{argument} says nothing"


@pytest.mark.parametrize("name", list(all_tools()))
def test_what_a_tool_may_do_is_declared(name: str) -> None:
    tool = all_tools()[name]
    writes = {
        "create_record": Access.WRITE,
        "update_record": Access.WRITE,
        "batch_create_records": Access.WRITE,
        "batch_update_records": Access.WRITE,
        "delete_record": Access.DESTROY,
        "sync_tables": Access.DESTROY,
        "create_metadata_table": Access.SCHEMA,
    }
    assert tool.access is writes.get(name, Access.READ)
    assert tool.read_only == (name not in writes)
    assert tool.destructive == (name in writes and name not in ("create_record", "batch_create_records"))
    assert tool.idempotent == (name not in ("create_record", "batch_create_records"))


async def test_results_fit_their_schemas(tools: ToolService, gateway: FakeGateway) -> None:
    fields = [text_field("Name"), text_field("Tags", "multipleSelects", choices=[{"id": "s", "name": "a"}])]
    rows = [{"Name": "x", "Tags": ["a"]}, {"Name": "X", "Tags": ["a"]}]
    table = gateway.add_table("A", fields, rows)
    gateway.add_table("B", fields, [{"Name": "other"}])
    record_id = gateway.rows(table)[0].id
    in_table = {"table_id": "A"}
    calls: dict[str, dict[str, Any]] = {
        "list_bases": {},
        "list_tables": {},
        "get_field_info": in_table,
        "get_records": in_table,
        "get_record": {**in_table, "record_id": record_id},
        "search_records": {**in_table, "query": "x"},
        "analyze_table_data": in_table,
        "find_duplicates": in_table,
        "export_table_csv": in_table,
        "sync_tables": {"source_table_id": "B", "target_table_id": "A", "key_field": "Name"},
        "create_record": {**in_table, "fields": {"Name": "n"}},
        "update_record": {**in_table, "record_id": record_id, "fields": {"Name": "n"}},
        "batch_create_records": {**in_table, "records": [{"Name": "n"}]},
        "batch_update_records": {**in_table, "records": [{"id": record_id, "fields": {"Name": "m"}}]},
        "create_metadata_table": {},
        "delete_record": {**in_table, "record_id": record_id},
    }
    assert set(calls) == set(all_tools())
    for name, arguments in calls.items():
        jsonschema.validate(arguments, input_schema(name))
        jsonschema.validate(await tools.call(name, arguments, Caller()), output_schema(name))


async def test_unknown_tools_and_arguments_are_named(tools: ToolService) -> None:
    with pytest.raises(NotFound, match=r"there is no tool 'get_record_s'; did you mean get_records\?"):
        await tools.call("get_record_s", {}, Caller())
    with pytest.raises(InvalidInput) as caught:
        await tools.call("list_tables", {"base": "x", "tables": 1}, Caller())
    assert [item.field for item in caught.value.violations] == ["base", "tables"]
    assert "it takes: base_id" in caught.value.message


def test_the_page_lists_every_tool_with_its_arguments_and_defaults() -> None:
    documented = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL))
    assert list(documented) == list(all_tools())
    for name, section in documented.items():
        rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*) \|$", section, re.MULTILINE)
        assert [(argument, default) for argument, default, _ in rows] == expected_rows(name), name
        assert f"Access: {all_tools()[name].access.value}" in section, name


def expected_rows(name: str) -> list[tuple[str, str]]:
    """Arguments in order, with their defaults as the page writes them."""
    schema = input_schema(name)
    required = set(schema.get("required", []))
    return [
        (argument, "needed" if argument in required else f"`{written(schema['properties'][argument]['default'])}`")
        for argument in schema["properties"]
    ]


def written(default: Any) -> str:
    return {True: "true", False: "false"}[default] if isinstance(default, bool) else repr(default).replace("'", '"')
