"""Values that no tool takes are refused with the name of their argument, before anything is asked or written."""

from __future__ import annotations

from typing import Any

import pytest
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.rest.transcoding import MAX_JSON_DEPTH
from pyairtable_platform.mcp_server.service import Caller, ToolService


def nested(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


REFUSED = [
    (nested(45), "deeper than 25"),
    (nested(60), "deeper than 25"),
    (nested(MAX_JSON_DEPTH), "deeper than 25"),
    (10**350, "range of a double"),
    (-(10**350), "range of a double"),
    ([1, {"n": float("inf")}], "range of a double"),
    (float("nan"), "range of a double"),
    ("half \ud83d", "not valid Unicode"),
    ({"\ud83d": 1}, "not valid Unicode"),
]


@pytest.mark.parametrize(("value", "words"), REFUSED, ids=range(len(REFUSED)))
async def test_a_value_that_cannot_go_on_is_refused_by_name(
    tools: ToolService, gateway: FakeGateway, value: Any, words: str
) -> None:
    gateway.add_table("Tasks", [text_field("Name")])
    with pytest.raises(InvalidInput, match=words) as caught:
        await tools.call("create_record", {"table_id": "Tasks", "fields": {"Name": value}}, Caller())
    assert [item.field for item in caught.value.violations] == ["fields"]
    assert not gateway.workspaces and not gateway.writes


async def test_a_stream_of_csv_is_checked_as_well(tools: ToolService) -> None:
    with pytest.raises(InvalidInput, match="max_records: holds a number"):
        async for _ in tools.export_csv({"table_id": "Tasks", "max_records": 10**350}, Caller()):
            pass


async def test_what_fits_still_goes_through(tools: ToolService, gateway: FakeGateway) -> None:
    gateway.add_table("Tasks", [text_field("Name")])
    for value in (nested(MAX_JSON_DEPTH - 1), 10**300, -1.5, True, None, "whole \U0001f600"):
        await tools.call("create_record", {"table_id": "Tasks", "fields": {"Name": value}}, Caller())
    assert len(gateway.writes) == 6
