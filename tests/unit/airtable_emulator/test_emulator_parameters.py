"""Record parameters in each spelling, and routes."""

from typing import Any

import pytest

from pyairtable_devkit.airtable import parameters, routes, wire
from pyairtable_devkit.airtable.errors import ApiError
from pyairtable_devkit.airtable.ids import IdFactory, is_id, stable_id
from pyairtable_devkit.airtable.settings import Settings

from .conftest import Small


@pytest.mark.parametrize(
    "query",
    [
        [("fields", "Name"), ("fields", "Budget")],
        [("fields[]", "Name"), ("fields[]", "Budget")],
        [("fields[0]", "Name"), ("fields[1]", "Budget")],
    ],
)
def test_arrays_come_in_three_spellings(small: Small, query: parameters.Query) -> None:
    shape = parameters.shape(parameters.from_query(query), small.table("Projects"))
    assert shape.fields == (small.field("Projects", "Name"), small.field("Projects", "Budget"))


def test_sort_in_query_and_body_mean_the_same(small: Small) -> None:
    table, name = small.table("Projects"), small.field("Projects", "Name")
    query = [("sort[1][field]", "Budget"), ("sort[0][field]", name), ("sort[0][direction]", "desc")]
    body = {"sort": [{"field": "Name", "direction": "desc"}, {"field": "Budget"}], "method": "post"}
    by_query = parameters.listing(parameters.from_query(query), table, Settings())
    by_body = parameters.listing(parameters.from_body(body, []), table, Settings())
    assert by_query.sort == by_body.sort == ((name, "desc"), (small.field("Projects", "Budget"), "asc"))


@pytest.mark.parametrize("flag", ["1", "true", True, 1])
def test_field_ids_are_asked_for_in_several_ways(small: Small, flag: Any) -> None:
    assert parameters.shape({"returnFieldsByFieldId": flag}, small.table("Projects")).by_id


def test_the_time_zone_may_be_written_small_and_stays_in_the_query(small: Small) -> None:
    options = parameters.from_body({"cellFormat": "string"}, [("timeZone", "utc"), ("userLocale", "en-gb")])
    shape = parameters.shape(options, small.table("Projects"))
    assert (shape.as_text, shape.time_zone, shape.locale) == (True, "UTC", "en-gb")


@pytest.mark.parametrize(
    ("value", "odd", "size"),
    [(None, "lenient", 100), ("7", "lenient", 7), ("0", "lenient", 0), ("junk", "lenient", 100), (3, "strict", 3)],
)
def test_page_sizes(small: Small, value: Any, odd: Any, size: int) -> None:
    settings = Settings(odd_page_size=odd)
    assert parameters.listing({"pageSize": value}, small.table("Projects"), settings).page_size == size


@pytest.mark.parametrize(("value", "odd"), [("101", "lenient"), ("-1", "lenient"), ("0", "strict"), ("x", "strict")])
def test_page_sizes_out_of_range(small: Small, value: str, odd: Any) -> None:
    with pytest.raises(ApiError, match="Page size argument should be between 0 and 100"):
        parameters.listing({"pageSize": value}, small.table("Projects"), Settings(odd_page_size=odd))


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"fields": ["Nope"]}, "UNKNOWN_FIELD_NAME"),
        ({"sort": [{"field": "Nope"}]}, "UNKNOWN_FIELD_NAME"),
        ({"sort": [{"field": "Name", "direction": "up"}]}, "INVALID_REQUEST_UNKNOWN"),
        ({"sort": "Name"}, "INVALID_REQUEST_UNKNOWN"),
        ({"cellFormat": "xml"}, "INVALID_REQUEST_UNKNOWN"),
        ({"cellFormat": "string"}, "INVALID_REQUEST_UNKNOWN"),
        ({"cellFormat": "string", "timeZone": "Mars/Base", "userLocale": "en"}, "INVALID_REQUEST_UNKNOWN"),
        ({"recordMetadata": ["author"]}, "INVALID_REQUEST_UNKNOWN"),
        ({"maxRecords": "-1"}, "INVALID_REQUEST_UNKNOWN"),
        ({"filterByFormula": 5}, "INVALID_REQUEST_UNKNOWN"),
    ],
)
def test_wrong_options(small: Small, options: dict[str, Any], kind: str) -> None:
    with pytest.raises(ApiError) as caught:
        parameters.listing(options, small.table("Projects"), Settings())
    assert caught.value.body["error"]["type"] == kind


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        ("GET", "/v0/meta/bases", "GET /meta/bases"),
        ("GET", "/v0/meta/bases/", "GET /meta/bases"),
        ("GET", "/v0/appAcmeRenovation/a%2Fb", "GET /{base}/{table}"),
        ("POST", "/v0/appAcmeRenovation/T/listRecords", "POST /{base}/{table}/listRecords"),
        ("GET", "/v0/bases/appAcmeRenovation/webhooks", "GET /bases/{base}/webhooks"),
        ("GET", "/v0/appAcmeRenovation/T/recAAAAAAAAAAAAAA", "GET /{base}/{table}/{rec}"),
        ("GET", "/v0/appAcmeRenovation/T/recAAAAAAAAAAAAA", None),
        ("GET", "/v0/appAcmeRenovation/T/listRecords", None),
        ("GET", "/v0/meta/nothing", None),
        ("GET", "/v0/app/T", None),
        ("PATCH", "/v0/meta/bases/appAcmeRenovation/tables/Name%20or%20id", "PATCH /meta/bases/{base}/tables/{table}"),
        ("POST", "/v0/meta/bases/appAcmeRenovation/tables/Name/fields", None),
    ],
)
def test_routes(method: str, path: str, endpoint: str | None) -> None:
    found = routes.match(method, wire.segments(path)[1:])
    assert (found[0].name if found else None) == endpoint


def test_a_slash_in_a_table_name_survives() -> None:
    found = routes.match("GET", wire.segments("/v0/appAcmeRenovation/a%2Fb%20%C3%A9")[1:])
    assert found is not None
    assert found[1]["table"] == "a/b é"


def test_ids_are_repeatable_and_well_formed() -> None:
    assert stable_id("rec", "a", 1) == stable_id("rec", "a", 1) != stable_id("rec", "a", 2)
    series = [IdFactory(3).new("rec") for _ in range(2)]
    assert series[0] == series[1]
    assert all(is_id(text, "rec") for text in (stable_id("rec", "a"), series[0], "recABCabc01234567"))
    assert not any(is_id(text, "rec") for text in ("recABC", "tblABCabc01234567", "recABCabc0123456\n"))
