"""Reading many records, page by page, with a bound."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from .model import Gateway, Record, RecordQuery, TableRef

PAGE_SIZE = 1000
"""Records of a streamed page: ten calls to Airtable, a few megabytes at most."""


async def each_record(gateway: Gateway, table: TableRef, query: RecordQuery) -> AsyncGenerator[Record, None]:
    """The records of a table one by one; `query.max_records` bounds them, 0 is all."""
    async with aclosing(gateway.stream_records(table, replace(query, page_size=PAGE_SIZE))) as pages:
        async for page in pages:
            for record in page.records:
                yield record
