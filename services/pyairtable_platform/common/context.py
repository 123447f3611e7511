"""What a call carries along: request id, workspace, deadline, identity. Set at the border, readable everywhere.

Context variables, because they follow asyncio tasks without passing through every signature.
"""

from __future__ import annotations

import contextvars
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import Denied

if TYPE_CHECKING:
    from .identity import Identity

REQUEST_ID_HEADER = "x-request-id"
API_KEY_HEADER = "x-api-key"
AUTHORIZATION_HEADER = "authorization"
TENANT_HEADER = "pyairtable-tenant"
"""The tenant of the work that a call is part of. It grants nothing: what is another's is refused."""

_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@dataclass(frozen=True)
class CallContext:
    """A call in progress. `deadline` is a time of `time.monotonic`, None when there is no limit.

    `identity` is the tenant it is for; None when it is nobody's: a peer's, or anybody's in open development mode.
    `tenant` (`Workspace.tenant`) is set for work that outlasts the call that began it: it is refused when the workspace
    was made anew meanwhile.
    """

    request_id: str = ""
    workspace: str = ""
    deadline: float | None = None
    identity: Identity | None = None
    tenant: str = ""


_current: contextvars.ContextVar[CallContext] = contextvars.ContextVar("call", default=CallContext())  # noqa: B039 - frozen


def current() -> CallContext:
    """The call this task works for; an empty one outside of calls."""
    return _current.get()


def request_id() -> str:
    """Id that finds this call in the logs of every service; empty outside of calls."""
    return current().request_id


def workspace() -> str:
    """The workspace of the call: the one that the request named, or the caller's own; empty when neither is known."""
    return current().workspace


def identity() -> Identity | None:
    """The tenant that the call is for; None when the call is limited to no workspace."""
    return current().identity


def meant_workspace(name: str) -> str:
    """The workspace that a caller means by `name`: a tenant its own, whatever else it names is refused (Denied)."""
    tenant = current().identity
    return name if tenant is None else own_workspace(tenant, name)


def own_workspace(tenant: Identity, name: str) -> str:
    """The tenant's workspace, when that is the one it named; the answer tells nothing about others."""
    if name not in ("", tenant.workspace):
        raise Denied(f'this credential is for workspace "{tenant.workspace}" only', workspace=tenant.workspace)
    return tenant.workspace


def remaining_seconds() -> float | None:
    """Time until the caller gives up, never negative; None without a deadline."""
    deadline = current().deadline
    return None if deadline is None else max(0.0, deadline - time.monotonic())


@contextmanager
def entered(call: CallContext) -> Iterator[None]:
    """Make `call` the current one."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


def accepted_tenant(offered: str | None) -> str:
    """The tenant that a caller says its work is of, if it can be one."""
    return offered if offered and _SANE.fullmatch(offered) else ""


def accepted_request_id(offered: str | None) -> str:
    """The caller's request id if it is harmless in logs and headers, else a new one."""
    if offered and _SANE.fullmatch(offered):
        return offered
    return uuid.uuid4().hex
