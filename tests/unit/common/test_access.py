"""Development mode is for this machine only, and an API key is compared whole."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from pyairtable_platform.common.access import Access, grpc_peer_address, is_loopback
from pyairtable_platform.common.errors import Denied, Unauthenticated
from pyairtable_platform.common.settings import ServiceSettings


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine_may_come_in(address: str) -> None:
    assert is_loopback(address)
    Access(ServiceSettings()).check(address, None)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.5", "::ffff:10.0.0.1", "2001:db8::1", "localhost", "unknown"]
)
def test_other_machines_may_not(address: str) -> None:
    with pytest.raises(Denied):
        Access(ServiceSettings()).check(address, None)


@pytest.mark.parametrize("shown", [None, "", "wrong", "key ", "ke", "kéy"])
def test_a_key_that_is_set_must_be_shown(shown: str | None) -> None:
    access = Access(ServiceSettings(api_key=SecretStr("key")))
    access.check("127.0.0.1", "key")
    with pytest.raises(Unauthenticated):
        access.check("127.0.0.1", shown)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:4711", "127.0.0.1"),
        ("ipv4:10.1.2.3:80", "10.1.2.3"),
        ("ipv6:[::1]:4711", "::1"),
        ("ipv6:%5B::1%5D:4711", "::1"),
        ("unix:", ""),
        ("vsock:1:2", "1"),
        ("", "unknown"),
    ],
)
def test_the_address_in_a_grpc_peer(peer: str, address: str) -> None:
    assert grpc_peer_address(peer) == address
