"""The user service over gRPC and REST, as people, administrators and services call it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import field_mask_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from integration.users.calling import FakePeers, UsersClient, plain, until
from redis.asyncio import Redis

from pyairtable_devkit.databases import Valkey
from pyairtable_platform.common.events import Event
from pyairtable_protos.auth.v1 import account_service_pb2
from pyairtable_protos.common.v1 import person_data_pb2
from pyairtable_protos.users.v1 import user_service_pb2 as rpc


async def refused(call: Any) -> tuple[grpc.StatusCode, str, str]:
    """The code, reason and message of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    status = rpc_status.from_call(refusal.value)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return refusal.value.code(), info.reason, status.message


async def test_a_person_reads_and_changes_their_own_profile(users: UsersClient) -> None:
    await users.add("ada", display_name="Ada")
    mine = await users.person("ada", "GetMyProfile", rpc.GetMyProfileRequest())
    assert (mine.user.display_name, mine.user.email) == ("Ada", "ada@acme.example")
    assert mine.preferences.letters_about_invitations
    answer = await users.rest("ada", "PATCH", "/users/me", json={"about": "Hi", "time_zone": "Europe/Berlin"})
    assert answer.json()["user"]["time_zone"] == "Europe/Berlin"
    answer = await users.rest("ada", "PATCH", "/users/me", json={"update_mask": "about"})
    user = (await users.rest("ada", "GET", "/users/me")).json()["user"]
    assert ("about" not in user or user["about"] == "") and user["time_zone"] == "Europe/Berlin"


