"""What a send says, in words: the same words in every run, so that a point can be found again.

"main: UPDATE steps SET state = $1, attempts ..."         a statement to PostgreSQL, of the thread with the event loop
"dbos: COMMIT after INSERT INTO sagas_dbos.workflow_..."   of a thread of DBOS; what it commits
"call bind", "call apply:1:undo"                          a call to a receiver, with the step of its key
"call to look", "call"                                    one about this saga without a key; one about something else
"answer"                                                  to whoever called the service
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict

from pyairtable_platform.sagas.types import CATALOG

from .supervision import Send

LONGEST = 90
MARK = re.compile(rb"kill\d{10}", re.IGNORECASE)
"""Stands in every input of the harness."""
_STEPS = sorted({step.name for item in CATALOG.all() for step in item.steps}, key=len, reverse=True)
_KEY = re.compile(rf"[0-9a-f]{{32}}:((?:{'|'.join(_STEPS)})(?::\d)?(?::undo)?)".encode())
PREPARED = " (prepare)"
_WORD = re.compile(r"\s+")
_ENDS = ("COMMIT", "ROLLBACK")
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_STARTUPS = {196608: "startup", 196610: "startup", 80877103: "ask for TLS", 80877104: "ask for GSS", 80877102: "cancel"}


class Reader:
    """Reads the sends of one process: to PostgreSQL and the receivers, by their ports, and to whoever calls it."""

    def __init__(self, postgres: int, receivers: int, own: int) -> None:
        self._postgres, self._receivers, self._own = postgres, receivers, own
        self._statements: dict[int, dict[str, str]] = defaultdict(dict)
        self._last: dict[int, str] = {}

    def name(self, send: Send) -> str:
        """The send in words."""
        if send.port == self._postgres:
            return f"{'main' if send.thread == send.process else 'dbos'}: {self._sql(send)}"
        if send.port == self._receivers:
            key = _KEY.search(send.data)
            if key:
                return f"call {key[1].decode()}"
            return _call(send.data, "call to look" if MARK.search(send.data) else "call")
        return _call(send.data, "answer" if send.own_port == self._own else "other")

    def _sql(self, send: Send) -> str:
        said = self._said(send)
        statement = next((item for item in said if item), "sync" if said else "rest of a message")
        if statement.startswith(_ENDS):
            return f"{statement} after {self._last.get(send.own_port, 'nothing')}"
        self._last[send.own_port] = statement
        return statement

    def _said(self, send: Send) -> list[str]:
        """The statements in a send; empty texts for messages that hold none."""
        known, found, at, data = self._statements[send.own_port], [], 0, send.data
        while at + 5 <= len(data):
            kind, (length,) = chr(data[at]), struct.unpack_from("!i", data, at + 1)
            if data[at] == 0:
                code = struct.unpack_from("!i", data, 4)[0] if len(data) >= 8 else 0
                return [_STARTUPS.get(code, "startup")]
            found.append(_statement(kind, data[at + 5 : at + 1 + length], known))
            at += 1 + length
        return found


def is_about_a_step(name: str) -> bool:
    """Whether a send is a call with a key, or one that undoes what had it."""
    return name.startswith("call ") and name not in ("call to look", "call control")


def _statement(kind: str, body: bytes, known: dict[str, str]) -> str:
    """The statement of a message of PostgreSQL's protocol."""
    if kind == "Q":
        return _plain(body.split(b"\0", 1)[0])
    if kind == "P":
        name, query = body.split(b"\0", 2)[:2]
        known[name.decode()] = _plain(query)
        return f"{_plain(query) or 'nothing'}{PREPARED if name else ''}"
    if kind == "B":
        return known.get(body.split(b"\0", 2)[1].decode(), "")
    return {"p": "password", "X": "terminate"}.get(kind, "")


def _plain(query: bytes) -> str:
    return _WORD.sub(" ", query.decode(errors="replace")).strip().rstrip(";")[:LONGEST]


def _call(data: bytes, name: str) -> str:
    """A call, or what HTTP/2 sends for itself (settings, windows, pings)."""
    at = len(_PREFACE) if data.startswith(_PREFACE) else 0
    while at + 9 <= len(data):
        if data[at + 3] in (0, 1):  # DATA, HEADERS
            return name
        at += 9 + int.from_bytes(data[at : at + 3], "big")
    return f"{name.split()[0]} control"
