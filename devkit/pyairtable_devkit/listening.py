"""The listening socket of an emulator."""

import os
import socket


class CannotListenError(RuntimeError):
    """No server can listen at this address; the message names it and the reason."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that already takes connections, so that its port is known and nobody has to wait for it.

    Port 0 takes a free one. Raises CannotListenError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on connections of a socket that names its protocol: else answers wait 40 ms for
    # an ACK. socket.create_server does not name it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CannotListenError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listener
