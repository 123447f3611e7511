"""Who turns credentials into identities: the port that `Access` asks, and the auth service behind it, as others see it.

Answers are kept for a moment, and no longer than until the auth service takes back what they stand for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import jwt

from pyairtable_protos.auth.v1 import auth_service_pb2, auth_service_pb2_grpc

from . import context
from .channels import ServiceChannel
from .context import CallContext
from .errors import Denied, InvalidInput, NotFound, PyAirtableError, Unauthenticated, Unavailable
from .identity import Identity, Verifier, is_out_of_time
from .remembered import Remembered, Shared, fingerprint
from .revocations import Revocations, follow, revoked

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
"""So long an answer is kept. What is revoked meanwhile is dropped at once, as long as the auth service is heard."""

REFUSAL_SECONDS = 3.0
"""So long a key that was just made may be refused, if it was shown before."""

_KEPT = 4096
_CALL_SECONDS = 5.0

Refusal = Unauthenticated | Denied | NotFound | InvalidInput


class Authorizing(Protocol):
    """What `Access` asks. The auth service has one of its own, which asks nobody (no network); the others `Authorizer`.

    All methods raise Unauthenticated for what is not accepted (never telling why in a way that helps to guess), Denied
    for what is known and may not, Unavailable when it cannot be told now. They are asked for every call: keep answers.
    """

    @property
    def revocations(self) -> Revocations:
        """What ended before its time. `Access` holds every identity against it and ends open streams by it; whoever
        implements this keeps it current (`Revocations.apply`), and gives no identity that is revoked."""
        ...

    async def of_token(self, token: str) -> Identity:
        """The identity in an identity token (aud pyairtable), verified with the public keys. One whose rights are
        outdated is exchanged for a new one, or refused."""
        ...

    async def of_credential(self, credential: str, workspace: str) -> Identity:
        """The identity behind anything else: an access key (pya_), an API key of a person (pyu_), a person's access
        token, a ServiceAccount's token; shape and length were looked at. As `Authorize` without `enter`: a person's
        access token gives an identity in no workspace. `workspace` is empty but for ServiceAccounts, whose call named
        it."""
        ...

    async def entered(self, identity: Identity, workspace: str) -> Identity:
        """The identity of a person, who is in no workspace, in the one named; as `Authorize` with `enter`: empty is the
        only one or the preferred one, else InvalidInput (WORKSPACE_REQUIRED). Denied, the same for a workspace that
        there is not, for who is no member."""
        ...

    def known(self, credential: str) -> Identity | None:
        """What is known of a credential without asking: for counting calls, never for letting one in."""
        ...

    async def check(self) -> Mapping[str, Any] | None:
        """For /health: raises when credentials cannot be checked; returns what else there is to tell."""
        ...

    async def follow(self) -> None:
        """Keep `revocations` current, for ever: a background task of every process."""
        ...

    async def close(self) -> None:
        """Close what was opened."""
        ...


class Authorizer:
    """Asks the auth service. Its channel shows API_KEY and never a tenant's identity."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = auth_service_pb2_grpc.AuthServiceStub(channel.channel)
        self._verifier = Verifier(self)
        self._revocations = Revocations()
        self._answers: Remembered[Identity] = Remembered(_KEPT)
        self._refusals: Remembered[Refusal] = Remembered(_KEPT)
        self._asked: Shared[Identity] = Shared()

    @property
    def revocations(self) -> Revocations:
        """What the auth service took back."""
        return self._revocations

    async def of_token(self, token: str) -> Identity:
        """The identity in an identity token, verified here."""
        identity = replace(await self._verifier.verify(token), renew=self._renew)
        if self._revocations.has_ended(identity):
            raise revoked()
        return await self._renew(identity) if self._revocations.is_outdated(identity) else identity

    async def of_credential(self, credential: str, workspace: str = "") -> Identity:
        """The identity that a credential stands for; asked once in half a minute."""
        request = auth_service_pb2.AuthorizeRequest(credential=credential, workspace=workspace)
        return await self._authorized(fingerprint(credential, *([workspace] if workspace else [])), request)

    async def entered(self, identity: Identity, workspace: str) -> Identity:
        """A person's identity in a workspace; asked once in half a minute for a login."""
        request = auth_service_pb2.AuthorizeRequest(credential=identity.token, workspace=workspace, enter=True)
        return await self._authorized(fingerprint("enter", identity.session, workspace), request)

    def known(self, credential: str) -> Identity | None:
        """What is known of a credential without asking."""
        return self._answers.get(fingerprint(credential))

    async def signing_keys(self) -> Mapping[str, Any]:
        """The public keys (for the verifier)."""
        request = auth_service_pb2.GetSigningKeysRequest()
        try:
            answer = await self._call(self._stub.GetSigningKeys, request)
        except PyAirtableError as error:
            raise away() from error
        return {
            item.kid: jwt.PyJWK({"kty": item.kty, "crv": item.crv, "alg": item.alg, "x": item.x, "kid": item.kid}).key
            for item in answer.keys
            if (item.kty, item.crv) == ("OKP", "Ed25519")
        }

    async def check(self) -> Mapping[str, Any]:
        """For /health: whether new credentials can be checked, and how old the known revocations are."""
        await self.signing_keys()
        return self._revocations.check()

    async def follow(self) -> None:
        """Hear what is revoked, for ever."""
        await follow(self._channel, self._revocations)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.channel.close()

    async def _call(self, method: Any, request: Any) -> Any:
        # On our own behalf: neither the caller's identity nor its deadline, for others may wait for the same answer.
        with context.entered(CallContext(request_id=context.request_id())):
            return await self._channel.call(method, request, timeout=_CALL_SECONDS)

    async def _renew(self, identity: Identity) -> Identity:
        return await self.of_credential(identity.token)

    async def _authorized(self, known: bytes, request: auth_service_pb2.AuthorizeRequest) -> Identity:
        identity = self._answers.get(known)
        if identity is not None and not self._revocations.is_revoked(identity):
            return identity
        if (refusal := self._refusals.get(known)) is not None:
            raise copied(refusal)
        return await self._asked.ask(known, lambda: self._ask(request, known))

    async def _ask(self, request: auth_service_pb2.AuthorizeRequest, known: bytes) -> Identity:
        try:
            answer = await self._call(self._stub.Authorize, request)
        except (Unauthenticated, Denied, NotFound, InvalidInput) as refusal:
            self._refusals.put(known, refusal, REFUSAL_SECONDS)
            raise
        except PyAirtableError as error:
            raise away() from error
        identity = replace(await self._issued(answer.identity_token), renew=self._renew)
        if self._revocations.has_ended(identity):
            raise revoked()  # taken back while we asked
        if self._revocations.is_outdated(identity):
            raise being_changed()
        self._answers.put(known, identity, min(ANSWER_SECONDS, identity.expires_at - time.time()))
        return identity

    async def _issued(self, token: str) -> Identity:
        """What auth signed is verified as any other token is: a misrouted call gives nobody an identity."""
        try:
            return await self._verifier.verify(token)
        except Unauthenticated as refusal:
            if not is_out_of_time(refusal):
                raise
            log.error("the clock of this machine and the auth service's differ: set both by NTP")
            raise clocks_differ() from refusal


def copied(refusal: Refusal) -> Refusal:
    """The same refusal anew: an exception that is raised twice would carry both callers' traces."""
    again = type(refusal)(refusal.message, reason=refusal.reason)
    again.metadata, again.violations = dict(refusal.metadata), refusal.violations
    return again


def clocks_differ() -> Unavailable:
    """No fault of the caller's: his key is right, and another one would fare no better."""
    return Unavailable(
        "the identity token that the auth service issued just now is out of its time here: the clocks of the two "
        "machines differ; set both by NTP",
        dependency="auth",
    )


def being_changed() -> Unavailable:
    """The answer is older than what was heard: a replica of the auth service lies behind for a moment."""
    return Unavailable("the rights in this workspace are being changed: try again in a moment", dependency="auth")


def away() -> Unavailable:
    return Unavailable("the auth service cannot be asked who you are: try again in a moment", dependency="auth")
