"""Reads through the gateway, over gRPC and REST, against the emulator."""

from __future__ import annotations

from integration.airtable_gateway.conftest import WORKSPACE, Gateway

from pyairtable_devkit.airtable.testing import BASE, SECOND_BASE
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc


async def test_the_bound_bases_are_listed_with_what_the_workspace_says_of_them(gateway: Gateway) -> None:
    answer = await gateway.call("ListBases", rpc.ListBasesRequest(workspace=WORKSPACE))
    by_id = {base.id: base for base in answer.bases}
    assert by_id.keys() == {BASE, SECOND_BASE}
    assert (by_id[BASE].binding, by_id[BASE].is_default, by_id[BASE].access) == ("crm", True, "Schema")
    assert by_id[BASE].permission_level == "create"


async def test_all_rpcs_answer_over_rest_too(gateway: Gateway) -> None:
    bases = (await gateway.http.get("/bases")).json()["bases"]
    assert [base["id"] for base in bases if base.get("is_default")] == [BASE]
    tables = (await gateway.http.get("/bases/default/schema")).json()["tables"]
    assert "Projects" in [table["name"] for table in tables]
    listing = await gateway.http.get("/bases/crm/tables/Projects/records", params={"page_size": 3})
    assert listing.status_code == 200
    assert len(listing.json()["records"]) == 3
