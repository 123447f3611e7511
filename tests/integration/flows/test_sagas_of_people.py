"""SagaService as people and services meet it: who may start, see, change and follow what, over real identities."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from integration.flows.installation import ENDED, PASSWORD, Caller, Installation, Person, state_of, until

from pyairtable_devkit.airtable.testing import BASE, SECOND_BASE
from pyairtable_platform.common.errors import (
    Denied,
    FailedPrecondition,
    InvalidInput,
    NotFound,
    PyAirtableError,
    Unauthenticated,
)
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_protos.sagas.v1 import saga_service_pb2 as rpc
from pyairtable_protos.workspaces.v1 import workspace_pb2

FIELDS = [
    {"name": "Name", "type": "singleLineText"},
    {"name": "Hours", "type": "number", "options": {"precision": 0}},
    {"name": "State", "type": "singleSelect", "options": {"choices": [{"name": "open"}, {"name": "done"}]}},
]
SOURCE_FIELDS = [
    *FIELDS[:2],
    {"name": "State", "type": "singleSelect", "options": {"choices": [{"name": "open"}, {"name": "lost"}]}},
]


@dataclass
class Team:
    """A workspace with somebody of each role and a base, and a stranger with a workspace and a base of their own."""

    installation: Installation
    owner: Person
    editor: Person
    viewer: Person
    stranger: Person
    source: str
    target: str

    @property
    def name(self) -> str:
        return self.owner.workspace

    def sync(self, **more: Any) -> dict[str, Any]:
        """The input of a table_sync."""
        where = {"workspace": self.name, "base_id": BASE, "table_id": self.target, "source_table_id": self.source}
        return {**where, "key_field": "Name", **more}

    def http(self, method: str, path: str, **body: Any) -> Any:
        """Ask Airtable past the installation."""
        emulator = self.installation.airtable
        answer = httpx2.request(method, f"{emulator.url}/v0/{path}", headers=emulator.auth(), **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fill(self, source: list[dict[str, Any]], target: list[dict[str, Any]]) -> None:
        """Give both tables these rows and no others."""
        for table, rows in ((self.source, source), (self.target, target)):
            for record in self.records(table):
                self.http("DELETE", f"{BASE}/{table}/{record['id']}")
            for at in range(0, len(rows), 10):
                records = [{"fields": row} for row in rows[at : at + 10]]
                self.http("POST", f"{BASE}/{table}", json={"records": records})

    def records(self, table: str) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = self.http("GET", f"{BASE}/{table}")["records"]
        return records

    def rows(self) -> dict[str, tuple[Any, Any]]:
        """Hours and State of the target's rows, by Name."""
        cells = [record["fields"] for record in self.records(self.target)]
        return {row["Name"]: (row.get("Hours"), row.get("State")) for row in cells}


@pytest.fixture
async def team(installation: Installation) -> AsyncIterator[Team]:
    """The team; it is made once."""
    names = ("tora", "edda", "vera", "olga")
    owner, editor, viewer, stranger = await asyncio.gather(*map(installation.person, names))
    team = Team(installation, owner, editor, viewer, stranger, "", "")
    if len((await owner.ask("ListMembers", workspace=owner.workspace)).members) == 1:
        await installation.join(owner, editor, "editor")
        await installation.join(owner, viewer, "viewer")
        for name, fields in (("Flow source", SOURCE_FIELDS), ("Flow target", FIELDS)):
            team.http("POST", f"meta/bases/{BASE}/tables", json={"name": name, "fields": fields})
        await connect(owner, BASE)
        await connect(stranger, SECOND_BASE)
    tables = {table["name"]: table["id"] for table in team.http("GET", f"meta/bases/{BASE}/tables")["tables"]}
    team.source, team.target = tables["Flow source"], tables["Flow target"]
    yield team
    installation.airtable.clear_faults()


async def connect(owner: Person, base: str) -> None:
    """Connect a base to the person's workspace."""
    access = workspace_pb2.BASE_ACCESS_SCHEMA
    answer = await owner.ask("ConnectBase", workspace=owner.workspace, base_id=base, access=access)
    assert answer.base.base_id == base or state_of(await owner.end_of(answer.saga_id)) == "COMPLETED"


async def refusal(call: Awaitable[Any]) -> PyAirtableError:
    """How a call is refused."""
    with pytest.raises(PyAirtableError) as error:
        await call
    return error.value


def told(error: PyAirtableError, *names: str) -> tuple[Any, ...]:
    """All that a refusal tells, without the names that the caller chose."""
    text, metadata = error.message, dict(error.metadata)
    for name in names:
        text = text.replace(name, "?")
        metadata = {key: value.replace(name, "?") for key, value in metadata.items()}
    return type(error), error.reason, text, metadata


# Who may


