"""What stands for a workspace outside of the registry: nothing on one machine, an object in a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pyairtable_platform.common.workspace import Workspace


@dataclass(frozen=True)
class Declared:
    """An object. `name` is as people write it: Workspace/acme."""

    name: str
    uid: str
    generation: int


class Provisioner(Protocol):
    """Makes, changes and deletes the object of a workspace. Methods raise Unavailable, and FailedPrecondition when the
    object is somebody else's."""

    async def declare(self, name: str, display_name: str, uid: str) -> Declared | None:
        """Make the object for a name that a call took (`uid` is the call's); repeating it changes nothing."""

    async def update(self, workspace: Workspace) -> Declared | None:
        """Make the object say what the workspace shall be."""

    async def delete(self, name: str, uid: str) -> None:
        """Delete the object that a call (`uid`) made; one that is not there is no error."""


class Standalone:
    """One machine: the registry is all there is."""

    async def declare(self, name: str, display_name: str, uid: str) -> Declared | None:
        return None

    async def update(self, workspace: Workspace) -> Declared | None:
        return None

    async def delete(self, name: str, uid: str) -> None:
        return None
