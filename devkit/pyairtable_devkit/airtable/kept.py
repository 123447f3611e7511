"""The world in a file, so that it is there again after a restart: Airtable forgets nothing that it confirmed.

A write is in the file before its caller is answered, whatever ends the emulator then. Webhooks, limits and counters
begin anew; an attachment that is still being fetched is kept with the next write or on a clean stop.
"""

import secrets
from pathlib import Path

import orjson

from pyairtable_devkit.airtable import state
from pyairtable_devkit.airtable.emulator import Emulator
from pyairtable_devkit.airtable.ids import IdFactory


class KeptWorld:
    """The file of one emulator. Two emulators must not share one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def restore(self, emulator: Emulator) -> None:
        """Go on with what the file holds; with the seed when there is none. StateError when it cannot be read."""
        if not self._path.exists():
            return
        try:
            snapshot = orjson.loads(self._path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise state.StateError(f"{self._path} is damaged: {error}; remove it to begin anew") from error
        # The series of the seed was used up before the restart: it would give the ids of records that are there.
        emulator.resume(state.load(snapshot, emulator.clock, IdFactory(secrets.randbits(64))))

    def save(self, emulator: Emulator) -> None:
        """Write the world; whoever reads meanwhile, or after a kill, finds the old one or the new one, whole."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.write_bytes(orjson.dumps(state.dump(emulator.world)))
        beside.replace(self._path)
