"""The registry's store in memory, as several replicas would see one database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.workspace import LlmPolicy, Source, Workspace
from pyairtable_platform.workspaces.service import Applied, Decide, Loaded, Removed

UID = "uid-of-acme"


def workspace(name: str = "acme", *, uid: str = UID, generation: int = 1, **changes: Any) -> Workspace:
    """A workspace that a custom resource declares."""
    return replace(
        Workspace(name, name, 0, False, None, 0, (), LlmPolicy(), source=Source("Workspace", uid, generation)),
        **changes,
    )


@dataclass
class MemoryStore:
    """RegistryStore without a database."""

    registry: str = "first"
    revision: int = 0
    rows: dict[str, Applied | Removed] = field(default_factory=dict)
    is_away: bool = False

    async def load(self, after: int) -> Loaded:
        self._require()
        changes = sorted((row for row in self.rows.values() if row.revision > after), key=lambda row: row.revision)
        return Loaded(self.registry, self.revision, tuple(changes))

    async def change(self, name: str, decide: Decide) -> tuple[Workspace | None, bool]:
        self._require()
        row = self.rows.get(name)
        current = row.workspace if isinstance(row, Applied) else None
        wanted = decide(current)
        if wanted is current:
            return current, False
        self.revision += 1
        if wanted is None:
            self.rows[name] = Removed(name, self.revision)
            return None, True
        wanted = replace(wanted, version=self.revision)
        self.rows[name] = Applied(wanted)
        return wanted, True

    def _require(self) -> None:
        if self.is_away:
            raise Unavailable("the store is away", dependency="postgres")
