"""Settings: typed, from the environment, secrets masked, a wrong value is one sentence that names the variable."""

from __future__ import annotations

import pytest

from pyairtable_platform.auth.settings import Settings as AuthSettings
from pyairtable_platform.common.settings import (
    CorsSettings,
    DatabaseSettings,
    RedisSettings,
    ServiceSettings,
    load,
)


class Everything(ServiceSettings, DatabaseSettings, RedisSettings, CorsSettings):
    """All of the kit's settings in one class."""


def test_defaults_need_nothing() -> None:
    settings = load(Everything)
    assert settings.environment == "development"
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HTTP_PORT", "eighty", "HTTP_PORT is wrong"),
        ("GRPC_PORT", "70000", "GRPC_PORT is wrong"),
        ("ENVIRONMENT", "staging", "ENVIRONMENT is wrong"),
        ("DATABASE_URL", "mysql://secret-host/x", "DATABASE_URL is wrong: must begin with postgresql://"),
        ("REDIS_URL", "http://secret-host", "REDIS_URL is wrong: must begin with redis://"),
        ("DB_POOL_SIZE", "1", "DB_POOL_SIZE is wrong"),  # one connection may be kept for listening
    ],
)
def test_a_wrong_value_stops_the_process_with_one_sentence(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        load(Everything)
    printed = capsys.readouterr().err
    assert caught.value.code == 2
    assert says in printed
    assert len(printed.splitlines()) == 1
    assert "secret-host" not in printed


PRODUCTION = {"ENVIRONMENT": "production", "OPEN_ACCESS": "false"}
GOOD_API_KEY = "not-a-secret-but-long"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs API_KEY of at least 16 characters and needs AUTH_TARGET"),
        ({"API_KEY": GOOD_API_KEY}, "needs AUTH_TARGET"),
        ({"API_KEY": "short", "AUTH_TARGET": "auth:9004"}, "needs API_KEY of at least 16 characters"),
    ],
)
def test_production_is_never_open(
    given: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**PRODUCTION, **given}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(Everything)
    printed = capsys.readouterr().err
    assert printed == f"configuration: ENVIRONMENT=production {says}\n"


def test_a_process_that_is_told_nothing_of_access_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPEN_ACCESS", raising=False)
    with pytest.raises(SystemExit):
        load(Everything)
    printed = capsys.readouterr().err
    assert "API_KEY" in printed
    assert "OPEN_ACCESS=true" in printed
    monkeypatch.setenv("API_KEY", GOOD_API_KEY)
    assert not load(Everything).is_open()


def test_production_refuses_open_access(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {**PRODUCTION, "OPEN_ACCESS": "true", "API_KEY": GOOD_API_KEY, "AUTH_TARGET": "a:1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(Everything)
    assert capsys.readouterr().err == "configuration: ENVIRONMENT=production refuses OPEN_ACCESS\n"


def test_production_starts_with_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ENVIRONMENT": "production",
        "OPEN_ACCESS": "false",
        "API_KEY": GOOD_API_KEY,
        "AUTH_TARGET": "auth:9004",
    }.items():
        monkeypatch.setenv(name, value)
    assert not load(Everything).is_open()


@pytest.mark.parametrize("secret", [None, "for development only", "x" * 31])
def test_auth_needs_a_secret_of_its_own_in_production(
    secret: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "ENVIRONMENT": "production",
        "OPEN_ACCESS": "false",
        "API_KEY": GOOD_API_KEY,
        "JWT_SECRET": secret or "",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(AuthSettings)
    assert capsys.readouterr().err == (
        "configuration: ENVIRONMENT=production needs JWT_SECRET of at least 32 characters\n"
    )


def test_auth_starts_with_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ENVIRONMENT": "production",
        "OPEN_ACCESS": "false",
        "API_KEY": GOOD_API_KEY,
        "JWT_SECRET": "x" * 32,
    }.items():
        monkeypatch.setenv(name, value)
    assert "xxx" not in repr(load(AuthSettings))


@pytest.mark.parametrize("key", ["pya_looks-like-an-access-key", "with a blank in it", "ümläut-is-no-header"])
def test_an_api_key_that_cannot_work_is_refused(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("API_KEY", key)
    with pytest.raises(SystemExit):
        load(Everything)
    printed = capsys.readouterr().err
    assert printed.startswith("configuration: API_KEY is wrong: must ")
    assert key not in printed


def test_secrets_never_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "canary-api-key")
    monkeypatch.setenv("POSTGRES_PASSWORD", "canary-pg")
    monkeypatch.setenv("REDIS_PASSWORD", "canary-redis")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:canary-url@h/d")
    settings = load(Everything)
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(Everything).host = "0.0.0.0"  # noqa: S104


def test_the_database_url_is_made_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "db", "PORT": "5433", "DB": "d", "USER": "u@x", "PASSWORD": "p/w:1"}.items():
        monkeypatch.setenv(f"POSTGRES_{name}", value)
    assert load(Everything).database_dsn() == "postgresql+asyncpg://u%40x:p%2Fw%3A1@db:5433/d"


def test_the_database_url_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_HOST", "other")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@h:1/d")
    assert load(Everything).database_dsn() == "postgresql+asyncpg://u:p@h:1/d"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:6379/0", "redis://:p%40ss@h:6379/0"),
        ("redis://:own@h:6379/0", "redis://:own@h:6379/0"),
        ("rediss://user@h:6379/1", "rediss://user:p%40ss@h:6379/1"),
    ],
)
def test_the_redis_password_goes_into_the_url(url: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.setenv("REDIS_PASSWORD", "p@ss")
    assert load(Everything).redis_dsn() == expected


def test_origins_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example")
    assert load(Everything).cors_origins == ("https://a.example", "https://b.example")
