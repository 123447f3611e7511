"""What is revoked ends within a moment: keys that were remembered, streams that are open, rights that were changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import httpx2
import pytest
from integration.access_matrix.stand_in import (
    PEER,
    Caller,
    Installation,
    bearer,
    classes_of,
    installation,
    method_named,
    quick,
)
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pyairtable_platform.common import context
from pyairtable_platform.common.authorizer import Authorizer
from pyairtable_platform.common.channels import open_channel
from pyairtable_platform.common.identity import identity_in

LIST = method_named("ChatService.ListSessions")
WATCH = method_named("ChatService.WatchRun")
SAGA = method_named("SagaService.WatchSaga")
CREATE = method_named("AirtableGatewayService.CreateRecords")


async def endless(request: Request) -> Response:
    async def events() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await asyncio.Event().wait()

    return StreamingResponse(events(), media_type="text/event-stream")


async def slow(request: Request) -> Response:
    """Answers when the test says so."""
    SLOW.begun.set()
    await SLOW.may_end.wait()
    return Response("done")


class Slow:
    """How far the slow route is."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()


SLOW = Slow()


async def who(request: Request) -> Response:
    call = context.current()
    return Response(f"{call.workspace} {call.identity.role if call.identity else 'peer'}")


ROUTES = (Route("/endless", endless), Route("/slow", slow), Route("/who", who))


@pytest.fixture
async def running() -> AsyncIterator[Installation]:
    async with installation(ROUTES) as found:
        auth = found.auth
        auth.members |= {("acme", "ada"): "owner", ("beta", "ada"): "viewer", ("acme", "bob"): "editor"}
        found.calls.stays_open = True
        await until(lambda: bool(auth.watching))
        yield found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def opened(caller: Caller, shown: dict[str, str], method: Any = WATCH, **fields: str) -> Any:
    """A stream after its first message."""
    defaults = {"run_id": "r", "saga_id": "s"}
    request_class = classes_of(method)[0]
    known = {name: value for name, value in defaults.items() if name in request_class.DESCRIPTOR.fields_by_name}
    stream = caller.start(method, request_class(**known | fields), shown)
    await stream.read()
    return stream


async def end_of(stream: Any) -> grpc.StatusCode:
    async with asyncio.timeout(30):
        try:
            while await stream.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
    code: grpc.StatusCode = await stream.code()
    return code


def revoke_login(auth: Any) -> None:
    auth.revoke(session="login:ada")


def remove_from_workspace(auth: Any) -> None:
    del auth.members["acme", "ada"]
    auth.revoke(workspace="acme", user="ada")


@pytest.mark.parametrize("revoke", [revoke_login, remove_from_workspace])
async def test_an_open_stream_ends_and_those_of_others_stay(
    running: Installation, revoke: Callable[[Any], None]
) -> None:
    auth = running.auth
    ada, bob = bearer(auth.access_token("ada")), bearer(auth.access_token("bob"))
    async with Caller(running.target) as caller:
        hers, his = await opened(caller, ada, workspace="acme"), await opened(caller, bob, workspace="acme")
        peers = await opened(caller, PEER, workspace="acme")
        revoke(auth)
        assert await end_of(hers) is grpc.StatusCode.UNAUTHENTICATED
        await running.calls.left.wait()
        again = await caller.outcome(WATCH, classes_of(WATCH)[0](run_id="r", workspace="acme"), ada)
        assert again.reason in ("UNAUTHENTICATED", "DENIED")
        for stream in (his, peers):
            assert not stream.done()
            stream.cancel()


async def test_a_change_of_role_ends_streams_and_is_in_force_at_once(running: Installation) -> None:
    auth = running.auth
    ada = bearer(auth.access_token("ada"))
    async with Caller(running.target) as caller:
        stream = await opened(caller, ada, workspace="acme")
        request = classes_of(CREATE)[0](workspace="acme")
        assert (await caller.outcome(CREATE, request, ada)).reason != "DENIED"
        auth.members["acme", "ada"] = "viewer"
        auth.revoke(workspace="acme", user="ada")
        assert await end_of(stream) is grpc.StatusCode.UNAUTHENTICATED
        assert (await caller.outcome(CREATE, request, ada)).reason == "DENIED"
        assert (await caller.outcome(LIST, classes_of(LIST)[0](workspace="acme"), ada)).code is grpc.StatusCode.OK


async def test_rights_elsewhere_are_another_matter(running: Installation) -> None:
    auth = running.auth
    ada = bearer(auth.access_token("ada"))
    async with Caller(running.target) as caller:
        in_beta, in_none = await opened(caller, ada, workspace="beta"), await opened(caller, ada, SAGA)
        in_acme = await opened(caller, ada, workspace="acme")
        remove_from_workspace(auth)
        assert await end_of(in_acme) is grpc.StatusCode.UNAUTHENTICATED
        assert not in_beta.done()
        assert not in_none.done()
        revoke_login(auth)
        assert await end_of(in_beta) is grpc.StatusCode.UNAUTHENTICATED
        assert await end_of(in_none) is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("prefix", ["pya", "pyu"])
