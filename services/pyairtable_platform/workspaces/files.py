"""The standalone source of the registry: Workspace documents in files, read again when they change."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from pyairtable_platform.common.errors import FailedPrecondition, Unavailable
from pyairtable_platform.common.workspace import Source

from .declared import from_spec
from .documents import DocumentError, read_documents
from .service import FILE, Registry

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


class FileSource:
    """Keeps what files declare in force. A file that cannot be used changes nothing and is told in /health.

    Without a path no file declares anything: what files declared in an earlier life of the database is removed.
    """

    def __init__(self, path: Path | None, registry: Registry) -> None:
        self._path = path
        self._registry = registry
        self._seen: object = None
        self._error = "the workspace documents have not been read yet"
        self._overruled: list[str] = []

    async def follow(self) -> None:
        """Look for changes, for ever."""
        while True:
            try:
                await self.refresh()
            except Unavailable as error:
                log.debug("workspace documents wait", extra={"cause": error.message})
            await asyncio.sleep(POLL_SECONDS)

    async def refresh(self) -> None:
        """Read the documents if they changed since the last time. Raises Unavailable, and reads them again then."""
        fingerprint = self._fingerprint()
        if fingerprint == self._seen:
            return
        try:
            documents = read_documents(self._path) if self._path else {}
            places = {name: str(file) for file in self._files() for name in read_documents(file)}
        except (DocumentError, OSError) as error:
            self._seen = fingerprint
            self._error = str(error)
            log.error("workspace documents cannot be used", extra={"error": self._error})
            return
        wanted = {name: from_spec(name, document.spec, Source(FILE)) for name, document in documents.items()}
        self._overruled = await self._registry.declare_files(places, wanted)
        self._seen, self._error = fingerprint, ""
        if self._path:
            log.info("workspaces read", extra={"count": len(wanted), "overruled": self._overruled})

    async def check(self) -> None:
        """For /health: raises while the documents cannot be used."""
        if self._error:
            raise FailedPrecondition(self._error)

    async def check_sources(self) -> None:
        """For /health: raises while custom resources or calls declare workspaces that files declare too."""
        if self._overruled:
            names = ", ".join(self._overruled)
            raise FailedPrecondition(
                f"custom resources and calls win over the files that declare {names} too: remove the files"
            )

    def _files(self) -> list[Path]:
        if self._path is None:
            return []
        return sorted(self._path.glob("*.y*ml")) if self._path.is_dir() else [self._path]

    def _fingerprint(self) -> object:
        """Names, sizes and times of the files: cheap, and enough to notice an edit."""
        try:
            stats = [(str(file), file.stat()) for file in self._files()]
        except OSError as error:  # one went away since it was listed: read what there is, and look again next time
            return str(error)
        return [(name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in stats]
