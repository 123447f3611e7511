"""What a call carries along: request id, workspace, deadline, identity, address. Set at the border, read anywhere.

Context variables, because they follow asyncio tasks without passing through every signature.
"""

from __future__ import annotations

import contextvars
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import Denied, InvalidInput
from .roles import ROLES, Need, scope_of

if TYPE_CHECKING:
    from .identity import Identity

REQUEST_ID_HEADER = "x-request-id"
API_KEY_HEADER = "x-api-key"
AUTHORIZATION_HEADER = "authorization"
TENANT_HEADER = "pyairtable-tenant"
"""The tenant of the work that a call is part of. It grants nothing: what is another's is refused."""
ROLE_HEADER = "pyairtable-role"
"""The role that a call is limited to, beside TENANT_HEADER. It grants nothing: it only takes away."""
WORKSPACE_HEADER = "pyairtable-workspace"
"""The workspace that a caller means. It grants nothing: a person who is a member enters it."""
CLIENT_ADDRESS_HEADER = "pyairtable-client-address"
"""Where a call came to the installation from: a door tells services behind it. Believed only beside API_KEY."""
OWN_HEADERS = frozenset(
    {
        API_KEY_HEADER,
        AUTHORIZATION_HEADER,
        CLIENT_ADDRESS_HEADER,
        REQUEST_ID_HEADER,
        ROLE_HEADER,
        TENANT_HEADER,
        WORKSPACE_HEADER,
    }
)
"""Headers that each process makes anew for its own calls: whoever passes a call on leaves the caller's behind."""

_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,63}")


@dataclass(frozen=True)
class CallContext:
    """A call in progress. `deadline` is a time of `time.monotonic`, None when there is no limit.

    `identity` is the tenant it is for; None when it is nobody's: a peer's, or anybody's in open development mode.
    `address` is the IP address of who called the installation, as far as it can be believed; empty for a local socket.
    `entering` is the workspace that a header named at an HTTP border, for the service that will serve the call.
    `tenant` (`Workspace.tenant`) is set for work that outlasts the call that began it: it is refused when the workspace
    was made anew meanwhile. `role` is the role of who began such work, which it may not exceed; empty is no limit.
    """

    request_id: str = ""
    workspace: str = ""
    deadline: float | None = None
    identity: Identity | None = None
    tenant: str = ""
    address: str = ""
    entering: str = ""
    role: str = ""


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
    """The workspace that a caller means by `name`: a tenant its own, whatever else it names is refused (Denied).

    Peers, and people in no workspace, mean what they name, or what their call named in its header: whether that is
    theirs is the rule of the RPC that they call.
    """
    tenant = current().identity
    if tenant is None or not tenant.workspace:
        return name or current().workspace
    return own_workspace(tenant, name)


def own_workspace(tenant: Identity, name: str) -> str:
    """The tenant's workspace, when that is the one it named; the answer tells nothing about others."""
    if name not in ("", tenant.workspace):
        raise Denied(f'this credential is for workspace "{tenant.workspace}" only', workspace=tenant.workspace)
    return tenant.workspace


def is_allowed(need: Need) -> bool:
    """Whether the call may do what needs this: by the role of its tenant and of the work that it is part of."""
    call = current()
    allowed = call.identity is None or need in call.identity.scope
    return allowed and (not call.role or need in scope_of(call.role).split())


def check_allowed(need: Need) -> None:
    """Raise Denied when the call may not do what needs this."""
    if not is_allowed(need):
        call = current()
        role = call.role or (call.identity.role if call.identity else "")
        text = f'the role "{role}" of this credential does not allow this call: it needs "{need}"'
        raise Denied(text, workspace=call.workspace, role=role)


def accepted_role(offered: str | None) -> str:
    """The role that a caller limits its work to; raises InvalidInput for what is none, which would limit nothing."""
    if offered and offered not in ROLES:
        raise InvalidInput.at(ROLE_HEADER, f"must be one of {', '.join(ROLES)}")
    return offered or ""


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


def named_workspace(fields: Iterable[str], header: str) -> str:
    """The workspace that a call names, by a field of its request or by its header; raises InvalidInput for two, and for
    what can be no name of one."""
    field = next(iter(fields), "")
    if header and not _NAME.fullmatch(header):
        raise InvalidInput.at(WORKSPACE_HEADER, "must be the name of a workspace: small letters, digits and hyphens")
    if field and header and field != header:
        text = f'names "{header}", and the request "{field}": name one workspace'
        raise InvalidInput.at(WORKSPACE_HEADER, text)
    return field or header


def accepted_request_id(offered: str | None) -> str:
    """The caller's request id if it is harmless in logs and headers, else a new one."""
    if offered and _SANE.fullmatch(offered):
        return offered
    return uuid.uuid4().hex
