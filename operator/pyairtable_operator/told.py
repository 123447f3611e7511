"""What the platform was told of a workspace, so that it is not told twice; and telling it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyairtable_operator import findings, registration
from pyairtable_operator.access_keys import DeclaredKey
from pyairtable_operator.conditions import Finding
from pyairtable_operator.platform import Platform, PlatformError
from pyairtable_operator.spec import Base, Workspace


@dataclass(slots=True)
class _Told:
    entry: bytes = b""
    keys: tuple[str, tuple[DeclaredKey, ...]] | None = None
    """For which object, and which."""


class Registrar:
    """Tells the registry and the auth service what differs from what they were told in this process.

    After a restart everything is told once more: both take a repetition for nothing.
    """

    def __init__(self, platform: Platform) -> None:
        """Has told nothing yet."""
        self._platform = platform
        self._told: dict[str, _Told] = {}

    async def tell(
        self, workspace: Workspace, bases: Sequence[Base], token_version: str, model_key_version: str
    ) -> Finding:
        """Makes the registry's entry so, and returns PlatformSynced."""
        told = self._told.setdefault(workspace.name, _Told())
        entry = registration.entry(workspace, bases, token_version, model_key_version)
        source = registration.source(workspace)
        both = entry.SerializeToString(deterministic=True) + source.SerializeToString(deterministic=True)
        if both != told.entry:
            try:
                await self._platform.apply_workspace(entry, source)
            except PlatformError as error:
                told.entry = b""
                reason = "PlatformUnavailable" if error.away or not error.reason else "Refused"
                return findings.platform_not_synced(reason, str(error))  # type: ignore[arg-type]
            told.entry = both
        return findings.platform_synced(workspace)

    async def declare(self, workspace: Workspace, keys: tuple[DeclaredKey, ...]) -> Finding | None:
        """Declares the keys that work now, and returns why that was not possible."""
        told = self._told.setdefault(workspace.name, _Told())
        if told.keys == (workspace.uid, keys):
            return None
        try:
            await self._platform.apply_keys(workspace.name, workspace.uid, keys)
        except PlatformError as error:
            told.keys = None
            return findings.key_not_issued("PlatformUnavailable", str(error))
        told.keys = (workspace.uid, keys)
        return None

    async def remove(self, workspace: Workspace) -> None:
        """Revokes the keys and takes the entry out. PlatformError when that was not possible."""
        self._told.pop(workspace.name, None)
        await self._platform.apply_keys(workspace.name, workspace.uid, ())
        await self._platform.remove_workspace(workspace.name, workspace.uid)

    def again(self, name: str) -> None:
        """Tells everything once more at the next pass, in case the platform lost it."""
        self._told.pop(name, None)
