"""VerifyBindings: what Airtable says of a credential and bases, before a workspace is put in force with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from integration.airtable_gateway.conftest import Gateway, OpenGateway

from pyairtable_devkit.airtable.testing import (
    BASE,
    SECOND_BASE,
    TOKEN_ALL,
    TOKEN_NO_SCHEMA,
    TOKEN_ONE_BASE,
    EmulatorThread,
)
from pyairtable_platform.common.errors import FailedPrecondition, Reason
from pyairtable_platform.common.secrets import version_of
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.common.v1 import error_reason_pb2 as reasons
from pyairtable_protos.workspaces.v1 import workspace_pb2

UNKNOWN_BASE = "appNobodyHasThis1"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of credentials, with one for each kind of token."""
    folder = tmp_path / "secrets"
    tokens = {"all": TOKEN_ALL, "one-base": TOKEN_ONE_BASE, "no-schema": TOKEN_NO_SCHEMA, "revoked": "patRevoked.no"}
    for name, token in tokens.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "token").write_text(token)
    return folder


@pytest.fixture
async def keyed_gateway(open_gateway: OpenGateway, secrets: Path) -> AsyncIterator[Gateway]:
    """A gateway that knows no token of its own."""
    limits = {"airtable_calls_per_second_per_base": 100, "airtable_calls_per_second_per_token": 1000}
    async with open_gateway(airtable_token=None, secrets_path=secrets, **limits) as opened:
        yield opened


async def verify(gateway: Gateway, secret: str, *bases: str, workspace: str = "newcomer", version: str = "") -> Any:
    credential = workspace_pb2.SecretRef(name=secret, key="token", version=version)
    request = rpc.VerifyBindingsRequest(workspace=workspace, credential=credential, base_ids=bases)
    return await gateway.call("VerifyBindings", request)


async def test_a_good_credential_and_its_bases(keyed_gateway: Gateway) -> None:
    answer = await verify(keyed_gateway, "all", BASE, SECOND_BASE)
    assert answer.user_id.startswith("usr")
    assert [base.base_id for base in answer.bases] == [BASE, SECOND_BASE]
    assert {(base.reason, base.problem) for base in answer.bases} == {(reasons.ERROR_REASON_UNSPECIFIED, "")}
    first = answer.bases[0]
    assert first.permission_level == "create"
    assert [table.name for table in first.tables] == sorted((table.name for table in first.tables), key=str.lower)
    assert all(len(table.fingerprint) == 16 for table in first.tables)
    assert (await verify(keyed_gateway, "all", BASE)).bases[0] == first, "fingerprints stay while the schema does"


async def test_a_changed_table_changes_its_fingerprint_and_no_other(
    keyed_gateway: Gateway, emulator: EmulatorThread
) -> None:
    before = (await verify(keyed_gateway, "all", BASE)).bases[0]
    table = before.tables[0]
    httpx2.post(
        f"{emulator.url}/v0/meta/bases/{BASE}/tables/{table.id}/fields",
        json={"name": "Made later", "type": "singleLineText"},
        headers=emulator.auth(),
    ).raise_for_status()
    after = (await verify(keyed_gateway, "all", BASE)).bases[0]
    assert before.fingerprint != after.fingerprint
    changed = [new.id for old, new in zip(before.tables, after.tables, strict=True) if old != new]
    assert changed == [table.id]


async def test_what_is_wrong_with_a_base_is_told_of_it_alone(keyed_gateway: Gateway) -> None:
    answer = await verify(keyed_gateway, "one-base", UNKNOWN_BASE, BASE, SECOND_BASE)
    assert [base.reason for base in answer.bases] == [
        reasons.ERROR_REASON_BASE_NOT_FOUND,
        reasons.ERROR_REASON_UNSPECIFIED,
        reasons.ERROR_REASON_BASE_NOT_FOUND,
    ]
    assert UNKNOWN_BASE in answer.bases[0].problem


async def test_a_token_without_the_scope_is_told_so(keyed_gateway: Gateway) -> None:
    answer = await verify(keyed_gateway, "no-schema", BASE)
    assert answer.user_id.startswith("usr")
    assert answer.bases[0].reason == reasons.ERROR_REASON_DENIED
    assert "schema.bases:read" in answer.bases[0].problem


async def test_a_refused_token_and_a_missing_one(keyed_gateway: Gateway) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await verify(keyed_gateway, "revoked", BASE)
    assert caught.value.reason is Reason.AIRTABLE_TOKEN_REJECTED
    assert "patRevoked" not in str(caught.value)
    with pytest.raises(FailedPrecondition) as caught:
        await verify(keyed_gateway, "nowhere", BASE)
    assert caught.value.reason is Reason.CREDENTIAL_MISSING


async def test_another_value_than_the_one_meant_is_not_used(keyed_gateway: Gateway) -> None:
    with pytest.raises(FailedPrecondition, match="not been checked yet") as caught:
        await verify(keyed_gateway, "all", BASE, version="0" * 16)
    assert caught.value.reason is Reason.CREDENTIAL_MISSING
    await verify(keyed_gateway, "all", BASE, version=version_of(TOKEN_ALL.encode()))


async def test_calls_are_counted_for_the_workspace_whether_it_is_registered_or_not(
    keyed_gateway: Gateway, documents: Path
) -> None:
    await verify(keyed_gateway, "all", BASE, SECOND_BASE, workspace="acme")
    usage = await keyed_gateway.call("GetUsage", rpc.GetUsageRequest(workspace="acme"))
    assert usage.calls == 4
    assert dict(usage.calls_by_base) == {"": 2, BASE: 1, SECOND_BASE: 1}
