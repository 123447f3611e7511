"""The whole world as JSON and back, for snapshots between tests. Webhooks are not part of it."""

import base64
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar

from pyairtable_devkit.airtable.clock import Clock, from_iso, to_iso
from pyairtable_devkit.airtable.ids import IdFactory
from pyairtable_devkit.airtable.model import Base, Comment, Field, Record, Table, User, View
from pyairtable_devkit.airtable.store import World
from pyairtable_devkit.airtable.tokens import Token

VERSION = 1
Json = dict[str, Any]
Made = TypeVar("Made", Comment, Record)


class StateError(ValueError):
    """A snapshot that this emulator cannot read."""


def dump(world: World) -> Json:
    """Everything but caches, webhooks and what is under way."""
    return {
        "version": VERSION,
        "users": [asdict(user) for user in world.users.values()],
        "tokens": [asdict(token) | {"scopes": sorted(token.scopes)} for token in world.tokens.values()],
        "workspaces": dict(world.workspaces),
        "blobs": {key: base64.b64encode(content).decode() for key, content in world.blobs.items()},
        "bases": [_base(base) for base in world.bases.values()],
    }


def load(snapshot: Json, clock: Clock, ids: IdFactory) -> World:
    """The world of a snapshot; StateError when it is not one that `dump` made."""
    if snapshot.get("version") != VERSION:
        raise StateError(f"not a snapshot of version {VERSION}")
    try:
        world = World(clock, ids, workspaces=snapshot["workspaces"])
        world.users = {item["id"]: User(**item) for item in snapshot["users"]}
        tokens = [Token(**item | {"scopes": frozenset(item["scopes"])}) for item in snapshot["tokens"]]
        world.tokens = {token.secret: token for token in tokens}
        world.blobs = {key: base64.b64decode(text) for key, text in snapshot["blobs"].items()}
        world.bases = {item["id"]: _load_base(item) for item in snapshot["bases"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateError(f"the snapshot is damaged: {error!r}") from error
    return world


def _base(base: Base) -> Json:
    shown = {name: getattr(base, name) for name in ("id", "name", "workspace_id", "schema_revision", "transactions")}
    return shown | {"tables": [_table(table) for table in base.tables.values()]}


def _table(table: Table) -> Json:
    names = ("id", "name", "primary_id", "description", "date_dependency", "next_number", "revision")
    return {name: getattr(table, name) for name in names} | {
        "fields": [asdict(field) for field in table.fields.values()],
        "views": [asdict(view) for view in table.views],
        "records": [_flat(record, {"computed"}) for record in table.records.values()],
    }


def _flat(item: Record | Comment, without: set[str]) -> Json:
    """A record or comment as JSON, its times in ISO form."""
    return {field.name: _plain(getattr(item, field.name)) for field in fields(item) if field.name not in without}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_iso(value)
    if isinstance(value, Comment):
        return _flat(value, set())
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _load_base(item: Json) -> Base:
    base = Base(**item | {"tables": {}})
    for spec in item["tables"]:
        table = Table(**spec | {"fields": {}, "views": [], "records": {}})
        table.fields = {field["id"]: Field(**field) for field in spec["fields"]}
        table.views = [View(**view | {"sort": [tuple(pair) for pair in view["sort"]]}) for view in spec["views"]]
        table.records = {record["id"]: _load_record(record) for record in spec["records"]}
        base.tables[table.id] = table
    return base


def _load_record(item: Json) -> Record:
    times = {key: from_iso(text) for key, text in item["cell_times"].items()}
    comments = [_dated(Comment, comment) for comment in item["comments"]]
    return _dated(Record, item | {"cell_times": times, "comments": comments})


def _dated(kind: type[Made], item: Json) -> Made:
    names = ("created_time", "modified_time", "last_updated_time")
    return kind(**item | {name: from_iso(item[name]) for name in names if item.get(name)})
