"""What is not there or not allowed is named, over gRPC and REST; bad input names the field and is never a 500."""

from __future__ import annotations

from typing import Any

import pytest
from integration.airtable_gateway.conftest import (
    WORKSPACE,
    Gateway,
    OpenGateway,
    new_rows,
    workspace_document,
    write_document,
)

from pyairtable_devkit.airtable.testing import BASE, TOKEN_NO_SCHEMA, TOKEN_READ_ONLY, EmulatorThread
from pyairtable_platform.common.errors import Denied, InvalidInput, NotFound, Reason
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import schema_pb2

MISSING = "recNotThere000000"
UNPACED = {"airtable_calls_per_second_per_base": 100, "airtable_calls_per_second_per_token": 1000}


def listing(**options: Any) -> rpc.ListRecordsRequest:
    values = {"workspace": WORKSPACE, "base_id": "crm", "table_id": "Projects", "page_size": 1}
    return rpc.ListRecordsRequest(**{**values, **options})


@pytest.mark.parametrize(
    ("path", "reason", "name", "value"),
    [
        ("/bases?workspace=nobody", "WORKSPACE_NOT_FOUND", "workspace", "nobody"),
        ("/bases/appNotThere000000/schema", "BASE_NOT_FOUND", "base", "appNotThere000000"),
        ("/bases/crm/tables/Nothing/records", "TABLE_NOT_FOUND", "table", "Nothing"),
        ("/bases/crm/tables/Nothing/records/" + MISSING, "TABLE_NOT_FOUND", "table", "Nothing"),
        ("/bases/crm/tables/Projects/records/" + MISSING, "RECORD_NOT_FOUND", "record", MISSING),
        ("/bases/crm/tables/Projects/records/" + MISSING + "/comments", "RECORD_NOT_FOUND", "record", MISSING),
        ("/bases/crm/tables/Projects/records?fields=Nonsense", "FIELD_NOT_FOUND", "field", "Nonsense"),
        ("/bases/crm/tables/Projects/records?view=Nowhere", "VIEW_NOT_FOUND", "view", "Nowhere"),
    ],
)
async def test_what_is_not_there_is_404_and_named(
    gateway: Gateway, path: str, reason: str, name: str, value: str
) -> None:
    answer = await gateway.http.get(path)
    assert answer.status_code == 404, answer.text
    assert answer.json()["reason"] == reason
    assert answer.json()["metadata"][name] == value


@pytest.mark.parametrize("missing_record", ["403", "404"])
@pytest.mark.parametrize("unknown_base", ["403", "404"])
async def test_both_forms_of_not_there_mean_the_same(
    gateway: Gateway, emulator: EmulatorThread, missing_record: str, unknown_base: str
) -> None:
    emulator.settings(missing_record=missing_record, unknown_base=unknown_base)
    with pytest.raises(NotFound) as caught:
        await gateway.call(
            "GetRecord",
            rpc.GetRecordRequest(workspace=WORKSPACE, base_id="crm", table_id="Projects", record_id=MISSING),
        )
    assert caught.value.reason is Reason.RECORD_NOT_FOUND


async def test_a_token_without_the_right_to_read_schemas_still_gets_the_fitting_error(
    open_gateway: OpenGateway,
) -> None:
    async with open_gateway(**UNPACED, airtable_token=TOKEN_NO_SCHEMA) as gateway:
        request = rpc.GetRecordRequest(workspace=WORKSPACE, base_id="crm", table_id="Projects", record_id=MISSING)
        with pytest.raises(NotFound) as record:
            await gateway.call("GetRecord", request)
        assert record.value.reason is Reason.RECORD_NOT_FOUND
        with pytest.raises(NotFound):
            await gateway.call("ListRecords", listing(table_id="Nothing"))


async def test_a_token_that_may_only_read_is_denied_writing(open_gateway: OpenGateway) -> None:
    async with open_gateway(**UNPACED, airtable_token=TOKEN_READ_ONLY) as gateway:
        with pytest.raises(Denied) as caught:
            await gateway.call("CreateRecords", new_rows("Projects", [{"Name": "x"}]))
        assert caught.value.reason is Reason.DENIED


