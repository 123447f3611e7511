"""Reads through the gateway, over gRPC and REST, against the emulator."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from integration.airtable_gateway.conftest import WORKSPACE, Gateway, new_rows, workspace_document, write_document

from pyairtable_devkit.airtable.testing import BASE, SECOND_BASE, EmulatorThread
from pyairtable_platform.common.errors import InvalidInput, NotFound, Reason
from pyairtable_platform.common.values import struct_to_dict
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import record_pb2


def listing(table: str = "Working Hours", **options: Any) -> rpc.ListRecordsRequest:
    return rpc.ListRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id=table, **options)


async def all_pages(gateway: Gateway, **options: Any) -> list[list[str]]:
    """Ids page by page."""
    pages, token = [], ""
    while True:
        page = await gateway.call("ListRecords", listing(page_token=token, **options))
        pages.append([record.id for record in page.records])
        token = page.next_page_token
        if not token:
            return pages


async def test_the_bound_bases_are_listed_with_what_the_workspace_says_of_them(gateway: Gateway) -> None:
    answer = await gateway.call("ListBases", rpc.ListBasesRequest(workspace=WORKSPACE))
    by_id = {base.id: base for base in answer.bases}
    assert by_id.keys() == {BASE, SECOND_BASE}
    assert (by_id[BASE].binding, by_id[BASE].is_default, by_id[BASE].access) == ("crm", True, "Schema")
    assert by_id[BASE].permission_level == "create"


async def test_reads_answer_over_rest_too(gateway: Gateway) -> None:
    bases = (await gateway.http.get("/bases")).json()["bases"]
    assert [base["id"] for base in bases if base.get("is_default")] == [BASE]
    tables = (await gateway.http.get("/bases/default/schema")).json()["tables"]
    assert "Projects" in [table["name"] for table in tables]
    page = await gateway.http.get("/bases/crm/tables/Projects/records", params={"page_size": 3})
    assert len(page.json()["records"]) == 3
    record = page.json()["records"][0]
    one = await gateway.http.get(f"/bases/{BASE}/tables/Projects/records/{record['id']}")
    same = ({**fields, "Plans": None} for fields in (one.json()["record"]["fields"], record["fields"]))
    assert next(same) == next(same)  # but for the links of attachments, which are made anew
    posted = await gateway.http.post("/bases/crm/tables/Projects/records/list", json={"page_size": 2})
    assert len(posted.json()["records"]) == 2
    assert (await gateway.http.get("/identity")).json()["user_id"].startswith("usr")


async def test_all_pages_together_are_the_table_whatever_the_page_size(gateway: Gateway) -> None:
    whole = await all_pages(gateway, page_size=10000)
    assert len(whole) == 1
    assert len(whole[0]) == 90
    for size in (7, 45, 89, 90):
        pages = await all_pages(gateway, page_size=size)
        assert [record for page in pages for record in page] == whole[0]
        assert {len(page) for page in pages[:-1]} <= {size}


@pytest.mark.parametrize(("max_records", "page_size", "sizes"), [(5, 2, [2, 2, 1]), (4, 2, [2, 2]), (3, 100, [3])])
async def test_max_records_counts_over_all_pages(
    gateway: Gateway, max_records: int, page_size: int, sizes: list[int]
) -> None:
    pages = await all_pages(gateway, max_records=max_records, page_size=page_size)
    assert [len(page) for page in pages] == sizes


async def test_a_page_above_100_joins_airtables_pages(gateway: Gateway, emulator: EmulatorThread) -> None:
    await gateway.call("CreateRecords", new_rows("Contacts", [{"Name": f"Row {n}"} for n in range(230)]))
    before = len(emulator.log())
    pages = await all_pages_of_contacts(gateway, page_size=150)
    assert [len(page) for page in pages] == [150, 104]
    assert len(emulator.log()) - before == 4  # 100, 50, 100, 4


async def all_pages_of_contacts(gateway: Gateway, page_size: int) -> list[list[str]]:
    first = await gateway.call("ListRecords", listing("Contacts", page_size=page_size))
    second = await gateway.call(
        "ListRecords", listing("Contacts", page_size=page_size, page_token=first.next_page_token)
    )
    assert second.next_page_token == ""
    return [[record.id for record in page.records] for page in (first, second)]


async def test_a_listing_goes_on_when_airtables_offset_has_expired(gateway: Gateway, emulator: EmulatorThread) -> None:
    whole = (await all_pages(gateway, page_size=10000))[0]
    first = await gateway.call("ListRecords", listing(page_size=40))
    emulator.fault("expired_cursor")
    second = await gateway.call("ListRecords", listing(page_size=40, page_token=first.next_page_token))
    third = await gateway.call("ListRecords", listing(page_size=40, page_token=second.next_page_token))
    ids = [record.id for page in (first, second, third) for record in page.records]
    assert ids == whole
    assert third.next_page_token == ""


async def test_a_stream_delivers_every_record_once_and_survives_an_expired_offset(
    gateway: Gateway, emulator: EmulatorThread
) -> None:
    whole = (await all_pages(gateway, page_size=10000))[0]
    request = rpc.StreamRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id="Working Hours", page_size=20)
    emulator.fault("expired_cursor", times=2)
    pages = [page async for page in gateway.channel.stream(gateway.stub.StreamRecords, request, timeout=30)]
    assert [record.id for page in pages for record in page.records] == whole
    assert all(len(page.records) <= 20 for page in pages)
    assert [bool(page.next_page_token) for page in pages] == [True] * (len(pages) - 1) + [False]


async def test_filter_sort_fields_view_and_shape_reach_airtable(gateway: Gateway) -> None:
    request = listing(
        "Projects",
        filter_by_formula="{Budget} > 0",
        sort=[record_pb2.Sort(field="Budget", direction="desc")],
        fields=["Name", "Budget"],
        page_size=5,
    )
    records = (await gateway.call("ListRecords", request)).records
    budgets = [struct_to_dict(record.fields)["Budget"] for record in records]
    assert budgets == sorted(budgets, reverse=True)
    assert all(set(record.fields.keys()) <= {"Name", "Budget"} for record in records)
    by_id = (
        await gateway.call("ListRecords", listing("Projects", page_size=1, return_fields_by_field_id=True))
    ).records
    assert all(key.startswith("fld") for key in by_id[0].fields)
    text = listing("Projects", page_size=1, fields=["Budget"], as_text=True, time_zone="UTC", user_locale="en")
    shown = struct_to_dict((await gateway.call("ListRecords", text)).records[0].fields)
    assert isinstance(shown["Budget"], str)


async def test_as_text_needs_zone_and_locale(gateway: Gateway) -> None:
    with pytest.raises(InvalidInput) as caught:
        await gateway.call("ListRecords", listing(as_text=True, time_zone="UTC"))
    assert caught.value.violations[0].field == "user_locale"


async def test_a_formula_too_long_for_a_url_is_posted(gateway: Gateway, emulator: EmulatorThread) -> None:
    tests = ", ".join(f'{{Name}} = "nobody {n}"' for n in range(900))
    page = await gateway.call("ListRecords", listing("Contacts", filter_by_formula=f"OR({tests})"))
    assert not page.records
    last = emulator.log()[-1]
    assert (last["method"], last["path"].rpartition("/")[2]) == ("POST", "listRecords")


async def test_the_token_of_one_listing_is_refused_by_another(gateway: Gateway) -> None:
    first = await gateway.call("ListRecords", listing(page_size=10))
    for token in (first.next_page_token, "nonsense", "eyJ4IjoxfQ"):
        with pytest.raises(InvalidInput) as caught:
            await gateway.call("ListRecords", listing("Projects", page_size=10, page_token=token))
        assert caught.value.reason is Reason.PAGE_TOKEN_INVALID


async def test_usage_counts_every_call_by_base(gateway: Gateway) -> None:
    before = await gateway.call("GetUsage", rpc.GetUsageRequest(workspace=WORKSPACE))
    await gateway.call("ListRecords", listing(page_size=1))
    await gateway.call("ListRecords", listing(page_size=1))
    await gateway.call("GetIdentity", rpc.GetIdentityRequest(workspace=WORKSPACE))
    after = await gateway.call("GetUsage", rpc.GetUsageRequest(workspace=WORKSPACE))
    assert after.calls - before.calls == 3
    assert after.calls_by_base[BASE] - before.calls_by_base[BASE] == 2
    assert after.calls_by_base[""] - before.calls_by_base[""] == 1


async def test_a_binding_of_tables_holds_for_single_records_and_their_comments(
    gateway: Gateway, documents: Path
) -> None:
    contact = (await gateway.call("ListRecords", listing("Contacts", page_size=1))).records[0].id
    project = (await gateway.call("ListRecords", listing("Projects", page_size=1))).records[0]
    base = {"name": "crm", "baseId": BASE, "access": "ReadWrite", "default": True, "tables": ["Projects"]}
    write_document(documents, workspace_document("narrow", bases=[base]))
    where: dict[str, Any] = {"workspace": "narrow", "base_id": "crm", "table_id": "Projects"}
    read = rpc.GetRecordRequest(**where, record_id=project.id, as_text=True, time_zone="UTC", user_locale="en")
    async with asyncio.timeout(30):
        while True:
            try:
                answer = await gateway.call("GetRecord", read)
                break
            except NotFound:
                await asyncio.sleep(0.1)  # the registry has not seen the file yet
    assert answer.record.id == project.id
    assert answer.record.fields.keys() == project.fields.keys()
    comment = await gateway.call("CreateComment", rpc.CreateCommentRequest(**where, record_id=project.id, text="ours"))
    assert comment.comment.text == "ours"
    for method, request in (
        ("GetRecord", rpc.GetRecordRequest(**where, record_id=contact)),
        ("ListComments", rpc.ListCommentsRequest(**where, record_id=contact)),
    ):
        with pytest.raises(NotFound) as refused:
            await gateway.call(method, request)
        assert refused.value.reason is Reason.RECORD_NOT_FOUND
