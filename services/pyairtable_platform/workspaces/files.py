"""The standalone source of the registry: Workspace documents in files, read again when they change."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from pyairtable_platform.common.errors import FailedPrecondition

from .documents import DocumentError, read_documents
from .service import Registry

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


class FileSource:
    """Keeps a registry equal to a file or folder. A file that cannot be used changes nothing and is told in /health."""

    def __init__(self, path: Path, registry: Registry) -> None:
        self._path = path
        self._registry = registry
        self._seen: object = None
        self._error = ""

    async def follow(self) -> None:
        """Look for changes, for ever."""
        while True:
            self.refresh()
            await asyncio.sleep(POLL_SECONDS)

    def refresh(self) -> None:
        """Read the documents if they changed since the last time."""
        fingerprint = self._fingerprint()
        if fingerprint == self._seen:
            return
        self._seen = fingerprint
        try:
            documents = read_documents(self._path)
        except DocumentError as error:
            self._error = str(error)
            log.error("workspace documents cannot be used", extra={"error": self._error})
            return
        self._error = ""
        self._registry.replace({name: document.spec for name, document in documents.items()})
        log.info("workspaces read", extra={"count": len(documents)})

    async def check(self) -> None:
        """For /health: raises while the documents cannot be used."""
        if self._error:
            raise FailedPrecondition(self._error)

    def _fingerprint(self) -> object:
        """Names, sizes and times of the files: cheap, and enough to notice an edit."""
        files = sorted(self._path.glob("*.y*ml")) if self._path.is_dir() else [self._path]
        stats = [(str(file), file.stat()) for file in files if file.exists()]
        return [(name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in stats] or "none"
