"""What becomes of calls in progress when their workspace is suspended, removed or loses a base."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.airtable_gateway.conftest import WORKSPACE, Gateway, OpenGateway, workspace_document, write_document

from pyairtable_devkit.airtable.testing import SECOND_BASE
from pyairtable_platform.common.errors import PyAirtableError, Reason
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc

SLOW = {"airtable_calls_per_second_per_base": 1, "airtable_calls_per_second_per_token": 10}


def suspend(folder: Path) -> None:
    document = workspace_document()
    document["spec"]["suspend"] = True
    write_document(folder, document)


def remove(folder: Path) -> None:
    (folder / f"{WORKSPACE}.yaml").unlink()


def unbind(folder: Path) -> None:
    bases = [{"name": "showroom", "baseId": SECOND_BASE, "access": "ReadOnly"}]
    write_document(folder, workspace_document(bases=bases))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (suspend, Reason.WORKSPACE_SUSPENDED),
        (remove, Reason.WORKSPACE_NOT_FOUND),
        (unbind, Reason.BASE_NOT_FOUND),
    ],
)
async def test_a_stream_ends_and_new_calls_are_refused(
    open_gateway: OpenGateway, documents: Path, change: Callable[[Path], None], reason: Reason
) -> None:
    async with open_gateway(**SLOW) as gateway:
        request = rpc.StreamRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id="Working Hours", page_size=10)
        pages = gateway.channel.stream(gateway.stub.StreamRecords, request, timeout=60)
        await anext(pages)
        change(documents)
        with pytest.raises(PyAirtableError) as caught:
            async for _ in pages:
                pass
        assert caught.value.reason is reason
        with pytest.raises(PyAirtableError) as caught:
            await gateway.call("GetBaseSchema", rpc.GetBaseSchemaRequest(workspace=WORKSPACE, base_id="crm"))
        assert caught.value.reason is reason


async def test_a_suspended_workspace_is_refused_until_it_goes_on_and_its_usage_is_told(
    gateway: Gateway, documents: Path
) -> None:
    whoami: Any = rpc.GetIdentityRequest(workspace=WORKSPACE)
    await gateway.call("GetIdentity", whoami)
    suspend(documents)

    async def is_refused() -> bool:
        try:
            await gateway.call("GetIdentity", whoami)
        except PyAirtableError as error:
            assert error.reason is Reason.WORKSPACE_SUSPENDED
            return True
        return False

    for wanted in (True, False):
        for _ in range(200):
            if await is_refused() is wanted:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the change did not arrive")
        usage = await gateway.call("GetUsage", rpc.GetUsageRequest(workspace=WORKSPACE))
        assert usage.calls > 0
        write_document(documents, workspace_document())
