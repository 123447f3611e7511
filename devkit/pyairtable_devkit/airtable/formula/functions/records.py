"""What a formula knows of its record."""

from collections.abc import Hashable

from pyairtable_devkit.airtable.formula.context import Context
from pyairtable_devkit.airtable.formula.registry import function
from pyairtable_devkit.airtable.formula.values import Internal


@function("RECORD_ID", result="text", context=True)
def record_id(context: Context) -> Internal:
    return context.row.record_id


@function("CREATED_TIME", result="dateTime", context=True)
def created_time(context: Context) -> Internal:
    return context.row.created_time


@function("LAST_MODIFIED_TIME", "field*", result="dateTime", context=True)
def last_modified_time(context: Context, *keys: Hashable) -> Internal:
    return context.row.modified_time(keys) if keys else context.row.last_modified_time
