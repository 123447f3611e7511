"""Which records a list call gives and in what order, and the pages through them.

A listing is taken once, when its first page is asked for; the offset names that snapshot and the
next record. Snapshots are shared while the data stays the same, and expire (Airtable docs: pagination).
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from pyairtable_devkit.airtable import errors
from pyairtable_devkit.airtable.formula import FormulaError, UnknownFieldNames
from pyairtable_devkit.airtable.ids import is_id
from pyairtable_devkit.airtable.model import Base, Field, Record, Table, View
from pyairtable_devkit.airtable.parameters import Listing
from pyairtable_devkit.airtable.store import World

_OFFSET = re.compile(r"(itr[0-9A-Za-z]{14})/(rec[0-9A-Za-z]{14})\Z")
_KEPT_SNAPSHOTS = 32
_KEPT_ITERATORS = 2000
_MOVES_WITH_TIME = re.compile(r"\b(NOW|TODAY|TONOW|FROMNOW)\s*\(", re.IGNORECASE)


@dataclass(slots=True)
class _Iterator:
    """A listing under way: its records and where each offset handed out stands."""

    table_id: str
    ids: list[str]
    positions: dict[str, int] = field(default_factory=dict)
    expires: datetime = datetime.max


class Listings:
    """The listings under way and the snapshots they share."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._iterators: OrderedDict[str, _Iterator] = OrderedDict()
        self._snapshots: OrderedDict[tuple[Any, ...], tuple[Any, list[str]]] = OrderedDict()

    def page(self, base: Base, table: Table, wanted: Listing, lifetime: float) -> tuple[list[Record], str | None]:
        """One page of records, and the offset of the next if more remain."""
        if wanted.offset is not None:
            key, iterator, start = self._resume(table, wanted.offset)
        else:
            ids = self._snapshot(base, table, wanted)
            key, start = "", 0
            iterator = _Iterator(table.id, ids if wanted.max_records is None else ids[: wanted.max_records])
        end = start + wanted.page_size
        rows = [table.records[item] for item in iterator.ids[start:end] if item in table.records]
        if end >= len(iterator.ids) or wanted.page_size == 0:
            return rows, None
        key = key or self._register(iterator)
        upcoming = iterator.ids[end]
        iterator.positions[upcoming] = end
        iterator.expires = self._world.clock.now() + timedelta(seconds=lifetime)
        return rows, f"{key}/{upcoming}"

    def expire(self) -> None:
        """Forgets every listing under way: all offsets given out so far become unavailable."""
        self._iterators.clear()

    def _register(self, iterator: _Iterator) -> str:
        key = self._world.ids.new("itr")
        self._iterators[key] = iterator
        if len(self._iterators) > _KEPT_ITERATORS:
            self._iterators.popitem(last=False)
        return key

    def _resume(self, table: Table, offset: str) -> tuple[str, _Iterator, int]:
        match = _OFFSET.match(offset)
        if match is None:
            raise errors.typed(422, "INVALID_OFFSET_VALUE", f"The value of offset {offset} is invalid")
        iterator = self._iterators.get(match[1])
        if iterator is not None and iterator.expires < self._world.clock.now():
            del self._iterators[match[1]]
            iterator = None
        if iterator is None or iterator.table_id != table.id or match[2] not in iterator.positions:
            raise errors.typed(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
        return match[1], iterator, iterator.positions[match[2]]

    def _snapshot(self, base: Base, table: Table, wanted: Listing) -> list[str]:
        view = find_view(base, table, wanted.view)
        key = (table.id, view.id if view else None, wanted.formula, wanted.sort)
        stamp = (base.schema_revision, sum(other.revision for other in base.tables.values()))
        kept = self._snapshots.get(key)
        if kept is not None and kept[0] == stamp:
            self._snapshots.move_to_end(key)
            return kept[1]
        ids = [row.id for row in self._select(base, table, view, wanted)]
        if not _MOVES_WITH_TIME.search(f"{wanted.formula} {view.formula if view else ''}"):
            self._snapshots[key] = (stamp, ids)
            if len(self._snapshots) > _KEPT_SNAPSHOTS:
                self._snapshots.popitem(last=False)
        return ids

    def _select(self, base: Base, table: Table, view: View | None, wanted: Listing) -> list[Record]:
        rows = rows_of_view(self._world, base, table, view)
        if wanted.formula is not None:
            keep = filter_test(self._world, base, table, wanted.formula)
            rows = [row for row in rows if keep(row)]
        return sort_rows(self._world, base, table, rows, wanted.sort)


def rows_of_view(world: World, base: Base, table: Table, view: View | None) -> list[Record]:
    """The table's records, by a view those it shows in its order."""
    rows = list(table.records.values())
    if view is None:
        return rows
    if view.formula is not None:
        keep = filter_test(world, base, table, view.formula)
        rows = [row for row in rows if keep(row)]
    return sort_rows(world, base, table, rows, tuple(view.sort))


def find_view(base: Base, table: Table, name_or_id: str | None) -> View | None:
    """The view asked for; ApiError when this table has none of that name or id."""
    if name_or_id is None:
        return None
    view = table.view(name_or_id)
    if view is not None:
        return view
    if is_id(name_or_id, "viw"):
        if any(other.view(name_or_id) for other in base.tables.values()):
            raise errors.typed(422, "FAILED_STATE_CHECK")
        raise errors.typed(422, "VIEW_ID_NOT_FOUND", f"View {name_or_id} not found")
    raise errors.typed(422, "VIEW_NAME_NOT_FOUND", f"View {name_or_id} not found")


def filter_test(world: World, base: Base, table: Table, text: str) -> Callable[[Record], bool]:
    """The test that filterByFormula stands for; ApiError INVALID_FILTER_BY_FORMULA."""
    try:
        return world.values(base).filter(table, text)
    except UnknownFieldNames as error:
        names = ", ".join(name.lower() for name in error.names)
        raise errors.invalid_formula(f"Unknown field names: {names}") from None
    except FormulaError:
        raise errors.invalid_formula("Invalid formula. Please check your formula text.") from None


def sort_rows(
    world: World, base: Base, table: Table, rows: list[Record], sort: tuple[tuple[str, str], ...]
) -> list[Record]:
    """The rows ordered by several fields, blanks first ascending; equal rows keep their order."""
    for key, direction in reversed(sort):
        target = table.fields[key]
        rank = _rank(target, world.values(base).reader(table, target))
        rows = sorted(rows, key=rank, reverse=direction == "desc")
    return rows


def _rank(target: Field, read: Callable[[Record], Any]) -> Callable[[Record], tuple[int, Any]]:
    """A sort key: blanks, then numbers, dates and texts each among their own; selects by option order."""
    if target.type == "singleSelect":
        order = {choice["name"]: index for index, choice in enumerate(target.option("choices") or ())}
        return lambda row: (0, 0) if (name := read(row)) is None else (1, order.get(name, len(order)))
    return lambda row: _comparable(read(row))


def _comparable(value: Any) -> tuple[int, Any]:
    if value is None or value == "" or value == []:
        return 0, 0
    if isinstance(value, bool | int | float):
        return (1, value) if value == value else (0, 0)
    if isinstance(value, datetime):
        return 2, value.timestamp()
    if isinstance(value, date):
        return 2, datetime(value.year, value.month, value.day).timestamp()
    if isinstance(value, list):
        return (1, value[0]) if isinstance(value[0], int | float) else (3, ", ".join(map(str, value)).casefold())
    return 3, str(value).casefold()
