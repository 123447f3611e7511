"""list_bases, list_tables, get_field_info."""

from __future__ import annotations

from typing import Any

import pytest
from unit.mcp_server.fake_gateway import BASE_ID, FakeGateway, text_field

from pyairtable_platform.common.errors import NotFound, Reason
from pyairtable_platform.mcp_server.model import Field
from pyairtable_platform.mcp_server.service import Caller, ToolService

CHOICES = [{"id": "sel1", "name": "Open", "color": "redBright"}, {"id": "sel2", "name": "Done"}]


@pytest.fixture
def base(gateway: FakeGateway) -> FakeGateway:
    clients = gateway.add_table("Clients", [text_field("Name")])
    status = text_field("Status", "singleSelect", choices=CHOICES)
    hours = Field("fldHoursHoursHour", "Hours worked", "number", "By hand", {"precision": 1})
    cost = text_field(
        "Cost", "formula", formula="{fldHoursHoursHour} * 80 & {fldGoneGoneGoneG}", result={"type": "number"}
    )
    link = text_field("Client", "multipleRecordLinks", linkedTableId=clients.id, inverseLinkFieldId="fldBack")
    gateway.add_table("Projects", [text_field("Name"), status, hours, cost, link])
    return gateway


async def test_bases_tell_the_default_one(tools: ToolService, base: FakeGateway) -> None:
    result = await tools.call("list_bases", {}, Caller("acme"))
    assert result["count"] == 1
    assert result["bases"][0]["is_default"] and result["bases"][0]["binding"] == "crm"
    assert base.workspaces == ["acme"]


async def test_tables_with_their_fields_without_naming_the_base(tools: ToolService, base: FakeGateway) -> None:
    result = await tools.call("list_tables", {}, Caller())
    assert (result["base_id"], result["count"]) == (BASE_ID, 2)
    projects = result["tables"][1]
    assert (projects["name"], projects["primary_field"], projects["field_count"]) == ("Projects", "Name", 5)
    assert projects["fields"] == ["Name", "Status", "Hours worked", "Cost", "Client"]


async def test_fields_with_choices_primary_flag_formula_and_links(tools: ToolService, base: FakeGateway) -> None:
    result = await tools.call("get_field_info", {"table_id": "projects"}, Caller())
    fields: dict[str, Any] = {field["name"]: field for field in result["fields"]}
    assert [name for name, field in fields.items() if field["is_primary"]] == ["Name"] == [result["primary_field"]]
    assert fields["Status"]["choices"] == [
        {"id": "sel1", "name": "Open", "color": "redBright"},
        {"id": "sel2", "name": "Done", "color": ""},
    ]
    assert fields["Cost"]["formula"] == "{Hours worked} * 80 & {fldGoneGoneGoneG}"
    assert (fields["Cost"]["result_type"], fields["Cost"]["is_computed"]) == ("number", True)
    assert (fields["Client"]["linked_table"], fields["Client"]["inverse_field_id"]) == ("Clients", "fldBack")
    assert (fields["Hours worked"]["description"], fields["Hours worked"]["is_computed"]) == ("By hand", False)
    assert fields["Hours worked"]["options"] == {"precision": 1}
    assert result["types"] == {
        "singleLineText": 1, "singleSelect": 1, "number": 1, "formula": 1, "multipleRecordLinks": 1
    }  # fmt: skip


@pytest.mark.parametrize("reference", ["Project", "PROJETS", "tblNope", "Zebra"])
async def test_an_unknown_table_is_named_with_what_there_is(
    tools: ToolService, base: FakeGateway, reference: str
) -> None:
    with pytest.raises(NotFound) as caught:
        await tools.call("get_field_info", {"table_id": reference}, Caller())
    assert caught.value.reason is Reason.TABLE_NOT_FOUND
    assert repr(reference) in caught.value.message and "Projects" in caught.value.message


async def test_the_case_of_letters_decides_only_where_it_must(tools: ToolService, gateway: FakeGateway) -> None:
    upper = gateway.add_table("TASKS", [text_field("A")])
    lower = gateway.add_table("tasks", [text_field("B")])
    for reference, table in (("TASKS", upper), ("tasks", lower), ("Tasks", upper), (lower.id, lower)):
        result = await tools.call("get_field_info", {"table_id": reference}, Caller())
        assert result["table_id"] == table.id