async def test_a_role_starts_what_its_type_needs_and_nothing_else(team: Team) -> None:
    connection = {"workspace": team.name, "base_id": SECOND_BASE}
    for person in (team.viewer, team.editor):
        assert isinstance(await refusal(person.start("base_connection", **connection)), Denied)
    refused = await refusal(team.viewer.start("table_sync", **team.sync()))
    assert isinstance(refused, Denied) and '"viewer"' in refused.message and '"write"' in refused.message
    for name, given in (("person_erasure", {"user_id": team.viewer.user_id}), ("user_onboarding", {"user_id": "u"})):
        assert isinstance(await refusal(team.owner.start(name, **given)), Denied)
    key = (await team.owner.ask("CreateApiKey", workspace=team.name, name="key")).key
    for caller in (team.installation.anybody(key), team.installation.peer):
        assert isinstance(await refusal(caller.start("table_sync", **team.sync())), Denied)
    assert isinstance(await refusal(team.installation.anybody().start("table_sync", **team.sync())), Unauthenticated)
    types = {item.name: item for item in (await team.installation.anybody().ask("ListSagaTypes")).types}
    who = {name: item.who for name, item in types.items()}
    assert (who["table_sync"], who["base_connection"], who["person_erasure"]) == ("write", "manage", "peer")
    assert "dry_run" in struct_to_dict(types["table_sync"].input_schema)["properties"]


async def test_what_is_anothers_is_as_if_it_were_not_there(team: Team) -> None:
    saga, _ = await team.editor.start("table_sync", **team.sync(dry_run=True))
    await team.editor.end_of(saga.saga_id)
    for method in ("GetSaga", "ListSteps", "CancelSaga", "ResumeSaga"):
        foreign = await refusal(team.stranger.ask(method, saga_id=saga.saga_id))
        nothing = await refusal(team.stranger.ask(method, saga_id="0" * 32))
        assert told(foreign, saga.saga_id) == told(nothing, "0" * 32) and foreign.reason == "SAGA_NOT_FOUND"
    assert isinstance(await refusal(anext(team.stranger.stream("WatchSaga", saga_id=saga.saga_id))), NotFound)
    for method, more in (("ListSagas", {}), ("StartSaga", {"type": "table_sync"})):
        refusals = []
        for name in (team.name, "no-such-workspace"):
            fields: dict[str, Any] = {"workspace_name": name}
            if method == "StartSaga":
                fields = {**more, "input": dict_to_struct(team.sync(workspace=name))}
            refusals.append(told(await refusal(team.stranger.ask(method, **fields)), name))
        assert refusals[0] == refusals[1], "nobody learns which workspaces there are"
    assert saga.saga_id not in {item.saga_id for item in (await team.stranger.ask("ListSagas")).sagas}
    assert isinstance(await refusal(team.stranger.ask("ListAllSagas")), Denied)


async def test_a_viewer_sees_the_sagas_of_the_workspace_and_changes_none(team: Team) -> None:
    saga, _ = await team.editor.start("table_sync", **team.sync(dry_run=True))
    await team.viewer.end_of(saga.saga_id)
    assert (await team.viewer.saga(saga.saga_id)).principal == f"user:{team.editor.user_id}"
    listed = (await team.viewer.ask("ListSagas", workspace_name=team.name)).sagas
    assert saga.saga_id in {item.saga_id for item in listed}
    for method in ("CancelSaga", "ResumeSaga"):
        assert isinstance(await refusal(team.viewer.ask(method, saga_id=saga.saga_id)), Denied)
        assert isinstance(await refusal(team.owner.ask(method, saga_id=saga.saga_id)), FailedPrecondition)
    onboarding = (await team.viewer.ask("ListSagas", type="user_onboarding")).sagas
    assert [item.business_key for item in onboarding] == [team.viewer.user_id], "her own"


# Starting and listing


async def test_of_twenty_starts_at_once_one_saga_comes(team: Team) -> None:
    given = {"name": "of-twenty", "display_name": "Of twenty"}
    starts = (team.stranger.start("workspace_creation", f"k{number % 7}", **given) for number in range(20))
    started = await asyncio.gather(*starts)
    assert len({saga.saga_id for saga, _ in started}) == 1
    assert sum(is_new for _, is_new in started) == 1
    saga = await team.stranger.end_of(started[0][0].saga_id)
    assert state_of(saga) == "COMPLETED"
    again, is_new = await team.stranger.start("workspace_creation", "k3", **given)
    assert (again.saga_id, is_new) == (saga.saga_id, False), "a key stands for its saga after the end too"
    reused = await refusal(team.stranger.start("workspace_creation", "k3", name="another"))
    assert reused.reason == "IDEMPOTENCY_KEY_REUSED"
    taken, _ = await team.stranger.start("workspace_creation", **given)
    assert "taken" in (await team.stranger.end_of(taken.saga_id)).error


