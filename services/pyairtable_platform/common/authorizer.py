"""The auth service as the others see it: access keys become identities, and answers are kept for a moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jwt

from pyairtable_protos.auth.v1 import auth_service_pb2, auth_service_pb2_grpc

from . import context
from .channels import ServiceChannel
from .context import CallContext
from .errors import Denied, NotFound, PyAirtableError, Unauthenticated, Unavailable
from .identity import Identity, Verifier, is_out_of_time
from .remembered import Remembered, Shared, fingerprint

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
"""So long a key that was revoked may still open a door."""

REFUSAL_SECONDS = 3.0
"""So long a key that was just made may be refused, if it was shown before."""

LONGEST_KEY = 128
"""Ours have some 60 characters; what is longer need not be asked about."""

_KEPT = 4096
_CALL_SECONDS = 5.0

Refusal = Unauthenticated | Denied | NotFound


class Authorizer:
    """Turns credentials into identities. Its channel shows API_KEY and never a tenant's identity."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = auth_service_pb2_grpc.AuthServiceStub(channel.channel)
        self._verifier = Verifier(self)
        self._answers: Remembered[Identity] = Remembered(_KEPT)
        self._refusals: Remembered[Refusal] = Remembered(_KEPT)
        self._asked: Shared[Identity] = Shared()

    async def of_token(self, token: str) -> Identity:
        """The identity in an identity token, verified here."""
        return replace(await self._verifier.verify(token), renew=self._renew)

    async def of_key(self, key: str) -> Identity:
        """The identity that an access key stands for; asked once in half a minute."""
        if len(key) > LONGEST_KEY:
            raise Unauthenticated("the access key is not accepted: it is longer than any of this installation")
        return await self._authorize(key)

    def known(self, key: str) -> Identity | None:
        """What is known of a key without asking: for counting calls, never for letting one in."""
        return self._answers.get(fingerprint(key))

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

    async def check(self) -> None:
        """For /health: whether new credentials can be checked."""
        await self.signing_keys()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.channel.close()

    async def _call(self, method: Any, request: Any) -> Any:
        # On our own behalf: neither the caller's identity nor its deadline, for others may wait for the same answer.
        with context.entered(CallContext(request_id=context.request_id())):
            return await self._channel.call(method, request, timeout=_CALL_SECONDS)

    async def _renew(self, identity: Identity) -> Identity:
        return await self._authorize(identity.token)

    async def _authorize(self, credential: str) -> Identity:
        known = fingerprint(credential)
        if (identity := self._answers.get(known)) is not None:
            return identity
        if (refusal := self._refusals.get(known)) is not None:
            raise copied(refusal)
        return await self._asked.ask(known, lambda: self._ask(credential, known))

    async def _ask(self, credential: str, known: bytes) -> Identity:
        request = auth_service_pb2.AuthorizeRequest(credential=credential)
        try:
            answer = await self._call(self._stub.Authorize, request)
        except (Unauthenticated, Denied, NotFound) as refusal:
            self._refusals.put(known, refusal, REFUSAL_SECONDS)
            raise
        except PyAirtableError as error:
            raise away() from error
        identity = replace(await self._issued(answer.identity_token), renew=self._renew)
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
    again.metadata = dict(refusal.metadata)
    return again


def clocks_differ() -> Unavailable:
    """No fault of the caller's: his key is right, and another one would fare no better."""
    return Unavailable(
        "the identity token that the auth service issued just now is out of its time here: the clocks of the two "
        "machines differ; set both by NTP",
        dependency="auth",
    )


def away() -> Unavailable:
    return Unavailable("the auth service cannot be asked who you are: try again in a moment", dependency="auth")
