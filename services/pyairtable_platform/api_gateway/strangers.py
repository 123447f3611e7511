"""Calls that need no credential: register, log in, refresh. Each address may make fewer of them than of others.

Passwords and tokens are guessed here, and each guess costs the auth service a slow hash. A public stream there is none.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor import MethodDescriptor

from pyairtable_platform.common.access import PUBLIC, rule_of
from pyairtable_platform.common.rest.routes import bindings

from .rate_limit import RateLimiter, Verdict
from .upstreams import Upstream


class Strangers:
    """Knows the public calls over REST, and counts callers of any."""

    def __init__(self, upstreams: Iterable[Upstream], limiter: RateLimiter) -> None:
        self._limiter = limiter
        services = [service for upstream in upstreams for service in upstream.services]
        self._routes = [
            (binding.verb, binding.pattern)
            for service in services
            for binding in bindings(service)
            if is_public(binding.method)
        ]

    def may_call(self, verb: str, path: str) -> bool:
        """True for a call that needs no credential; `path` is as it was sent, without the door's prefix."""
        return any(verb == public and pattern.fullmatch(path) for public, pattern in self._routes)

    async def take(self, place: str) -> Verdict | None:
        """Count a call from an address; None when there is no limit."""
        return await self._limiter.take(f"public:{place}")


def is_public(method: MethodDescriptor) -> bool:
    """True for an RPC that everybody may call."""
    return rule_of(str(method.full_name)) == PUBLIC
