"""Passwords: which are taken, and how they are kept (argon2id), with a bound on how many are worked on at once."""

from __future__ import annotations

import asyncio
import functools
import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type
from argon2.profiles import RFC_9106_LOW_MEMORY

from pyairtable_platform.common.errors import InvalidInput, RateLimited

from .rules import folded

T = TypeVar("T")

SHORTEST = 8
LONGEST = 256
_LONGEST_SHORT_PART = 3
_WORD = re.compile(r"[^\W\d_]+")
_COME_BACK_SECONDS = 2.0


def normalized(password: str) -> str:
    """A password in one way of writing: keyboards differ in how they make an accent (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFC", password)


def check_password(password: str, *own: str, field: str = "password") -> None:
    """Raise InvalidInput for a password that is too short, too long, well known, or holds one of the `own` names."""
    text = normalized(password)
    if not SHORTEST <= len(text) <= LONGEST:
        raise InvalidInput.at(field, f"must have {SHORTEST} to {LONGEST} characters; any will do, blanks too")
    small = folded(text)
    if text.lower() in best_known() or small in best_known():
        raise InvalidInput.at(field, "is among the best known passwords: choose another, for example four words")
    if any(holds(small, part) for part in map(folded, own)):
        raise InvalidInput.at(field, "holds your own name or address: choose another")


def holds(text: str, part: str) -> bool:
    """Whether a part is in a text; short ones (eve) only as words of their own (not in seven). Both folded."""
    if len(part) > _LONGEST_SHORT_PART:
        return part in text
    return len(part) == _LONGEST_SHORT_PART and part in _WORD.findall(text)


def own_texts(email: str, user_name: str, display_name: str) -> tuple[str, ...]:
    """What of an account must not stand in its password."""
    return (email, email.rpartition("@")[0], user_name, display_name)


@functools.cache
def best_known() -> frozenset[str]:
    """The 30,000 passwords that were found most often, in small letters (zxcvbn)."""
    # Half a megabyte, read when it is needed first.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

    return frozenset(FREQUENCY_LISTS["passwords"])


class Passwords:
    """Hashes and verifies in threads of its own, so many at once; as many again may wait, others are told to come back.

    A hash takes `parameters.memory_cost` KiB of memory. The thread pool is the caller's to close.
    """

    def __init__(self, at_once: int, waiting: int, parameters: Parameters = RFC_9106_LOW_MEMORY) -> None:
        if parameters.type is not Type.ID:
            raise ValueError("passwords are kept by argon2id only")
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="argon2")
        self._most = at_once + waiting
        self._entered = 0
        self._dummy = ""
        self.verified = 0
        """How many hashes were compared since the start."""

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """A password as it is kept. Raises RateLimited when too many are worked on."""
        return await self._run(self._hasher.hash, normalized(password))

    async def verify(self, kept: str, password: str) -> bool:
        """Whether a password is the one that was kept. Nothing kept ("") takes as long and is False."""
        return await self._run(self._compare, kept, normalized(password))

    def is_outdated(self, kept: str) -> bool:
        """Whether it was hashed with other parameters than those in force."""
        return self._hasher.check_needs_rehash(kept)

    def _compare(self, kept: str, password: str) -> bool:
        self.verified += 1
        nobodys = self._some_hash()
        try:
            self._hasher.verify(kept or nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return bool(kept)

    def _some_hash(self) -> str:
        # Two threads may make it at once; either is good.
        if not self._dummy:
            self._dummy = self._hasher.hash("nobody's password")
        return self._dummy

    async def _run(self, work: Callable[..., T], *arguments: str) -> T:
        if self._entered >= self._most:
            text = "too many passwords are being checked at the moment: try again"
            raise RateLimited(text, retry_after=_COME_BACK_SECONDS)
        self._entered += 1
        try:
            # Shielded: a caller who goes away leaves a thread at work, which must go on counting.
            work_done = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
            work_done.add_done_callback(self._left)
        except BaseException:
            self._entered -= 1
            raise
        return await asyncio.shield(work_done)

    def _left(self, _: object) -> None:
        self._entered -= 1
