"""Writes through the gateway: any number of rows, an outcome for each, good rows written beside bad ones."""

from __future__ import annotations

from typing import Any

import pytest
from integration.airtable_gateway.conftest import WORKSPACE, Gateway, new_rows

from pyairtable_devkit.airtable.testing import BASE, SECOND_BASE, EmulatorThread
from pyairtable_platform.common.errors import Denied, InvalidInput, NotFound, Reason
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import record_pb2
from pyairtable_protos.airtable.v1.record_pb2 import (
    ROW_STATE_CREATED,
    ROW_STATE_DELETED,
    ROW_STATE_FAILED,
    ROW_STATE_UPDATED,
)

TABLE = "Contacts"


async def names(gateway: Gateway, formula: str = "") -> list[str]:
    request = rpc.ListRecordsRequest(
        workspace=WORKSPACE, base_id=BASE, table_id=TABLE, page_size=10000, filter_by_formula=formula
    )
    answer = await gateway.call("ListRecords", request)
    return [record.fields["Name"] for record in answer.records]


def updates(rows: list[tuple[str, dict[str, Any]]], **options: Any) -> rpc.UpdateRecordsRequest:
    records = [record_pb2.RecordUpdate(id=record_id, fields=dict_to_struct(fields)) for record_id, fields in rows]
    return rpc.UpdateRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id=TABLE, records=records, **options)


async def some(gateway: Gateway, count: int) -> list[str]:
    """Ids of new records."""
    answer = await gateway.call("CreateRecords", new_rows(TABLE, [{"Name": f"Made {n}"} for n in range(count)]))
    return [outcome.record_id for outcome in answer.outcomes]


async def test_97_rows_are_created_in_ten_calls_each_with_its_outcome(
    gateway: Gateway, emulator: EmulatorThread
) -> None:
    answer = await gateway.call("CreateRecords", new_rows(TABLE, [{"Name": f"Bulk {n}"} for n in range(97)]))
    assert answer.summary.created == 97
    assert [outcome.index for outcome in answer.outcomes] == list(range(97))
    assert len({outcome.record_id for outcome in answer.outcomes}) == 97
    assert [outcome.record.fields["Name"] for outcome in answer.outcomes] == [f"Bulk {n}" for n in range(97)]
    assert len([entry for entry in emulator.log() if entry["method"] == "POST"]) == 10
    assert len(await names(gateway, 'FIND("Bulk ", {Name}) = 1')) == 97


async def test_bad_rows_are_named_and_good_rows_beside_them_are_written(gateway: Gateway) -> None:
    rows: list[dict[str, Any]] = [{"Name": f"Mixed {n}"} for n in range(25)]
    rows[3]["Kind"] = "No such choice"
    rows[14]["Nonsense"] = 1
    rows[15]["Project Count"] = 7  # computed
    answer = await gateway.call("CreateRecords", new_rows(TABLE, rows))
    failed = {outcome.index: outcome.error for outcome in answer.outcomes if outcome.state == ROW_STATE_FAILED}
    assert failed.keys() == {3, 14, 15}
    assert (failed[14].reason, failed[14].field) == ("FIELD_NOT_FOUND", "Nonsense")
    assert failed[15].field == "Project Count"
    assert "No such choice" in failed[3].message
    assert (answer.summary.created, answer.summary.failed) == (22, 3)
    assert len(await names(gateway, 'FIND("Mixed ", {Name}) = 1')) == 22


async def test_a_write_of_which_every_row_fails_alike_is_a_failed_call(gateway: Gateway) -> None:
    with pytest.raises(NotFound) as unknown_field:
        await gateway.call("CreateRecords", new_rows(TABLE, [{"Nonsense": n} for n in range(12)]))
    assert unknown_field.value.reason is Reason.FIELD_NOT_FOUND
    assert unknown_field.value.metadata["field"] == "Nonsense"
    with pytest.raises(InvalidInput) as wrong_type:
        await gateway.call("CreateRecords", new_rows("Projects", [{"Name": "x", "Budget": "a lot"}]))
    assert wrong_type.value.violations[0].field == "fields.Budget"


async def test_updates_keep_other_cells_and_replacing_clears_them(gateway: Gateway) -> None:
    ids = await some(gateway, 12)
    answer = await gateway.call("UpdateRecords", updates([(record, {"City": "Graz"}) for record in ids]))
    assert {outcome.state for outcome in answer.outcomes} == {ROW_STATE_UPDATED}
    assert [outcome.record_id for outcome in answer.outcomes] == ids
    assert all(outcome.record.fields["Name"] for outcome in answer.outcomes)
    replaced = await gateway.call("UpdateRecords", updates([(ids[0], {"City": "Wien"})], replace=True))
    assert "Name" not in replaced.outcomes[0].record.fields


