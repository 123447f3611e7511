"""What an installation makes in several steps (sagas), awaited."""

from __future__ import annotations

import time
import uuid
from typing import Any

from .door import Door, part
from .errors import CommandError

LONGEST_SECONDS = 120
PAUSE_SECONDS = 1.0
_ENDED_BADLY = ("SAGA_STATE_FAILED", "SAGA_STATE_COMPENSATED")


def made_workspace(door: Door, name: str, title: str) -> str:
    """Make a workspace and wait until it can be used; its name."""
    body = {"name": name, "display_name": title, "idempotency_key": uuid.uuid4().hex}
    answer = door.post("/workspaces", body)
    if not answer.get("workspace"):
        wait_for(door, answer["saga_id"])
    return name


def wait_for(door: Door, saga_id: str) -> None:
    """Wait for the end of a saga; raises CommandError when it ended without what it was for."""
    until = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < until:
        saga: dict[str, Any] = door.get(f"/sagas/{part(saga_id)}")["saga"]
        if saga["state"] == "SAGA_STATE_COMPLETED":
            return
        if saga["state"] in _ENDED_BADLY:
            raise CommandError(f"it could not be made: {saga.get('error') or 'see saga ' + saga_id}")
        time.sleep(PAUSE_SECONDS)
    raise CommandError(f"it is still being made (saga {saga_id}): look again later")
