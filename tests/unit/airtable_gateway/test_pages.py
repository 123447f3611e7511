"""Listings by our own tokens over an Airtable whose offsets expire and whose rows change."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.airtable_gateway.answers import Refusal
from pyairtable_platform.airtable_gateway.pages import Place, fingerprint, from_token, read_page, to_token
from pyairtable_platform.airtable_gateway.wire import Json, Listing
from pyairtable_platform.common.errors import InvalidInput, Reason, Unavailable


@dataclass
class Table:
    """Pages of a table by offset; an offset of an older generation has expired."""

    ids: list[str]
    generation: int = 0
    calls: int = 0
    sizes: list[int] = field(default_factory=list)

    async def fetch(self, size: int, offset: str) -> Json:
        self.calls += 1
        self.sizes.append(size)
        start = 0
        if offset:
            generation, _, place = offset.partition("/")
            if int(generation) != self.generation:
                raise Refusal(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
            start = int(place)
        page: Json = {"records": [{"id": each} for each in self.ids[start : start + size]]}
        if start + size < len(self.ids):
            page["offset"] = f"{self.generation}/{start + size}"
        return page

    def expire(self) -> None:
        self.generation += 1


def numbered(count: int) -> list[str]:
    return [f"rec{n}" for n in range(count)]


async def read_all(table: Table, size: int, max_records: int = 0, *, expire_after: int = -1) -> list[list[str]]:
    """Page through by tokens, with every offset expiring after the given page."""
    token, pages = "", list[list[str]]()
    while True:
        place = from_token(token, "key")
        records, behind = await read_page(table.fetch, place, size=size, max_records=max_records)
        pages.append([record["id"] for record in records])
        if behind is None:
            return pages
        if len(pages) - 1 == expire_after:
            table.expire()
        token = to_token(behind, "key")


@given(st.integers(0, 350), st.integers(1, 260), st.integers(0, 300), st.integers(-1, 4))
async def test_pages_are_the_table_in_order_and_never_too_large(
    rows: int, size: int, max_records: int, expire_after: int
) -> None:
    pages = await read_all(Table(numbered(rows)), size, max_records, expire_after=expire_after)
    expected = numbered(rows)[: max_records or None]
    assert [each for page in pages for each in page] == expected
    assert all(len(page) == size for page in pages[:-1])
    assert len(pages[-1]) <= size


async def test_a_listing_that_restarts_goes_on_behind_the_last_record_though_rows_came_in_before_it() -> None:
    table = Table(numbered(150))
    records, behind = await read_page(table.fetch, Place(), size=60, max_records=0)
    assert behind is not None
    table.expire()
    table.ids = ["new1", "new2", *table.ids]
    rest, _ = await read_page(table.fetch, behind, size=1000, max_records=0)
    assert [record["id"] for record in rest] == numbered(150)[60:]
    assert len(records) == 60


async def test_when_the_last_record_is_gone_the_position_decides() -> None:
    table = Table(numbered(150))
    _, behind = await read_page(table.fetch, Place(), size=60, max_records=0)
    assert behind is not None
    table.expire()
    del table.ids[59]
    rest, _ = await read_page(table.fetch, behind, size=1000, max_records=0)
    assert [record["id"] for record in rest][:2] == ["rec61", "rec62"]


async def test_when_the_rest_is_gone_the_listing_ends() -> None:
    table = Table(numbered(150))
    _, behind = await read_page(table.fetch, Place(), size=100, max_records=0)
    assert behind is not None
    table.expire()
    table.ids = table.ids[:20]
    assert await read_page(table.fetch, behind, size=1000, max_records=0) == ([], None)


async def test_an_offset_that_comes_again_ends_the_listing_with_an_error() -> None:
    async def fetch(size: int, offset: str) -> Json:
        return {"records": [{"id": "rec1"}], "offset": "always"}

    with pytest.raises(Unavailable) as caught:
        await read_page(fetch, Place(), size=1000, max_records=0)
    assert "twice" in caught.value.message


async def test_no_call_is_made_for_records_beyond_the_maximum() -> None:
    table = Table(numbered(500))
    assert (await read_page(table.fetch, Place(), size=400, max_records=130))[1] is None
    assert table.sizes == [100, 30]


@given(st.text(max_size=60))
def test_any_text_is_a_token_of_ours_or_refused(text: str) -> None:
    try:
        assert from_token(text, "key") == Place() or text
    except InvalidInput as error:
        assert error.reason is Reason.PAGE_TOKEN_INVALID


@given(st.builds(Place, st.integers(0, 10**6), st.text(max_size=20), st.text(max_size=40), st.integers(0, 99)))
def test_a_place_survives_its_token(place: Place) -> None:
    assert from_token(to_token(place, "key"), "key") == place
    with pytest.raises(InvalidInput):
        from_token(to_token(place, "key"), "another")


def test_a_token_is_of_one_tenant() -> None:
    old, new = (fingerprint(tenant, "appX", "Tasks", Listing(), 0) for tenant in ("acme:uid-1", "acme:uid-2"))
    place = Place(3, "rec", "itrX", 1)
    assert from_token(to_token(place, old), old) == place
    with pytest.raises(InvalidInput):
        from_token(to_token(place, old), new)