async def test_lists_are_filtered_and_come_page_by_page(team: Team) -> None:
    ids = []
    for _ in range(3):
        saga, _ = await team.owner.start("table_sync", **team.sync(dry_run=True))
        await team.owner.end_of(saga.saga_id)
        ids.append(saga.saga_id)
    wanted: dict[str, Any] = {"workspace_name": team.name, "type": "table_sync", "state": rpc.SAGA_STATE_COMPLETED}
    seen, token = [], ""
    for _ in range(100):
        page = await team.owner.ask("ListSagas", page_size=2, page_token=token, **wanted)
        assert len(page.sagas) <= 2
        seen += [(saga.saga_id, saga.type, state_of(saga)) for saga in page.sagas]
        token = page.next_page_token
        if not token:
            break
    assert [saga_id for saga_id, *_ in seen][:3] == ids[::-1], "the newest first"
    assert len(seen) == len(set(seen)) and {rest for _, *rest_ in seen for rest in rest_} == {"table_sync", "COMPLETED"}
    assert not (await team.owner.ask("ListSagas", **{**wanted, "state": rpc.SAGA_STATE_FAILED})).sagas
    for token in ("x", "-1", "1.5", "9" * 30, "\u0664", "1 OR 1=1"):
        bad = await refusal(team.owner.ask("ListSagas", page_token=token))
        assert isinstance(bad, InvalidInput) and bad.reason == "PAGE_TOKEN_INVALID"


# table_sync


async def test_a_dry_run_tells_what_a_sync_does_and_its_undo_list_how_to_take_it_back(team: Team) -> None:
    team.fill(
        [{"Name": "a", "Hours": 1}, {"Name": "b", "Hours": 2, "State": "open"}, {"Name": "same", "Hours": 9}],
        [{"Name": "b", "Hours": 7}, {"Name": "same", "Hours": 9}, {"Name": "gone", "Hours": 3}],
    )
    before = team.rows()
    saga, _ = await team.editor.start("table_sync", **team.sync(dry_run=True, allow_delete=True))
    output = struct_to_dict((await team.editor.end_of(saga.saga_id)).output)
    counts = {name: output[name] for name in ("creates", "updates", "deletes", "unchanged", "rows_written", "dry_run")}
    assert counts == {"creates": 1, "updates": 1, "deletes": 1, "unchanged": 1, "rows_written": 0, "dry_run": True}
    assert {change["action"] for change in output["changes"]} == {"create", "update", "delete"}
    assert rpc.StepState.Name((await team.editor.steps(saga.saga_id))["apply"].state) == "STEP_STATE_SKIPPED"
    assert team.rows() == before

    saga, _ = await team.editor.start("table_sync", **team.sync(allow_delete=True))
    done = await team.editor.end_of(saga.saga_id)
    assert state_of(done) == "COMPLETED" and done.output["rows_written"] == 3
    assert team.rows() == {"a": (1, None), "b": (2, "open"), "same": (9, None)}
    listed = struct_to_dict((await team.viewer.steps(saga.saga_id))["apply"].output)["undo_list"]
    assert {row["action"]: row.get("before") for row in listed} == {
        "create": None,
        "update": {"Hours": 7, "State": None},
        "delete": {"Name": "gone", "Hours": 3},
    }


async def test_when_a_batch_fails_midway_the_table_is_as_before(team: Team) -> None:
    """Airtable refuses a choice that the target does not have: the rows before it are written by then."""
    new = [{"Name": f"n{n:03}", "Hours": n} for n in range(25)] + [{"Name": "z", "State": "lost"}]
    team.fill([{"Name": "b", "Hours": 2}, *new], [{"Name": "b", "Hours": 7, "State": "done"}])
    before = {record["id"]: record["fields"] for record in team.records(team.target)}
    saga, _ = await team.editor.start("table_sync", **team.sync())
    ended = await team.editor.end_of(saga.saga_id)
    assert state_of(ended) == "COMPENSATED" and "rows could not be written" in ended.error, ended
    assert {record["id"]: record["fields"] for record in team.records(team.target)} == before
    deleted = [call for call in team.installation.airtable.log() if call["method"] == "DELETE"]
    assert deleted, "rows had been created, and were taken out again"


# Cancelling, resuming, following


async def in_trouble(team: Team, saga_id: str, step: str) -> None:
    """Wait until a step was tried in vain."""

    async def tried() -> bool:
        return bool((await team.owner.steps(saga_id))[step].error)

    await until(tried, f"an error of {step}")


