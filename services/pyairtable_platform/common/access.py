"""Who may call what: the rule of the contract (`pyairtable.common.v1.caller`) held against what a caller shows.

PUBLIC     everybody.
PEER       whoever proves API_KEY; never a tenant.
WORKSPACE  a tenant, limited to its workspace and role, and peers.

Open development mode (ENVIRONMENT=development, no API_KEY) takes callers on this machine that show nothing for peers.
A credential that is shown is always checked, and a wrong one always refused. Both servers, gRPC and HTTP, ask here.
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pool

from pyairtable_protos.common.v1 import access_pb2

from .authorizer import Authorizer
from .channels import open_channel
from .context import API_KEY_HEADER, AUTHORIZATION_HEADER, own_workspace
from .errors import Denied, Unauthenticated
from .identity import Identity
from .roles import need_of
from .settings import ServiceSettings

log = logging.getLogger(__name__)

DEVELOPMENT_NOTE = (
    "development mode: callers on this machine may use every workspace without a credential; others are refused"
)
ACCESS_KEY_PREFIX = "pya_"

PUBLIC = access_pb2.CALLER_PUBLIC
PEER = access_pb2.CALLER_PEER
WORKSPACE = access_pb2.CALLER_WORKSPACE


@dataclass(frozen=True)
class Credentials:
    """What a caller shows: a tenant's credential (access key or identity token), and a peer's key."""

    tenant: str = ""
    api_key: str = ""

    def __repr__(self) -> str:
        return f"Credentials(tenant={bool(self.tenant)}, api_key={bool(self.api_key)})"


class Access:
    """Decides on callers. Who opens it closes it."""

    def __init__(self, settings: ServiceSettings, authorizer: Authorizer | None = None) -> None:
        self._api_key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._authorizer = authorizer
        self.is_open = settings.is_open()

    @property
    def authorizer(self) -> Authorizer | None:
        """The auth service, if there is one."""
        return self._authorizer

    async def close(self) -> None:
        if self._authorizer is not None:
            await self._authorizer.close()

    async def admit(self, rule: int, address: str, headers: Mapping[str, str]) -> Identity | None:
        """The tenant that calls, None for a peer; raises Unauthenticated or Denied for whoever may not come in.

        `address` is an IP address, or empty for a local socket; names of headers are in small letters.
        """
        if rule == PUBLIC:
            return None
        try:
            return await self._proved(rule, address, headers)
        except (Unauthenticated, Denied) as refusal:
            log.info("a caller was refused", extra={"reason": str(refusal.reason), "address": address})
            raise

    async def _proved(self, rule: int, address: str, headers: Mapping[str, str]) -> Identity | None:
        shown = credentials(headers)
        if shown.tenant and rule == PEER:
            raise Denied("this call is for the services of this installation: no workspace's credential opens it")
        if shown.api_key or not shown.tenant:
            self._check_peer(shown.api_key, address)
        # Who shows both is a peer that calls for a tenant, and may no more than the tenant.
        return await self._tenant(shown.tenant) if shown.tenant else None

    def known_principal(self, headers: Mapping[str, str]) -> str:
        """Who calls, as far as it was proved before or costs nothing; empty else. For counting calls only."""
        try:
            shown = credentials(headers)
        except Unauthenticated:
            return ""
        if shown.tenant:
            known = self._authorizer.known(shown.tenant) if self._authorizer else None
            return known.principal if known else ""
        return "peer" if self._api_key and same(shown.api_key, self._api_key) else ""

    def _check_peer(self, api_key: str, address: str) -> None:
        if api_key:
            if not self._api_key:
                raise Unauthenticated("this installation has no API_KEY: the x-api-key that was sent proves nothing")
            if not same(api_key, self._api_key):
                raise Unauthenticated("the x-api-key that was sent is not this installation's")
        elif not self.is_open:
            raise Unauthenticated(
                "show a workspace's access key (authorization: Bearer pya_...) or the installation's own (x-api-key)"
            )
        elif not is_loopback(address):
            if self._authorizer is not None:
                raise Unauthenticated("show a workspace's access key: authorization: Bearer pya_...")
            raise Denied("development mode serves callers on this machine only: set AUTH_TARGET to serve others")

    async def _tenant(self, credential: str) -> Identity:
        if self._authorizer is None:
            raise Unauthenticated(
                "this process knows no auth service (AUTH_TARGET) and takes no workspace's credential"
            )
        if credential.startswith(ACCESS_KEY_PREFIX):
            return await self._authorizer.of_key(credential)
        return await self._authorizer.of_token(credential)


def open_access(settings: ServiceSettings) -> Access:
    """The access rules of a process; they ask the auth service at AUTH_TARGET."""
    if not settings.auth_target:
        return Access(settings)
    return Access(settings, Authorizer(open_channel(settings.auth_target, settings)))


def credentials(headers: Mapping[str, str]) -> Credentials:
    """What the headers show; raises Unauthenticated for what we do not take at all."""
    scheme, _, bearer = headers.get(AUTHORIZATION_HEADER, "").strip().partition(" ")
    bearer, key = bearer.strip(), headers.get(API_KEY_HEADER, "")
    if scheme and (scheme.lower() != "bearer" or not bearer):
        raise Unauthenticated("authorization must be: Bearer, a blank, and an access key (pya_...)")
    if not key.startswith(ACCESS_KEY_PREFIX):
        return Credentials(bearer, key)
    if bearer and not same(bearer, key):
        raise Unauthenticated("two different credentials were shown: send one")
    return Credentials(key, "")


def check_call(rpc: str, identity: Identity, request: Any) -> None:
    """Raise Denied for a call that leaves the tenant's workspace or goes beyond its role."""
    for name in named_workspaces(request):
        own_workspace(identity, name)
    need = need_of(rpc)
    if need not in identity.scope:
        text = f'the role "{identity.role}" of this credential does not allow this call: it needs "{need}"'
        raise Denied(text, workspace=identity.workspace, role=identity.role)


