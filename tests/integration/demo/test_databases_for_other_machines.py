"""The demo's databases in a pod: reached by an address that is not loopback."""

from __future__ import annotations

import socket
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from pyairtable_devkit.databases import PASSWORD, SUPERUSER, Postgres, Valkey

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the chart tells them


def own_address() -> str:
    """An address of this machine that others would use; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


async def test_postgres_lets_others_in_with_the_password(tmp_path: Path) -> None:
    with Postgres.start(tmp_path, host=EVERYWHERE) as server:
        server.stop()
        server.restart()  # the rule is added once
        arguments = {"host": own_address(), "port": server.port, "user": SUPERUSER, "database": "postgres"}
        connection = await asyncpg.connect(password=PASSWORD, **arguments)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(password="another", **arguments)
        assert (tmp_path / "pgdata" / "pg_hba.conf").read_text().count("host all all all") == 1


async def test_valkey_answers_others(tmp_path: Path) -> None:
    with Valkey.start(tmp_path, host=EVERYWHERE) as server:
        client = redis.asyncio.Redis(host=own_address(), port=server.port)
        assert await client.ping()
        await client.aclose()


async def test_by_default_only_this_machine_is_served(tmp_path: Path) -> None:
    with Valkey.start(tmp_path) as server:
        client = redis.asyncio.Redis(host=own_address(), port=server.port)
        with pytest.raises(redis.exceptions.ConnectionError):
            await client.ping()
        await client.aclose()
