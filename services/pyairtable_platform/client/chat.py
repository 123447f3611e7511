"""A turn of chat in the terminal: the answer as it is written, and what the tools do beside it.

A run goes on without its reader. When the connection breaks, it is read on from the event after the last one; when it
broke before the first one, the message is sent again under its key, which begins no second run.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import typer

from .door import Door, part, refusal
from .errors import CommandError
from .show import note, safe

TRIES = 6
"""Connections in a row that may break without bringing anything new."""

PAUSE_SECONDS = 0.5
_ENDS = ("done", "failed", "cancelled")

Event = tuple[str, dict[str, Any]]


class Turn:
    """One message and the events of its run."""

    def __init__(self, door: Door, message: str, workspace: str, session: str) -> None:
        self._door = door
        key = uuid.uuid4().hex
        self._request = {"workspace": workspace, "session_id": session, "message": message, "idempotency_key": key}
        self._workspace = workspace
        self._last = 0
        self.run_id = ""
        self.session_id = session

    def events(self) -> Iterator[Event]:
        """Kind and content of each event, to the last."""
        broken = 0
        while broken < TRIES:
            before = self._last
            try:
                with self._connection() as lines:
                    for name, data in server_sent_events(lines):
                        yield self._seen(name, data)
                        if name in _ENDS:
                            return
            except httpx2.TransportError:
                note("the connection broke: reading on ...")
            broken = 0 if self._last > before else broken + 1
            time.sleep(PAUSE_SECONDS * broken)
        raise CommandError(f"the connection to {self._door.url} breaks again and again; the chat goes on without us")

    def cancel(self) -> None:
        """Stop the run."""
        if self.run_id:
            self._door.post(f"/runs/{part(self.run_id)}/cancel", {"workspace": self._workspace})

    def _connection(self) -> AbstractContextManager[Iterator[str]]:
        if not self.run_id:
            return self._door.stream("POST", "/chat/stream", json=self._request)
        query = {"workspace": self._workspace} if self._workspace else {}
        headers = {"last-event-id": str(self._last)}
        return self._door.stream("GET", f"/runs/{part(self.run_id)}/events", params=query, headers=headers)

    def _seen(self, name: str, data: dict[str, Any]) -> Event:
        if name == "error":
            raise refusal(data, int(data.get("status", 500)))
        self._last, self.run_id = int(data["id"]), str(data["run_id"])
        content: dict[str, Any] = data.get(name, {})
        self.session_id = content.get("session_id", self.session_id)
        return name, content


def server_sent_events(lines: Iterator[str]) -> Iterator[Event]:
    """Events of a stream (WHATWG HTML, section 9.2), their data as JSON. Comments are passed over."""
    name, data = "message", ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data += value
        elif not line and data:
            yield name, json.loads(data)
            name, data = "message", ""


def show_turn(turn: Turn) -> None:
    """Write a turn: the answer to standard output, tools and cost to standard error. Ctrl-C stops the run."""
    answer = AnswerWriter(is_live=sys.stdout.isatty())
    try:
        for name, content in turn.events():
            if name == "failed":
                raise CommandError(str(content.get("message", "the run failed")))
            answer.show(name, content)
    except KeyboardInterrupt:
        turn.cancel()
        raise CommandError("stopped") from None
    note(f"session: {turn.session_id}")


class AnswerWriter:
    """Writes an answer. Live, as it comes; else at its end, because pieces may be taken back."""

    def __init__(self, *, is_live: bool) -> None:
        self._is_live = is_live

    def show(self, name: str, content: dict[str, Any]) -> None:
        if name == "text" and self._is_live:
            typer.echo(safe(content["text"]), nl=False)
        elif name == "rewound" and self._is_live:
            typer.echo(f"\n(the answer begins again)\n{safe(content['response'])}", nl=False)
        elif name == "tool_started":
            note(f"[{content['tool']}]")
        elif name == "tool_ended" and content.get("is_error"):
            note(f"[{content['tool']} failed: {content['error']}]")
        elif name in ("done", "cancelled"):
            typer.echo("" if self._is_live else safe(content["response"]))
            if name == "cancelled":
                raise CommandError("the run was stopped")
            if cost := content.get("cost_info", {}).get("total_cost_usd"):
                note(f"cost: {cost} USD")
