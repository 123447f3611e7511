"""The world of the emulator and the one way to change it: a `Change`, which keeps both ends of links.

Rules of what may be written are elsewhere; here values are already checked.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from pyairtable_devkit.airtable.clock import Clock
from pyairtable_devkit.airtable.ids import IdFactory, stable_id
from pyairtable_devkit.airtable.model import Base, Cells, Field, Record, Table, User
from pyairtable_devkit.airtable.tokens import Token
from pyairtable_devkit.airtable.values import Values


@dataclass
class World:
    """All bases, users and tokens, with the means to give ids and times."""

    clock: Clock
    ids: IdFactory
    bases: dict[str, Base] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    workspaces: dict[str, str] = field(default_factory=dict)
    """Workspace names by id."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    """The content of attachments by attachment id."""
    _values: dict[str, Values] = field(default_factory=dict)

    def values(self, base: Base) -> Values:
        """The readers of this base's cells."""
        found = self._values.get(base.id)
        if found is None:
            found = self._values[base.id] = Values(base, self.users, self.clock.now)
        return found

    def forget_readers(self) -> None:
        """Drops all readers; they are built again when asked for."""
        self._values.clear()


class Observer(Protocol):
    """Who wants to know what a change does, before and after it: the webhooks."""

    def before_record(self, table: Table, record: Record) -> None: ...
    def record_created(self, table: Table, record: Record) -> None: ...
    def record_deleted(self, table: Table, record: Record) -> None: ...


class Change:
    """One transaction on a base, made by one user. Records are only ever written through it."""

    def __init__(self, world: World, base: Base, user_id: str, observer: Observer | None = None) -> None:
        self._world = world
        self._base = base
        self._user_id = user_id
        self._observer = observer
        self.now = world.clock.now()

    def create(
        self,
        table: Table,
        cells: Cells,
        record_id: str | None = None,
        created: datetime | None = None,
    ) -> Record:
        """A new record at the end of the table."""
        moment = created or self.now
        record = Record(
            record_id or self._world.ids.new("rec"), moment, self._user_id, table.next_number, {}, moment,
            self._user_id,
        )  # fmt: skip
        table.next_number += 1
        table.records[record.id] = record
        if self._observer:
            self._observer.record_created(table, record)
        self._write(table, record, {key: value for key, value in cells.items() if value is not None}, moment)
        return record

    def update(self, table: Table, record: Record, cells: Cells) -> None:
        """Sets these cells, None clears one; what does not change counts as not written."""
        changed = {key: value for key, value in cells.items() if record.cells.get(key) != value}
        if changed:
            self._before(table, record)
            self._write(table, record, changed, self.now)
            self._sign(record)

    def delete(self, table: Table, record: Record) -> None:
        """Removes a record and every link to it."""
        self._before(table, record)
        for link in self._links(table):
            self._set_links(table, record, link, [])
        self._unlink_one_way(table, record)
        del table.records[record.id]
        table.revision += 1
        if self._observer:
            self._observer.record_deleted(table, record)

    def add_choice(self, target: Field, name: str) -> None:
        """A new option at the end of a select field."""
        add_choice(target, name)
        self._base.schema_revision += 1

    def _write(self, table: Table, record: Record, cells: Cells, moment: datetime) -> None:
        for key, value in cells.items():
            target = table.fields[key]
            if target.type == "multipleRecordLinks":
                self._set_links(table, record, target, value or [])
            else:
                self._set(table, record, key, value)
            record.cell_times[key] = moment
        self._touch(table, record)

    def _set_links(self, table: Table, record: Record, link: Field, ids: list[str]) -> None:
        """Writes one end of a link and, where there is an inverse field, the other ends."""
        old = record.cells.get(link.id, [])
        self._set(table, record, link.id, ids or None)
        inverse = link.option("inverseLinkFieldId")
        if inverse is None:
            return
        other = self._base.tables[link.option("linkedTableId")]
        gone, come = [key for key in old if key not in ids], [key for key in ids if key not in old]
        for key in [*gone, *come]:
            row = other.records.get(key)
            if row is None:
                continue
            self._before(other, row)
            back = [item for item in row.cells.get(inverse, ()) if item != record.id]
            if key in come:
                back.append(record.id)
            self._set(other, row, inverse, back or None)
            row.cell_times[inverse] = self.now
            self._sign(row)
            self._touch(other, row)

    def _unlink_one_way(self, table: Table, record: Record) -> None:
        """Links within a table may have no inverse; they are searched."""
        for link in self._links(table):
            if link.option("inverseLinkFieldId") is not None:
                continue
            for row in table.records.values():
                if record.id in row.cells.get(link.id, ()):
                    self._before(table, row)
                    kept = [key for key in row.cells[link.id] if key != record.id]
                    self._set(table, row, link.id, kept or None)
                    self._touch(table, row)

    def _links(self, table: Table) -> list[Field]:
        return [item for item in table.fields.values() if item.type == "multipleRecordLinks"]

    def _before(self, table: Table, record: Record) -> None:
        if self._observer:
            self._observer.before_record(table, record)

    def _sign(self, record: Record) -> None:
        """Notes who changed an existing record, and when."""
        record.modified_time = self.now
        record.modified_by = self._user_id

    def _touch(self, table: Table, record: Record) -> None:
        record.revision += 1
        table.revision += 1

    def _set(self, table: Table, record: Record, key: str, value: Any) -> None:
        if value is None:
            record.cells.pop(key, None)
        else:
            record.cells[key] = value


_HUES = ("blue", "cyan", "teal", "green", "yellow", "orange", "red", "pink", "purple", "gray")
COLORS = [hue + shade for shade in ("Light2", "Light1", "Bright", "Dark1") for hue in _HUES]
"""The colours of select options, in the order in which new options get them."""


def add_choice(target: Field, name: str, color: str | None = None) -> dict[str, Any]:
    """Appends an option with an id and the next colour; gives back the choice."""
    options = target.options = dict(target.options or {})
    choices = options["choices"] = list(options.get("choices") or [])
    choice = {
        "id": stable_id("sel", target.id, name),
        "name": name,
        "color": color or COLORS[len(choices) % len(COLORS)],
    }
    choices.append(choice)
    return choice
