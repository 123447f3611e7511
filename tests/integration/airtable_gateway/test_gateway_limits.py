"""The limiter live: two gateways on one Valkey, floods, Valkey killed and back, budgets, tokens that change."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from integration.airtable_gateway.conftest import (
    WORKSPACE,
    Gateway,
    OpenGateway,
    new_rows,
    until,
    workspace_document,
    write_document,
)

from pyairtable_devkit.airtable.testing import BASE, TOKEN_ALL, EmulatorThread
from pyairtable_devkit.databases import Valkey
from pyairtable_platform.common.errors import FailedPrecondition, QuotaExhausted, RateLimited, Reason
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc

REFUSED_BY_PACING = "429"


def a_page() -> rpc.ListRecordsRequest:
    return rpc.ListRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id="Contacts", page_size=1)


async def press(gateways: list[Gateway], calls: int) -> None:
    """So many reads on each gateway, all at once."""
    await asyncio.gather(*(gateway.call("ListRecords", a_page()) for gateway in gateways for _ in range(calls)))


def peak_of(emulator: EmulatorThread) -> int:
    """The most calls for the base within any second, by the emulator's log."""
    times: list[float] = sorted(entry["arrived"] for entry in emulator.log() if entry["base"] == BASE)
    return max(sum(start <= time < start + 1.0 for time in times) for start in times)


@pytest.fixture
def limited(emulator: EmulatorThread) -> EmulatorThread:
    """Airtable's own limits."""
    emulator.settings(limits=True)
    return emulator


async def test_two_gateways_flooded_never_exceed_the_limit_together(
    open_gateway: OpenGateway, limited: EmulatorThread
) -> None:
    async with open_gateway() as one, open_gateway() as two:
        await press([one, two], 18)
    assert peak_of(limited) <= 5
    assert limited.counters()["statuses"].get(REFUSED_BY_PACING, 0) == 0


@pytest.mark.slow
async def test_valkey_killed_and_back_under_load(open_gateway: OpenGateway, limited: EmulatorThread) -> None:
    """On a Valkey of its own, as it is killed."""
    with Valkey.start() as valkey:
        settings: dict[str, Any] = {"redis_url": valkey.url, "gateway_replicas": 2}
        async with open_gateway(**settings) as one, open_gateway(**settings) as two:
            load = asyncio.create_task(press([one, two], 40))
            await asyncio.sleep(2)
            valkey.kill()
            await asyncio.sleep(7)
            health = (await one.http.get("/health")).json()
            assert health["status"] == "degraded"
            assert health["checks"]["redis"]["status"] == "unhealthy"
            valkey.restart()
            await asyncio.wait_for(load, 60)
            assert (await one.http.get("/health")).json()["status"] == "healthy"
    assert peak_of(limited) <= 5
    assert limited.counters()["statuses"].get(REFUSED_BY_PACING, 0) == 0


@pytest.mark.slow
async def test_a_frozen_valkey_is_as_good_as_none_and_its_thaw_does_no_harm(
    open_gateway: OpenGateway, limited: EmulatorThread
) -> None:
    with Valkey.start() as valkey:
        async with open_gateway(redis_url=valkey.url) as gateway:
            load = asyncio.create_task(press([gateway], 50))
            await asyncio.sleep(1)
            valkey.pause()
            await asyncio.sleep(3)
            valkey.resume()
            await asyncio.wait_for(load, 60)
    assert peak_of(limited) <= 5
    assert limited.counters()["statuses"].get(REFUSED_BY_PACING, 0) == 0


async def test_a_call_that_cannot_make_its_deadline_is_refused_at_once_with_the_wait(
    open_gateway: OpenGateway, emulator: EmulatorThread
) -> None:
    async with open_gateway() as gateway:
        load = asyncio.create_task(press([gateway], 40))
        await until(lambda: len(emulator.log()) >= 5)
        arrived = len(emulator.log())
        with pytest.raises(RateLimited) as caught:
            await gateway.call("ListRecords", a_page(), timeout=1.5)
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 1
        assert len(emulator.log()) - arrived <= 6
        load.cancel()


async def test_a_monthly_budget_ends_calls_before_airtable_sees_them(
    open_gateway: OpenGateway, documents: Path, emulator: EmulatorThread
) -> None:
    write_document(documents, workspace_document(monthlyCallBudget=3))
    async with open_gateway() as gateway:
        for _ in range(200):
            usage = await gateway.call("GetUsage", rpc.GetUsageRequest(workspace=WORKSPACE))
            if usage.monthly_call_budget == 3:
                break
            await asyncio.sleep(0.05)
        for _ in range(3):
            await gateway.call("ListRecords", a_page())
        with pytest.raises(QuotaExhausted) as caught:
            await gateway.call("ListRecords", a_page())
        assert caught.value.reason is Reason.QUOTA_EXHAUSTED
    async with open_gateway() as restarted:  # what was counted outlives the process
        with pytest.raises(QuotaExhausted):
            await restarted.call("ListRecords", a_page())
        usage = await restarted.call("GetUsage", rpc.GetUsageRequest(workspace=WORKSPACE))
        assert usage.calls == 3
    assert len(emulator.log()) == 3


async def test_a_token_file_that_changes_counts_at_once(
    open_gateway: OpenGateway, documents: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secrets" / "acme-airtable"
    secret.mkdir(parents=True)
    (secret / "token").write_text("patWrong.not-a-real-token\n")
    reference = {"name": "acme-airtable", "key": "token"}
    write_document(documents, workspace_document(tokenSecretRef=reference))
    async with open_gateway(secrets_path=tmp_path / "secrets", airtable_token=None) as gateway:
        with pytest.raises(FailedPrecondition) as caught:
            await until_secret_is_named(gateway)
        assert caught.value.reason is Reason.AIRTABLE_TOKEN_REJECTED
        (secret / "token").write_text(TOKEN_ALL + "\n")
        assert (await gateway.call("ListRecords", a_page())).records
        (secret / "token").unlink()
        with pytest.raises(FailedPrecondition) as missing:
            await gateway.call("ListRecords", a_page())
        assert missing.value.reason is Reason.CREDENTIAL_MISSING
        assert missing.value.metadata["credential"] == "secret acme-airtable, key token"


async def until_secret_is_named(gateway: Gateway) -> None:
    """Call until the registry has told of the changed document."""
    for _ in range(200):
        try:
            await gateway.call("ListRecords", a_page())
        except FailedPrecondition as error:
            if error.reason is not Reason.CREDENTIAL_MISSING:
                raise
            await asyncio.sleep(0.05)


async def test_metrics_tell_of_calls_waits_and_rows(open_gateway: OpenGateway) -> None:
    async with open_gateway() as gateway:
        await gateway.call("CreateRecords", new_rows("Contacts", [{"Name": "Counted"}]))
        text = (await gateway.http.get("/metrics")).text
    assert 'pyairtable_airtable_calls_total{operation="create_records",outcome="ok"}' in text
    assert "pyairtable_airtable_turn_wait_seconds_bucket" in text
    assert 'pyairtable_airtable_rows_total{state="CREATED"}' in text
    assert BASE not in text
