"""How the Kubernetes API is reached: address, certificates and token of a kubeconfig or of the pod's service account.

`kubernetes.aio` reads the configuration; requests go through one aiohttp session (bytes in, bytes out), because its
generated client builds Python objects of everything and encodes JSON by the standard library.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
from kubernetes.aio import config
from kubernetes.aio.client import Configuration


@dataclass(frozen=True, slots=True)
class Connection:
    """An open session and the address of the API server."""

    server: str
    session: aiohttp.ClientSession


async def connect(kubeconfig: Path | None) -> Connection:
    """Opens a session. Raises kubernetes.aio's ConfigException when there is no usable configuration."""
    configuration = Configuration()
    if kubeconfig is None:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(kubeconfig), client_configuration=configuration, persist_config=False
        )
    session = aiohttp.ClientSession(
        # No limit: watches hold theirs for ever. Kept open for longer than a burst pauses: handshakes are dear.
        connector=aiohttp.TCPConnector(ssl=_tls(configuration), limit=0, keepalive_timeout=75),
        proxy=configuration.proxy,
        middlewares=(_bearer(configuration),),
        json_serialize=lambda value: orjson.dumps(value).decode(),
        headers={"User-Agent": "pyairtable-operator"},
    )
    return Connection(server=configuration.host.rstrip("/"), session=session)


def _tls(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _bearer(configuration: Configuration) -> aiohttp.ClientMiddlewareType:
    """Adds the token, which `kubernetes.aio` reads anew every minute: the kubelet replaces it before it ends."""

    async def middleware(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            request.headers["Authorization"] = token
        return await handler(request)

    return middleware
