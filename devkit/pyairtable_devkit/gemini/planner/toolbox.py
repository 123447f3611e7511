"""The declared tools by what they do, and calls built with the argument names that they declare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pyairtable_devkit.gemini.planner.outcome import AskUser, CannotDo
from pyairtable_devkit.gemini.request import Call, Declaration

# What a tool does -> what such tools are called, with or without a prefix such as "airtable_".
ROLES = {
    "list_bases": r"(list|get)_bases",
    "list_tables": r"(list|get)_tables",
    "field_info": r"get_field_info|(get|list)_fields|(get_)?(table_)?schema|describe_table",
    "get_records": r"(get|list)_records",
    "get_record": r"get_record",
    "search_records": r"(search|find)_records",
    "create_record": r"create_record",
    "update_record": r"update_record",
    "delete_record": r"delete_record",
    "batch_create": r"batch_create_records|create_records",
    "analyze": r"analy[sz]e_table(_data)?",
    "duplicates": r"find_duplicates",
    "export": r"export_(table_)?csv|export_table",
    "sync": r"sync_tables?",
    "metadata": r"create_metadata_table",
}

_DOES = {
    "list_bases": "list bases", "list_tables": "list tables", "field_info": "describe the fields of a table",
    "get_records": "read records", "get_record": "read a record", "search_records": "search records",
    "create_record": "create records", "update_record": "update records", "delete_record": "delete records",
    "batch_create": "create several records", "analyze": "analyse a table", "duplicates": "find duplicates",
    "export": "export CSV", "sync": "synchronise tables", "metadata": "write a metadata table",
}  # fmt: skip

# What an argument means -> what it may be called.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "base": ("base_id", "base", "baseId"),
    "table": ("table_id", "table", "tableId", "table_id_or_name", "table_name"),
    "record": ("record_id", "record", "recordId", "id"),
    "values": ("fields", "values", "data"),
    "columns": ("fields", "field_names", "columns"),
    "rows": ("records", "rows"),
    "query": ("query", "search", "text", "term", "q"),
    "limit": ("max_records", "limit", "page_size", "maxRecords", "pageSize"),
    "page": ("page_token", "next_page_token", "pageToken", "cursor", "offset"),
    "formula": ("filter_by_formula", "formula", "filterByFormula", "filter"),
    "new_name": ("table_name", "name"),
    "source_base": ("source_base_id", "source_base"),
    "source_table": ("source_table_id", "source_table"),
    "target_base": ("target_base_id", "target_base"),
    "target_table": ("target_table_id", "target_table"),
    "key": ("key_field", "key"),
    "dry_run": ("dry_run", "dryRun", "preview"),
}


class Toolbox:
    """The tools of one request."""

    def __init__(self, tools: Sequence[Declaration]) -> None:
        self.tools = tuple(tools)
        self._by_role = {role: self._named(pattern) for role, pattern in ROLES.items()}

    def has(self, role: str) -> bool:
        """Whether some tool does that."""
        return self._by_role[role] is not None

    @property
    def is_airtable(self) -> bool:
        """Whether the tools can look into a base at all."""
        return any(self._by_role.values())

    @property
    def others(self) -> tuple[Declaration, ...]:
        """The tools that no recipe knows."""
        return tuple(tool for tool in self.tools if tool not in self._by_role.values())

    def takes(self, role: str, meaning: str) -> bool:
        """Whether the tool for that role has an argument of that meaning."""
        tool = self._by_role[role]
        return tool is not None and _argument(tool, meaning) is not None

    def requires(self, role: str, meaning: str) -> bool:
        """Whether the tool for that role demands an argument of that meaning."""
        tool = self._by_role[role]
        return tool is not None and any(name in tool.required for name in ARGUMENTS[meaning])

    def wraps_rows(self) -> bool:
        """Whether rows of a batch are objects with a `fields` key; a schema that does not say is taken to want it."""
        tool = self._by_role["batch_create"]
        name = _argument(tool, "rows") if tool else None
        items = (tool.properties[name].get("items") or {}) if tool and name else {}
        return "properties" not in items or "fields" in items["properties"]

    def maximum(self, role: str, meaning: str, otherwise: int) -> int:
        """The largest value the tool's schema allows for a number."""
        tool = self._by_role[role]
        name = _argument(tool, meaning) if tool else None
        found = tool.properties[name].get("maximum") if tool and name else None
        return int(found) if isinstance(found, int | float) else otherwise

    def call(self, role: str, **meant: Any) -> Call:
        """A call of the tool for that role; arguments it does not declare are left out, None means not given.

        Raises CannotDo when there is no such tool, AskUser when it requires what is not known.
        """
        tool = self._by_role[role]
        if tool is None:
            raise CannotDo(f"None of the tools I was given can {_DOES[role]}.")
        args: dict[str, Any] = {}
        for meaning, value in meant.items():
            name = _argument(tool, meaning)
            if name is not None and value is not None:
                args[name] = value
        missing = [name for name in tool.required if name not in args]
        if missing:
            raise AskUser(f"To {_DOES[role]} I also need: {', '.join(missing)}. What should I use?")
        return Call(tool.name, args)

    def _named(self, pattern: str) -> Declaration | None:
        whole = re.compile(rf"(?:\w+[_.:-])?(?:{pattern})", re.IGNORECASE)
        exact = [tool for tool in self.tools if re.fullmatch(pattern, tool.name)]
        return next(iter(exact or [tool for tool in self.tools if whole.fullmatch(tool.name)]), None)


def _argument(tool: Declaration, meaning: str) -> str | None:
    return next((name for name in ARGUMENTS[meaning] if name in tool.properties), None)
