"""The parameters of record calls, in each spelling that clients use.

Arrays come as `name=a`, `name[]=a` and `name[0]=a`; `POST listRecords` has them in its JSON body, with
timeZone and userLocale still in the query (Airtable docs: list records; pyairtable, airtable.js).
"""

import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pyairtable_devkit.airtable import errors
from pyairtable_devkit.airtable.model import Table
from pyairtable_devkit.airtable.render import Shape
from pyairtable_devkit.airtable.settings import Settings

MAX_PAGE = 100
_ARRAY = re.compile(r"(\w+)\[(\d*)\]\Z")
_SORT = re.compile(r"sort\[(\d+)\]\[(field|direction)\]\Z")

Query = list[tuple[str, str]]
Options = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """A checked list request. `sort` holds field ids with `asc` or `desc`."""

    page_size: int
    max_records: int | None
    offset: str | None
    view: str | None
    formula: str | None
    sort: tuple[tuple[str, str], ...]
    shape: Shape


def from_query(query: Query) -> Options:
    """The query string in the form of the JSON body: lists are lists, sort is a list of objects."""
    options: Options = {}
    sort: dict[int, dict[str, str]] = {}
    for name, value in query:
        if match := _SORT.match(name):
            sort.setdefault(int(match[1]), {})[match[2]] = value
        elif match := _ARRAY.match(name):
            options.setdefault(match[1], []).append(value)
        elif name in ("fields", "recordMetadata", "records"):
            options.setdefault(name, []).append(value)
        else:
            options[name] = value
    if sort:
        options["sort"] = [sort[index] for index in sorted(sort)]
    return options


def from_body(body: Options, query: Query) -> Options:
    """The options of a POST list; what stands in the query string beside the body counts too."""
    return {**from_query(query), **body}


def listing(options: Options, table: Table, settings: Settings) -> Listing:
    """Checks the options of a list request against the table; ApiError for what is wrong."""
    view, formula, offset = (_text(options, name) for name in ("view", "filterByFormula", "offset"))
    return Listing(
        page_size=_page_size(options.get("pageSize"), settings),
        max_records=_count(options.get("maxRecords")),
        offset=offset,
        view=view,
        formula=formula,
        sort=_sort(options.get("sort"), table),
        shape=shape(options, table),
    )


def shape(options: Options, table: Table) -> Shape:
    """How the records of the answer are to look; ApiError for unknown fields, formats and zones."""
    as_text = options.get("cellFormat", "json")
    if as_text not in ("json", "string"):
        raise errors.bad_request()
    zone, locale = _text(options, "timeZone"), _text(options, "userLocale")
    if as_text == "string" and not (zone and locale):
        raise errors.bad_request("The timeZone and userLocale parameters are required when cellFormat is string")
    metadata = options.get("recordMetadata") or []
    if not isinstance(metadata, list) or set(metadata) - {"commentCount"}:
        raise errors.bad_request()
    return Shape(
        by_id=_flag(options.get("returnFieldsByFieldId")),
        as_text=as_text == "string",
        time_zone=_zone(zone or "UTC"),
        locale=locale or "en-us",
        fields=_fields(options.get("fields"), table),
        comment_count=bool(metadata),
        link_objects=_flag(options.get("includeDateDependencyMetadata")),
    )


def _flag(value: Any) -> bool:
    return value is True or value in ("1", "true", 1)


def _text(options: Options, name: str) -> str | None:
    value = options.get(name)
    if value is not None and not isinstance(value, str):
        raise errors.bad_request()
    return value or None


def _zone(name: str) -> str:
    name = "UTC" if name.lower() == "utc" else name
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise errors.bad_request() from None
    return name


def _page_size(value: Any, settings: Settings) -> int:
    """Junk is ignored and 0 gives an empty page, or both are refused: the sources disagree."""
    number = _integer(value)
    strict = settings.odd_page_size == "strict"
    if number is None and (value is None or not strict):
        return MAX_PAGE
    if number is None or not (1 if strict else 0) <= number <= MAX_PAGE:
        message = "Page size argument should be between 0 and 100"
        raise errors.typed(422, "INVALID_PAGE_SIZE_ARGUMENT", message)
    return number


def _count(value: Any) -> int | None:
    if value is None or value == "":
        return None
    number = _integer(value)
    if number is None or number < 0:
        raise errors.bad_request()
    return number


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return int(value) if float(value).is_integer() else None
    except (ValueError, OverflowError):
        return None


def _sort(value: Any, table: Table) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise errors.bad_request()
    pairs = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("field"), str):
            raise errors.bad_request()
        direction = item.get("direction", "asc")
        if direction not in ("asc", "desc"):
            raise errors.bad_request()
        pairs.append((field_id(table, item["field"]), direction))
    return tuple(pairs)


def _fields(value: Any, table: Table) -> tuple[str, ...] | None:
    """Ids of the wanted fields; None, an empty list and a lone empty string all mean every field."""
    if value is None or value in ([], [""], ""):
        return None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise errors.bad_request()
    return tuple(field_id(table, item) for item in value)


def field_id(table: Table, name_or_id: str) -> str:
    """The id of a field given by name or id; ApiError UNKNOWN_FIELD_NAME."""
    found = table.field(name_or_id)
    if found is None:
        raise errors.unknown_field(name_or_id)
    return found.id
