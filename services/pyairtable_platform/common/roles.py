"""What roles may do: the one table. Which RPC needs what stands beside it in the contract."""

from __future__ import annotations

import enum
import functools
from typing import Any

from google.protobuf import descriptor_pool

from pyairtable_protos.common.v1 import access_pb2


class Need(enum.StrEnum):
    """What a call does, as a scope in identity tokens."""

    READ = "read"
    """Looks at records, schema, chats, members."""
    WRITE = "write"
    """Changes records, comments, chats."""
    DESTROY = "destroy"
    """Deletes what cannot be had back."""
    SCHEMA = "schema"
    """Changes tables and fields."""
    MANAGE = "manage"
    """Changes members, invitations, keys, bases and settings of the workspace."""
    OWN = "own"
    """Ends the workspace or gives it away."""


_EDITS = (Need.READ, Need.WRITE, Need.DESTROY, Need.SCHEMA)
_GRANTS: dict[str, tuple[Need, ...]] = {
    "viewer": (Need.READ,),
    "editor": _EDITS,
    "admin": (*_EDITS, Need.MANAGE),
    "owner": (*_EDITS, Need.MANAGE, Need.OWN),
}
"""Bindings (ReadOnly, ReadWrite, Schema) narrow it further, base by base."""

ROLES = tuple(_GRANTS)
"""From the least to the most."""

_NEEDS = {
    access_pb2.NEED_READ: Need.READ,
    access_pb2.NEED_WRITE: Need.WRITE,
    access_pb2.NEED_DESTROY: Need.DESTROY,
    access_pb2.NEED_SCHEMA: Need.SCHEMA,
    access_pb2.NEED_MANAGE: Need.MANAGE,
    access_pb2.NEED_OWN: Need.OWN,
}


def scope_of(role: str) -> str:
    """The scope claim of a role (RFC 8693: separated by spaces); empty for a role that is not known."""
    return " ".join(_GRANTS.get(role, ()))


def rank_of(role: str) -> int:
    """How much a role may do, to compare with others; 0 for one that is not known, so that it is below all."""
    return ROLES.index(role) + 1 if role in ROLES else 0


def lesser(role: str, other: str) -> str:
    """The one of two roles that may do less."""
    return min(role, other, key=rank_of)


@functools.cache
def need_of(rpc: str) -> Need:
    """What an RPC (full name) needs of its caller's role; raises LookupError for one whose contract does not say it."""
    method: Any = descriptor_pool.Default().FindMethodByName(rpc)
    need = _NEEDS.get(method.GetOptions().Extensions[access_pb2.need])
    if need is None:
        raise LookupError(f"the contract does not say what {rpc} needs (option need): nobody may call it")
    return need
