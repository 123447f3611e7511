"""Steps that make a workspace: both a new person and a person who wants another one go through them."""

from __future__ import annotations

from pyairtable_platform.common.errors import NotFound, Reason
from pyairtable_platform.sagas.definition import Done, Step, StepCall
from pyairtable_platform.sagas.ports import Account, Platform

RESERVE = "reserve_workspace"
PROVISIONING_ATTEMPTS = 40
"""An operator may be restarting, or a cluster short of room: about nine minutes."""


async def account_of(platform: Platform, user_id: str) -> Account:
    """A person's account; raises NotFound."""
    account = await platform.accounts.account(user_id)
    if account is None:
        raise NotFound(f"there is no account {user_id}", reason=Reason.ACCOUNT_NOT_FOUND, user=user_id)
    return account


def reserved_name(call: StepCall) -> str:
    """The name that RESERVE took."""
    return str(call.results[RESERVE]["workspace"])


async def release(platform: Platform, call: StepCall) -> None:
    await platform.provisioning.release(undoes=call.key)


async def declare(platform: Platform, call: StepCall) -> Done:
    declared = await platform.provisioning.declare(reserved_name(call), call.key)
    return Done({"object": declared} if declared else {})


async def activate(platform: Platform, call: StepCall) -> Done:
    await platform.provisioning.activate(reserved_name(call), call.key)
    return Done()


# Releasing the name takes back what the two steps after it made, as ReleaseWorkspace promises.
DECLARE = Step("declare_workspace", declare, attempts=PROVISIONING_ATTEMPTS)
ACTIVATE = Step("activate_workspace", activate, attempts=PROVISIONING_ATTEMPTS)
