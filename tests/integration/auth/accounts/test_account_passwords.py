"""New passwords: who may set them, and what ends by it."""

from __future__ import annotations

import itertools

import pytest
from integration.auth.accounts.desks import HOME, PASSWORD, Replica, fresh_address, outcomes

from pyairtable_platform.auth.accounts.endings import Ended
from pyairtable_platform.common.errors import InvalidInput, Reason, Unauthenticated

NEW = "eight green teapots"


async def test_a_change_ends_all_other_logins(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    this, that = await auth.login(ada.email), await auth.login(ada.email)
    assert await other.passwords.change(ada.user_id, this.login_id, PASSWORD, NEW, HOME) == Ended(1)
    assert [login.login_id for login in await auth.signing_in.list(ada.user_id)] == [this.login_id]
    await auth.signing_in.refresh(this.refresh_token, HOME)
    with pytest.raises(Unauthenticated):
        await auth.signing_in.refresh(that.refresh_token, HOME)
    with pytest.raises(Unauthenticated):
        await auth.login(ada.email)
    assert (await auth.login(ada.email, NEW)).login_id
    ended = {row.session for row in await auth.rows("SELECT session FROM revocations")}
    assert ended == {f"login:{that.login_id}"}
    await auth.deliver()
    assert "was changed" in auth.mailbox.to(ada.email)[-1]["Subject"]


async def test_a_change_needs_the_password_in_force_and_a_good_new_one(auth: Replica) -> None:
    ada = await auth.person()
    for current, new, field in [("wrong", NEW, "current_password"), (PASSWORD, "12345678", "new_password")]:
        with pytest.raises(InvalidInput) as error:
            await auth.passwords.change(ada.user_id, "", current, new, HOME)
        assert error.value.violations[0].field == field
        assert new not in str(error.value)
    assert (await auth.login(ada.email)).login_id


async def test_of_many_changes_at_once_one_is_in_force(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    both = itertools.cycle((auth, other))
    news = [f"{number} green teapots" for number in range(6)]
    won, lost = await outcomes([next(both).passwords.change(ada.user_id, "", PASSWORD, new, HOME) for new in news])
    assert len(won) == 1
    assert len(lost) == 5
    working = [new for new in news if await logs_in(auth, ada.email, new)]
    assert len(working) == 1


async def logs_in(replica: Replica, email: str, password: str) -> bool:
    try:
        await replica.login(email, password, fresh_address())
    except Unauthenticated:
        return False
    return True


async def test_of_a_hundred_uses_of_a_reset_token_one_wins(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    login = await auth.login(ada.email)
    await auth.passwords.request_reset(ada.email, HOME)
    token = await auth.token_for(ada.email, "pyp")
    both = itertools.cycle((auth, other))
    resets = [next(both).passwords.reset(token, f"{number} green teapots", fresh_address()) for number in range(100)]
    won, lost = await outcomes(resets)
    assert len(won) == 1
    assert {error.reason for error in lost} == {Reason.LETTER_TOKEN_INVALID}
    with pytest.raises(Unauthenticated):
        await auth.signing_in.refresh(login.refresh_token, HOME)
    assert not await logs_in(auth, ada.email, PASSWORD)


async def test_a_reset_token_ends_after_an_hour_and_with_the_next(auth: Replica) -> None:
    ada = await auth.person()
    await auth.passwords.request_reset(ada.email, HOME)
    first = await auth.token_for(ada.email, "pyp")
    await auth.passwords.request_reset(ada.email, HOME)
    second = await auth.token_for(ada.email, "pyp")
    await auth.rows("UPDATE letter_tokens SET expires_at = expires_at - interval '59 minutes'")
    for token in (first, "pyp_" + "x" * 43, "", second[:-1]):
        with pytest.raises(InvalidInput) as error:
            await auth.passwords.reset(token, NEW, HOME)
        assert error.value.reason is Reason.LETTER_TOKEN_INVALID
    await auth.rows("UPDATE letter_tokens SET expires_at = expires_at - interval '1 minutes'")
    with pytest.raises(InvalidInput):
        await auth.passwords.reset(second, NEW, HOME)


async def test_a_token_is_for_one_purpose(auth: Replica) -> None:
    ada = await auth.person()
    await auth.passwords.request_reset(ada.email, HOME)
    token = await auth.token_for(ada.email, "pyp")
    with pytest.raises(InvalidInput):
        await auth.registration.verify(token, HOME)
    await auth.passwords.reset(token, NEW, HOME)


async def test_a_weak_new_password_leaves_the_token_usable(auth: Replica) -> None:
    ada = await auth.person()
    await auth.passwords.request_reset(ada.email, HOME)
    token = await auth.token_for(ada.email, "pyp")
    for weak in ("short", "password123", ada.email, f"my {ada.user_name}!"):
        with pytest.raises(InvalidInput) as error:
            await auth.passwords.reset(token, weak, HOME)
        assert error.value.violations[0].field == "new_password"
    await auth.passwords.reset(token, NEW, HOME)
    assert await logs_in(auth, ada.email, NEW)


async def test_a_disabled_account_gets_no_reset_and_its_tokens_are_over(auth: Replica) -> None:
    ada = await auth.person()
    await auth.passwords.request_reset(ada.email, HOME)
    token = await auth.token_for(ada.email, "pyp")
    await auth.administration.set_state(ada.user_id, False, "", b"")
    before = len(auth.mailbox.letters)
    await auth.passwords.request_reset(ada.email, HOME)
    await auth.deliver()
    assert len(auth.mailbox.letters) == before
    with pytest.raises(InvalidInput):
        await auth.passwords.reset(token, NEW, HOME)


async def test_who_did_not_prove_the_address_is_sent_that_letter(auth: Replica) -> None:
    await auth.registration.register("new@acme.example", "", PASSWORD, "", HOME)
    await auth.passwords.request_reset("new@acme.example", HOME)
    await auth.registration.verify(await auth.token_for("new@acme.example", "pyv"), HOME)
