"""Which passwords are taken, how they are kept, and how many are worked on at once."""

from __future__ import annotations

import asyncio
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

import pytest
from argon2 import Type
from argon2.profiles import CHEAPEST
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.auth.accounts.passwords import Passwords, best_known, check_password, own_texts
from pyairtable_platform.common.errors import InvalidInput, RateLimited

OWN = own_texts("ada@acme.example", "countess", "Ada Lovelace")
GOOD = "seven green teapots"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(2, 10, CHEAPEST)
    yield made
    made.close()


@pytest.mark.parametrize(
    "password", [GOOD, "x" * 8 + "qz", "\u5bc6\u7801" * 4, " " * 8, "\U0001f600" * 8, "a" * 200 + "b" * 56]
)
def test_any_characters_will_do(password: str) -> None:
    check_password(password, *OWN)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "1234567",
        "x" * 257,
        "password",
        "PassWord",
        "qwertyuiop",
        "12345678",
        "iloveyou1",
        "ada@acme.example",
        "ADA@ACME.EXAMPLE!",
        "my ada and me",
        "the Countess of tea",
        "ada lovelace 1815",
        "\uff43ountess-of-tea",
    ],
)
def test_what_others_would_try_first_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(InvalidInput) as error:
        check_password(password, *OWN, field="new_password")
    assert [item.field for item in error.value.violations] == ["new_password"]
    assert not password or password not in str(error.value).replace("new_password", "").replace("known passwords", "")


def test_a_short_name_counts_as_a_word_only() -> None:
    own = own_texts("eve@acme.example", "", "")
    check_password("seven green teapots", *own)
    with pytest.raises(InvalidInput):
        check_password("teapots of eve", *own)


def test_length_is_counted_in_one_way_of_writing() -> None:
    check_password(unicodedata.normalize("NFD", "\u00e9" * 8))
    with pytest.raises(InvalidInput):
        check_password(unicodedata.normalize("NFD", "\u00e9" * 7))
    check_password(unicodedata.normalize("NFD", "\u00e9" * 256))


def test_the_list_of_best_known_is_long_enough() -> None:
    """ASVS 5.0, 6.2.4: at least the top 3000."""
    assert len([word for word in best_known() if len(word) >= 8]) >= 3000


@given(st.text(min_size=1, max_size=50))
def test_a_password_is_verified_exactly(text: str) -> None:
    made = Passwords(1, 1, CHEAPEST)
    try:
        kept = asyncio.run(made.hash(text))
        assert asyncio.run(made.verify(kept, unicodedata.normalize("NFD", text)))
        assert not asyncio.run(made.verify(kept, text + "x"))
        assert not asyncio.run(made.verify(kept, text[:-1]))
        assert kept.startswith("$argon2id$")
        assert len(text) < 4 or text not in kept
    finally:
        made.close()


async def test_nothing_kept_is_compared_too_and_never_right(passwords: Passwords) -> None:
    before = passwords.verified
    for guess in ("nobody's password", "", GOOD):
        assert not await passwords.verify("", guess)
    assert not await passwords.verify("no hash", GOOD)
    assert passwords.verified == before + 4


async def test_hashes_of_other_parameters_are_outdated(passwords: Passwords) -> None:
    newer = Passwords(1, 1, replace(CHEAPEST, time_cost=2))
    kept = await passwords.hash(GOOD)
    assert newer.is_outdated(kept)
    assert not passwords.is_outdated(kept)
    assert await newer.verify(kept, GOOD)
    newer.close()


def test_only_argon2id_is_taken() -> None:
    with pytest.raises(ValueError, match="argon2id"):
        Passwords(1, 1, replace(CHEAPEST, type=Type.I))


async def test_no_more_are_worked_on_at_once_than_allowed() -> None:
    passwords = Passwords(2, 3, CHEAPEST)
    released, lock, most, now = threading.Event(), threading.Lock(), 0, 0

    def work() -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        released.wait(30)
        with lock:
            now -= 1

    tasks = [asyncio.create_task(passwords._run(work)) for _ in range(5)]
    await asyncio.sleep(0.05)
    with pytest.raises(RateLimited) as error:
        await passwords.verify("", GOOD)
    assert error.value.retry_after
    # Who goes away leaves a thread at work, which goes on counting.
    tasks[0].cancel()
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await passwords.hash(GOOD)
    released.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 2
    while passwords._entered:  # noqa: ASYNC110 - the thread of the one who went away tells nobody
        await asyncio.sleep(0.01)
    assert await passwords.hash(GOOD)
    passwords.close()