async def test_a_wrong_field_is_told_by_name(users: UsersClient) -> None:
    await users.add("ada")
    answer = await users.rest("ada", "PATCH", "/users/me", json={"avatar_url": "http://pictures.example/a"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "avatar_url"
    answer = await users.rest("ada", "PATCH", "/users/me", json={"update_mask": "email"})
    assert "is no field that can be set" in answer.json()["detail"]


async def test_preferences_are_set_by_mask_or_all_at_once(users: UsersClient) -> None:
    await users.add("ada")
    mask = field_mask_pb2.FieldMask(paths=["theme"])
    liked = rpc.Preferences(theme=rpc.THEME_DARK, show_costs=True)
    request = rpc.UpdateMyPreferencesRequest(preferences=liked, update_mask=mask)
    answer = (await users.person("ada", "UpdateMyPreferences", request)).preferences
    assert (answer.theme, answer.show_costs, answer.letters_about_invitations) == (rpc.THEME_DARK, False, True)
    answer = await users.person("ada", "UpdateMyPreferences", rpc.UpdateMyPreferencesRequest(preferences=liked))
    assert answer.preferences == liked


async def test_who_has_no_profile_is_told_so(users: UsersClient) -> None:
    code, reason, _ = await refused(users.person("nobody", "GetMyProfile", rpc.GetMyProfileRequest()))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


@pytest.mark.parametrize("method", ["ListUsers", "GetUser", "DeleteUser", "RestoreUser", "EraseUser"])
async def test_what_is_for_administrators_is_closed_to_others(users: UsersClient, method: str) -> None:
    await users.add("ada")
    fields = {} if method == "ListUsers" else {"user_id": "ada"}
    code, _, _ = await refused(users.person("ada", method, getattr(rpc, f"{method}Request")(**fields)))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert not users.peers.of("SetAccountState")


@pytest.mark.parametrize("method", ["CreateProfile", "UndoCreateProfile", "LookupUsers"])
async def test_what_is_for_services_is_closed_to_administrators(users: UsersClient, method: str) -> None:
    code, _, _ = await refused(users.admin(method, getattr(rpc, f"{method}Request")()))
    assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_deleted_person_is_disabled_at_auth_and_can_be_restored(users: UsersClient) -> None:
    await users.add("ada")
    answer = await users.person("ada", "DeleteMe", rpc.DeleteMeRequest())
    assert answer.user.HasField("deleted_at")
    assert users.peers.accounts["ada"].state == account_service_pb2.ACCOUNT_STATE_DISABLED
    assert (await users.admin("ListUsers", rpc.ListUsersRequest())).users == []
    listed = await users.admin("ListUsers", rpc.ListUsersRequest(with_deleted=True))
    assert [user.user_id for user in listed.users] == ["ada"]
    restored = await users.admin("RestoreUser", rpc.RestoreUserRequest(user_id="ada"))
    assert not restored.user.HasField("deleted_at")
    keys = [request.idempotency_key for request in users.peers.of("SetAccountState")]
    assert keys == ["users:ada:0:delete", "users:ada:1:restore"]


async def test_auth_is_asked_as_a_service_and_never_for_the_person(users: UsersClient) -> None:
    await users.add("ada")
    await users.person("ada", "DeleteMe", rpc.DeleteMeRequest())
    (shown,) = users.peers.metadata
    assert shown["x-api-key"]
    assert "authorization" not in shown


async def test_while_auth_is_away_a_deletion_changes_nothing(users: UsersClient) -> None:
    await users.add("ada")
    before = await users.get("ada")
    users.peers.fails = True
    code, reason, message = await refused(users.admin("DeleteUser", rpc.DeleteUserRequest(user_id="ada")))
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert message == "the auth service cannot be reached: nothing was changed, try again when it is back"
    assert await users.get("ada") == before


async def test_a_listing_over_rest_goes_page_by_page(users: UsersClient) -> None:
    for name in ("Ada", "Bob", "Émile"):
        await users.add(name[:1].lower() + "1", display_name=name)
    first = await users.admin("ListUsers", rpc.ListUsersRequest(page_size=2))
    assert [user.display_name for user in first.users] == ["Ada", "Bob"]
    second = await users.admin("ListUsers", rpc.ListUsersRequest(page_size=2, page_token=first.next_page_token))
    assert ([user.display_name for user in second.users], second.next_page_token) == (["Émile"], "")
    found = await users.admin("ListUsers", rpc.ListUsersRequest(search="emi"))
    assert [user.display_name for user in found.users] == ["Émile"]
    again = rpc.ListUsersRequest(search="other", page_token=first.next_page_token)
    assert (await refused(users.admin("ListUsers", again)))[1] == "PAGE_TOKEN_INVALID"


async def test_an_export_holds_the_parts_of_all_services(users: UsersClient) -> None:
    await users.add("ada", display_name="Ada")
    data = plain((await users.person("ada", "ExportMyData", rpc.ExportMyDataRequest())).data)
    assert set(data) == {"users", "auth", "workspaces", "llm-orchestrator", "sagas"}
    assert data["users"]["profile"]["display_name"] == "Ada"
    assert data["workspaces"] == {"things": ["ada"]}
    over_rest = await users.rest("ada", "GET", "/users/me/export")
    assert over_rest.json()["data"] == data


async def test_an_export_that_lacks_a_part_is_not_handed_out(users: UsersClient) -> None:
    await users.add("ada")
    users.peers.fails = True
    code, reason, message = await refused(users.person("ada", "ExportMyData", rpc.ExportMyDataRequest()))
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert "because of auth, llm-orchestrator, sagas, workspaces" in message


async def test_an_erasure_is_a_saga_for_the_person(users: UsersClient) -> None:
    await users.add("ada")
    wrong = rpc.EraseMeRequest(confirm_email="bob@acme.example")
    assert (await refused(users.person("ada", "EraseMe", wrong)))[0] is grpc.StatusCode.INVALID_ARGUMENT
    answer = await users.person("ada", "EraseMe", rpc.EraseMeRequest(confirm_email="ADA@acme.example"))
    assert answer.saga_id == "saga-1"
    (request,) = users.peers.of("StartSagaFor")
    assert (request.type, plain(request.input), request.principal) == (
        "person_erasure",
        {"user_id": "ada"},
        "user:ada",
    )
    await users.admin("EraseUser", rpc.EraseUserRequest(user_id="ada"))
    assert users.peers.of("StartSagaFor")[1].principal == "user:root"


async def test_the_steps_of_sagas_are_done_once_and_taken_back(users: UsersClient) -> None:
    users.peers.add("ada")
    user = rpc.User(user_id="ada", email="ada@acme.example", user_name="ada")
    request = rpc.CreateProfileRequest(user=user, idempotency_key="saga-1:create_profile")
    first = await users.peer("CreateProfile", request)
    assert first.created
    assert first.user.display_name == "ada"
    assert await users.peer("CreateProfile", request) == first
    undo = rpc.UndoCreateProfileRequest(user_id="ada", undoes="saga-1:create_profile")
    assert (await users.peer("UndoCreateProfile", undo)).undone
    assert (await refused(users.peer("CreateProfile", request)))[1] == "CONFLICT"


async def test_services_look_people_up(users: UsersClient) -> None:
    await users.add("ada")
    found = await users.peer("LookupUsers", rpc.LookupUsersRequest(user_ids=["ada", "stranger"]))
    assert [user.user_id for user in found.users] == ["ada"]
    assert found.preferences["ada"].letters_about_invitations


async def test_a_person_is_erased_once(users: UsersClient) -> None:
    await users.add("ada")
    dry = person_data_pb2.ErasePersonRequest(user_id="ada", idempotency_key="saga-9:check", dry_run=True)
    assert (await users.peer("ErasePerson", dry)).erased == {"profiles": 1}
    await users.get("ada")
    erase = person_data_pb2.ErasePersonRequest(user_id="ada", idempotency_key="saga-9:erase")
    for _ in range(2):
        assert (await users.peer("ErasePerson", erase)).erased == {"profiles": 1}
    export = await users.peer("ExportPerson", person_data_pb2.ExportPersonRequest(user_id="ada"))
    assert plain(export.data) == {}


@pytest.fixture
async def user_events(users_valkey: Valkey) -> AsyncIterator[Any]:
    """Tells of something that happened to an account, as auth's relay does."""
    client = Redis.from_url(users_valkey.url)

    async def tell(event: Event) -> None:
        fields: dict[Any, Any] = dict(event.to_fields())
        await client.xadd("events:user", fields)

    yield tell
    await client.aclose()


async def test_a_profile_follows_the_events_of_its_account(users: UsersClient, user_events: Any) -> None:
    await users.add("ada")
    users.peers.accounts["ada"].state = account_service_pb2.ACCOUNT_STATE_DISABLED
    users.peers.accounts["ada"].email = "ada@new.example"
    await user_events(Event("user.disabled.v1", "ada"))

    async def is_deleted() -> bool:
        user = await users.get("ada")
        return user.HasField("deleted_at") and user.email == "ada@new.example"

    await until(is_deleted)
    users.peers.accounts["ada"].state = account_service_pb2.ACCOUNT_STATE_ACTIVE
    await user_events(Event("user.restored.v1", "ada"))

    async def is_back() -> bool:
        return not (await users.get("ada")).HasField("deleted_at")

    await until(is_back)


async def test_an_event_waits_until_auth_is_back(users: UsersClient, peers: FakePeers, user_events: Any) -> None:
    await users.add("ada")
    peers.fails = True
    peers.accounts["ada"].state = account_service_pb2.ACCOUNT_STATE_DISABLED
    await user_events(Event("user.disabled.v1", "ada"))

    async def was_asked() -> bool:
        return bool(peers.of("LookupAccounts"))

    await until(was_asked)
    assert not (await users.get("ada")).HasField("deleted_at")
    peers.fails = False

    async def is_deleted() -> bool:
        return (await users.get("ada")).HasField("deleted_at")

    await until(is_deleted)


async def test_two_deletions_at_once_are_one(users: UsersClient) -> None:
    await users.add("ada")
    request = rpc.DeleteUserRequest(user_id="ada")
    one, other = await asyncio.gather(users.admin("DeleteUser", request), users.admin("DeleteUser", request))
    assert one == other
    assert len(users.peers.of("SetAccountState")) == 1
