"""Writes that were carried out although no attempt was ever answered: never told as failed."""

from __future__ import annotations

from typing import Any

import pytest
from integration.airtable_gateway.conftest import WORKSPACE, OpenGateway, new_rows

from pyairtable_devkit.airtable.testing import EmulatorThread
from pyairtable_platform.common.errors import OutcomeUnknown
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import record_pb2
from pyairtable_protos.airtable.v1.record_pb2 import ROW_STATE_NOT_ATTEMPTED, ROW_STATE_UNKNOWN, ROW_STATE_UPDATED

TABLE = "Contacts"
UNPACED = {"airtable_calls_per_second_per_base": 100, "airtable_calls_per_second_per_token": 1000}
WHERE: dict[str, Any] = {"workspace": WORKSPACE, "base_id": "crm", "table_id": TABLE}


def moved(ids: list[str], city: str, **options: Any) -> rpc.UpdateRecordsRequest:
    records = [record_pb2.RecordUpdate(id=each, fields=dict_to_struct({"City": city})) for each in ids]
    return rpc.UpdateRecordsRequest(**WHERE, records=records, **options)


async def made(gateway: Any, count: int) -> list[str]:
    rows: list[dict[str, Any]] = [{"Name": f"Doubt {n}", "City": "Linz"} for n in range(count)]
    answer = await gateway.call("CreateRecords", new_rows(TABLE, rows))
    return [outcome.record_id for outcome in answer.outcomes]


@pytest.mark.parametrize("kind", ["reset_after", "cut_body"])
@pytest.mark.parametrize("key", ["", "doubt"], ids=["plain", "keyed"])
async def test_an_update_that_is_never_answered_is_unknown(
    open_gateway: OpenGateway, emulator: EmulatorThread, kind: str, key: str
) -> None:
    async with open_gateway(**UNPACED) as gateway:
        ids = await made(gateway, 12)
        emulator.fault(kind, match={"method": "PATCH"}, times=None)
        answer = await gateway.call("UpdateRecords", moved(ids, "Steyr", idempotency_key=key))
        emulator.clear_faults()
        states = [outcome.state for outcome in answer.outcomes]
        assert states == [ROW_STATE_UNKNOWN] * 10 + [ROW_STATE_NOT_ATTEMPTED] * 2
        assert answer.outcomes[0].error.reason == "WRITE_OUTCOME_UNKNOWN"
        assert answer.outcomes[11].error.reason == "AIRTABLE_UNAVAILABLE"
        record = (await gateway.call("GetRecord", rpc.GetRecordRequest(**WHERE, record_id=ids[0]))).record
        assert record.fields["City"] == "Steyr"
        if key:
            assert await gateway.call("UpdateRecords", moved(ids, "Steyr", idempotency_key=key)) == answer


async def test_an_upsert_in_doubt_when_its_deadline_ends_is_unknown(
    open_gateway: OpenGateway, emulator: EmulatorThread
) -> None:
    async with open_gateway(**UNPACED) as gateway:
        emulator.fault("timeout_after", match={"method": "PATCH"}, times=None, seconds=5.0)
        rows = [record_pb2.RecordUpdate(fields=dict_to_struct({"Name": "Doubt upsert"}))]
        request = rpc.UpsertRecordsRequest(**WHERE, records=rows, fields_to_merge_on=["Name"])
        answer = await gateway.call("UpsertRecords", request, timeout=2)
    assert answer.outcomes[0].state == ROW_STATE_UNKNOWN


async def test_a_comment_change_that_is_never_answered_is_unknown(
    open_gateway: OpenGateway, emulator: EmulatorThread
) -> None:
    async with open_gateway(**UNPACED) as gateway:
        ids = await made(gateway, 12)
        comment = rpc.CreateCommentRequest(**WHERE, record_id=ids[0], text="Before")
        comment_id = (await gateway.call("CreateComment", comment)).comment.id
        emulator.fault("reset_after", match={"method": "PATCH"}, times=None)
        update = rpc.UpdateCommentRequest(**WHERE, record_id=ids[0], comment_id=comment_id, text="After")
        with pytest.raises(OutcomeUnknown):
            await gateway.call("UpdateComment", update)
        emulator.clear_faults()
        again = await gateway.call("UpdateRecords", moved(ids, "Enns"))
    assert {outcome.state for outcome in again.outcomes} == {ROW_STATE_UPDATED}
