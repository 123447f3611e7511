"""Listings of any length: Airtable's pages joined, and page tokens that outlive Airtable's own offsets.

A token holds Airtable's offset and our place (how many records were delivered, and the last one's id). When the offset
has expired the listing starts anew and goes on behind that record, or at that position if it is gone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson

from pyairtable_platform.common.errors import InvalidInput, Reason, Unavailable

from .answers import EXPIRED_OFFSETS, Refusal
from .wire import PAGE_SIZE, Json, Listing

FetchPage = Callable[[int, str], Awaitable[Json]]
"""Page size and Airtable's offset -> Airtable's answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a listing has come."""

    delivered: int = 0
    last_id: str = ""
    offset: str = ""
    """Airtable's; empty at the beginning."""
    skip: int = 0
    """Records behind the offset that were delivered already."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records from a place on, in one page of Airtable's; `after` is None at the end of the listing."""

    place: Place
    records: list[Json]
    after: Place | None

    def place_behind(self, count: int) -> Place:
        """The place behind the first `count` of them."""
        last_id = self.records[count - 1]["id"] if count else self.place.last_id
        return Place(self.place.delivered + count, last_id, self.place.offset, self.place.skip + count)


def fingerprint(tenant: str, base_id: str, table: str, listing: Listing, max_records: int) -> str:
    """Tells one listing from another, so that a token cannot be used with other arguments, or by another tenant."""
    return hashlib.sha256(repr((tenant, base_id, table, listing, max_records)).encode()).hexdigest()[:12]


def to_token(place: Place, listing_key: str) -> str:
    """The place as an opaque text."""
    packed = orjson.dumps([1, listing_key, place.delivered, place.last_id, place.offset, place.skip])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def from_token(token: str, listing_key: str) -> Place:
    """The place a token holds; "" is the beginning. Raises InvalidInput naming page_token."""
    if not token:
        return Place()
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, key, *parts = orjson.loads(packed)
        delivered, last_id, offset, skip = parts
    except (binascii.Error, ValueError, TypeError):
        raise _invalid_token("it is not one of ours") from None
    texts = type(last_id) is type(offset) is str
    numbers = type(delivered) is type(skip) is int and delivered >= 0 and 0 <= skip < PAGE_SIZE
    if version != 1 or not texts or not numbers:
        raise _invalid_token("it is not one of ours")
    if key != listing_key:
        raise _invalid_token("it belongs to a listing with other arguments")
    return Place(delivered, last_id, offset, skip)


def _invalid_token(text: str) -> InvalidInput:
    return InvalidInput.at("page_token", text, reason=Reason.PAGE_TOKEN_INVALID)


async def read_page(fetch: FetchPage, place: Place, *, size: int, max_records: int) -> tuple[list[Json], Place | None]:
    """Up to `size` records from a place on, and the place behind them; None at the end of the listing.

    Airtable's pages are joined as needed. `max_records` counts from the beginning of the listing; 0 is all.
    """
    wanted = size if not max_records else min(size, max(0, max_records - place.delivered))
    records: list[Json] = []
    behind: Place | None = place
    offsets: set[str] = set()
    while behind is not None and len(records) < wanted:
        chunk = await _next_chunk(fetch, behind, wanted - len(records))
        taken = min(len(chunk.records), wanted - len(records))
        records += chunk.records[:taken]
        behind = chunk.after if taken == len(chunk.records) else chunk.place_behind(taken)
        _must_go_on(behind, offsets)
    at_end = behind is None or (max_records and behind.delivered >= max_records)
    return records, None if at_end else behind


def _must_go_on(behind: Place | None, offsets: set[str]) -> None:
    """An offset that comes a second time would let the listing go round for ever."""
    if behind is None or behind.skip:
        return
    if behind.offset in offsets:
        raise Unavailable(
            "Airtable sent the same page offset twice, so that the listing would not end: start it again",
            reason=Reason.AIRTABLE_UNAVAILABLE,
        )
    offsets.add(behind.offset)


async def _next_chunk(fetch: FetchPage, place: Place, wanted: int) -> Chunk:
    try:
        return await _fetch(fetch, place, min(PAGE_SIZE, place.skip + wanted))
    except Refusal as refusal:
        if not place.offset or refusal.kind not in EXPIRED_OFFSETS:
            raise
    return await _resume(fetch, place)


async def _fetch(fetch: FetchPage, place: Place, size: int) -> Chunk:
    answer = await fetch(size, place.offset)
    page: list[Json] = answer["records"]
    records = page[place.skip :]
    offset = answer.get("offset")
    last_id = page[-1]["id"] if page else place.last_id
    after = Place(place.delivered + len(records), last_id, offset) if offset else None
    return Chunk(place, records, after)


async def _resume(fetch: FetchPage, lost: Place) -> Chunk:
    """The records behind a place whose offset has expired: read from the beginning and skip.

    The record delivered last is looked for up to a page behind its old position, for rows may have come in before it.
    """
    place: Place | None = Place()
    at_position: Chunk | None = None
    while place is not None and place.delivered <= lost.delivered + PAGE_SIZE:
        chunk = await _fetch(fetch, place, PAGE_SIZE)
        found = next((n for n, record in enumerate(chunk.records) if record["id"] == lost.last_id), None)
        if found is not None:
            return _from(chunk, found + 1, lost)
        index = lost.delivered - place.delivered
        if 0 <= index < len(chunk.records):
            at_position = _from(chunk, index, lost)
        place = chunk.after
    return at_position or Chunk(lost, [], None)


def _from(chunk: Chunk, index: int, lost: Place) -> Chunk:
    """The rest of a chunk, as if the listing had come to it without a break."""
    rest = chunk.records[index:]
    place = Place(lost.delivered, lost.last_id, chunk.place.offset, chunk.place.skip + index)
    after = chunk.after and Place(lost.delivered + len(rest), chunk.after.last_id, chunk.after.offset)
    return Chunk(place, rest, after)
