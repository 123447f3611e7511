"""Settings: typed, from the environment, secrets masked, a wrong value is one sentence that names the variable."""

from __future__ import annotations

import pytest

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
        ("DB_POOL_SIZE", "0", "DB_POOL_SIZE is wrong"),
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


def test_production_is_refused_without_an_identity_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(SystemExit):
        load(Everything)
    assert "needs an identity service" in capsys.readouterr().err


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
