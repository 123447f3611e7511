"""A tiny in-memory base behind tools like the real ones, and a client loop that plays model and tools in turn."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest

from pyairtable_devkit.gemini.fields import normalise
from pyairtable_devkit.gemini.planner import plan
from pyairtable_devkit.gemini.request import Call, read_request

TEXT, NUMBER, LIST, OBJECT = {"type": "string"}, {"type": "integer"}, {"type": "array"}, {"type": "object"}
TABLE = {"base_id": TEXT, "table_id": TEXT}
RECORD = {**TABLE, "record_id": TEXT}
TOOLS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "list_bases": ({}, []),
    "list_tables": ({"base_id": TEXT}, []),
    "get_field_info": (TABLE, ["table_id"]),
    "get_records": (
        {
            **TABLE,
            "max_records": {"type": "integer", "maximum": 4},
            "filter_by_formula": TEXT,
            "fields": LIST,
            "page_token": TEXT,
        },
        ["table_id"],
    ),
    "get_record": (RECORD, ["table_id", "record_id"]),
    "search_records": ({**TABLE, "query": TEXT, "max_records": NUMBER}, ["table_id", "query"]),
    "create_record": ({**TABLE, "fields": OBJECT}, ["table_id", "fields"]),
    "update_record": ({**RECORD, "fields": OBJECT}, ["table_id", "record_id", "fields"]),
    "delete_record": (RECORD, ["table_id", "record_id"]),
    "batch_create_records": ({**TABLE, "records": LIST}, ["table_id", "records"]),
    "analyze_table_data": ({**TABLE, "sample_size": NUMBER}, ["table_id"]),
    "find_duplicates": ({**TABLE, "fields": LIST}, ["table_id"]),
    "export_table_csv": (TABLE, ["table_id"]),
    "sync_tables": (
        {"source_table_id": TEXT, "target_table_id": TEXT, "key_field": TEXT, "dry_run": {"type": "boolean"}},
        ["source_table_id", "target_table_id", "key_field"],
    ),
    "create_metadata_table": ({"base_id": TEXT, "table_name": TEXT}, []),
}


def rec(number: int) -> str:
    """A record id with the right number of characters."""
    return f"rec{number:014d}"


def _field(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"id": "fld" + name, "name": name, "type": kind, **more}


def _link(name: str, table: str) -> dict[str, Any]:
    return _field(name, "multipleRecordLinks", linked_table_id=table)


def _select(name: str, *choices: str) -> dict[str, Any]:
    return _field(name, "singleSelect", choices=[{"name": choice} for choice in choices])


@dataclass
class FakeBase:
    """Tables of a small firm; `calls` is what was called, `failing` the tools that answer with an error."""

    calls: list[Call] = field(default_factory=list)
    turns: list[list[str]] = field(default_factory=list)
    failing: dict[str, Any] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    shorten_above: int = 1000

    def __post_init__(self) -> None:
        self.names = {
            "tblProjects": "Projects",
            "tblTasks": "Tasks",
            "tblHours": "Working Hours",
            "tblPeople": "Employees",
            "tblContacts": "Contacts",
            "tblExpenses": "Expenses",
            "tblPosts": "Social Posts",
        }
        self.fields = {
            "tblProjects": [
                _field("Name", "singleLineText", is_primary=True),
                _select("Status", "Planned", "In progress", "Done"),
                _field("Budget", "currency"),
                _field("Total Hours", "rollup", result_type="number"),
                _field("Expenses", "rollup", result_type="currency"),
            ],
            "tblTasks": [
                _field("Title", "singleLineText", is_primary=True),
                _select("Status", "To do", "In progress", "Done"),
                _link("Project", "tblProjects"),
                _link("Assignee", "tblPeople"),
                _field("Due Date", "date"),
                _field("Urgent", "checkbox"),
                _field("Estimate", "number"),
            ],
            "tblHours": [
                _field("Entry", "autoNumber", is_primary=True),
                _field("Hours", "number"),
                _link("Project", "tblProjects"),
                _link("Employee", "tblPeople"),
                _field("Date", "date"),
            ],
            "tblPeople": [_field("Name", "singleLineText", is_primary=True), _field("Hourly Rate", "currency")],
            "tblContacts": [
                _field("Name", "singleLineText", is_primary=True),
                _field("Email", "email"),
                _field("City", "singleLineText"),
            ],
            "tblExpenses": [
                _field("Description", "singleLineText", is_primary=True),
                _field("Amount", "currency"),
                _link("Project", "tblProjects"),
                _select("Category", "Materials", "Travel"),
            ],
            "tblPosts": [_field("Headline", "singleLineText", is_primary=True)],
        }
        self.rows: dict[str, dict[str, dict[str, Any]]] = {
            "tblProjects": {
                rec(1): {
                    "Name": "Villa Rosa",
                    "Status": "In progress",
                    "Budget": 50000,
                    "Total Hours": 999,
                    "Expenses": 999,
                },
                rec(2): {
                    "Name": "O'Brien's Kitchen",
                    "Status": "Planned",
                    "Budget": 12000.5,
                    "Total Hours": 999,
                    "Expenses": 999,
                },
                rec(3): {"Name": "Attic", "Status": "Done", "Budget": 7000, "Total Hours": 0, "Expenses": 0},
            },
            "tblTasks": {
                rec(11): {"Title": "Order tiles", "Status": "To do", "Project": [rec(1)], "Estimate": 3},
                rec(12): {"Title": "Paint wall", "Status": "Done", "Project": [rec(1)], "Urgent": True},
                rec(13): {"Title": "Fix sink", "Status": "In progress", "Project": [rec(2)], "Assignee": [rec(21)]},
                rec(14): {"Title": "Fix roof", "Status": "To do", "Due Date": "2020-01-01"},
                rec(15): {"Title": "Sand floor", "Status": "Done", "Project": [rec(3)]},
            },
            "tblHours": {
                rec(31): {"Entry": 1, "Hours": 4, "Project": [rec(1)], "Employee": [rec(21)], "Date": "2026-10-05"},
                rec(32): {"Entry": 2, "Hours": 3.5, "Project": [rec(1)], "Employee": [rec(22)], "Date": "2026-10-06"},
                rec(33): {"Entry": 3, "Hours": 2, "Project": [rec(2)], "Employee": [rec(21)], "Date": "2026-11-01"},
                rec(34): {"Entry": 4, "Hours": 1.25, "Project": [rec(2)], "Employee": [rec(21)], "Date": "2026-11-02"},
                rec(35): {"Entry": 5, "Hours": 6, "Employee": [rec(22)], "Date": "2026-11-03"},
            },
            "tblPeople": {
                rec(21): {"Name": "Ana Müller", "Hourly Rate": 40},
                rec(22): {"Name": "Bo Lind", "Hourly Rate": 35},
            },
            "tblContacts": {
                rec(41): {"Name": "Sean O'Brien", "Email": "sean@example.com", "City": "Cork"},
                rec(42): {"Name": "Mary O'Brien", "Email": "mary@example.com", "City": "Galway"},
                rec(43): {"Name": "Zoë Ng", "Email": "zoe@example.com", "City": "Cork"},
            },
            "tblExpenses": {
                rec(51): {"Description": "Tiles", "Amount": 300, "Project": [rec(1)], "Category": "Materials"},
                rec(52): {"Description": "Van", "Amount": 120.4, "Project": [rec(1)], "Category": "Travel"},
                rec(53): {"Description": "Sink", "Amount": 80, "Project": [rec(2)], "Category": "Materials"},
            },
            "tblPosts": {},
        }

    def declarations(self) -> list[dict[str, Any]]:
        """The tools as a client declares them."""
        return [
            {
                "name": name,
                "description": name.replace("_", " "),
                "parametersJsonSchema": {"type": "object", "properties": properties, "required": required},
            }
            for name, (properties, required) in TOOLS.items()
            if name not in self.hidden
        ]

    def run(self, call: Call) -> dict[str, Any]:
        """What a tool answers."""
        self.calls.append(call)
        properties, required = TOOLS[call.name]
        assert set(call.args) <= set(properties), f"{call} has arguments that {call.name} does not take"
        assert set(required) <= set(call.args), f"{call} lacks arguments"
        if call.name in self.failing:
            return {"error": self.failing[call.name]}
        try:
            return dict(deepcopy(getattr(self, "_" + call.name)(**call.args)))
        except KeyError as missing:
            return {"error": {"message": f"there is no {missing}"}}

    def _list_bases(self) -> dict[str, Any]:
        return {"bases": [{"id": "appAcme0000000001", "name": "Acme CRM"}, {"id": "appOther00000002", "name": "Other"}]}

    def _list_tables(self) -> dict[str, Any]:
        tables = [
            {"id": key, "name": name, "description": "", "field_count": len(self.fields[key]), "view_count": 1}
            for key, name in self.names.items()
        ]
        return {"base_id": "appAcme0000000001", "count": len(tables), "tables": tables}

    def _get_field_info(self, table_id: str) -> dict[str, Any]:
        return {"table_id": table_id, "fields": self.fields[table_id]}

    def _get_records(
        self,
        table_id: str,
        max_records: int = 4,
        filter_by_formula: str = "",
        fields: list[str] | None = None,
        page_token: str = "",
    ) -> dict[str, Any]:
        rows = [
            {"id": key, "fields": {name: row[name] for name in row if not fields or name in fields}}
            for key, row in self.rows[table_id].items()
            if _holds(filter_by_formula, row)
        ]
        start = int(page_token or 0)
        page = rows[start : start + max_records]
        answer: dict[str, Any] = {"records": page, "count": len(page), "next_page_token": ""}
        if start + max_records < len(rows):
            answer["next_page_token"] = str(start + max_records)
        if len(page) > self.shorten_above:
            answer = {"_shortened": "too large", **answer, "records": page[: self.shorten_above]}
        return answer

    def _get_record(self, table_id: str, record_id: str) -> dict[str, Any]:
        return {"record": {"id": record_id, "fields": self.rows[table_id][record_id]}}

    def _search_records(self, table_id: str, query: str, max_records: int = 50) -> dict[str, Any]:
        found = [
            {"id": key, "fields": row}
            for key, row in self.rows[table_id].items()
            if any(query.lower() in str(value).lower() for value in row.values())
        ]
        return {"records": found, "count": len(found)}

    def _create_record(self, table_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        key = rec(100 + len(self.rows[table_id]))
        self.rows[table_id][key] = dict(fields)
        return {"record": {"id": key, "fields": fields}}

    def _batch_create_records(self, table_id: str, records: list[dict[str, Any]]) -> dict[str, Any]:
        made = [self._create_record(table_id, row["fields"])["record"] for row in records]
        return {"records": made, "complete": True}

    def _update_record(self, table_id: str, record_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        self.rows[table_id][record_id].update(fields)
        return {"record": {"id": record_id, "fields": self.rows[table_id][record_id]}}

    def _delete_record(self, table_id: str, record_id: str) -> dict[str, Any]:
        del self.rows[table_id][record_id]
        return {"deleted": True, "id": record_id}

    def _analyze_table_data(self, table_id: str) -> dict[str, Any]:
        facts = [{"field": "Headline", "fill_rate": 0.2, "unique_values": 3}, {"field": "Likes", "fill_rate": 1.0}]
        return {"table_name": self.names[table_id], "records_analyzed": 5, "fields": facts}

    def _find_duplicates(self, table_id: str, fields: list[str] | None = None) -> dict[str, Any]:
        return {"fields": fields, "group_count": 1, "groups": [{"values": {"City": "cork"}, "count": 2}]}

    def _export_table_csv(self, table_id: str) -> dict[str, Any]:
        return {"row_count": 2, "preview": "Name", "csv": "Name,City\r\nSean,Cork\r\nMary,Galway\r\n"}

    def _sync_tables(
        self, source_table_id: str, target_table_id: str, key_field: str, dry_run: bool = True
    ) -> dict[str, Any]:
        return {"dry_run": dry_run, "to_create": 2, "to_update": 1, "to_delete": 0}

    def _create_metadata_table(self, table_name: str = "Table Metadata") -> dict[str, Any]:
        return {"table_name": table_name, "tables_described": len(self.names)}


def _holds(formula: str, row: dict[str, Any]) -> bool:
    """The few formulas a planner writes: {Field}="text", != and <>, joined by AND."""
    parts = re.findall(r'\{([^}]+)\}(!=|=|>=|<=|>|<)("(?:[^"\\]|\\.)*"|-?[\d.]+)', formula)
    assert bool(parts) == bool(formula), formula
    for name, sign, literal in parts:
        held, wanted = row.get(name), literal.strip('"').replace('\\"', '"')
        if literal[0] == '"':
            holds = (str(held or "") == wanted) == (sign == "=")
        else:
            number, limit = float(held or 0), float(wanted)
            holds = {"=": number == limit, ">": number > limit, "<": number < limit}.get(sign, number >= limit)
        if not holds:
            return False
    return True


class Chat:
    """A conversation between a user, the planner and the tools of a base."""

    def __init__(self, base: FakeBase) -> None:
        self.base = base
        self.contents: list[dict[str, Any]] = []
        self.obey_injection = False

    def say(self, text: str) -> str:
        """The model's answer after all the tool calls it wants."""
        self.contents.append({"role": "user", "parts": [{"text": text}]})
        for _ in range(40):
            body = {"contents": self.contents, "tools": [{"functionDeclarations": self.base.declarations()}]}
            request = read_request(normalise(body, "GenerateContentRequest"))
            reply = plan(request, obey_injection=self.obey_injection)
            if not reply.calls:
                self.contents.append({"role": "model", "parts": [{"text": reply.text}]})
                return reply.text
            self._run(reply.calls)
        raise AssertionError("the planner never came to an end")

    def _run(self, calls: tuple[Call, ...]) -> None:
        self.base.turns.append([call.name for call in calls])
        asked = [{"functionCall": {"name": call.name, "args": call.args}} for call in calls]
        answered = [{"functionResponse": {"name": call.name, "response": self.base.run(call)}} for call in calls]
        self.contents += [{"role": "model", "parts": asked}, {"role": "user", "parts": answered}]


@pytest.fixture
def base() -> FakeBase:
    return FakeBase()


@pytest.fixture
def chat(base: FakeBase) -> Chat:
    return Chat(base)
