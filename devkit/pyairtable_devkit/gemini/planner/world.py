"""What the planner knows of the world: only what tools answered in this turn.

A recipe reads as if tools answered at once. What the conversation does not hold yet is raised as NeedCalls; when the
results have come back the recipe runs again from its start and gets further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

from pyairtable_devkit.gemini.planner import shapes
from pyairtable_devkit.gemini.planner.outcome import AskUser, NeedCalls, ToolFailed
from pyairtable_devkit.gemini.planner.schema import (
    FieldInfo,
    Record,
    Table,
    infer_fields,
    primary,
    read_fields,
    read_table,
)
from pyairtable_devkit.gemini.planner.toolbox import Toolbox
from pyairtable_devkit.gemini.planner.words import base_id, same
from pyairtable_devkit.gemini.request import Call, CallResult, GenerateRequest

T = TypeVar("T")

_PAGE = 200
_MAX_PAGES = 25
_CALLS_PER_TURN = 8  # clients bound them; what is left over is asked for in the next turn


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one table; `complete` is False when there are more than were read."""

    rows: list[Record]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Query:
    """Which records to read: a table, and optionally only some fields or those that a formula holds for."""

    table: Table
    columns: tuple[str, ...] = ()
    formula: str = ""


class World:
    """Tool results of the current turn, asked for by meaning."""

    def __init__(self, request: GenerateRequest, toolbox: Toolbox, text: str) -> None:
        self.toolbox = toolbox
        self.today = date.today()
        self._text = text
        self._done = list(_results(request))
        self._floor = 0

    def ask(self, calls: Sequence[Call]) -> list[Any]:
        """The results of these calls; NeedCalls for those not made yet, ToolFailed when one answered with an error."""
        found = [self._find(call) for call in calls]
        missing = [call for call, index in zip(calls, found, strict=True) if index is None]
        if missing:
            raise NeedCalls(_distinct(missing)[:_CALLS_PER_TURN])
        return [self._result(index) for index in found if index is not None]

    def write(self, calls: Sequence[Call]) -> list[Any]:
        """As `ask`, for calls that change data: what was read before them counts no more."""
        results = self.ask(calls)
        self._floor = max(index for call in calls if (index := self._find(call)) is not None) + 1
        return results

    def gather(self, steps: Sequence[Callable[[], T]]) -> list[T]:
        """The results of independent steps; what they need is asked for in one turn."""
        needed: list[Call] = []
        results: list[T] = []
        for step in steps:
            try:
                results.append(step())
            except NeedCalls as need:
                needed += need.calls
        if needed:
            raise NeedCalls(_distinct(needed)[:_CALLS_PER_TURN])
        return results

    def call(self, role: str, **meant: Any) -> Call:
        """A call of the tool for that role, with the base filled in where it is needed."""
        base = self.base() if self.toolbox.requires(role, "base") else base_id(self._text) or None
        return self.toolbox.call(role, base=base, **meant)

    def results(self) -> list[dict[str, Any]]:
        """Everything that tools answered in this turn."""
        return [result.response for _, result in self._done]

    def bases(self) -> list[dict[str, Any]]:
        """The bases the caller can see."""
        result = self.ask([self.toolbox.call("list_bases")])[0]
        return shapes.named_in(result, "bases")

    def tables(self) -> list[Table]:
        """The tables of the base."""
        result = self.ask([self.call("list_tables")])[0]
        return [read_table(raw) for raw in shapes.named_in(result, "tables")]

    def fields(self, tables: Sequence[Table]) -> list[list[FieldInfo]]:
        """The fields of each of these tables, asked for in one turn."""
        unknown = [table for table in tables if not shapes.fields_in(table.raw.get("fields"))]
        if unknown and not self.toolbox.has("field_info"):
            return [infer_fields(read.rows) for read in self.records([Query(table) for table in tables])]
        told = self.ask([self.call("field_info", table=table.id) for table in unknown])
        by_id = {table.id: shapes.fields_in(result) for table, result in zip(unknown, told, strict=True)}
        return [read_fields(by_id.get(table.id) or shapes.fields_in(table.raw.get("fields"))) for table in tables]

    def primary_names(self, tables: Sequence[Table]) -> list[str]:
        """The names of the tables' primary fields; fields are asked for only where the table does not tell."""
        unknown = [table for table in tables if not table.raw.get("primary_field")]
        told = dict(zip((table.id for table in unknown), self.fields(unknown), strict=True))
        return [str(table.raw.get("primary_field") or primary(told[table.id]).name) for table in tables]

    def records(self, queries: Sequence[Query]) -> list[Records]:
        """All records each query asks for, page after page, the queries side by side."""
        return self.gather([partial(self._all_pages, query) for query in queries])

    def search(self, table: Table, text: str) -> list[Record]:
        """Records of a table that hold a text."""
        if not self.toolbox.has("search_records"):
            rows = self.records([Query(table)])[0].rows
            return [
                row for row in rows if any(text.casefold() in part.casefold() for part in shapes.strings_in(row.fields))
            ]
        result = self.ask([self.call("search_records", table=table.id, query=text)])[0]
        return [_record(raw) for raw in shapes.records_in(result)]

    def _all_pages(self, query: Query) -> Records:
        """Page after page; with smaller pages from where the client cut a result down."""
        rows: list[Record] = []
        token, size = "", min(_PAGE, self.toolbox.maximum("get_records", "limit", _PAGE))
        for _ in range(_MAX_PAGES):
            call = self.call(
                "get_records",
                table=query.table.id,
                limit=size,
                columns=list(query.columns) or None,
                formula=query.formula or None,
                page=token or None,
            )
            result = self.ask([call])[0]
            page = [_record(raw) for raw in shapes.records_in(result)]
            if shapes.is_shortened(result):
                if size == 1:
                    return Records(rows + page, complete=False)
                size = max(1, min(len(page) * 3 // 4, size // 2))
                continue
            rows += page
            token = shapes.next_page(result)
            if not token or not self.toolbox.takes("get_records", "page"):
                return Records(rows, complete=not token)
        return Records(rows, complete=False)

    def base(self) -> str:
        """The base a tool must be told: the one named in the request, or the only one there is."""
        told = base_id(self._text)
        if told:
            return told
        if not self.toolbox.has("list_bases"):
            raise AskUser("Which base do you mean? Please give me its id (app...).")
        bases = self.bases()
        named = [base for base in bases if str(base["name"]).casefold() in self._text.casefold()]
        fitting = named or [base for base in bases if base.get("is_default")] or bases
        if len(fitting) != 1:
            names = ", ".join(f"{base['name']} ({base['id']})" for base in bases) or "none"
            raise AskUser(f"Which base do you mean? I can see: {names}.")
        return str(fitting[0]["id"])

    def _find(self, call: Call) -> int | None:
        for index in range(self._floor, len(self._done)):
            made = self._done[index][0]
            if made.name == call.name and made.args == call.args:
                return index
        return None

    def _result(self, index: int) -> Any:
        call, result = self._done[index]
        error = shapes.error_of(result.response)
        if error:
            raise ToolFailed(call, error)
        return shapes.unwrap(result.response)


def find_named(records: Sequence[Record], field: str, name: str) -> list[Record]:
    """The records whose field is that text; else those that hold it."""
    exact = [record for record in records if same(str(record.fields.get(field, "")), name)]
    return exact or [record for record in records if name.casefold() in str(record.fields.get(field, "")).casefold()]


def _results(request: GenerateRequest) -> Iterator[tuple[Call, CallResult]]:
    """Calls of the current turn with their results: by id where there are ids, else in order."""
    contents = request.contents[request.turn_start :]
    for asked, answered in pairwise(contents):
        results = list(answered.results)
        for part in asked.calls:
            call = part.call
            if call is None or not results:
                continue
            match = next((result for result in results if call.id and result.id == call.id), results[0])
            results.remove(match)
            yield call, match


def _distinct(calls: Sequence[Call]) -> list[Call]:
    kept: list[Call] = []
    for call in calls:
        if call not in kept:
            kept.append(call)
    return kept


def _record(raw: dict[str, Any]) -> Record:
    return Record(str(raw["id"]), raw["fields"])
