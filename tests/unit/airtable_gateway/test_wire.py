"""The forms of calls to Airtable: quoting, arrays, the switch to POST."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.airtable_gateway import wire
from pyairtable_platform.airtable_gateway.wire import Effect, Listing, Shape
from pyairtable_platform.common.errors import InvalidInput

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda n: n not in (".", "..")
)


@given(names, names)
def test_names_survive_the_path_whatever_they_hold(base: str, table: str) -> None:
    target = wire.list_records(base, table, Listing(), page_size=5).target
    parts = urlsplit(target).path.split("/")
    assert [unquote(part) for part in parts] == ["", "v0", base, table]


def test_a_listing_carries_every_parameter_in_airtables_spelling() -> None:
    listing = Listing(
        view="Grid",
        formula='{Name} = "a&b"',
        sort=(("Name", ""), ("Budget", "desc")),
        fields=("Name", "Büro"),
        shape=Shape(as_text=True, time_zone="Europe/Wien", user_locale="de", by_field_id=True),
        with_comment_count=True,
    )
    call = wire.list_records("appOne", "T", listing, page_size=20, offset="itrX/recY")
    assert parse_qsl(urlsplit(call.target).query) == [
        ("cellFormat", "string"),
        ("returnFieldsByFieldId", "true"),
        ("view", "Grid"),
        ("filterByFormula", '{Name} = "a&b"'),
        ("sort[0][field]", "Name"),
        ("sort[0][direction]", "asc"),
        ("sort[1][field]", "Budget"),
        ("sort[1][direction]", "desc"),
        ("fields[]", "Name"),
        ("fields[]", "Büro"),
        ("recordMetadata[]", "commentCount"),
        ("pageSize", "20"),
        ("offset", "itrX/recY"),
        ("timeZone", "Europe/Wien"),
        ("userLocale", "de"),
    ]


@pytest.mark.parametrize("length", [14_000, 14_990, 20_000])
def test_a_long_listing_is_posted_with_zone_and_locale_left_in_the_query(length: int) -> None:
    shape = Shape(as_text=True, time_zone="UTC", user_locale="en")
    call = wire.list_records("appOne", "T", Listing(formula="x" * length, shape=shape), page_size=100)
    assert len(call.target) <= wire.LONGEST_URL
    if length == 14_000:
        assert (call.method, call.body) == ("GET", None)
    else:
        assert (call.method, call.path) == ("POST", "/appOne/T/listRecords")
        assert call.body is not None
        assert call.body["filterByFormula"] == "x" * length
        assert dict(call.query) == {"timeZone": "UTC", "userLocale": "en"}
    assert call.effect is Effect.READ


def test_what_must_not_be_done_twice_is_marked() -> None:
    once = [
        wire.create_records("a", "t", [{}], typecast=False, by_field_id=False),
        wire.create_comment("a", "t", "r", "x", ""),
        wire.create_table("a", {}),
        wire.create_field("a", "t", {}),
        wire.create_base("w", "n", []),
        wire.upload_attachment("a", "r", "f", filename="x", content_type="y", content=b"z"),
    ]
    again = [
        wire.update_records("a", "t", [("r", {})], replace_all=False, typecast=False, by_field_id=False),
        wire.delete_records("a", "t", ["r"]),
        wire.delete_comment("a", "t", "r", "c"),
    ]
    assert {call.effect for call in once} == {Effect.ONCE}
    assert {call.effect for call in again} == {Effect.REPEATABLE}


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_a_part_of_a_path_that_would_lead_elsewhere_is_refused(part: str) -> None:
    with pytest.raises(InvalidInput):
        wire.path("appX", part, "comments")