async def test_a_key_that_is_remembered_is_refused_at_once(running: Installation, prefix: str) -> None:
    auth = running.auth
    key = auth.key(prefix, "acme", "editor", "ada" if prefix == "pyu" else "")
    async with Caller(running.target) as caller:
        for _ in range(3):
            assert (await caller.outcome(LIST, classes_of(LIST)[0](), bearer(key))).code is grpc.StatusCode.OK
        assert len([each for each in auth.asked if each.credential == key]) == 1
        stream = await opened(caller, bearer(key))
        auth.revoke(session=auth.keys[key].session)
        assert await end_of(stream) is grpc.StatusCode.UNAUTHENTICATED
        assert (await caller.outcome(LIST, classes_of(LIST)[0](), bearer(key))).reason == "UNAUTHENTICATED"


async def test_an_identity_token_of_before_is_exchanged_or_refused(running: Installation) -> None:
    """Tokens with an earlier revision do not count: what the person may now does."""
    auth = running.auth
    before = auth.signed(auth.claims("user:ada", "login:ada", "acme", "owner"))
    gone = auth.signed(auth.claims("user:bob", "login:bob", "acme", "editor"))
    auth.members["acme", "ada"] = "viewer"
    del auth.members["acme", "bob"]
    async with Caller(running.target) as caller:
        stream = await opened(caller, bearer(before))
        auth.revoke(workspace="acme")
        assert await end_of(stream) is grpc.StatusCode.UNAUTHENTICATED
        running.calls.seen.clear()
        assert (await caller.outcome(LIST, classes_of(LIST)[0](), bearer(before))).code is grpc.StatusCode.OK
        assert running.calls.seen[-1].identity is not None
        assert running.calls.seen[-1].identity.role == "viewer"
        assert (await caller.outcome(LIST, classes_of(LIST)[0](), bearer(gone))).reason == "DENIED"


async def read_until(lines: AsyncIterator[str], beginning: str) -> str:
    async with asyncio.timeout(30):
        async for line in lines:
            if line.startswith(beginning):
                return line
    raise AssertionError(f"the stream ended without {beginning}")


@pytest.mark.parametrize("path", ["/runs/r/events?workspace=acme", "/endless"])
async def test_an_event_stream_says_why_it_ends(running: Installation, path: str) -> None:
    auth = running.auth
    shown = bearer(auth.access_token("ada")) | {"pyairtable-workspace": "acme"}
    async with httpx2.AsyncClient(base_url=running.url, trust_env=False, timeout=30) as http:
        async with http.stream("GET", path, headers=shown) as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            await read_until(lines, "data:")
            remove_from_workspace(auth)
            await read_until(lines, "event: error")
            assert "UNAUTHENTICATED" in await read_until(lines, "data:")
            assert [line async for line in lines if line.strip()] == []
        again = await http.get(path, headers=shown)
        assert again.status_code in (401, 403)


async def test_a_call_that_is_no_stream_runs_to_its_end(running: Installation) -> None:
    auth = running.auth
    shown = bearer(auth.key("pya", "acme", "editor"))
    async with Caller(running.target) as caller, httpx2.AsyncClient(base_url=running.url, timeout=30) as http:
        stream = await opened(caller, shown)
        waiting = asyncio.create_task(http.get("/slow", headers=shown))
        await SLOW.begun.wait()
        auth.revoke(workspace="acme")
        assert await end_of(stream) is grpc.StatusCode.UNAUTHENTICATED  # so it was heard
        SLOW.may_end.set()
        assert (await waiting).text == "done"


async def test_what_was_missed_is_made_up_for(running: Installation) -> None:
    """The auth service starts anew: the stream that is open ends by the snapshot."""
    auth = running.auth
    async with Caller(running.target) as caller:
        stream = await opened(caller, bearer(auth.access_token("ada")), workspace="acme")
        others = await opened(caller, bearer(auth.access_token("bob")), workspace="acme")
        readers, auth.watching = auth.watching, set()
        auth.revoke(session="login:ada")  # nobody hears it
        assert not stream.done()
        for reader in readers:
            reader.put_nowait(None)
        assert await end_of(stream) is grpc.StatusCode.UNAUTHENTICATED
        assert not others.done()
        others.cancel()


async def test_health_tells_whether_revocations_are_heard(running: Installation) -> None:
    async with httpx2.AsyncClient(base_url=running.url, trust_env=False, timeout=30) as http:

        async def check() -> dict[str, Any]:
            found: dict[str, Any] = (await http.get("/health")).json()["checks"]["auth"]
            return found

        assert (await check())["revocations_age_seconds"] == 0
        await running.auth_server.stop()
        assert (await check())["status"] == "unhealthy"
        assert (await http.get("/ready")).status_code == 200  # what is known goes on counting