@pytest.mark.parametrize("formula", ["{Name", "NOSUCH({Name})", "{Nonsense} = 1"])
async def test_a_bad_formula_is_named(gateway: Gateway, formula: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await gateway.call("ListRecords", listing(filter_by_formula=formula))
    assert caught.value.reason is Reason.INVALID_FORMULA
    assert caught.value.violations[0].field == "filter_by_formula"


async def test_a_table_whose_name_needs_quoting_is_reached(gateway: Gateway) -> None:
    name = "Räume & Türen / 100% ?#"
    field = schema_pb2.NewField(name="Name", type="singleLineText")
    table = schema_pb2.NewTable(name=name, fields=[field])
    await gateway.call("CreateTable", rpc.CreateTableRequest(workspace=WORKSPACE, base_id="crm", table=table))
    await gateway.call("CreateRecords", new_rows(name, [{"Name": "one"}]))
    page = await gateway.call("ListRecords", listing(table_id=name))
    assert page.records[0].fields["Name"] == "one"


async def test_only_allowed_tables_are_reached_by_name_or_id(
    open_gateway: OpenGateway, documents: Any, gateway: Gateway
) -> None:
    schema = await gateway.call("GetBaseSchema", rpc.GetBaseSchemaRequest(workspace=WORKSPACE, base_id="crm"))
    ids = {table.name: table.id for table in schema.tables}
    bases = [{"name": "crm", "baseId": BASE, "access": "ReadWrite", "tables": ["Projects", ids["Tasks"]]}]
    write_document(documents, workspace_document("narrow", bases=bases))
    await until_known(gateway, "narrow")
    for allowed in ("Projects", ids["Projects"], "Tasks", ids["Tasks"]):
        assert (await gateway.call("ListRecords", listing(workspace="narrow", table_id=allowed))).records
    for other in ("Contacts", ids["Contacts"]):
        with pytest.raises(NotFound) as caught:
            await gateway.call("ListRecords", listing(workspace="narrow", table_id=other))
        assert caught.value.reason is Reason.TABLE_NOT_FOUND
    seen = await gateway.call("GetBaseSchema", rpc.GetBaseSchemaRequest(workspace="narrow", base_id="crm"))
    assert {table.name for table in seen.tables} == {"Projects", "Tasks"}
    table = schema_pb2.NewTable(name="x", fields=[schema_pb2.NewField(name="Name", type="singleLineText")])
    with pytest.raises(Denied):
        await gateway.call("CreateTable", rpc.CreateTableRequest(workspace="narrow", base_id="crm", table=table))


async def until_known(gateway: Gateway, workspace: str) -> None:
    """Wait until the registry has told the gateway of a workspace."""
    import asyncio

    for _ in range(200):
        try:
            await gateway.call("GetUsage", rpc.GetUsageRequest(workspace=workspace))
            return
        except NotFound:
            await asyncio.sleep(0.05)
    raise AssertionError(f"{workspace} never came")


async def test_schema_changes(gateway: Gateway) -> None:
    where = {"workspace": WORKSPACE, "base_id": "crm"}
    table = schema_pb2.NewTable(
        name="Sites", description="Where we work", fields=[schema_pb2.NewField(name="Name", type="singleLineText")]
    )
    made = (await gateway.call("CreateTable", rpc.CreateTableRequest(**where, table=table))).table
    assert (made.name, made.description, made.fields[0].name) == ("Sites", "Where we work", "Name")
    renamed = await gateway.call(
        "UpdateTable", rpc.UpdateTableRequest(**where, table_id="Sites", name="Places", description="")
    )
    assert (renamed.table.name, renamed.table.description) == ("Places", "")
    new = schema_pb2.NewField(name="Area", type="number")
    new.options.update({"precision": 1})
    field = (await gateway.call("CreateField", rpc.CreateFieldRequest(**where, table_id="Places", field=new))).field
    assert (field.type, field.options["precision"]) == ("number", 1)
    changed = await gateway.call(
        "UpdateField", rpc.UpdateFieldRequest(**where, table_id="Places", field_id="Area", name="Size")
    )
    assert changed.field.name == "Size"
    with pytest.raises(NotFound) as unknown:
        await gateway.call("UpdateField", rpc.UpdateFieldRequest(**where, table_id="Places", field_id="No", name="x"))
    assert unknown.value.reason is Reason.FIELD_NOT_FOUND
    with pytest.raises(InvalidInput):
        await gateway.call("UpdateTable", rpc.UpdateTableRequest(**where, table_id="Places"))


async def test_comments_and_attachments(gateway: Gateway) -> None:
    record = (await gateway.call("ListRecords", listing())).records[0].id
    where = {"workspace": WORKSPACE, "base_id": "crm", "table_id": "Projects", "record_id": record}
    made = (await gateway.call("CreateComment", rpc.CreateCommentRequest(**where, text="First"))).comment
    assert (made.text, bool(made.author.id)) == ("First", True)
    edit = rpc.UpdateCommentRequest(**where, comment_id=made.id, text="Second")
    assert (await gateway.call("UpdateComment", edit)).comment.text == "Second"
    listed = (await gateway.call("ListComments", rpc.ListCommentsRequest(**where))).comments
    assert "Second" in [comment.text for comment in listed]
    await gateway.call("DeleteComment", rpc.DeleteCommentRequest(**where, comment_id=made.id))
    with pytest.raises(NotFound) as caught:
        await gateway.call("DeleteComment", rpc.DeleteCommentRequest(**where, comment_id=made.id))
    assert caught.value.reason is Reason.COMMENT_NOT_FOUND
    upload = rpc.UploadAttachmentRequest(
        **where, field_id="Plans", filename="plan.txt", content_type="text/plain", content=b"walls"
    )
    answer = await gateway.call("UploadAttachment", upload)
    assert answer.record_id == record
    assert [item["filename"] for item in answer.attachments][-1] == "plan.txt"
    upload.field_id = "Nothing"
    with pytest.raises(NotFound) as unknown:
        await gateway.call("UploadAttachment", upload)
    assert unknown.value.reason is Reason.FIELD_NOT_FOUND
