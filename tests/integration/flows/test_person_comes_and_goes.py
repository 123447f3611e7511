"""What happens by itself: a proved address is onboarded once, and who was deleted long ago is erased."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from integration.flows.installation import API_KEY, Installation, until
from redis.asyncio import Redis

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.database import open_engine
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.users.peers import Erasures
from pyairtable_platform.users.purge import Purge
from pyairtable_platform.users.store import UserStore

ONBOARDINGS = "SELECT state FROM sagas.sagas WHERE type = 'user_onboarding' AND business_key = $1"


async def test_an_event_that_comes_twice_gives_one_onboarding(installation: Installation) -> None:
    first = await installation.person("nils")
    await installation.rows("UPDATE auth.outbox SET published_at = NULL WHERE subject = $1", first.user_id)
    await installation.person("onno")  # heard after the repeat
    assert [row["state"] for row in await installation.rows(ONBOARDINGS, first.user_id)] == ["COMPLETED"]
    spaces = (await first.ask("ListMyWorkspaces")).workspaces
    assert [space.name for space in spaces] == [first.workspace]


async def test_an_emptied_valkey_loses_no_onboarding(installation: Installation) -> None:
    """An address is proved while nobody hears; then Valkey loses the stream."""
    before = await installation.person("nils")
    token = await installation.registered("pia")
    await asyncio.to_thread(installation.stop, "sagas")
    user_id = (await installation.anybody().ask("VerifyEmail", token=token)).account.user_id

    async def published() -> list[Any]:
        query = (
            "SELECT 1 FROM auth.outbox WHERE subject = $1 AND type = 'user.verified.v1' AND published_at > '2000-1-1'"
        )
        return await installation.rows(query, user_id)

    await until(published, "the event in the stream")
    valkey: Any = Redis.from_url(installation.valkey.url)
    await valkey.flushall()
    await valkey.aclose()
    await asyncio.to_thread(installation.start, "sagas")
    assert (await installation.onboarding_of(user_id))["state"] == "COMPLETED"
    for person in (before.user_id, user_id):
        assert [row["state"] for row in await installation.rows(ONBOARDINGS, person)] == ["COMPLETED"]


async def test_who_was_deleted_long_ago_is_erased_once(installation: Installation) -> None:
    """Two replicas look at once, with the clock of a month later."""
    person = await installation.person("nils")
    await installation.peer.ask("DeleteUser", user_id=person.user_id)
    engine = open_engine(DatabaseSettings.model_validate({"database_url": installation.database_url}), "users")
    async with ServiceChannel(f"127.0.0.1:{installation.ports['sagas']}", api_key=API_KEY) as sagas:

        def after(days: int) -> Purge:
            later = datetime.now(UTC) + timedelta(days=days)
            return Purge(UserStore(engine), Erasures(sagas), lambda: later)

        assert await after(29).purge() == [], "it can be taken back still"
        begun = await asyncio.gather(after(31).purge(), after(31).purge())
        again = await after(31).purge()
        ids = {saga_id for found in (*begun, again) for saga_id in found}
        assert len(ids) == 1

        async def gone() -> bool:
            return not await installation.rows("SELECT 1 FROM users.profiles WHERE user_id = $1", person.user_id)

        await until(gone, "the erasure")

        async def ended() -> list[Any]:
            query = "SELECT state FROM sagas.sagas WHERE saga_id = $1 AND ended_at IS NOT NULL"
            return await installation.rows(query, ids.copy().pop())

        assert [row["state"] for row in await until(ended, "the end")] == ["COMPLETED"]
        assert await after(60).purge() == []
    await engine.dispose()
