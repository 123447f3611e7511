"""Writes through the gateway: any number of rows, an outcome for each, good rows written beside bad ones."""

from __future__ import annotations

from typing import Any

from integration.airtable_gateway.conftest import WORKSPACE, Gateway

from pyairtable_devkit.airtable.testing import BASE, EmulatorThread
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import record_pb2

TABLE = "Contacts"


def new_records(rows: list[dict[str, Any]], **options: Any) -> rpc.CreateRecordsRequest:
    records = [record_pb2.NewRecord(fields=dict_to_struct(fields)) for fields in rows]
    return rpc.CreateRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id=TABLE, records=records, **options)


async def count(gateway: Gateway, formula: str = "") -> int:
    request = rpc.ListRecordsRequest(
        workspace=WORKSPACE, base_id=BASE, table_id=TABLE, page_size=10000, filter_by_formula=formula
    )
    return len((await gateway.call("ListRecords", request)).records)


async def test_97_rows_are_created_in_ten_calls_each_with_its_outcome(
    gateway: Gateway, emulator: EmulatorThread
) -> None:
    answer = await gateway.call("CreateRecords", new_records([{"Name": f"Bulk {n}"} for n in range(97)]))
    assert answer.summary.created == 97
    assert [outcome.index for outcome in answer.outcomes] == list(range(97))
    assert len({outcome.record_id for outcome in answer.outcomes}) == 97
    assert [outcome.record.fields["Name"] for outcome in answer.outcomes] == [f"Bulk {n}" for n in range(97)]
    assert len([entry for entry in emulator.log() if entry["method"] == "POST"]) == 10
    assert await count(gateway, 'FIND("Bulk ", {Name}) = 1') == 97
