"""A small world of the emulator without HTTP: two linked tables and every kind of writable field."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pyairtable_devkit.airtable.clock import Clock
from pyairtable_devkit.airtable.model import Base, Record, Table
from pyairtable_devkit.airtable.render import Renderer
from pyairtable_devkit.airtable.seed import build_world
from pyairtable_devkit.airtable.store import Change, World

DOCUMENT: dict[str, Any] = {
    "users": [
        {"id": "usrAda00000000001", "email": "ada@acme.example", "name": "Ada"},
        {"id": "usrBen00000000002", "email": "ben@acme.example", "name": "Ben"},
    ],
    "tokens": [{"token": "t", "label": "t", "user": "usrAda00000000001", "role": "create"}],
    "bases": [
        {
            "id": "appSmall000000001",
            "name": "Small",
            "tables": [
                {
                    "name": "Projects",
                    "fields": [
                        {"name": "Name", "type": "singleLineText"},
                        {"name": "Budget", "type": "currency"},
                        {"name": "Share", "type": "percent", "options": {"precision": 1}},
                        {"name": "Length", "type": "duration", "options": {"durationFormat": "h:mm:ss"}},
                        {"name": "Stars", "type": "rating"},
                        {"name": "Done", "type": "checkbox"},
                        {"name": "Status", "type": "singleSelect", "choices": ["Open", "Closed"]},
                        {"name": "Tags", "type": "multipleSelects", "choices": ["a", "b"]},
                        {"name": "Day", "type": "date", "options": {"dateFormat": {"name": "european"}}},
                        {
                            "name": "At",
                            "type": "dateTime",
                            "options": {
                                "timeZone": "Europe/London",
                                "dateFormat": {"name": "iso"},
                                "timeFormat": {"name": "12hour"},
                            },
                        },
                        {"name": "Owner", "type": "singleCollaborator"},
                        {"name": "Team", "type": "multipleCollaborators"},
                        {"name": "Files", "type": "multipleAttachments"},
                        {"name": "Code", "type": "barcode"},
                        {"name": "Hours", "type": "multipleRecordLinks", "to": "Hours", "inverse": "Project"},
                        {
                            "name": "Total",
                            "type": "rollup",
                            "link": "Hours",
                            "field": "Spent",
                            "formula": "SUM(values)",
                        },
                        {"name": "Entries", "type": "count", "link": "Hours"},
                        {"name": "Who", "type": "multipleLookupValues", "link": "Hours", "field": "Entry"},
                        {"name": "Left", "type": "formula", "formula": "{Budget} - {Total}"},
                        {"name": "Number", "type": "autoNumber"},
                        {"name": "Changed", "type": "lastModifiedTime"},
                        {"name": "Budget Changed", "type": "lastModifiedTime", "of": ["Budget"]},
                        {"name": "Changed By", "type": "lastModifiedBy"},
                    ],
                    "columns": ["Name", "Budget"],
                    "rows": [["Alpha", 100], ["Beta", 50]],
                },
                {
                    "name": "Hours",
                    "fields": [
                        {"name": "Entry", "type": "singleLineText"},
                        {"name": "Spent", "type": "number", "options": {"precision": 1}},
                        {"name": "Project", "type": "multipleRecordLinks", "to": "Projects", "inverse": "Hours"},
                        {"name": "Next", "type": "multipleRecordLinks", "to": "Hours"},
                    ],
                    "columns": ["Entry", "Spent", "Project"],
                    "rows": [["H1", 2, "Alpha"], ["H2", 3.5, "Alpha"], ["H3", 1, None]],
                },
            ],
        }
    ],
}

USER = "usrAda00000000001"
OTHER_USER = "usrBen00000000002"


class Small:
    """The small world with short ways to look at it and to change it."""

    def __init__(self) -> None:
        self.world: World = build_world(DOCUMENT, random_seed=7)
        self.base: Base = self.world.bases["appSmall000000001"]

    def table(self, name: str) -> Table:
        """A table by name."""
        found = self.base.table(name)
        assert found is not None
        return found

    def row(self, table: str, primary: str) -> Record:
        """The record whose primary field holds this text."""
        found = self.table(table)
        return next(row for row in found.records.values() if row.cells.get(found.primary_id) == primary)

    def change(self, user_id: str = USER) -> Change:
        """A transaction."""
        return Change(self.world, self.base, user_id)

    def cells(self, table: str, primary: str) -> dict[str, Any]:
        """A record's cells by field name, in the REST shape."""
        return self.shown(self.table(table), self.row(table, primary))

    def shown(self, table: Table, record: Record) -> dict[str, Any]:
        """The same for a record at hand."""
        renderer = Renderer(self.base, self.world.values(self.base), self.world.users, dict)
        fields: dict[str, Any] = renderer.record(table, record)["fields"]
        return fields

    def field(self, table: str, name: str) -> str:
        """The id of a field."""
        found = self.table(table).field(name)
        assert found is not None
        return found.id


class SetClock(Clock):
    """A clock that stands still until it is told."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self.moment = now

    def now(self) -> datetime:
        """The moment it was set to."""
        return self.moment + self.shift


@pytest.fixture
def small() -> Small:
    """A fresh small world."""
    return Small()


@pytest.fixture
def seed_file(tmp_path: Path) -> Path:
    """Where a test may write a seed of its own."""
    return tmp_path / "seed.yaml"
