"""Origins and host names that may call a service."""

from __future__ import annotations

import pytest

from pyairtable_platform.common.browsers import check_host, check_origin
from pyairtable_platform.common.errors import Denied

ALLOWED = ("https://app.example.com",)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8000"},
        {"host": "localhost:8000", "origin": "http://localhost:8000"},
        {"host": "localhost:8000", "origin": "https://app.example.com"},
        # An ingress may change the host name; the browser itself says that the page is the door's own.
        {"host": "door.internal", "origin": "https://door.example.com", "sec-fetch-site": "same-origin"},
    ],
)
def test_own_and_listed_pages_may_call(headers: dict[str, str]) -> None:
    check_origin(headers, ALLOWED)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8000", "origin": "https://evil.example"},
        {"host": "localhost:8000", "origin": "null"},
        {"host": "localhost:8000", "origin": ""},
        {"host": "localhost:8000", "origin": "http://localhost:9999"},
        {"host": "localhost:8000", "origin": "https://app.example.com.evil.example"},
        {"host": "localhost:8000", "origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example"},
    ],
)
def test_other_pages_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(Denied):
        check_origin(headers, ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9:80",
        "[::1]",
        "[::1]:8000",
        "mcp.example.com",
        "mcp-server:81",
    ],
)
def test_names_of_this_machine(host: str) -> None:
    check_host({"host": host}, ("mcp.example.com", "mcp-server:*"))


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":80",
        "evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "10.0.0.1",
        "[::2]",
        "x.mcp.example.com",
    ],
)
def test_names_of_other_machines(host: str) -> None:
    with pytest.raises(Denied):
        check_host({"host": host}, ("mcp.example.com", "mcp-server:*"))
