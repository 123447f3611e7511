"""Who may call what: the rule of the contract (`pyairtable.common.v1.caller`) held against what a caller shows.

PUBLIC     everybody.
PEER       whoever proves API_KEY; never a tenant.
PERSON     a person who is signed in; no key, and no peer that calls for nobody.
ADMIN      a person who administers this installation, and peers.
KNOWN      whoever shows a credential, for all that the caller may see: no workspace is entered.
WORKSPACE  a tenant, limited to its workspace and to what its role may do (roles.py), and peers. A person who is in no
           workspace enters the one that the call names.

Open development mode (ENVIRONMENT=development, OPEN_ACCESS=true, no API_KEY) takes callers on this machine that show
nothing for peers. A credential that is shown is always checked, and a wrong one always refused. Both servers, gRPC and
HTTP, ask here.
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from google.protobuf import descriptor_pool

from pyairtable_protos.common.v1 import access_pb2

from .authorizer import Authorizer
from .authorizing import Authorizing
from .channels import open_channel
from .context import API_KEY_HEADER, AUTHORIZATION_HEADER, CLIENT_ADDRESS_HEADER, check_allowed, own_workspace
from .errors import Denied, Internal, Unauthenticated
from .identity import Identity, is_access_token, is_issued_here, unproved
from .remembered import Remembered, fingerprint
from .revocations import Revocations, Standing
from .roles import need_of
from .settings import ServiceSettings

log = logging.getLogger(__name__)

DEVELOPMENT_NOTE = (
    "development mode: callers on this machine may use every workspace without a credential; others are refused"
)
ACCESS_KEY_PREFIX = "pya_"
API_KEY_PREFIX = "pyu_"
KEY_PREFIXES = (ACCESS_KEY_PREFIX, API_KEY_PREFIX)
LONGEST_KEY = 128
"""Ours have some 60 characters; what is longer need not be asked about."""
LONGEST_TOKEN = 4096

PUBLIC = access_pb2.CALLER_PUBLIC
PEER = access_pb2.CALLER_PEER
WORKSPACE = access_pb2.CALLER_WORKSPACE
PERSON = access_pb2.CALLER_PERSON
ADMIN = access_pb2.CALLER_ADMIN
KNOWN = access_pb2.CALLER_KNOWN

_SHOW = (
    "show a workspace's access key (authorization: Bearer pya_...), an API key (pyu_...), an access token from the "
    "login, or the installation's own key (x-api-key)"
)


_KINDS_KEPT = 4096
_KIND_SECONDS = 3600.0
"""What a text is does not change; only memory is saved by forgetting it."""


class Kind(Enum):
    """What a credential is, by its shape: whom to ask about it. Nothing is proved by it."""

    KEY = auto()
    IDENTITY_TOKEN = auto()
    ACCESS_TOKEN = auto()
    """A person's, for no workspace."""
    OTHER_TOKEN = auto()
    """A ServiceAccount's may be for several workspaces."""


@dataclass(frozen=True)
class Credentials:
    """What a caller shows: a tenant's credential (a key or a token), and a peer's key."""

    tenant: str = ""
    api_key: str = ""

    def __repr__(self) -> str:
        return f"Credentials(tenant={bool(self.tenant)}, api_key={bool(self.api_key)})"


