"""Who counts as one caller, and that no header changes it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pyairtable_platform.api_gateway.callers import Callers
from pyairtable_platform.common.access import Access
from pyairtable_platform.common.settings import ServiceSettings

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
API_KEY = "a-test-key"
CALLERS = Callers(Access(ServiceSettings(api_key=SecretStr(API_KEY))), PROXIES)
OPEN = Callers(Access(ServiceSettings()), ())


def with_key(key: str) -> dict[str, str]:
    return {"x-api-key": key}


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # not a proxy: what it says of others is not believed
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # the left part was written by the caller
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fd00::1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", " , ", "10.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_address_of_a_caller(peer: str, forwarded_for: str, address: str) -> None:
    assert CALLERS.address(peer, forwarded_for) == address


@given(st.text())
def test_who_is_no_proxy_cannot_change_its_address(header: str) -> None:
    assert CALLERS.address("203.0.113.5", header) == "203.0.113.5"


@given(st.text())
def test_what_a_caller_writes_left_of_the_proxys_entry_changes_nothing(header: str) -> None:
    assert CALLERS.address("10.0.0.1", f"{header},198.51.100.1") == "198.51.100.1"


@given(st.text(), st.text())
def test_a_name_never_fails(peer: str, header: str) -> None:
    assert CALLERS.name(CALLERS.address(peer, header), {"x-api-key": header, "authorization": header})


@given(st.text())
def test_only_the_right_key_is_a_caller_of_its_own(key: str) -> None:
    assert CALLERS.name("203.0.113.5", with_key(key)).startswith("caller:") == (key == API_KEY)


def test_a_name_holds_no_key() -> None:
    assert API_KEY not in CALLERS.name("203.0.113.5", with_key(API_KEY))


def test_without_an_api_key_no_header_is_one() -> None:
    assert OPEN.name("203.0.113.5", with_key("")) == OPEN.name("203.0.113.5", with_key("x"))


def test_addresses_of_one_ipv6_network_are_one_caller() -> None:
    names = {CALLERS.name(f"2001:db8:1:2::{n:x}", {}) for n in range(20)}
    assert len(names) == 1
    assert CALLERS.name("2001:db8:1:3::1", {}) not in names


def test_ipv4_in_ipv6_is_the_same_caller() -> None:
    assert CALLERS.name("::ffff:203.0.113.5", {}) == CALLERS.name("203.0.113.5", {})
