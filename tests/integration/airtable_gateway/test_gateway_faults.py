"""Faults between the gateway and Airtable: nothing is written twice, nothing lost without a word, nothing invented."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from integration.airtable_gateway.conftest import WORKSPACE, Gateway, OpenGateway, create_past_the_gateway, new_rows

from pyairtable_devkit.airtable.testing import EmulatorThread
from pyairtable_platform.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    Reason,
    Unavailable,
)
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import record_pb2
from pyairtable_protos.airtable.v1.record_pb2 import (
    ROW_STATE_CREATED,
    ROW_STATE_DELETED,
    ROW_STATE_NOT_ATTEMPTED,
    ROW_STATE_UNKNOWN,
)

TABLE = "Contacts"
UNPACED = {"airtable_calls_per_second_per_base": 100, "airtable_calls_per_second_per_token": 1000}
IMPATIENT = {**UNPACED, "airtable_timeout_seconds": 1.0}
SLOW_FAULT = {"seconds": 5.0}


def rows_named(prefix: str, count: int) -> list[dict[str, Any]]:
    return [{"Name": f"{prefix} {n}", "City": "Linz"} for n in range(count)]


def at_airtable(emulator: EmulatorThread, prefix: str) -> list[str]:
    """Names in the table itself that begin with the prefix, read past the gateway."""
    import httpx2

    listed = httpx2.get(
        f"{emulator.url}/v0/appAcmeRenovation/{TABLE}",
        params={"filterByFormula": f'FIND("{prefix} ", {{Name}}) = 1'},
        headers=emulator.auth(),
    )
    return sorted(record["fields"]["Name"] for record in listed.json()["records"])


def a_page() -> rpc.ListRecordsRequest:
    return rpc.ListRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id=TABLE, page_size=5)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 502},
        {"kind": "status", "status": 503},
        {"kind": "cut_body"},
        {"kind": "reset"},
        {"kind": "timeout_before", **SLOW_FAULT},
    ],
    ids=lambda fault: f"{fault['kind']}{fault.get('status', '')}",
)
async def test_a_read_is_repeated_after_a_passing_fault(
    open_gateway: OpenGateway, emulator: EmulatorThread, fault: dict[str, Any]
) -> None:
    async with open_gateway(**IMPATIENT) as gateway:
        emulator.fault(**fault, times=2)
        assert len((await gateway.call("ListRecords", a_page())).records) == 5


async def test_trouble_that_lasts_is_told_and_not_repeated_for_ever(gateway: Gateway, emulator: EmulatorThread) -> None:
    emulator.fault("status", status=503, times=None)
    before = len(emulator.log())
    with pytest.raises(Unavailable) as caught:
        await gateway.call("ListRecords", a_page())
    assert caught.value.reason is Reason.AIRTABLE_UNAVAILABLE
    assert len(emulator.log()) - before == 4
    emulator.clear_faults()
    assert len((await gateway.call("ListRecords", a_page())).records) == 5


@pytest.mark.parametrize(
    ("fault", "state", "written"),
    [
        ({"kind": "timeout_after", **SLOW_FAULT}, ROW_STATE_CREATED, 7),
        ({"kind": "timeout_before", **SLOW_FAULT}, ROW_STATE_UNKNOWN, 0),
        ({"kind": "reset_after"}, ROW_STATE_CREATED, 7),
        ({"kind": "reset"}, ROW_STATE_UNKNOWN, 0),
        ({"kind": "cut_body"}, ROW_STATE_CREATED, 7),
        ({"kind": "status", "status": 500}, ROW_STATE_CREATED, 7),
        ({"kind": "status", "status": 503}, ROW_STATE_CREATED, 7),
    ],
    ids=lambda value: f"{value['kind']}{value.get('status', '')}" if isinstance(value, dict) else None,
)
async def test_a_create_with_a_lost_answer_is_looked_up_and_never_done_twice(
    open_gateway: OpenGateway, emulator: EmulatorThread, fault: dict[str, Any], state: int, written: int
) -> None:
    async with open_gateway(**IMPATIENT) as gateway:
        emulator.fault(**fault, match={"method": "POST"}, times=1)
        answer = await gateway.call("CreateRecords", new_rows(TABLE, rows_named("Lost", 7)))
    assert {outcome.state for outcome in answer.outcomes} == {state}
    assert at_airtable(emulator, "Lost") == [f"Lost {n}" for n in range(written)]
    if state == ROW_STATE_CREATED:
        assert [outcome.record.fields["Name"] for outcome in answer.outcomes] == [f"Lost {n}" for n in range(7)]
    else:
        assert answer.outcomes[0].error.reason == "WRITE_OUTCOME_UNKNOWN"


@pytest.mark.parametrize("kind", ["status", "reset"])
async def test_a_create_never_takes_the_record_of_an_equal_one(
    gateway: Gateway, emulator: EmulatorThread, kind: str
) -> None:
    first = await gateway.call("CreateRecords", new_rows(TABLE, [{"Name": "Twin 0"}]))
    emulator.fault(kind, match={"method": "POST"}, times=1, **({"status": 503} if kind == "status" else {}))
    second = await gateway.call("CreateRecords", new_rows(TABLE, [{"Name": "Twin 0"}]))
    assert second.outcomes[0].record_id != first.outcomes[0].record_id
    assert second.outcomes[0].state == (ROW_STATE_CREATED if kind == "status" else ROW_STATE_UNKNOWN)
    assert len(at_airtable(emulator, "Twin")) == (2 if kind == "status" else 1)


async def test_a_create_that_may_be_somebody_elses_is_unknown_and_not_repeated(
    gateway: Gateway, emulator: EmulatorThread
) -> None:
    create_past_the_gateway(emulator, [{"Name": "Other 0"}])
    await asyncio.sleep(1.1)  # Airtable tells whole seconds
    emulator.fault("status", status=503, match={"method": "POST"}, times=1)
    answer = await gateway.call("CreateRecords", new_rows(TABLE, [{"Name": "Other 0"}]))
    assert answer.outcomes[0].state == ROW_STATE_UNKNOWN
    assert len(at_airtable(emulator, "Other")) == 1


async def test_a_lost_answer_midway_leaves_the_other_batches_alone(
    open_gateway: OpenGateway, emulator: EmulatorThread
) -> None:
    async with open_gateway(**IMPATIENT) as gateway:
        emulator.fault("reset_after", match={"method": "POST"}, times=1)
        answer = await gateway.call("CreateRecords", new_rows(TABLE, rows_named("Mid", 34)))
    assert answer.summary.created == 34
    assert len(at_airtable(emulator, "Mid")) == 34


@pytest.mark.parametrize("kind", ["timeout_after", "reset_after", "cut_body"])
async def test_updates_and_deletes_are_repeated_and_told_right(
    open_gateway: OpenGateway, emulator: EmulatorThread, kind: str
) -> None:
    async with open_gateway(**IMPATIENT) as gateway:
        made = await gateway.call("CreateRecords", new_rows(TABLE, rows_named("Again", 12)))
        ids = [outcome.record_id for outcome in made.outcomes]
        emulator.fault(kind, match={"method": "PATCH"}, times=1, **SLOW_FAULT)
        changed = [record_pb2.RecordUpdate(id=each, fields=dict_to_struct({"City": "Steyr"})) for each in ids]
        update = rpc.UpdateRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id=TABLE, records=changed)
        assert (await gateway.call("UpdateRecords", update)).summary.updated == 12
        emulator.fault(kind, match={"method": "DELETE"}, times=1, **SLOW_FAULT)
        delete = rpc.DeleteRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id=TABLE, record_ids=ids)
        answer = await gateway.call("DeleteRecords", delete)
    assert {outcome.state for outcome in answer.outcomes} == {ROW_STATE_DELETED}
    assert at_airtable(emulator, "Again") == []


async def test_a_comment_with_a_lost_answer_is_not_written_again(gateway: Gateway, emulator: EmulatorThread) -> None:
    record = (await gateway.call("ListRecords", a_page())).records[0].id
    emulator.fault("reset_after", match={"method": "POST"}, times=1)
    where = {"workspace": WORKSPACE, "base_id": "crm", "table_id": TABLE, "record_id": record}
    with pytest.raises(OutcomeUnknown):
        await gateway.call("CreateComment", rpc.CreateCommentRequest(**where, text="Once only"))
    comments = (await gateway.call("ListComments", rpc.ListCommentsRequest(**where))).comments
    assert [comment.text for comment in comments].count("Once only") == 1


async def test_a_deadline_midway_tells_what_was_done_and_what_was_not(
    open_gateway: OpenGateway, emulator: EmulatorThread
) -> None:
    async with open_gateway() as gateway:  # five calls a second: 300 rows need six seconds
        answer = await gateway.call("CreateRecords", new_rows(TABLE, rows_named("Late", 300)), timeout=4)
    assert answer.summary.created > 0
    assert answer.summary.not_attempted > 0
    assert answer.summary.unknown in (0, 10)  # one batch at most was on its way when time was up
    assert answer.summary.created + answer.summary.unknown + answer.summary.not_attempted == 300
    known = answer.summary.created + answer.summary.unknown
    assert known >= len(at_airtable(emulator, "Late"))  # a page of at most 100
    untouched = next(outcome for outcome in answer.outcomes if outcome.state == ROW_STATE_NOT_ATTEMPTED)
    assert untouched.error.reason in ("RATE_LIMITED", "DEADLINE")


async def test_429_pauses_the_base_for_all_gateways_and_nobody_probes(
    open_gateway: OpenGateway, emulator: EmulatorThread
) -> None:
    async with open_gateway() as one, open_gateway() as two:
        for gateway in (one, two):
            await gateway.call("ListRecords", a_page())
        emulator.fault("status", status=429, times=1)
        arrived = len(emulator.log())
        with pytest.raises(RateLimited) as first:
            await one.call("ListRecords", a_page(), timeout=0.8)
        with pytest.raises(RateLimited) as second:
            await two.call("ListRecords", a_page(), timeout=0.5)
        for caught in (first, second):
            assert caught.value.retry_after is not None
            assert 0 < caught.value.retry_after <= 1.3
        assert len(emulator.log()) == arrived + 1
        assert len((await two.call("ListRecords", a_page(), timeout=10)).records) == 5


async def test_the_monthly_limit_of_the_plan_is_told_apart_and_never_repeated(
    gateway: Gateway, emulator: EmulatorThread
) -> None:
    emulator.settings(limits=True, base_per_second=100, plan="free", monthly_cap=1)
    await gateway.call("ListRecords", a_page())
    arrived = len(emulator.log())
    with pytest.raises(QuotaExhausted):
        await gateway.call("ListRecords", a_page())
    assert len(emulator.log()) == arrived + 1


async def test_a_rejected_token_names_the_credential(open_gateway: OpenGateway) -> None:
    async with open_gateway(**UNPACED, airtable_token="patUnknown.not-a-real-token") as gateway:
        with pytest.raises(FailedPrecondition) as caught:
            await gateway.call("ListRecords", a_page())
    assert caught.value.reason is Reason.AIRTABLE_TOKEN_REJECTED
    assert caught.value.metadata["credential"] == "AIRTABLE_TOKEN"
    assert "not-a-real-token" not in str(caught.value)


async def test_no_token_says_what_to_set(open_gateway: OpenGateway) -> None:
    async with open_gateway(**UNPACED, airtable_token=None) as gateway:
        with pytest.raises(FailedPrecondition) as caught:
            await gateway.call("ListRecords", a_page())
    assert caught.value.reason is Reason.CREDENTIAL_MISSING
    assert "AIRTABLE_TOKEN" in caught.value.message


async def test_an_airtable_that_cannot_be_reached_is_said_to_be_away(open_gateway: OpenGateway) -> None:
    async with open_gateway(**UNPACED, airtable_api_url="http://127.0.0.1:9") as gateway:
        with pytest.raises((Unavailable, DeadlineExceeded)):
            await gateway.call("ListRecords", a_page())
        health = (await gateway.http.get("/health")).json()
    assert health["status"] == "healthy"


async def test_97_single_creates_in_parallel_all_arrive(open_gateway: OpenGateway, emulator: EmulatorThread) -> None:
    """The loss that started it: 97 rows in parallel, 57 of them answered with 429 and counted as done."""
    emulator.settings(limits=True, penalty=1.0)
    async with open_gateway(airtable_calls_per_second_per_base=50) as gateway:
        emulator.settings(base_per_second=50)
        creates = [gateway.call("CreateRecords", new_rows(TABLE, [{"Name": f"Par {n}"}])) for n in range(97)]
        answers = await asyncio.gather(*creates)
    assert sum(answer.summary.created for answer in answers) == 97
    assert emulator.counters()["statuses"].get("429", 0) == 0
    assert len(at_airtable(emulator, "Par")) == 97