async def test_a_cancelled_saga_does_not_wait_for_what_is_away(team: Team) -> None:
    team.installation.airtable.fault("status", status=503, times=None, match={"path": "*/tables"})
    saga, _ = await team.owner.start("base_connection", workspace=team.name, base_id=SECOND_BASE)
    await in_trouble(team, saga.saga_id, "verify")
    cancelled = (await team.owner.ask("CancelSaga", saga_id=saga.saga_id)).saga
    assert state_of(cancelled) not in ("COMPLETED", "FAILED")
    ended = await team.owner.end_of(saga.saga_id)  # the fault is still there
    assert (state_of(ended), ended.error, ended.error_reason) == ("COMPENSATED", "it was cancelled", "RUN_CANCELLED")
    step = (await team.owner.steps(saga.saga_id))["verify"]
    assert rpc.StepState.Name(step.state) == "STEP_STATE_FAILED", "nothing stays in progress"


async def test_a_saga_that_could_not_be_undone_is_resumed_when_it_can(team: Team) -> None:
    new = [{"Name": f"n{n:03}"} for n in range(10)] + [{"Name": "z", "State": "lost"}]
    team.fill([{"Name": "b", "Hours": 2}, *new], [{"Name": "b", "Hours": 7}])
    before = team.rows()
    team.installation.airtable.fault("status", status=503, times=None, match={"method": "DELETE", "base": BASE})
    saga, _ = await team.editor.start("table_sync", **team.sync())

    async def cannot_be_undone() -> bool:
        step = (await team.owner.steps(saga.saga_id))["apply"]
        return bool(
            step.state == rpc.STEP_STATE_COMPENSATING and step.attempts > 2
        )  # one to do it, one to undo it, again

    await until(cannot_be_undone, "an attempt to undo")
    assert len(team.rows()) == 11 and team.rows()["b"] == (2, None)
    await team.owner.ask("DisconnectBase", workspace=team.name, base=BASE)
    ended = await team.owner.end_of(saga.saga_id)
    assert state_of(ended) == "FAILED", ended
    assert isinstance(await refusal(team.viewer.ask("ResumeSaga", saga_id=saga.saga_id)), Denied)

    team.installation.airtable.clear_faults()
    await connect(team.owner, BASE)
    await team.editor.ask("ResumeSaga", saga_id=saga.saga_id)
    assert state_of(await team.owner.end_of(saga.saga_id)) == "COMPENSATED"
    assert team.rows() == before


async def waiting_saga(team: Team) -> str:
    """A saga that waits for Airtable until the faults are cleared."""
    team.installation.airtable.fault("status", status=503, times=None, match={"path": "*/tables"})
    saga, _ = await team.owner.start("base_connection", workspace=team.name, base_id=SECOND_BASE)
    await in_trouble(team, saga.saga_id, "verify")
    return str(saga.saga_id)


async def followed(caller: Caller, saga_id: str, seen: list[str]) -> None:
    """Follow a saga until the stream ends."""
    async for change in caller.stream("WatchSaga", saga_id=saga_id):
        seen.append(state_of(change.saga))


async def test_streams_end_with_the_right_to_look_the_replica_or_the_saga(team: Team) -> None:
    """Three people follow one saga, which does not change: one is removed, one logs out, one loses the replica."""
    installation = team.installation
    guest = await installation.person("onno")
    await installation.join(team.owner, guest, "viewer")
    saga_id = await waiting_saga(team)
    # Nothing of the saga changes while its attempt waits; so what ends a stream is not a change.
    seen: dict[str, list[str]] = {"guest": [], "viewer": [], "owner": []}
    streams = {
        name: asyncio.create_task(followed(caller, saga_id, seen[name]))
        for name, caller in (("guest", guest), ("viewer", team.viewer), ("owner", team.owner))
    }

    async def all_follow() -> bool:
        return all(seen.values())

    await until(all_follow, "the streams")
    await team.owner.ask("RemoveMember", workspace=team.name, user_id=guest.user_id)
    with pytest.raises(NotFound):
        await streams["guest"]
    await team.viewer.ask("LogoutEverywhere")
    with pytest.raises(Unauthenticated):
        await streams["viewer"]
    tokens = (await installation.anybody().ask("Login", login=team.viewer.email, password=PASSWORD)).tokens
    team.viewer.metadata = (("authorization", f"Bearer {tokens.access_token}"),)

    await asyncio.to_thread(installation.stop, "sagas")
    await streams["owner"]  # without an error: who follows comes again
    assert seen["owner"][-1] not in ENDED
    installation.airtable.clear_faults()
    await asyncio.to_thread(installation.start, "sagas")
    await team.owner.ask("CancelSaga", saga_id=saga_id)
    seen["owner"].clear()
    await followed(team.owner, saga_id, seen["owner"])
    assert seen["owner"][-1] in ("COMPENSATED", "COMPLETED"), "it went on where it was, and the stream ended with it"
