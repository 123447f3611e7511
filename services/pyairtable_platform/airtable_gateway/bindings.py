"""What this replica remembers of a workspace, and forgets when the workspace's bindings change."""

from __future__ import annotations

import logging

from pyairtable_platform.common.events import Event

from .credentials import Credentials

log = logging.getLogger(__name__)

AREA = "workspace"
_CHANGES = ("binding.connected.", "binding.disconnected.")


class Bindings:
    """Hears of bindings that come and go. The bindings themselves come with the registry, this is about the rest."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def heard(self, event: Event) -> None:
        """An event of the area `workspace`."""
        if event.type.startswith(_CHANGES):
            log.info("the bindings of a workspace have changed", extra={"workspace": event.workspace})
            self._credentials.look_anew(event.workspace)

    def missed(self) -> None:
        """Any binding may have changed."""
        self._credentials.look_anew()
