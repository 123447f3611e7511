"""Answers as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyairtable_devkit.gemini.planner.schema import DATE_TYPES, LINK_TYPES, FieldInfo, Record

Names = dict[str, str]
_SHOWN_ROWS = 30
_SHOWN_COLUMNS = 6


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [_line(headings), _line(["---"] * len(headings))]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def counted(count: int, noun: str) -> str:
    """ "1 record", "2 records" """
    return f"{count} {noun}" + ("" if count == 1 else "s")


def number(value: float) -> str:
    """A number without needless decimals: 12, 12.5, 0.33."""
    return f"{round(value, 2):.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def cell(value: Any, names: Names) -> str:
    """A cell as text; record ids become the names known for them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list):
        return ", ".join(cell(item, names) for item in value)
    if isinstance(value, dict):
        named = next((value[key] for key in ("name", "filename", "email", "value") if value.get(key)), None)
        return str(named) if named else ", ".join(f"{key}: {cell(item, names)}" for key, item in value.items())
    return names.get(str(value), str(value))


def field_cell(value: Any, field: FieldInfo, names: Names) -> str:
    """A cell as its field shows it: durations (seconds, Airtable docs) as h:mm, fractions as percent."""
    kind = field.result_type or field.type
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind == "duration":
            return f"{int(value) // 3600}:{int(value) % 3600 // 60:02d}"
        if kind == "percent":
            return number(value * 100) + " %"
    return cell(value, names)


def records(rows: Sequence[Record], fields: Sequence[FieldInfo], names: Names) -> str:
    """Records as a table of these fields, the first rows only, with a note when there are more."""
    shown = [[field_cell(row.fields.get(field.name), field, names) for field in fields] for row in rows[:_SHOWN_ROWS]]
    text = table([field.name for field in fields], shown)
    more = len(rows) - len(shown)
    return f"{text}\n\n... and {more} more." if more else text


def columns(fields: Sequence[FieldInfo], wanted: Sequence[FieldInfo], first: FieldInfo) -> list[FieldInfo]:
    """Which fields to show: the primary one and those asked for, else the first few that say most."""
    if wanted:
        return [first, *(field for field in wanted if field != first)]
    telling = [field for field in fields if not field.is_computed and field.type not in ("multipleAttachments",)]
    ranked = sorted(telling, key=lambda field: field.type not in {"singleSelect", *LINK_TYPES, *DATE_TYPES})
    kept = {field.name for field in ranked[: _SHOWN_COLUMNS - 1]}
    return [first, *(field for field in telling if field.name in kept and field != first)]


def outline(value: Any, depth: int = 0) -> str:
    """Any tool result as text: facts as bullets, lists of objects as tables."""
    if isinstance(value, list):
        if value and all(isinstance(item, dict) for item in value):
            return _objects(value)
        return "\n".join(f"- {cell(item, {})}" for item in value[:_SHOWN_ROWS])
    if not isinstance(value, dict):
        return cell(value, {})
    lines = [f"- {_words(name)}: {cell(item, {})}" for name, item in value.items() if _is_plain(item)]
    for name, item in value.items():
        if not _is_plain(item) and item:
            inner = outline([{"name": key, **sub} for key, sub in item.items()] if _is_table(item) else item, depth + 1)
            lines.append(f"\n**{_words(name)}**\n\n{inner}" if depth == 0 else f"\n{_words(name)}:\n\n{inner}")
    return "\n".join(lines).strip()


def _objects(items: Sequence[dict[str, Any]]) -> str:
    headings = list(dict.fromkeys(key for item in items for key, value in item.items() if _is_short(value)))
    kept = headings[: _SHOWN_COLUMNS + 2]
    rows = [[cell(item.get(key), {}) for key in kept] for item in items[:_SHOWN_ROWS]]
    more = len(items) - len(rows)
    return table([_words(key) for key in kept], rows) + (f"\n\n... and {more} more." if more > 0 else "")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(not isinstance(item, dict | list) for item in value) and len(value) <= 5
    return not isinstance(value, dict)


def _is_short(value: Any) -> bool:
    return all(_is_plain(item) for item in value.values()) if isinstance(value, dict) else _is_plain(value)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and len(value) > 1 and all(isinstance(item, dict) for item in value.values())


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
