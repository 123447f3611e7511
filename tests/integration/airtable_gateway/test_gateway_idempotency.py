"""Idempotency keys: one effect, one answer, whoever asks, however often, and after a crash."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from integration.airtable_gateway.conftest import (
    WORKSPACE,
    Gateway,
    OpenGateway,
    create_past_the_gateway,
    new_rows,
    until,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_devkit.airtable.testing import EmulatorThread
from pyairtable_devkit.databases import Postgres
from pyairtable_platform.airtable_gateway.idempotency import WriteKey
from pyairtable_platform.airtable_gateway.store import GatewayStore
from pyairtable_platform.common.database import open_engine
from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, NotFound, Reason, Unavailable
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1.record_pb2 import ROW_STATE_CREATED, ROW_STATE_UNKNOWN

TABLE = "Contacts"
UNPACED = {"airtable_calls_per_second_per_base": 100, "airtable_calls_per_second_per_token": 1000}


def keyed(key: str, count: int = 12, city: str = "Linz") -> rpc.CreateRecordsRequest:
    rows: list[dict[str, Any]] = [{"Name": f"Keyed {n}", "City": city} for n in range(count)]
    return new_rows(TABLE, rows, idempotency_key=key)


async def written(gateway: Gateway) -> int:
    request = rpc.ListRecordsRequest(
        workspace=WORKSPACE,
        base_id="crm",
        table_id=TABLE,
        filter_by_formula='FIND("Keyed ", {Name}) = 1',
        page_size=999,
    )
    return len((await gateway.call("ListRecords", request)).records)


async def test_a_repeat_writes_nothing_and_returns_the_first_answer(gateway: Gateway) -> None:
    first = await gateway.call("CreateRecords", keyed("one"))
    again = await gateway.call("CreateRecords", keyed("one"))
    assert first.summary.created == 12
    assert again == first
    assert await written(gateway) == 12


async def test_parallel_calls_on_two_gateways_have_one_effect(open_gateway: OpenGateway) -> None:
    async with open_gateway(**UNPACED) as one, open_gateway(**UNPACED) as two:
        answers = await asyncio.gather(*(gateway.call("CreateRecords", keyed("two")) for gateway in (one, two) * 4))
        assert all(answer == answers[0] for answer in answers)
        assert await written(one) == 12


async def test_the_same_key_for_something_else_is_refused(gateway: Gateway) -> None:
    await gateway.call("CreateRecords", keyed("three"))
    delete = rpc.DeleteRecordsRequest(
        workspace=WORKSPACE, base_id="crm", table_id=TABLE, record_ids=["recNotThere000000"], idempotency_key="three"
    )
    for method, request in (("CreateRecords", keyed("three", city="Wien")), ("DeleteRecords", delete)):
        with pytest.raises(FailedPrecondition) as caught:
            await gateway.call(method, request)
        assert caught.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert await written(gateway) == 12


async def test_a_write_that_failed_as_a_whole_frees_its_key(gateway: Gateway) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            await gateway.call("CreateRecords", new_rows("Nothing", [{"Name": "x"}], idempotency_key="four"))
        with pytest.raises(InvalidInput):
            await gateway.call("CreateRecords", new_rows("Projects", [{"Budget": "x"}], idempotency_key="five"))
    answer = await gateway.call("CreateRecords", keyed("four"))
    assert answer.summary.created == 12


async def test_a_cell_with_a_nul_is_stored_and_a_key_with_one_is_refused(gateway: Gateway) -> None:
    request = new_rows(TABLE, [{"Name": "Keyed a\0b"}], idempotency_key="nul")
    first = await gateway.call("CreateRecords", request)
    assert first.summary.created == 1
    assert await gateway.call("CreateRecords", request) == first
    assert await written(gateway) == 1
    with pytest.raises(InvalidInput) as caught:
        await gateway.call("CreateRecords", keyed("a\0b"))
    assert caught.value.violations[0].field == "idempotency_key"


async def test_partly_failed_rows_are_part_of_the_stored_answer(gateway: Gateway) -> None:
    request = keyed("six")
    request.records[4].fields.update({"Kind": "No such choice"})
    first = await gateway.call("CreateRecords", request)
    assert (first.summary.created, first.summary.failed) == (11, 1)
    assert await gateway.call("CreateRecords", request) == first
    assert await written(gateway) == 11


async def test_the_write_goes_on_when_its_caller_leaves(open_gateway: OpenGateway, emulator: EmulatorThread) -> None:
    async with open_gateway() as gateway:  # paced: 60 rows take a second
        call = asyncio.create_task(gateway.call("CreateRecords", keyed("seven", 60)))
        await until(lambda: any(entry["method"] == "POST" for entry in emulator.log()))
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        answer = await gateway.call("CreateRecords", keyed("seven", 60))
        assert answer.summary.created == 60
        assert await written(gateway) == 60


@pytest.fixture
async def engine(database_url: str) -> Any:
    opened = open_engine(DatabaseSettings(database_url=database_url), "airtable_gateway")  # type: ignore[arg-type]
    yield opened
    await opened.dispose()


@pytest.mark.parametrize("did_arrive", [True, False])
async def test_after_a_crash_the_batch_that_was_on_its_way_is_looked_up_and_the_rest_written(
    gateway: Gateway, emulator: EmulatorThread, engine: AsyncEngine, did_arrive: bool
) -> None:
    """A gateway died between sending the first batch and noting its answer."""
    request = keyed("eight", 25)
    key = await key_of_a_run_that_died(gateway, engine, request)
    if did_arrive:
        create_past_the_gateway(emulator, [{"Name": f"Keyed {n}", "City": "Linz"} for n in range(10)])
    answer = await gateway.call("CreateRecords", request)
    states = [outcome.state for outcome in answer.outcomes]
    assert states[:10] == [ROW_STATE_CREATED if did_arrive else ROW_STATE_UNKNOWN] * 10
    assert states[10:] == [ROW_STATE_CREATED] * 15
    assert await written(gateway) == (25 if did_arrive else 15)
    assert await gateway.call("CreateRecords", request) == answer
    assert key.tenant == WORKSPACE


async def key_of_a_run_that_died(gateway: Gateway, engine: AsyncEngine, request: rpc.CreateRecordsRequest) -> WriteKey:
    """Leave in the store what a gateway leaves that is killed after sending its first batch."""
    from pyairtable_platform.airtable_gateway.idempotency import request_hash
    from pyairtable_platform.airtable_gateway.messages import to_options
    from pyairtable_platform.common.values import struct_to_dict

    rows = [["", struct_to_dict(row.fields)] for row in request.records]
    digest = request_hash("Create", "appAcmeRenovation", TABLE, rows, to_options(request))
    key = WriteKey(WORKSPACE, request.idempotency_key, digest)
    store = GatewayStore(engine)
    assert (await store.claim(key, "the dead one", -1.0)).is_mine
    await store.note_sending(key, "the dead one", range(10), datetime.now(UTC))
    return key


async def test_without_the_database_a_keyed_write_is_refused_and_others_go_on(
    open_gateway: OpenGateway, postgres: Postgres, emulator: EmulatorThread
) -> None:
    async with open_gateway(**UNPACED) as gateway:
        await gateway.call("CreateRecords", keyed("nine"))
        postgres.kill()
        try:
            with pytest.raises(Unavailable) as caught:
                await gateway.call("CreateRecords", keyed("ten"))
            assert caught.value.metadata["dependency"] == "postgres"
            plain = await gateway.call("CreateRecords", new_rows(TABLE, [{"Name": "Plain"}]))
            assert plain.summary.created == 1
            health = (await gateway.http.get("/health")).json()
            assert health["checks"]["postgres"]["status"] == "unhealthy"
        finally:
            postgres.restart()
        answer = await gateway.call("CreateRecords", keyed("ten"))
        assert answer.summary.created == 12
        assert (await gateway.call("CreateRecords", keyed("nine"))).summary.created == 12
        assert await written(gateway) == 24
        usage = await gateway.call("GetUsage", rpc.GetUsageRequest(workspace=WORKSPACE))
        assert usage.calls == len(emulator.log())
