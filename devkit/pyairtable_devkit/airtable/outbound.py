"""HTTP clients: for what the emulator itself calls, webhook receivers and attachment URLs."""

import ssl
from functools import cache

import httpx2


def client(timeout: float) -> httpx2.AsyncClient:
    """A client that follows up to three redirects and takes no proxy from the environment."""
    return httpx2.AsyncClient(
        timeout=timeout, follow_redirects=True, max_redirects=3, trust_env=False, verify=certificates()
    )


@cache
def certificates() -> ssl.SSLContext:
    """Loading them takes tens of milliseconds, in which the emulator would serve nobody: once is enough."""
    return ssl.create_default_context()