def named_workspaces(request: Any) -> list[str]:
    """The workspaces that a request names, in itself or in a message right inside of it."""
    named = []
    for path in workspace_fields(request.DESCRIPTOR):
        holder = request if len(path) == 1 else getattr(request, path[0])
        if name := getattr(holder, path[-1]):
            named.append(str(name))
    return named


@functools.cache
def workspace_fields(message: Any) -> tuple[tuple[str, ...], ...]:
    """Where a message names a workspace."""
    paths: list[tuple[str, ...]] = []
    for field in message.fields:
        if field.name == "workspace" and field.message_type is None:
            paths.append((field.name,))
        elif field.message_type is not None and not field.is_repeated:
            inner = field.message_type.fields_by_name.get("workspace")
            if inner is not None and inner.message_type is None:
                paths.append((field.name, inner.name))
    return tuple(paths)


@functools.cache
def rule_of(rpc: str) -> int:
    """Who may call an RPC (full name), as its contract says; what says nothing is a tenant's."""
    method: Any = descriptor_pool.Default().FindMethodByName(rpc)
    return int(method.GetOptions().Extensions[access_pb2.caller]) or WORKSPACE


def same(shown: str, expected: str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(shown.encode(), expected.encode())


def is_loopback(address: str) -> bool:
    """True for 127.0.0.0/8, ::1 (also written as an IPv4-mapped address) and local sockets (empty)."""
    if not address:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def grpc_peer_address(peer: str) -> str:
    """The IP address in gRPC's peer text: `ipv4:127.0.0.1:4711`, `ipv6:[::1]:4711` (maybe percent-escaped), `unix:`."""
    kind, _, rest = peer.partition(":")
    if kind == "unix":
        return ""
    address = rest.replace("%5B", "[").replace("%5D", "]").rpartition(":")[0]
    return address.strip("[]") or "unknown"
