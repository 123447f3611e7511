"""The auth service, as others ask it who somebody is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import jwt

from pyairtable_protos.auth.v1 import auth_service_pb2, auth_service_pb2_grpc

from . import context
from .authorizing import RememberingAuthorizer
from .channels import ServiceChannel
from .context import CallContext
from .errors import Denied, InvalidInput, NotFound, PyAirtableError, Unauthenticated, Unavailable
from .identity import Identity, Verifier, is_out_of_time
from .revocations import follow

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
"""So long an answer is kept. What is revoked meanwhile is dropped at once, as long as the auth service is heard."""

_KEPT = 4096
_CALL_SECONDS = 5.0


class Authorizer(RememberingAuthorizer):
    """Asks the auth service. Its channel shows API_KEY and never a tenant's identity."""

    def __init__(self, channel: ServiceChannel) -> None:
        super().__init__(answer_seconds=ANSWER_SECONDS, kept=_KEPT)
        self._channel = channel
        self._stub: Any = auth_service_pb2_grpc.AuthServiceStub(channel.channel)
        self._verifier = Verifier(self)

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

    async def _verified(self, token: str) -> Identity:
        return await self._verifier.verify(token)

    async def _authorized(self, credential: str, workspace: str, *, enter: bool = False) -> Identity:
        request = auth_service_pb2.AuthorizeRequest(credential=credential, workspace=workspace, enter=enter)
        try:
            answer = await self._call(self._stub.Authorize, request)
        except (Unauthenticated, Denied, NotFound, InvalidInput):
            raise
        except PyAirtableError as error:
            raise away() from error
        return await self._issued(answer.identity_token)

    async def _issued(self, token: str) -> Identity:
        """What auth signed is verified as any other token is: a misrouted call gives nobody an identity."""
        try:
            return await self._verifier.verify(token)
        except Unauthenticated as refusal:
            if not is_out_of_time(refusal):
                raise
            log.error("the clock of this machine and the auth service's differ: set both by NTP")
            raise clocks_differ() from refusal


def clocks_differ() -> Unavailable:
    """No fault of the caller's: his key is right, and another one would fare no better."""
    return Unavailable(
        "the identity token that the auth service issued just now is out of its time here: the clocks of the two "
        "machines differ; set both by NTP",
        dependency="auth",
    )


def away() -> Unavailable:
    return Unavailable("the auth service cannot be asked who you are: try again in a moment", dependency="auth")
