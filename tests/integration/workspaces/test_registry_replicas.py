"""Two replicas of the registry over one PostgreSQL: what one is told, the data plane hears from either."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import yaml
from integration.workspaces.conftest import Replica, open_replica, until
from sqlalchemy.ext.asyncio import create_async_engine

from pyairtable_devkit.databases import Postgres
from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, NotFound, Reason, Unavailable
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2

Replicas = tuple[Replica, Replica]


async def statement(url: str, text: str) -> None:
    """Run a statement as somebody else would."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sqlalchemy.text(text))
    await engine.dispose()


async def test_what_one_replica_is_told_both_stream(replicas: Replicas) -> None:
    first, second = replicas
    answer = await first.apply(display_name="Acme", owners=[workspace_pb2.Owner(kind="User", name="ada@acme.example")])
    assert answer.changed
    assert answer.workspace.version > 0
    await until(lambda: all(replica.knows(version=answer.workspace.version) for replica in replicas))
    assert await second.names() == ["acme"]

    await second.apply(suspended=True)
    await until(lambda: all(replica.knows(suspended=True) for replica in replicas))

    assert await first.remove()
    await until(lambda: not any(replica.knows() for replica in replicas))
    for replica in replicas:
        with pytest.raises(NotFound):
            replica.registry.resolve("acme")
    assert not await second.remove(), "it is gone already"


async def test_repeating_an_apply_changes_nothing_at_either_replica(replicas: Replicas) -> None:
    first, second = replicas
    made = await first.apply(display_name="Acme")
    again = await second.apply(display_name="Acme")
    assert not again.changed
    assert again.workspace == made.workspace


async def test_conflicts_are_found_whichever_replica_is_asked(replicas: Replicas) -> None:
    first, second = replicas
    await first.apply(generation=5)
    with pytest.raises(FailedPrecondition, match="generation 5") as caught:
        await second.apply(generation=4)
    assert caught.value.reason is Reason.CONFLICT
    assert not await second.remove(uid="of-another-object")
    assert (await second.apply(uid="made-anew", generation=1)).changed


async def test_what_documents_may_not_say_is_refused(replicas: Replicas) -> None:
    base = workspace_pb2.BaseBinding(name="crm", base_id="nonsense", access=workspace_pb2.BASE_ACCESS_READ_ONLY)
    with pytest.raises(InvalidInput, match="baseId"):
        await replicas[0].apply(bases=[base])
    assert await replicas[0].names() == []


async def test_writers_at_both_replicas_at_once_leave_one_truth(replicas: Replicas) -> None:
    choice = random.Random(7)

    async def step(number: int) -> None:
        replica, name = choice.choice(replicas), f"tenant-{number % 6}"
        if number % 5 == 4:
            await replica.remove(name)
        else:
            await replica.apply(name, generation=1, display_name=str(number))

    await asyncio.gather(*(step(number) for number in range(60)))
    names = await replicas[0].names()
    await until(lambda: all(replica.registry.names() == names for replica in replicas))

    def states() -> list[list[Any]]:
        return [[replica.registry.find(name) for name in names] for replica in replicas]

    await until(lambda: states()[0] == states()[1])
    assert len({workspace.version for workspace in states()[0]}) == len(names), "every change has a version of its own"


async def test_versions_grow_over_removal(replicas: Replicas) -> None:
    first, second = replicas
    before = (await first.apply()).workspace.version
    await second.remove()
    assert (await first.apply(uid="made-anew")).workspace.version > before + 1


async def test_a_replica_that_starts_later_knows_all(replicas: Replicas, database_url: str) -> None:
    await replicas[0].apply("kept")
    await replicas[0].apply("gone")
    await replicas[0].remove("gone")
    async with open_replica(database_url) as third:
        assert third.registry.names() == ["kept"]


async def test_a_lost_notification_connection_is_made_up_for(replicas: Replicas, database_url: str) -> None:
    first, second = replicas
    await statement(
        database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )

    for _ in range(100):
        try:
            await first.apply()
            break
        except Unavailable:
            await asyncio.sleep(0.1)
    await until(lambda: first.knows() and second.knows())
    await first.apply(suspended=True)
    await until(lambda: second.knows(suspended=True))


async def test_with_postgres_away_the_last_state_is_served_and_streamed_and_nothing_is_written() -> None:
    with Postgres.start() as server:
        url = server.create_database("alone")
        await migrate_async(DatabaseSettings(database_url=url), ("workspaces",))  # type: ignore[arg-type]
        async with open_replica(url) as replica:
            await replica.apply(display_name="Acme")
            await until(replica.knows)
            server.stop()
            with pytest.raises(Unavailable) as caught:
                await replica.apply(suspended=True)
            assert caught.value.reason is Reason.DEPENDENCY_UNAVAILABLE
            with pytest.raises(Unavailable):
                await replica.remove()
            assert await replica.names() == ["acme"]
            newcomer = replica.stub.WatchWorkspaces(workspace_service_pb2.WatchWorkspacesRequest())
            snapshot = await newcomer.read()
            newcomer.cancel()
            assert [item.name for item in snapshot.snapshot.workspaces] == ["acme"]


async def test_files_and_custom_resources_beside_each_other(database_url: str, tmp_path: Path) -> None:
    def write(name: str, **spec: Any) -> None:
        head = {"apiVersion": "pyairtable.dev/v1alpha1", "kind": "Workspace", "metadata": {"name": name}}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**head, "spec": spec}))

    write("acme", displayName="From the file")
    async with open_replica(database_url, workspaces_path=tmp_path) as replica:
        assert replica.knows(display_name="From the file")
        with pytest.raises(FailedPrecondition, match=r"acme\.yaml"):
            await replica.apply()
        await replica.apply("beta", display_name="From the cluster")
        write("beta", displayName="Too late")
        write("acme", suspend=True)
        await until(lambda: replica.knows(suspended=True))
        assert replica.knows("beta", display_name="From the cluster")
    async with open_replica(database_url) as replica:
        await until(lambda: replica.registry.names() == ["beta"])


async def test_the_migration_goes_down_and_up_again(database_url: str) -> None:
    settings = DatabaseSettings(database_url=database_url)  # type: ignore[arg-type]
    async with open_replica(database_url) as replica:
        await replica.apply()
    await migrate_async(settings, ("workspaces",), "base")
    await migrate_async(settings, ("workspaces",))
    async with open_replica(database_url) as replica:
        assert replica.registry.names() == []
