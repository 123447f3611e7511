"""What roles may do: the one table."""

from __future__ import annotations

import enum


class Need(enum.StrEnum):
    """What a call does, as a scope in identity tokens."""

    READ = "read"
    WRITE = "write"


_EVERYTHING = (Need.READ, Need.WRITE)
_GRANTS: dict[str, tuple[Need, ...]] = {
    "owner": _EVERYTHING,
    "admin": _EVERYTHING,
    "editor": _EVERYTHING,
    "viewer": (Need.READ,),
}
"""Bindings (ReadOnly, ReadWrite, Schema) narrow it further, base by base."""

_READS = ("Get", "List", "Watch", "Export", "Stream")
_WRITES_THAT_READ_LIKE = frozenset({"pyairtable.chat.v1.ChatService.StreamChat"})
# A tool's own calls to the gateway carry the caller's identity and are held against the role there.
_DECIDED_LATER = frozenset({"pyairtable.tools.v1.ToolService.CallTool"})


def scope_of(role: str) -> str:
    """The scope claim of a role (RFC 8693: separated by spaces); empty for a role that is not known."""
    return " ".join(_GRANTS.get(role, ()))


def need_of(rpc: str) -> Need:
    """What an RPC (full name) needs of its caller's role. What is not plainly a read counts as a write."""
    if rpc in _DECIDED_LATER:
        return Need.READ
    name = rpc.rpartition(".")[2]
    return Need.READ if name.startswith(_READS) and rpc not in _WRITES_THAT_READ_LIKE else Need.WRITE