async def test_a_person_enters_a_workspace_at_a_route_that_is_no_rpc(running: Installation) -> None:
    auth = running.auth
    ada = bearer(auth.access_token("ada"))
    async with httpx2.AsyncClient(base_url=running.url, trust_env=False, timeout=30) as http:

        async def answer(shown: dict[str, str]) -> tuple[int, str]:
            found = await http.get("/who", headers=shown)
            return found.status_code, found.text if found.status_code == 200 else found.json()["reason"]

        assert await answer(ada | {"pyairtable-workspace": "acme"}) == (200, "acme owner")
        assert await answer(ada | {"pyairtable-workspace": "beta"}) == (200, "beta viewer")
        assert await answer(ada) == (400, "WORKSPACE_REQUIRED")
        assert await answer(ada | {"pyairtable-workspace": "elsewhere"}) == (403, "DENIED")
        assert await answer(ada | {"pyairtable-workspace": "no name at all"}) == (400, "INVALID_INPUT")
        key = bearer(auth.key("pya", "acme", "viewer"))
        assert await answer(key) == (200, "acme viewer")
        assert await answer(key | {"pyairtable-workspace": "acme"}) == (200, "acme viewer")
        assert await answer(key | {"pyairtable-workspace": "beta"}) == (403, "DENIED")
        assert await answer(PEER | {"pyairtable-workspace": "beta"}) == (200, "beta peer")
        assert (await http.get("/no/such/route", headers=ada)).status_code == 404


async def test_field_and_header_name_one_workspace(running: Installation) -> None:
    auth = running.auth
    ada, request = bearer(auth.access_token("ada")), classes_of(LIST)[0]
    header = {"pyairtable-workspace": "beta"}
    async with Caller(running.target) as caller, httpx2.AsyncClient(base_url=running.url, trust_env=False) as http:
        for shown in (ada, PEER):
            assert (await caller.outcome(LIST, request(workspace="acme"), shown | header)).reason == "INVALID_INPUT"
            assert (await caller.outcome(LIST, request(workspace="beta"), shown | header)).code is grpc.StatusCode.OK
            assert (await http.get("/sessions?workspace=acme", headers=shown | header)).status_code == 400
            assert (await http.get("/sessions", headers=shown | header)).status_code == 200
            assert running.calls.seen[-1].workspace == "beta"
        assert (await caller.outcome(LIST, request(workspace="acme"), header)).reason == "UNAUTHENTICATED"


async def test_where_a_call_came_from_is_believed_of_peers_only(running: Installation) -> None:
    auth, told = running.auth, {"pyairtable-client-address": "203.0.113.7"}
    key = bearer(auth.key("pya", "acme", "viewer"))
    async with Caller(running.target) as caller, httpx2.AsyncClient(base_url=running.url, trust_env=False) as http:

        async def address(shown: dict[str, str]) -> set[str]:
            running.calls.seen.clear()
            await caller.outcome(LIST, classes_of(LIST)[0](), shown)
            await http.get("/sessions", headers=shown)
            return {call.address for call in running.calls.seen}

        assert await address(PEER | told) == {"203.0.113.7"}
        assert await address(PEER | key | told) == {"203.0.113.7"}
        assert await address(key | told) == {"127.0.0.1"}
        assert await address(PEER | {"pyairtable-client-address": "not an address"}) == {"127.0.0.1"}
        assert await address(PEER) == {"127.0.0.1"}


async def test_entering_is_asked_once_in_half_a_minute(running: Installation) -> None:
    auth = running.auth
    async with Caller(running.target) as caller:
        for _ in range(4):
            request = classes_of(LIST)[0](workspace="acme")
            outcome = await caller.outcome(LIST, request, bearer(auth.access_token("ada")))
            assert outcome.code is grpc.StatusCode.OK
        assert len([each for each in auth.asked if each.enter]) == 1


async def heard(authorizer: Authorizer) -> None:
    await until(lambda: authorizer.revocations.age_seconds() == 0)


async def test_an_answer_older_than_what_was_heard_is_told_as_such(running: Installation) -> None:
    """A replica of the auth service lies behind: nobody is sent to log in again because of it."""
    auth = running.auth
    settings = quick()
    channel = open_channel(running.auth_server.addresses.grpc_target, settings)
    authorizer = Authorizer(channel)
    follower = asyncio.create_task(authorizer.follow())
    try:
        await heard(authorizer)
        auth.revoke(workspace="acme")
        await until(lambda: authorizer.revocations.is_outdated(identity_of_before(auth)))
        auth.revision -= 1
        with pytest.raises(Exception, match="being changed"):
            await authorizer.of_credential(auth.key("pya", "acme", "editor"))
    finally:
        follower.cancel()
        await authorizer.close()


def identity_of_before(auth: Any) -> Any:
    claims = auth.claims("access-key:k", "access-key:k", "acme", "editor")
    return identity_in({**claims, "rev": auth.revision - 1}, "token")
