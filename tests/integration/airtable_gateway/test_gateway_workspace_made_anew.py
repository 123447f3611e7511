"""A workspace that is deleted and made anew under its name is another tenant: nothing of the old one is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from integration.airtable_gateway.conftest import WORKSPACE, Gateway, new_rows

from pyairtable_devkit.airtable.testing import BASE
from pyairtable_platform.common import context
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.errors import InvalidInput, NotFound, PyAirtableError, Reason
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2, workspace_service_pb2_grpc

Declare = Callable[[str], Awaitable[None]]
TABLE = "Contacts"


@pytest.fixture
async def declare(gateway: Gateway, registry_target: str, documents: Path) -> AsyncIterator[Declare]:
    """Puts the workspace in force as the custom resource of a uid, after the one before it was removed."""
    base = workspace_pb2.BaseBinding(
        name="crm", base_id=BASE, access=workspace_pb2.BASE_ACCESS_READ_WRITE, is_default=True
    )

    (documents / f"{WORKSPACE}.yaml").unlink()
    await heard(gateway, Reason.WORKSPACE_NOT_FOUND)
    async with ServiceChannel(registry_target) as channel:
        stub: Any = workspace_service_pb2_grpc.WorkspaceServiceStub(channel.channel)

        async def apply(uid: str, *, suspended: bool) -> None:
            workspace = workspace_pb2.Workspace(name=WORKSPACE, bases=[base], suspended=suspended)
            source = workspace_pb2.Source(kind="Workspace", uid=uid, generation=1)
            request = workspace_service_pb2.ApplyWorkspaceRequest(workspace=workspace, source=source)
            await channel.call(stub.ApplyWorkspace, request)

        async def declared(uid: str) -> None:
            await apply("on-the-way", suspended=True)
            await heard(gateway, Reason.WORKSPACE_SUSPENDED)
            await apply(uid, suspended=False)
            await heard(gateway, None)

        yield declared


async def heard(gateway: Gateway, reason: Reason | None) -> None:
    """Wait until calls are refused for this reason, or are not."""
    # A page token that is none of ours: answered without a call to Airtable.
    request = listing(page_token="nonsense")
    for _ in range(500):
        try:
            await gateway.call("ListRecords", request)
        except PyAirtableError as error:
            if error.reason is (reason or Reason.PAGE_TOKEN_INVALID):
                return
        await asyncio.sleep(0.02)
    raise AssertionError("the change did not arrive")


def listing(**fields: Any) -> rpc.ListRecordsRequest:
    return rpc.ListRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id=TABLE, page_size=5, **fields)


async def usage(gateway: Gateway) -> int:
    return int((await gateway.call("GetUsage", rpc.GetUsageRequest(workspace=WORKSPACE))).calls)


async def test_the_new_one_inherits_no_usage_key_or_page(gateway: Gateway, declare: Declare) -> None:
    write = new_rows(TABLE, [{"Name": "Once"}], idempotency_key="k")
    await declare("uid-1")
    page = await gateway.call("ListRecords", listing())
    first = await gateway.call("CreateRecords", write)
    assert page.next_page_token
    used = await usage(gateway)
    assert used >= 2

    await declare("uid-2")
    assert await usage(gateway) == 0
    with pytest.raises(InvalidInput) as refused:
        await gateway.call("ListRecords", listing(page_token=page.next_page_token))
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID
    assert await usage(gateway) == 0
    second = await gateway.call("CreateRecords", write)
    assert second.outcomes[0].record_id != first.outcomes[0].record_id, "the answer of the old one is nobody's"

    await declare("uid-1")
    assert await usage(gateway) == used
    assert await gateway.call("CreateRecords", write) == first
    assert await gateway.call("ListRecords", listing(page_token=page.next_page_token))


async def test_a_file_keeps_what_it_had(gateway: Gateway, documents: Path) -> None:
    write = new_rows(TABLE, [{"Name": "Once"}], idempotency_key="k")
    page = await gateway.call("ListRecords", listing())
    first = await gateway.call("CreateRecords", write)
    used = await usage(gateway)
    file = documents / f"{WORKSPACE}.yaml"
    content = file.read_text()
    file.unlink()
    await heard(gateway, Reason.WORKSPACE_NOT_FOUND)
    file.write_text(content)
    await heard(gateway, None)
    assert await usage(gateway) == used
    assert await gateway.call("CreateRecords", write) == first
    assert (await gateway.call("ListRecords", listing(page_token=page.next_page_token))).records


async def test_work_that_began_in_the_old_one_is_refused(gateway: Gateway, declare: Declare) -> None:
    await declare("uid-2")
    for tenant, is_served in ((f"{WORKSPACE}:uid-2", True), (f"{WORKSPACE}:uid-1", False), (WORKSPACE, False)):
        with context.entered(CallContext(tenant=tenant)):
            if is_served:
                assert (await gateway.call("ListRecords", listing())).records
                continue
            with pytest.raises(NotFound) as refused:
                await gateway.call("ListRecords", listing())
            assert refused.value.reason is Reason.WORKSPACE_NOT_FOUND


async def test_verification_is_counted_for_the_one_in_force(gateway: Gateway, declare: Declare) -> None:
    credential = workspace_pb2.SecretRef(name="any", key="token")
    request = rpc.VerifyBindingsRequest(workspace=WORKSPACE, credential=credential)
    await declare("uid-1")
    await gateway.call("VerifyBindings", request)
    assert await usage(gateway) == 1
    await declare("uid-2")
    assert await usage(gateway) == 0