class Access:
    """Decides on callers. Who opens it closes it."""

    def __init__(self, settings: ServiceSettings, authorizer: Authorizing | None = None) -> None:
        self._api_key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._authorizer = authorizer
        self._revocations = authorizer.revocations if authorizer is not None else Revocations()
        self._kinds: Remembered[Kind] = Remembered(_KINDS_KEPT)
        self.is_open = settings.is_open()

    @property
    def authorizer(self) -> Authorizing | None:
        """Who knows credentials, if there is one."""
        return self._authorizer

    async def close(self) -> None:
        if self._authorizer is not None:
            await self._authorizer.close()

    async def admit(self, rule: int, address: str, headers: Mapping[str, str], workspace: str = "") -> Identity | None:
        """The tenant that calls, None for a peer; raises Unauthenticated or Denied for whoever may not come in.

        `address` is the IP address of who is connected, or empty for a local socket; names of headers are in small
        letters; `workspace` is what the call names, for credentials that are not of a single one. A person may be in no
        workspace yet: see `entered`.
        """
        if rule == PUBLIC:
            return None
        try:
            return await self._proved(rule, address, headers, workspace)
        except (Unauthenticated, Denied) as refusal:
            log.info("a caller was refused", extra={"reason": str(refusal.reason), "address": address})
            raise

    async def entered(self, identity: Identity, workspace: str) -> Identity:
        """The identity in the workspace that the call names: a person enters it, whoever is in one stays there.

        Raises Denied for a workspace that is not theirs, and InvalidInput (WORKSPACE_REQUIRED) for a person who named
        none and has several.
        """
        if identity.workspace:
            own_workspace(identity, workspace)
            return identity
        if self._authorizer is None:
            raise no_auth_service()
        found = await self._authorizer.entered(identity, workspace)
        if found.principal != identity.principal or not found.workspace or workspace not in ("", found.workspace):
            raise Internal("the auth service answered for another caller or workspace than was asked for")
        return found

    def standing(self, identity: Identity | None, *, later: bool = False) -> Standing:
        """An async context manager for a stream: it ends with Unauthenticated when the identity is revoked."""
        return self._revocations.standing(identity, later=later)

    def client_address(self, address: str, headers: Mapping[str, str]) -> str:
        """Where a call came to the installation from: what a peer tells of it, else who is connected."""
        told = headers.get(CLIENT_ADDRESS_HEADER, "")
        return told if self._is_peer(headers) and is_address(told) else address

    def _is_peer(self, headers: Mapping[str, str]) -> bool:
        return bool(self._api_key) and same(headers.get(API_KEY_HEADER, ""), self._api_key)

    async def _proved(self, rule: int, address: str, headers: Mapping[str, str], workspace: str) -> Identity | None:
        shown = credentials(headers)
        if shown.tenant and rule == PEER:
            raise Denied("this call is for the services of this installation: no tenant's credential opens it")
        if shown.api_key or not shown.tenant:
            self._check_peer(shown.api_key, address)
        # Who shows both is a peer that calls for a tenant, and may no more than the tenant.
        identity = await self._tenant(shown.tenant, workspace) if shown.tenant else None
        if rule == PERSON:
            check_person(identity, shown)
        elif rule == ADMIN and identity is not None and not identity.is_administrator:
            raise Denied("this call is for administrators of this installation who are signed in (access token)")
        return identity

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
            raise Unauthenticated(_SHOW)
        elif not is_loopback(address):
            if self._authorizer is not None:
                raise Unauthenticated(_SHOW)
            raise Denied("development mode serves callers on this machine only: set AUTH_TARGET to serve others")

    async def _tenant(self, credential: str, workspace: str) -> Identity:
        """The identity behind a credential. Its kind is remembered, because telling it parses a token three times; only
        of those that were accepted, so that strangers push nobody's out."""
        if self._authorizer is None:
            raise no_auth_service()
        known = fingerprint(credential)
        remembered = self._kinds.get(known)
        kind = remembered or kind_of(credential)
        identity = await self._asked(self._authorizer, kind, credential, workspace)
        if remembered is None:
            self._kinds.put(known, kind, _KIND_SECONDS)
        return identity

    async def _asked(self, authorizer: Authorizing, kind: Kind, credential: str, workspace: str) -> Identity:
        if kind is Kind.IDENTITY_TOKEN:
            return await authorizer.of_token(credential)
        return await authorizer.of_credential(credential, workspace if kind is Kind.OTHER_TOKEN else "")


def kind_of(credential: str) -> Kind:
    """What a credential is; raises Unauthenticated for what cannot be one."""
    if credential.startswith(KEY_PREFIXES):
        if len(credential) > LONGEST_KEY:
            raise Unauthenticated("the key is not accepted: it is longer than any of this installation")
        return Kind.KEY
    if len(credential) > LONGEST_TOKEN or unproved(credential, "iss") is None:
        raise Unauthenticated("the credential is not accepted: it is neither a key nor a token")
    if is_issued_here(credential):
        return Kind.IDENTITY_TOKEN
    return Kind.ACCESS_TOKEN if is_access_token(credential) else Kind.OTHER_TOKEN


def open_access(settings: ServiceSettings) -> Access:
    """The access rules of a process; they ask the auth service at AUTH_TARGET."""
    if not settings.auth_target:
        return Access(settings)
    return Access(settings, Authorizer(open_channel(settings.auth_target, settings)))


def check_person(identity: Identity | None, shown: Credentials) -> None:
    """Raise for whoever is no person that is signed in."""
    if identity is None and not shown.api_key:
        raise Unauthenticated("this call is a person's own: log in and show the access token (authorization: Bearer)")
    if identity is None:
        raise Denied("this call is a person's own: a service makes it with the person's token")
    if not identity.is_person:
        raise Denied("this call is a person's own: no key opens it; log in and show the access token")


def no_auth_service() -> Unauthenticated:
    return Unauthenticated("this process knows no auth service (AUTH_TARGET) and takes no tenant's credential")


def credentials(headers: Mapping[str, str]) -> Credentials:
    """What the headers show; raises Unauthenticated for what we do not take at all."""
    scheme, _, bearer = headers.get(AUTHORIZATION_HEADER, "").strip().partition(" ")
    bearer, key = bearer.strip(), headers.get(API_KEY_HEADER, "")
    if scheme and (scheme.lower() != "bearer" or not bearer):
        raise Unauthenticated("authorization must be: Bearer, a blank, and a key or token")
    if not key.startswith(KEY_PREFIXES):
        return Credentials(bearer, key)
    if bearer and not same(bearer, key):
        raise Unauthenticated("two different credentials were shown: send one")
    return Credentials(key, "")


def check_workspaces(identity: Identity, named: Sequence[str]) -> None:
    """Raise Denied for a call that leaves the tenant's workspace. A person in none is checked on entering."""
    if identity.workspace:
        for name in named:
            own_workspace(identity, name)


def check_need(rpc: str) -> None:
    """Raise Denied when the current call may not make this RPC by its role."""
    if rule_of(rpc) == WORKSPACE:
        check_allowed(need_of(rpc))


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


def is_address(text: str) -> bool:
    """True for an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


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
