"""Free ports, and the sentence about one that is taken."""

import os
import socket

import psutil
import pytest

from pyairtable_devkit.ports import LOOPBACK, PortTakenError, free_port, is_free, require_free


def listening_socket() -> socket.socket:
    return socket.create_server((LOOPBACK, 0))


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
    assert is_free(port)


def test_a_port_is_free_again_while_old_connections_close() -> None:
    with listening_socket() as server:
        port = server.getsockname()[1]
        client = socket.create_connection((LOOPBACK, port))
        accepted, _ = server.accept()
        accepted.close()  # closes first, so this side stays in TIME_WAIT
        client.close()
    assert is_free(port)


def test_a_taken_port_is_told_in_one_sentence_with_port_purpose_and_process() -> None:
    with listening_socket() as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError) as raised:
            require_free(port, "api-gateway")
    name = psutil.Process().name()
    assert str(raised.value) == (
        f"Port {port}, which api-gateway needs, is taken by {name} (pid {os.getpid()}): stop it first, or "
        "move all ports with --port-offset"
    )


def test_a_free_port_raises_nothing() -> None:
    require_free(free_port(), "api-gateway")
