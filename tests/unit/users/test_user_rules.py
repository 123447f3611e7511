"""Changing, deleting, restoring, following and erasing people."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.users.people import EPOCH, Users, person

from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, NotFound, Reason, Unavailable
from pyairtable_platform.users.records import Account


async def test_an_update_sets_what_it_names_and_nothing_else(users: Users) -> None:
    before = users.store.people["u1"]
    changed = await users.service.update("u1", {"about": " Hi ", "locale": "DE-de"})
    assert changed == replace(before, about="Hi", locale="de-DE") == users.store.people["u1"]


async def test_an_emptied_display_name_is_the_user_name(users: Users) -> None:
    assert (await users.service.update("u1", {"display_name": "  "})).display_name == "u1"


async def test_one_wrong_field_leaves_the_others_as_they_were(users: Users) -> None:
    before = users.store.people["u1"]
    with pytest.raises(InvalidInput, match="time_zone"):
        await users.service.update("u1", {"about": "new", "time_zone": "Mars/Olympus"})
    assert users.store.people["u1"] == before


async def test_preferences_are_kept_one_by_one(users: Users) -> None:
    liked = await users.service.update_preferences("u1", {"theme": 2, "letters_about_invitations": False})
    assert (liked.theme, liked.letters_about_invitations, liked.show_costs) == (2, False, False)
    liked = await users.service.update_preferences("u1", {"show_costs": True})
    assert (liked.theme, liked.letters_about_invitations, liked.show_costs) == (2, False, True)


async def test_letters_about_invitations_come_unless_somebody_says_no(users: Users) -> None:
    assert (await users.service.get("u1")).preferences.letters_about_invitations


async def test_a_deletion_disables_the_account_and_can_be_taken_back(users: Users) -> None:
    deleted = await users.service.delete("u1")
    assert deleted.deleted_at == EPOCH
    assert users.accounts.accounts["u1"].is_disabled
    users.wait(days=30)
    restored = await users.service.restore("u1")
    assert restored.deleted_at is None
    assert not users.accounts.accounts["u1"].is_disabled


async def test_after_thirty_days_a_deletion_stays(users: Users) -> None:
    await users.service.delete("u1")
    users.wait(days=30, seconds=1)
    with pytest.raises(
        FailedPrecondition, match="deleted on 2026-11-01: a deletion can be taken back for 30 days"
    ) as no:
        await users.service.restore("u1")
    assert no.value.reason is Reason.CONFLICT
    assert users.accounts.accounts["u1"].is_disabled


async def test_deleting_and_restoring_again_changes_nothing_and_asks_nobody(users: Users) -> None:
    first = await users.service.delete("u1")
    users.wait(days=1)
    assert await users.service.delete("u1") == first
    await users.service.restore("u1")
    await users.service.restore("u1")
    assert users.accounts.keys == ["users:u1:0:delete", "users:u1:1:restore"]


async def test_while_auth_is_away_nothing_changes(users: Users) -> None:
    before = users.store.people["u1"]
    users.accounts.is_away = True
    with pytest.raises(Unavailable, match="auth is away"):
        await users.service.delete("u1")
    assert users.store.people["u1"] == before
    assert users.store.saves == 0


async def test_a_deletion_whose_commit_failed_is_repeated_with_the_same_key(users: Users) -> None:
    users.store.fails_on_commit = True
    with pytest.raises(Unavailable):
        await users.service.delete("u1")
    users.store.fails_on_commit = False
    await users.service.delete("u1")
    assert users.accounts.keys == ["users:u1:0:delete"] * 2
    await users.service.restore("u1")
    await users.service.delete("u1")
    assert len(set(users.accounts.keys)) == 3  # a later deletion is another one


async def test_a_deletion_whose_commit_failed_is_made_up_for_by_the_event(users: Users) -> None:
    users.store.fails_on_commit = True
    with pytest.raises(Unavailable):
        await users.service.delete("u1")
    users.store.fails_on_commit = False
    await users.service.follow_account("u1", EPOCH)
    assert users.store.people["u1"].deleted_at == EPOCH


async def test_a_profile_follows_its_account_whatever_the_event_said(users: Users) -> None:
    users.accounts.accounts["u1"] = Account("u1", "ada@new.example", "ada", is_disabled=True)
    await users.service.follow_account("u1", EPOCH)
    profile = users.store.people["u1"]
    assert (profile.email, profile.user_name, profile.deleted_at) == ("ada@new.example", "ada", EPOCH)
    assert profile.display_name == "U1"
    saves = users.store.saves
    await users.service.follow_account("u1", EPOCH)  # the event came twice
    assert users.store.saves == saves


async def test_a_late_event_of_a_deletion_does_not_take_a_restoration_back(users: Users) -> None:
    await users.service.delete("u1")
    await users.service.restore("u1")
    await users.service.follow_account("u1", EPOCH)
    assert users.store.people["u1"].deleted_at is None


async def test_events_about_strangers_and_the_erased_change_nothing(users: Users) -> None:
    await users.service.follow_account("stranger", EPOCH)
    del users.accounts.accounts["u1"]
    await users.service.follow_account("u1", EPOCH)
    assert users.store.saves == 0
    assert list(users.store.people) == ["u1"]


async def test_who_wants_to_be_erased_writes_the_address_once_more(users: Users) -> None:
    with pytest.raises(InvalidInput, match="confirm_email: is not the address"):
        await users.service.erase_me("u1", "bob@acme.example", "user:u1", "r1")
    assert not users.erasures.started
    assert await users.service.erase_me("u1", " U1@Acme.example ", "user:u1", "r1") == "saga-1"
    assert users.erasures.started == [("u1", "user:u1", "users:u1:erase:r1")]


async def test_erasing_somebody_takes_a_profile_or_an_account(users: Users) -> None:
    users.accounts.accounts["u2"] = Account("u2", "u2@acme.example", "u2", is_disabled=False)
    assert await users.service.erase("u2", "user:admin", "r1") == "saga-1"
    with pytest.raises(NotFound) as refusal:
        await users.service.erase("u3", "user:admin", "r2")
    assert refusal.value.reason is Reason.USER_NOT_FOUND
    assert len(users.erasures.started) == 1


async def test_a_new_profile_without_display_name_has_the_user_name(users: Users) -> None:
    profile, created = await users.service.create(person("u2", display_name=""), "saga:create_profile", b"")
    assert created
    assert profile.display_name == "u2"


async def test_a_profile_that_is_there_stays_as_it_is(users: Users) -> None:
    profile, created = await users.service.create(person("u1", display_name="Other"), "saga:create_profile", b"")
    assert not created
    assert profile.display_name == "U1"


async def test_an_export_holds_profile_and_preferences(users: Users) -> None:
    await users.service.delete("u1")
    data = await users.service.export("u1")
    assert data["profile"]["email"] == "u1@acme.example"
    assert data["profile"]["deleted_at"] == "2026-11-01T00:00:00+00:00"
    assert data["preferences"]["letters_about_invitations"] is True
    assert await users.service.export("stranger") == {}


async def test_a_dry_run_of_an_erasure_erases_nothing(users: Users) -> None:
    assert await users.service.forget("u1", "k", b"", dry_run=True) == {"profiles": 1}
    assert "u1" in users.store.people
    assert await users.service.forget("u1", "k", b"", dry_run=False) == {"profiles": 1}
    assert await users.service.forget("stranger", "k2", b"", dry_run=True) == {}
    assert users.store.people == {}


async def test_a_listing_goes_through_everybody_once(users: Users) -> None:
    for number in range(7):
        users.add(person(f"p{number}", display_name=["Zoë", "Ángel", "angel", "Bob"][number % 4]))
    seen, token = [], ""
    while True:
        page, token = await users.service.page("", False, 3, token)
        seen += [one.user_id for one in page]
        if not token:
            break
    assert sorted(seen) == sorted(users.store.people)
    assert seen[:4] == ["p1", "p2", "p5", "p6"]  # equal but for the accent: by id


async def test_a_search_of_signs_only_finds_nobody(users: Users) -> None:
    assert await users.service.page("!!!", False, 10, "") == ([], "")
    assert len((await users.service.page("  ", False, 10, ""))[0]) == 1
