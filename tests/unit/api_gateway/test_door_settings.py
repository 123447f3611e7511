"""Settings of the door: what they accept, and that a wrong value is told by name."""

from __future__ import annotations

import ipaddress

import pytest
from pydantic import ValidationError

from pyairtable_platform.api_gateway.settings import Settings
from pyairtable_platform.common.settings import load


def test_lists_come_from_comma_separated_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, http://localhost:3000")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,::1")
    monkeypatch.setenv("RATE_LIMIT_RPM", "42")
    monkeypatch.setenv("HTTPS_ENABLED", "true")
    settings = load(Settings)
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")
    assert settings.trusted_proxies == tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "192.0.2.1", "::1")))
    assert (settings.rate_limit_rpm, settings.https_enabled) == (42, True)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*",
        "https://*.a.example",
        "example.com",
        "https://a.example/",
        "https://a.example/path",
        "ftp://a.example",
        "https://",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError):
        Settings(cors_origins=(origin,))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORS_ORIGINS", "*"),
        ("TRUSTED_PROXIES", "everybody"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("RATE_LIMIT_RPM", "-1"),
        ("RATE_LIMIT_RPM", "many"),
        ("HTTPS_ENABLED", "perhaps"),
        ("HTTP_PORT", "99999"),
    ],
)
def test_a_wrong_value_stops_with_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(Settings)
    said = capsys.readouterr().err
    assert name in said
    assert len(said.strip().splitlines()) == 1
