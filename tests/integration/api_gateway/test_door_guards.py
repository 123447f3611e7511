"""What browsers are told and which pages may call: security headers, CORS, origins, host names, request ids."""

from __future__ import annotations

import pytest
from integration.api_gateway.conftest import Door, OpenDoor
from integration.api_gateway.upstream_fakes import Behind

EVERYWHERE = [
    ("GET", "/", 200),
    ("GET", "/static/app.js", 200),
    ("GET", "/api/health", 200),
    ("GET", "/api/tools", 200),
    ("POST", "/api/chat", 200),
    ("GET", "/health", 200),
    ("GET", "/ready", 200),
    ("GET", "/metrics", 200),
    ("GET", "/openapi.json", 200),
    ("POST", "/health", 405),
    ("GET", "/nothing", 404),
    ("GET", "/api/nothing", 404),
    ("GET", "/static/nothing", 404),
    ("PUT", "/api/chat", 405),
    ("GET", "/api/tools?unknown=1", 400),
]


async def test_every_answer_has_the_security_headers(door: Door) -> None:
    for method, path, status in EVERYWHERE:
        answer = await door.http.request(method, path)
        assert answer.status_code == status, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] in ("no-store", "no-cache")
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers


async def test_refusals_before_any_route_have_the_headers_and_the_request_id(
    open_door: OpenDoor, behind: Behind
) -> None:
    key = {"x-api-key": "a-test-key"}
    cases: list[tuple[dict[str, str], int]] = [
        ({}, 401),
        (key | {"request-timeout": "soon"}, 400),
        (key | {"origin": "https://evil.example"}, 403),
    ]
    async with open_door(behind, api_key="a-test-key", max_request_bytes=2048) as door:
        for headers, status in [*cases, (key, 413)]:
            body = b" " * 4096 if status == 413 else b""
            answer = await door.http.post("/api/chat", content=body, headers={"x-request-id": "abc", **headers})
            assert answer.status_code == status, headers
            assert answer.headers["content-type"] == "application/problem+json"
            assert "content-security-policy" in answer.headers
            assert answer.headers.get_list("x-request-id") == ["abc"]
            assert answer.json()["request_id"] == "abc"


async def test_a_preflight_needs_no_credential(open_door: OpenDoor, behind: Behind) -> None:
    origin = "https://app.example.com"
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key, content-type",
    }
    async with open_door(behind, api_key="a-test-key", cors_origins=origin) as door:
        answer = await door.http.options("/api/chat", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin


async def test_hsts_is_said_only_under_https(open_door: OpenDoor, behind: Behind) -> None:
    async with open_door(behind, https_enabled=True) as door:
        answer = await door.http.get("/nothing")
        assert answer.headers["strict-transport-security"].startswith("max-age=63072000")


async def test_a_trusted_proxy_may_say_that_it_speaks_https(open_door: OpenDoor, behind: Behind) -> None:
    said = {"x-forwarded-proto": "https"}
    async with open_door(behind, trusted_proxies="127.0.0.0/8") as door:
        assert "strict-transport-security" in (await door.http.get("/", headers=said)).headers
    async with open_door(behind) as door:
        assert "strict-transport-security" not in (await door.http.get("/", headers=said)).headers


async def test_a_sane_request_id_is_kept_and_goes_on(door: Door) -> None:
    answer = await door.http.get("/api/tools", headers={"x-request-id": "order-66:a.b_c"})
    assert answer.headers["x-request-id"] == "order-66:a.b_c"
    assert door.behind.recorder.last.metadata["x-request-id"] == "order-66:a.b_c"


@pytest.mark.parametrize("offered", [None, "", "a b", "x" * 129, "<script>", 'a"b', "é"])
async def test_any_other_request_id_is_replaced(door: Door, offered: str | None) -> None:
    headers = [] if offered is None else [(b"x-request-id", offered.encode())]
    answer = await door.http.get("/api/nothing", headers=headers)
    made = answer.headers["x-request-id"]
    assert len(made) == 32
    assert made == answer.json()["request_id"]


async def test_a_listed_origin_may_call_and_read(open_door: OpenDoor, behind: Behind) -> None:
    origin = "https://app.example.com"
    async with open_door(behind, cors_origins="https://other.example.com," + origin) as door:
        preflight = await door.http.options(
            "/api/chat",
            headers={
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "content-type, last-event-id",
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == origin
        for path, status in (("/api/tools", 200), ("/api/nothing", 404)):
            answer = await door.http.get(path, headers={"origin": origin})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == origin
            assert "access-control-allow-credentials" not in answer.headers
            assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
            assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1"])
async def test_a_foreign_page_is_refused_whatever_it_sends(open_door: OpenDoor, behind: Behind, origin: str) -> None:
    async with open_door(behind, cors_origins="https://app.example.com") as door:
        for method in ("GET", "POST", "DELETE"):
            answer = await door.http.request(method, "/api/chat", headers={"origin": origin})
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
            assert "access-control-allow-origin" not in answer.headers
        headers = {"origin": origin, "access-control-request-method": "POST"}
        preflight = await door.http.options("/api/chat", headers=headers)
        assert preflight.status_code == 403
        assert preflight.headers["content-type"] == "application/problem+json"
    assert behind.recorder.calls == []


async def test_the_doors_own_page_may_call(door: Door) -> None:
    assert (await door.http.get("/api/tools", headers={"origin": door.url})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "10.0.0.5", "localhost.evil"]
)
async def test_development_mode_answers_to_this_machines_names_only(door: Door, host: str) -> None:
    answer = await door.http.get("/api/tools", headers={"host": host})
    assert answer.status_code == 403
    assert door.behind.recorder.calls == []


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "acme.localhost", "127.0.0.1:8000", "[::1]:8000"])
async def test_names_of_this_machine_are_fine(door: Door, host: str) -> None:
    assert (await door.http.get("/api/tools", headers={"host": host})).status_code == 200
