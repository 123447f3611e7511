"""Recipes that hand a whole job to one tool: analysis, duplicates, export, sync, metadata."""

from __future__ import annotations

import re
from typing import Any

from pyairtable_devkit.gemini.planner import markdown, shapes
from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.schema import Table, find_field, find_table, primary, require_table
from pyairtable_devkit.gemini.planner.words import quoted
from pyairtable_devkit.gemini.planner.world import World

_BY = re.compile(r"\b(?:by|on|using|based on|with (?:the )?same)\s+(?:the )?(?P<names>[\w ,]+)", re.IGNORECASE)
_SYNC = re.compile(
    r"\b(?:from\s+|of\s+|sync(?:hroni[sz]e)?\s+)(?:the )?(?P<source>[\w '\"]+?)\s+(?:table\s+)?"
    r"(?:to|into|with|and)\s+(?:the )?(?P<target>[\w '\"]+?)(?:\s+table)?"
    r"(?:\s+(?:by|on|using|with key)\s+(?:the )?(?P<key>[\w ]+?))?[.?!]*$",
    re.IGNORECASE,
)
_APPLY = re.compile(r"\b(?:apply|really|for real|execute|not just a preview)\b", re.IGNORECASE)
_PREVIEW_LINES = 12


def analyze_table(text: str, world: World) -> str:
    """ "Analyse the Social Posts table and recommend improvements" """
    table = require_table(text, world.tables())
    result = world.ask([world.call("analyze", table=table.id)])[0]
    answer = f"Analysis of {table.name}:\n\n{markdown.outline(result)}"
    sparse = _sparse_fields(result)
    if sparse:
        names = ", ".join(f"{name} ({markdown.number(rate)} %)" for name, rate in sparse)
        answer += f"\n\nWorth improving: these fields are mostly empty: {names}."
    return answer


def _sparse_fields(result: Any) -> list[tuple[str, float]]:
    """Fields that the tool says are filled below half, with their fill rate in percent."""
    found = []
    for name, facts in _field_facts(result):
        rate = next((facts[key] for key in ("fill_rate", "fillRate", "fill_rate_percent") if key in facts), None)
        if isinstance(rate, int | float):
            percent = rate * 100 if rate <= 1 else float(rate)
            if percent < 50:
                found.append((name, percent))
    return found


def _field_facts(value: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(value, list):
        return [pair for item in value for pair in _field_facts(item)]
    if not isinstance(value, dict):
        return []
    if any(key.startswith("fill") for key in value):
        name = value.get("name") or value.get("field") or ""
        return [(str(name), value)] if name else []
    pairs = []
    for key, item in value.items():
        named = {"name": key, **item} if isinstance(item, dict) and any(k.startswith("fill") for k in item) else item
        pairs += _field_facts(named)
    return pairs


def find_duplicates(text: str, world: World) -> str:
    """ "Find duplicate contacts by email" """
    asked = _BY.search(text)
    table = require_table(text[: asked.start()] if asked else text, world.tables())
    names: list[str] | None = None
    if asked or world.toolbox.requires("duplicates", "columns"):
        fields = world.fields([table])[0]
        wanted = re.split(r",|\band\b", asked["names"]) if asked else []
        found = [field.name for name in wanted if (field := find_field(name, fields))]
        names = found or [primary(fields).name]
    result = world.ask([world.call("duplicates", table=table.id, columns=names)])[0]
    by = f" by {', '.join(names)}" if names else ""
    return f"Duplicates in {table.name}{by}:\n\n{markdown.outline(result)}"


def export_table(text: str, world: World) -> str:
    """ "Export Contacts as CSV" """
    table = require_table(re.sub(r"\bcsv\b", " ", text, flags=re.IGNORECASE), world.tables())
    result = world.ask([world.call("export", table=table.id)])[0]
    csv = max(shapes.strings_in(result), key=lambda part: (part.count("\n"), len(part)), default="")
    lines = csv.strip().splitlines()
    facts = (
        {key: value for key, value in result.items() if not isinstance(value, str | list | dict)}
        if isinstance(result, dict)
        else {}
    )
    told = markdown.outline(facts)
    more = len(lines) - _PREVIEW_LINES
    preview = "\n".join(lines[:_PREVIEW_LINES]) + (f"\n... {more} more lines" if more > 0 else "")
    return f"{table.name} as CSV:\n\n{told}\n\n```csv\n{preview}\n```"


def sync_tables(text: str, world: World) -> str:
    """ "Preview a sync from Contacts to Suppliers by Email"; only a preview unless told to apply it."""
    found = _SYNC.search(text)
    if found is None:
        raise AskUser("From which table to which should I sync, and by which key field?")
    tables = world.tables()
    source, target = (_named_table(found[part], tables) for part in ("source", "target"))
    key = found["key"]
    fields = world.fields([source])[0]
    field = find_field(key, fields) if key else primary(fields)
    if field is None:
        raise AskUser(f"{source.name} has no field '{key}'. By which field should I match?")
    dry_run = _APPLY.search(text) is None
    call = world.call(
        "sync", source_table=source.id, target_table=target.id, key=field.name, dry_run=dry_run, **_bases(world)
    )
    result = (world.ask([call]) if dry_run else world.write([call]))[0]
    what = "Preview of the sync" if dry_run else "Sync"
    return f"{what} from {source.name} to {target.name} by {field.name}:\n\n{markdown.outline(result)}"


def _named_table(text: str, tables: list[Table]) -> Table:
    return find_table(text.strip(" '\""), tables) or require_table(text, tables)


def _bases(world: World) -> dict[str, str]:
    if not world.toolbox.requires("sync", "source_base"):
        return {}
    base = world.base()
    return {"source_base": base, "target_base": base}


def metadata_table(text: str, world: World) -> str:
    """ "Create a metadata table that describes all tables" """
    name = next(iter(quoted(text)), None)
    result = world.write([world.call("metadata", new_name=name)])[0]
    return f"I wrote the metadata table:\n\n{markdown.outline(result)}"
