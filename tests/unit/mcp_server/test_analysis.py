"""analyze_table_data: a chosen sample, figures for fields of every type, what stands out."""

from __future__ import annotations

from typing import Any

import pytest
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.mcp_server.figures import describe_field
from pyairtable_platform.mcp_server.service import Caller, ToolService


async def call(tools: ToolService, **arguments: Any) -> dict[str, Any]:
    return await tools.call("analyze_table_data", {"table_id": "T", **arguments}, Caller())


def numbered(gateway: FakeGateway, count: int) -> None:
    fields = [text_field("Name"), text_field("Hours", "number"), text_field("Empty"), text_field("Same")]
    rows = [
        {"Name": f"n{number}", "Hours": number if number % 4 == 0 else None, "Same": "x"} for number in range(count)
    ]
    gateway.add_table("T", fields, rows)


async def test_a_hundred_of_the_first_by_default(tools: ToolService, gateway: FakeGateway) -> None:
    numbered(gateway, 150)
    result = await call(tools)
    assert (result["records_analyzed"], result["complete"]) == (100, False)
    assert (await call(tools, sample_size=150))["complete"]


async def test_a_random_sample_is_drawn_from_all_and_is_the_same_each_time(
    tools: ToolService, gateway: FakeGateway
) -> None:
    numbered(gateway, 2000)
    result = await call(tools, sample="random", sample_size=50, fields=["Hours", "Name"])
    assert result == await call(tools, sample="random", sample_size=50, fields=["Hours", "Name"])
    assert (result["records_analyzed"], result["records_read"], result["complete"]) == (50, 2000, False)
    assert result["fields"][0]["numbers"]["maximum"] > 500
    small = await call(tools, sample="random", sample_size=5000)
    assert (small["records_analyzed"], small["complete"]) == (2000, True)


async def test_the_sample_may_be_filtered(tools: ToolService, gateway: FakeGateway) -> None:
    numbered(gateway, 40)
    result = await call(tools, filter_by_formula="{Hours} >= 20", view="Grid")
    assert result["fields"][1]["numbers"]["minimum"] == 20
    assert gateway.queries[-1].view == "Grid"


async def test_what_stands_out_is_said(tools: ToolService, gateway: FakeGateway) -> None:
    numbered(gateway, 40)
    said = {(item["field"], item["kind"]) for item in (await call(tools))["insights"]}
    assert said == {
        ("Name", "always_filled"),
        ("Name", "always_different"),
        ("Hours", "mostly_empty"),
        ("Empty", "always_empty"),
        ("Same", "always_filled"),
        ("Same", "always_the_same"),
    }


async def test_an_empty_table_is_no_error(tools: ToolService, gateway: FakeGateway) -> None:
    numbered(gateway, 0)
    result = await call(tools)
    assert (result["records_analyzed"], result["insights"], result["complete"]) == (0, [], True)
    assert result["fields"][0]["fill_rate"] == 0


def test_numbers() -> None:
    figures = describe_field(text_field("N", "currency"), [1, 2.0, 3, 10, None, 2])
    assert (figures.filled, figures.empty, figures.fill_rate, figures.unique_values) == (5, 1, 0.8333, 4)
    assert figures.numbers is not None
    numbers = figures.numbers.model_dump()
    assert numbers.pop("standard_deviation") == pytest.approx(3.261901)
    assert numbers == {"minimum": 1, "maximum": 10, "sum": 18, "mean": 3.6, "median": 2}
    assert figures.texts is None


def test_texts_dates_lists_and_objects() -> None:
    texts = describe_field(text_field("T"), ["ab", "abcd", "", "ab"])
    assert texts.texts is not None and texts.texts.model_dump() == {"shortest": 2, "longest": 4, "mean_length": 2.67}
    assert texts.top_values[0].model_dump() == {"value": "ab", "count": 2}
    dates = describe_field(text_field("D", "date"), ["2026-02-01", "2025-12-31"])
    assert dates.dates is not None and (dates.dates.earliest, dates.dates.latest) == ("2025-12-31", "2026-02-01")
    assert dates.texts is None
    lists = describe_field(text_field("L", "multipleSelects"), [["a", "b"], ["b"], [], None])
    assert (lists.filled, lists.unique_values) == (2, 2)
    assert lists.items is not None and (lists.items.fewest, lists.items.most) == (1, 2)
    assert lists.top_values[0].model_dump() == {"value": "b", "count": 2}
    people = describe_field(text_field("P", "singleCollaborator"), [{"id": "usr1", "name": "Ada"}] * 3)
    assert (people.unique_values, people.top_values[0].value) == (1, "Ada")
    checks = describe_field(text_field("C", "checkbox"), [True, None, True, False])
    assert (checks.filled, checks.empty) == (2, 2)
    errors = describe_field(text_field("F", "formula"), [{"error": "#ERROR!"}, {"specialValue": "NaN"}])
    assert {item.value for item in errors.top_values} == {"#ERROR!", "NaN"}