async def test_an_update_of_a_missing_record_fails_that_row_only(gateway: Gateway) -> None:
    ids = await some(gateway, 3)
    rows: list[tuple[str, dict[str, Any]]] = [(record, {"City": "Linz"}) for record in [*ids, "recNotThere000000"]]
    answer = await gateway.call("UpdateRecords", updates(rows))
    assert [outcome.state for outcome in answer.outcomes] == [ROW_STATE_UPDATED] * 3 + [ROW_STATE_FAILED]
    assert answer.outcomes[3].error.reason == "RECORD_NOT_FOUND"
    with pytest.raises(NotFound) as caught:
        await gateway.call("UpdateRecords", updates([rows[3]]))
    assert caught.value.reason is Reason.RECORD_NOT_FOUND
    assert caught.value.metadata["record"] == "recNotThere000000"


async def test_the_same_record_twice_is_refused_before_anything_is_written(gateway: Gateway) -> None:
    ids = await some(gateway, 1)
    with pytest.raises(InvalidInput) as caught:
        await gateway.call("UpdateRecords", updates([(ids[0], {"City": "A"}), (ids[0], {"City": "B"})]))
    assert caught.value.violations[0].field == "records[1].id"


async def test_upsert_tells_created_from_updated(gateway: Gateway) -> None:
    await some(gateway, 3)
    rows = [record_pb2.RecordUpdate(fields=dict_to_struct({"Name": f"Made {n}", "City": "Enns"})) for n in range(5)]
    request = rpc.UpsertRecordsRequest(
        workspace=WORKSPACE, base_id="crm", table_id=TABLE, records=rows, fields_to_merge_on=["Name"]
    )
    answer = await gateway.call("UpsertRecords", request)
    assert [outcome.state for outcome in answer.outcomes] == [ROW_STATE_UPDATED] * 3 + [ROW_STATE_CREATED] * 2
    assert len(await names(gateway, '{City} = "Enns"')) == 5


async def test_deletes_of_any_number_with_a_missing_one_among_them(gateway: Gateway) -> None:
    ids = await some(gateway, 23)
    request = rpc.DeleteRecordsRequest(
        workspace=WORKSPACE, base_id="crm", table_id=TABLE, record_ids=[*ids[:12], "recNotThere000000", *ids[12:]]
    )
    answer = await gateway.call("DeleteRecords", request)
    states = [outcome.state for outcome in answer.outcomes]
    assert states == [ROW_STATE_DELETED] * 12 + [ROW_STATE_FAILED] + [ROW_STATE_DELETED] * 11
    assert not await names(gateway, 'FIND("Made ", {Name}) = 1')


async def test_writes_work_over_rest_and_unknown_json_fields_are_named(gateway: Gateway) -> None:
    url = f"/bases/{BASE}/tables/{TABLE}/records"
    created = await gateway.http.post(url, json={"records": [{"fields": {"Name": "Über 'Rest' \"&\" \\"}}]})
    assert created.status_code == 200, created.text
    outcome = created.json()["outcomes"][0]
    assert outcome["state"] == "ROW_STATE_CREATED"
    assert outcome["record"]["fields"]["Name"] == "Über 'Rest' \"&\" \\"
    wrong = await gateway.http.post(url, json={"records": [{"cells": {}}]})
    assert wrong.status_code == 400
    assert "cells" in wrong.text
    malformed = await gateway.http.post(url, content=b"{", headers={"content-type": "application/json"})
    assert malformed.status_code == 400
    gone = await gateway.http.request("DELETE", url, params={"record_ids": outcome["record_id"]})
    assert gone.json()["summary"]["deleted"] == 1


async def test_a_base_bound_for_reading_refuses_writes_and_the_schema_needs_its_own_right(gateway: Gateway) -> None:
    request = new_rows("Products", [{"Name": "Sofa"}])
    request.base_id = SECOND_BASE
    with pytest.raises(Denied) as caught:
        await gateway.call("CreateRecords", request)
    assert caught.value.reason is Reason.BASE_READ_ONLY
    assert caught.value.metadata["base"] == SECOND_BASE


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
async def test_a_number_that_json_cannot_hold_is_refused_and_clears_nothing(gateway: Gateway, number: float) -> None:
    request = new_rows("Projects", [{"Name": "a"}, {"Name": "b"}])
    request.records[1].fields.fields["Budget"].number_value = number
    with pytest.raises(InvalidInput) as caught:
        await gateway.call("CreateRecords", request)
    assert caught.value.violations[0].field == "records[1].fields.Budget"
